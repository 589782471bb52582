//! Instances of plugins, with memory of their own and exports that can be called.
//!
//! After any error that the guest has not raised itself, the instance must be dropped: see [`Instance::is_broken`].

use wasmtime::{Engine, InstancePre, Memory, Store, ValRaw};

use crate::abi::{BUFFER_EXPORT, MAX_TEXT, MEMORY_EXPORT, Signature, Type, Value, unpack};
use crate::hooks::Ticks;
use crate::host::{LogLine, State};
use crate::unchecked::NumericFunc;
use crate::{Error, Result, host, trap};

/// Minimum size of the buffer that is requested from the guest, so that it rarely grows.
const SMALLEST_BUFFER: usize = 8 << 10;
/// From this size on, a buffer of exactly the needed size is requested.
const LARGE_BUFFER: usize = 1 << 20;
/// Bytes that are copied or read between two checks for interrupts: a few milliseconds.
const PIECE: usize = 8 << 20;

/// An instance of a [`crate::Plugin`].
pub struct Instance {
    pub(crate) store: Store<State>,
    instance: wasmtime::Instance,
    pub(crate) memory: Option<Memory>,
    buffer_export: Option<NumericFunc>,
    buffer: Buffer,
    fuel: Option<u64>,
    raw: Vec<ValRaw>,
    broken: bool,
    /// Bytes of memory and tables at the start.
    initial: usize,
}

/// Address and size of the guest's buffer, as it last returned them.
#[derive(Clone, Copy, Default)]
struct Buffer {
    address: u32,
    size: usize,
}

/// An export of one instance, looked up and checked.
#[derive(Clone, Copy)]
pub struct Export(NumericFunc);

impl Export {
    pub(crate) fn func(self) -> NumericFunc {
        self.0
    }
}

impl Instance {
    pub(crate) fn new(engine: &Engine, linked: &InstancePre<State>, state: State, fuel: Option<u64>) -> Result<Self> {
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limiter);
        store.epoch_deadline_callback(host::on_tick);
        arm(&mut store, fuel)?;
        let ticks = Ticks::start(&store.data().hooks);
        let started = linked.instantiate(&mut store);
        drop(ticks);
        let instance = match started {
            Ok(instance) => instance,
            Err(error) => {
                let state = store.data_mut();
                // It is not a trap if the initial size exceeds the limit.
                let refusal = state.limiter.refusal(None).filter(|_| !error.is::<wasmtime::Trap>());
                return Err(refusal.unwrap_or_else(|| trap::into_error(&error, state, fuel)));
            }
        };
        if let Some(error) = store.data_mut().error.take() {
            return Err(trap::guest(error, None)); // set by the start function, which has returned normally
        }
        let initial = store.data().limiter.used();
        let memory = instance.get_memory(&mut store, MEMORY_EXPORT);
        let buffer_export = instance.get_func(&mut store, BUFFER_EXPORT);
        let buffer_export = buffer_export.and_then(|func| NumericFunc::new(&mut store, func));
        let (buffer, raw) = (Buffer::default(), vec![ValRaw::i64(0); 8]);
        Ok(Self { store, instance, memory, buffer_export, buffer, fuel, raw, broken: false, initial })
    }

    /// An export whose type [`crate::Plugin::check_function`] or [`crate::Plugin::check_trigger`] has accepted.
    pub fn export(&mut self, name: &str) -> Result<Export> {
        let func = self.instance.get_func(&mut self.store, name);
        func.and_then(|func| NumericFunc::new(&mut self.store, func))
            .map(Export)
            .ok_or_else(|| Error::Internal(format!("export \"{name}\" is not a numeric function")))
    }

    /// Whether the instance was stopped within a call, so that its memory may be inconsistent.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Bytes of its memory and tables.
    pub fn memory(&self) -> usize {
        self.store.data().limiter.used()
    }

    /// Bytes by which its memory and tables have grown since the start.
    pub fn growth(&self) -> usize {
        self.memory().saturating_sub(self.initial)
    }

    /// The lines that the guest has logged since the last call of this.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.store.data_mut().log)
    }

    /// Whether there are such lines.
    pub fn has_log(&self) -> bool {
        !self.store.data().log.is_empty()
    }

    /// Calls a function. Number and types of the arguments must be those of the signature, without NULLs if it is STRICT. A text
    /// result is valid until the next call.
    pub fn call(&mut self, export: &Export, signature: &Signature, arguments: &[Value<'_>]) -> Result<Value<'_>> {
        let texts = arguments.iter().map(|a| if let Value::Text(t) = a { t.len() } else { 0 }).sum::<usize>();
        let mut text_at = if texts > 0 { self.reserve(texts)? } else { 0 };
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        if !signature.strict {
            let bitmap = arguments.iter().enumerate().filter(|(_, a)| matches!(a, Value::Null));
            raw.push(ValRaw::i64(bitmap.fold(0u64, |bits, (i, _)| bits | 1 << (i & 63)) as i64));
        }
        for (argument, kind) in arguments.iter().zip(&signature.arguments) {
            match *argument {
                Value::Null if *kind == Type::Text => raw.extend([ValRaw::i32(0), ValRaw::i32(0)]),
                Value::Null => raw.push(ValRaw::i64(0)),
                Value::Bool(v) => raw.push(ValRaw::i32(i32::from(v))),
                Value::Int2(v) => raw.push(ValRaw::i32(i32::from(v))),
                Value::Int4(v) => raw.push(ValRaw::i32(v)),
                Value::Int8(v) => raw.push(ValRaw::i64(v)),
                Value::Float4(v) => raw.push(ValRaw::f32(v.to_bits())),
                Value::Float8(v) => raw.push(ValRaw::f64(v.to_bits())),
                Value::Text(text) => {
                    self.write(text_at, text)?;
                    raw.extend([ValRaw::u32(text_at), ValRaw::u32(text.len() as u32)]);
                    text_at += text.len() as u32; // reserve() has checked that all of it lies within 4 GB
                }
            }
        }
        if raw.is_empty() {
            raw.push(ValRaw::i64(0));
        }
        let called = self.enter(&export.0, &mut raw);
        let answer = raw[0];
        self.raw = raw;
        called?;
        self.answer(signature.result, answer)
    }

    fn answer(&mut self, kind: Type, raw: ValRaw) -> Result<Value<'_>> {
        if self.store.data().is_null {
            return Ok(Value::Null);
        }
        Ok(match kind {
            Type::Bool => Value::Bool(raw.get_i32() != 0),
            Type::Int2 => {
                let value = raw.get_i32();
                let out_of_range = |_| Error::OutOfRange { value: i64::from(value), type_name: "smallint" };
                Value::Int2(i16::try_from(value).map_err(out_of_range)?)
            }
            Type::Int4 => Value::Int4(raw.get_i32()),
            Type::Int8 => Value::Int8(raw.get_i64()),
            Type::Float4 => Value::Float4(f32::from_bits(raw.get_f32())),
            Type::Float8 => Value::Float8(f64::from_bits(raw.get_f64())),
            Type::Text => {
                let (address, length) = unpack(raw.get_i64());
                Value::Text(self.text(address, length)?)
            }
        })
    }

    /// Calls into the guest. All limits are set before the first tick can come.
    pub(crate) fn enter(&mut self, func: &NumericFunc, raw: &mut [ValRaw]) -> Result<()> {
        arm(&mut self.store, self.fuel)?;
        let ticks = Ticks::start(&self.store.data().hooks);
        let called = func.call(&mut self.store, raw);
        drop(ticks);
        match called {
            Ok(()) => match self.store.data_mut().error.take() {
                None => Ok(()),
                Some(error) => Err(trap::guest(error, None)),
            },
            Err(error) => {
                self.broken = true;
                Err(trap::into_error(&error, self.store.data_mut(), self.fuel))
            }
        }
    }

    /// Requests a buffer of at least `size` bytes from the guest. Returns its address.
    pub(crate) fn reserve(&mut self, size: usize) -> Result<u32> {
        if size <= self.buffer.size {
            return Ok(self.buffer.address);
        }
        let Some(export) = self.buffer_export else {
            return Err(Error::AbiViolation(format!("\"{BUFFER_EXPORT}\" is missing")));
        };
        let limiter = &self.store.data().limiter;
        let too_large = Error::MemoryLimit { limit: limiter.limit(), backtrace: None };
        if size > limiter.limit() {
            return Err(too_large);
        }
        // Rounded up, so that slowly growing rows do not need a new buffer each time.
        let wanted = if size < LARGE_BUFFER { size.next_power_of_two().max(SMALLEST_BUFFER) } else { size };
        let Ok(wanted) = i32::try_from(wanted) else { return Err(too_large) };
        let mut raw = [ValRaw::i32(wanted)];
        self.buffer = Buffer::default();
        self.enter(&export, &mut raw)?;
        let address = raw[0].get_u32();
        let size = wanted as usize;
        if address == 0 || (address as usize).checked_add(size).is_none_or(|end| end > self.data().len()) {
            // A guest may return an invalid address if it was refused memory.
            if let Some(refusal) = self.store.data().limiter.refusal(None) {
                return Err(refusal);
            }
            self.broken = true;
            return Err(Error::AbiViolation(format!("a buffer of {size} bytes at {address} is outside of its memory")));
        }
        self.buffer = Buffer { address, size };
        Ok(address)
    }

    /// The address of the buffer.
    pub(crate) fn buffer_address(&self) -> u32 {
        self.buffer.address
    }

    /// Copies into the guest.
    pub(crate) fn write(&mut self, address: u32, bytes: &[u8]) -> Result<()> {
        let start = address as usize;
        let interrupted = self.store.data().hooks.interrupted;
        let Some(memory) = self.memory else { return Err(no_memory()) };
        let target = memory.data_mut(&mut self.store).get_mut(start..start.saturating_add(bytes.len()));
        let target = target.ok_or_else(no_memory)?;
        for (to, from) in target.chunks_mut(PIECE).zip(bytes.chunks(PIECE)) {
            to.copy_from_slice(from);
            if from.len() == PIECE && interrupted() {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }

    /// A text in the guest's memory, checked to be UTF-8 without NUL.
    pub(crate) fn text(&self, address: u32, length: u32) -> Result<&[u8]> {
        let bytes = self.bytes(address, length)?;
        if bytes.len() > MAX_TEXT {
            return Err(Error::TextTooLong { size: bytes.len(), limit: MAX_TEXT });
        }
        check_text(bytes, self.store.data().hooks.interrupted)?;
        Ok(bytes)
    }

    pub(crate) fn bytes(&self, address: u32, length: u32) -> Result<&[u8]> {
        let start = address as usize;
        start.checked_add(length as usize).and_then(|end| self.data().get(start..end)).ok_or_else(|| {
            Error::AbiViolation(format!("{length} bytes at address {address} are outside of the guest's memory"))
        })
    }

    /// The guest's whole memory.
    pub(crate) fn data(&self) -> &[u8] {
        self.memory.map_or(&[], |memory| memory.data(&self.store))
    }
}

/// Checks that bytes are UTF-8 without NUL, in pieces, with checks for interrupts in between.
fn check_text(bytes: &[u8], interrupted: fn() -> bool) -> Result<()> {
    let mut rest = bytes;
    loop {
        let piece = &rest[..rest.len().min(PIECE)];
        let valid = match std::str::from_utf8(piece) {
            Ok(_) => piece.len(),
            // The piece ends within a character.
            Err(error) if error.error_len().is_none() && piece.len() < rest.len() => error.valid_up_to(),
            Err(_) => return Err(Error::InvalidText),
        };
        if piece[..valid].contains(&0) {
            return Err(Error::InvalidText);
        }
        rest = &rest[valid..];
        if rest.is_empty() {
            return Ok(());
        }
        if interrupted() {
            return Err(Error::Interrupted);
        }
    }
}

fn no_memory() -> Error {
    Error::AbiViolation("the buffer is outside of the guest's memory".to_owned())
}

fn arm(store: &mut Store<State>, fuel: Option<u64>) -> Result<()> {
    store.data_mut().reset();
    store.set_epoch_deadline(1);
    match fuel {
        Some(fuel) => store.set_fuel(fuel).map_err(|e| Error::Internal(format!("{e:#}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_checked_in_pieces_that_end_anywhere() {
        for lead in 0..4 {
            let text = format!("{}{}", "a".repeat(lead), "\u{1f600}".repeat(PIECE / 4 + 2));
            assert!(check_text(text.as_bytes(), || false).is_ok());
            assert!(matches!(check_text(text.as_bytes(), || true), Err(Error::Interrupted)));
            let mut bytes = text.into_bytes();
            bytes.truncate(bytes.len() - 1);
            assert!(matches!(check_text(&bytes, || false), Err(Error::InvalidText)));
            let last = bytes.len() - 3;
            bytes.truncate(last);
            bytes.push(0);
            assert!(matches!(check_text(&bytes, || false), Err(Error::InvalidText)));
        }
        assert!(check_text(b"", || true).is_ok());
    }
}
