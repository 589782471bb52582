//! The host function by which a guest returns NULL.

use wasmtime::{Caller, Linker};

use super::{Capability, State};
use crate::abi::HOST_MODULE;

pub(super) struct ReturnNull;

impl Capability for ReturnNull {
    fn imports(&self) -> &'static [&'static str] {
        &["return_null"]
    }

    fn link(&self, linker: &mut Linker<State>) -> wasmtime::Result<()> {
        let is_null = |mut caller: Caller<'_, State>| caller.data_mut().is_null = true;
        linker.func_wrap(HOST_MODULE, "return_null", is_null).map(drop)
    }
}
