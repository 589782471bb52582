//! Promises of the wasm wing that hold within one transaction.
