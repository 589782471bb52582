//! The row that a trigger sees. Layout: `guest/ABI.md`, "Rows".

use std::marker::PhantomData;

use crate::error::Error;
use crate::host;

const HEADER: usize = 16;
const SLOT: usize = 16;
const NULL: u8 = 1;
const DIRTY: u8 = 2;

/// What becomes of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is stored, with what [`Row::set`] has changed.
    Keep,
    /// Nothing happens to the table, and later triggers do not see the row.
    Skip,
}

/// What fired the trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Insert,
    Update,
    Delete,
}

/// A column that the trigger has declared.
pub struct Column<T> {
    number: usize,
    kind: PhantomData<T>,
}

impl<T> Clone for Column<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Column<T> {}

impl<T> Column<T> {
    #[doc(hidden)]
    pub const fn new(number: usize) -> Self {
        Self { number, kind: PhantomData }
    }
}

/// One row, in the host's buffer, for the time of one call.
pub struct Row<'a> {
    base: *mut u8,
    changed: bool,
    call: PhantomData<&'a mut u8>,
}

impl<'a> Row<'a> {
    /// # Safety
    /// `base` must be what the host gave to a trigger.
    #[doc(hidden)]
    pub unsafe fn at(base: *mut u8) -> Self {
        Self { base, changed: false, call: PhantomData }
    }

    /// What fired the trigger.
    pub fn operation(&self) -> Operation {
        match unsafe { self.base.cast::<u32>().read() } {
            1 => Operation::Insert,
            2 => Operation::Update,
            _ => Operation::Delete,
        }
    }

    /// A column's value, `None` for NULL.
    pub fn get<T: ColumnType>(&self, column: Column<T>) -> Option<T::Value<'a>> {
        let slot = self.slot(column.number);
        unsafe { (slot.add(1).read() & NULL == 0).then(|| T::read(slot)) }
    }

    /// Sets a column. Setting it to what it is already leaves the row unchanged, which is cheaper for PostgreSQL.
    pub fn set<'v, T: ColumnType>(&mut self, column: Column<T>, value: Option<T::Value<'v>>)
    where
        'a: 'v,
    {
        if self.get::<T>(column).map(T::shorten) == value {
            return;
        }
        let slot = self.slot(column.number);
        self.changed = true;
        unsafe {
            match value {
                Some(value) => {
                    slot.add(1).write(DIRTY);
                    T::write(slot, value);
                }
                None => slot.add(1).write(DIRTY | NULL),
            }
        }
    }

    #[doc(hidden)]
    pub fn finish(&self, answer: Result<Answer, Error>) -> i32 {
        match answer {
            Ok(Answer::Keep) => 2 * i32::from(self.changed),
            Ok(Answer::Skip) => 1,
            Err(error) => {
                host::fail(&error);
                3
            }
        }
    }

    fn slot(&self, number: usize) -> *mut u8 {
        unsafe { self.base.add(HEADER + SLOT * number) }
    }
}

/// A type that a column can have.
pub trait ColumnType {
    type Value<'a>: PartialEq;
    #[doc(hidden)]
    fn shorten<'v, 'a: 'v>(value: Self::Value<'a>) -> Self::Value<'v>;
    /// # Safety
    /// `slot` must be a slot of this type that is not NULL.
    #[doc(hidden)]
    unsafe fn read<'a>(slot: *mut u8) -> Self::Value<'a>;
    /// # Safety
    /// `slot` must be a slot of this type.
    #[doc(hidden)]
    unsafe fn write(slot: *mut u8, value: Self::Value<'_>);
}

macro_rules! number {
    ($($kind:ty, $read:expr, $write:expr;)*) => { $(
        impl ColumnType for $kind {
            type Value<'a> = $kind;
            fn shorten<'v, 'a: 'v>(value: Self::Value<'a>) -> Self::Value<'v> {
                value
            }
            unsafe fn read<'a>(slot: *mut u8) -> Self::Value<'a> {
                let read: fn(u64) -> $kind = $read;
                read(slot.add(8).cast::<u64>().read())
            }
            unsafe fn write(slot: *mut u8, value: $kind) {
                let write: fn($kind) -> u64 = $write;
                slot.add(8).cast::<u64>().write(write(value));
            }
        }
    )* };
}
number! {
    bool, |bits| bits != 0, u64::from;
    i16, |bits| bits as i16, |value| value as i64 as u64;
    i32, |bits| bits as i32, |value| value as i64 as u64;
    i64, |bits| bits as i64, |value| value as u64;
    f32, |bits| f32::from_bits(bits as u32), |value| value.to_bits().into();
    f64, f64::from_bits, f64::to_bits;
}

impl ColumnType for &'static str {
    type Value<'a> = &'a str;

    fn shorten<'v, 'a: 'v>(value: &'a str) -> &'v str {
        value
    }

    unsafe fn read<'a>(slot: *mut u8) -> &'a str {
        let length = slot.add(4).cast::<u32>().read() as usize;
        let address = slot.add(8).cast::<u64>().read() as usize as *const u8;
        host::text(address, length)
    }

    unsafe fn write(slot: *mut u8, value: &str) {
        let kept = host::keep(value.to_owned());
        slot.add(4).cast::<u32>().write(kept.len() as u32);
        slot.add(8).cast::<u64>().write(kept.as_ptr() as usize as u64);
    }
}
