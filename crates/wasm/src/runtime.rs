//! wasmtime's engines, their settings, and compilation.
//!
//! One engine serves all plugins. A second one, which compiles fuel counters into the code, is made for the first plugin with a
//! fuel limit. Both are made lazily: `Engine::new` installs signal handlers, which must come after the embedder's own.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use wasmtime::{Config, Engine, Linker, OptLevel, WasmBacktraceDetails};

use crate::hooks::Hooks;
use crate::host::{self, State};
use crate::text::{REASON, printable};
use crate::{Cache, Error, Result, Source, trap, unchecked};

/// Maximum native stack of a guest. PostgreSQL reserves 512 kB below max_stack_depth, and host functions need some of it.
const WASM_STACK: usize = 256 << 10;

/// The engines of a process. Lives as long as the process does.
pub struct Runtime {
    plain: OnceLock<Compiler>,
    fueled: OnceLock<Compiler>,
    cache: Option<Cache>,
    hooks: Hooks,
    /// Bytes of all instances.
    memory: Arc<AtomicUsize>,
}

/// An engine with the host functions for it.
pub(crate) struct Compiler {
    engine: Engine,
    pub(crate) linker: Linker<State>,
}

/// A compiled module.
pub struct Loaded {
    pub(crate) module: wasmtime::Module,
    pub(crate) fuel: bool,
    pub(crate) source: blake3::Hash,
    /// Why the compile cache could not be written, for the embedder's log. The module can be used.
    pub cache_failure: Option<Error>,
    /// Whether it came from the cache.
    pub cached: bool,
}

impl Runtime {
    /// Makes no engine yet: they are made at their first use.
    pub fn new(cache: Option<Cache>, hooks: Hooks) -> Self {
        Self { plain: OnceLock::new(), fueled: OnceLock::new(), cache, hooks, memory: Arc::default() }
    }

    /// Makes every running guest check its limits at the next loop head or function entry. Safe to call from a signal handler.
    pub fn tick(&self) {
        for compiler in [&self.plain, &self.fueled].into_iter().filter_map(OnceLock::get) {
            compiler.engine.increment_epoch();
        }
    }

    /// Makes the engine if there is none. Must be called on the main thread before [`Runtime::compile`] runs on another.
    pub fn prepare(&self, fuel: bool) -> Result<()> {
        self.compiler(fuel).map(drop)
    }

    /// The module with this hash from the compile cache.
    pub fn cached(&self, hash: &blake3::Hash, fuel: bool) -> Result<Option<Loaded>> {
        let compiler = self.compiler(fuel)?;
        let module = self.cache.as_ref().and_then(|cache| cache.load(&compiler.engine, fuel, hash));
        Ok(module.map(|module| Loaded { module, fuel, source: *hash, cache_failure: None, cached: true }))
    }

    /// Loads a module from the cache, or compiles and stores it.
    pub fn compile(&self, source: &Source, fuel: bool) -> Result<Loaded> {
        if let Some(loaded) = self.cached(&source.hash(), fuel)? {
            return Ok(loaded);
        }
        let code = self.precompile(source, fuel)?;
        self.load_precompiled(source, fuel, &code)
    }

    /// Compiles a module to machine code, without loading it. It may take minutes and gigabytes, cannot be interrupted, and calls
    /// nothing of the embedder: it is meant for a child process.
    pub fn precompile(&self, source: &Source, fuel: bool) -> Result<Vec<u8>> {
        let engine = &self.compiler(fuel)?.engine;
        engine.precompile_module(source.bytes()).map_err(|e| invalid(&e))
    }

    /// Loads what [`Runtime::precompile`] returned, and stores it in the compile cache.
    pub(crate) fn load_precompiled(&self, source: &Source, fuel: bool, code: &[u8]) -> Result<Loaded> {
        let engine = &self.compiler(fuel)?.engine;
        let module = unchecked::deserialize(engine, code).map_err(|e| trap::without_trap(&e))?;
        let hash = source.hash();
        let cache_failure = self.cache.as_ref().and_then(|cache| cache.store(engine, fuel, &hash, &module).err());
        Ok(Loaded { module, fuel, source: hash, cache_failure, cached: false })
    }

    /// Bytes of memory and tables of all instances.
    pub fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    pub(crate) fn total(&self) -> Arc<AtomicUsize> {
        self.memory.clone()
    }

    pub(crate) fn hooks(&self) -> Hooks {
        self.hooks
    }

    pub(crate) fn compiler(&self, fuel: bool) -> Result<&Compiler> {
        let cell = if fuel { &self.fueled } else { &self.plain };
        if let Some(compiler) = cell.get() {
            return Ok(compiler);
        }
        let made = Compiler::new(fuel).map_err(|e| Error::Internal(format!("{e:#}")))?;
        Ok(cell.get_or_init(|| made))
    }
}

impl Compiler {
    fn new(fuel: bool) -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::Speed)
            .epoch_interruption(true)
            .consume_fuel(fuel)
            .max_wasm_stack(WASM_STACK)
            .wasm_backtrace_max_frames(NonZeroUsize::new(trap::BACKTRACE_FRAMES))
            // Reading the debug information of an untrusted module may take any time and memory, and cannot be interrupted.
            .wasm_backtrace_details(WasmBacktraceDetails::Disable)
            // Registering unwind tables takes a lock of libgcc; backtraces walk frame pointers and do not need them.
            .native_unwind_info(false)
            .wasm_multi_memory(false)
            .wasm_memory64(false)
            .wasm_relaxed_simd(false);
        let engine = Engine::new(&config)?;
        let linker = host::linker(&engine)?;
        Ok(Self { engine, linker })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// The error of a module that was refused. The reason has names from the module, so it is truncated.
pub(crate) fn invalid(error: &wasmtime::Error) -> Error {
    Error::InvalidModule(printable(&format!("{error:#}"), REASON))
}
