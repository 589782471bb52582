//! The two calls of wasmtime that the compiler cannot check. Everything else in this crate is safe code.
#![allow(unsafe_code)]

use crate::{Loaded, Result, Runtime, Source};
use wasmtime::{AsContextMut, Engine, Func, Module, ValRaw, ValType};

/// A function whose parameters and results are numbers, and how many there are of them.
#[derive(Clone, Copy)]
pub(crate) struct NumericFunc {
    func: Func,
    slots: usize,
}

impl NumericFunc {
    /// `None` if a parameter or result is not a number.
    pub(crate) fn new(store: &mut impl AsContextMut, func: Func) -> Option<Self> {
        let kind = func.ty(store.as_context_mut());
        let numeric = |t: ValType| matches!(t, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64);
        let all = kind.params().all(numeric) && kind.results().all(numeric);
        all.then_some(Self { func, slots: kind.params().len().max(kind.results().len()) })
    }

    /// Calls it. `raw` has the parameters, and then the results. A value of the wrong kind is read as other bits.
    pub(crate) fn call(&self, store: &mut impl AsContextMut, raw: &mut [ValRaw]) -> wasmtime::Result<()> {
        if raw.len() < self.slots {
            return Err(wasmtime::Error::msg("too few slots for a call"));
        }
        // SAFETY: the slice is long enough for parameters and results, and every slot is a number, for which any bits are
        // valid: `new` has checked the function's type, which never changes.
        unsafe { self.func.call_unchecked(store, raw) }
    }
}

/// Loads machine code from the compile cache or the compiler.
///
/// The caller must know that a server of this cluster has serialized `bytes`: they are executed in this process.
pub(crate) fn deserialize(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Module> {
    // SAFETY: cache.rs has verified a MAC over the bytes whose key only this server knows, and runtime.rs has them from the
    // compiler; wasmtime checks version, target and settings itself.
    unsafe { Module::deserialize(engine, bytes) }
}

impl Runtime {
    /// Loads machine code that [`Runtime::precompile`] returned in another process, and stores it in the compile cache.
    ///
    /// # Safety
    /// `code` must be what `precompile` of the same build of this crate returned for the same arguments, unchanged.
    pub unsafe fn load_machine_code(&self, source: &Source, fuel: bool, code: &[u8]) -> Result<Loaded> {
        self.load_precompiled(source, fuel, code)
    }
}
