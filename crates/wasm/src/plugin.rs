//! A compiled module whose ABI, imports and permissions are checked, ready to be instantiated.

use std::time::Duration;

use wasmtime::{ExternType, InstancePre};

use crate::abi::{self, BUFFER_EXPORT, HOST_MODULE, MEMORY_EXPORT, Signature, VERSION_EXPORT, VERSION_PREFIX};
use crate::host::{self, State};
use crate::limits::MAX_TABLES;
use crate::runtime::{self, Loaded};
use crate::text::{NAME, printable};
use crate::{Error, Instance, Manifest, Result, Runtime};

/// One version of one plugin.
pub struct Plugin {
    name: String,
    hash: blake3::Hash,
    manifest: Manifest,
    fuel: bool,
    linked: InstancePre<State>,
}

impl Plugin {
    /// Checks and links. `loaded` must have been compiled with fuel if the manifest has a limit for it.
    pub fn link(runtime: &Runtime, name: &str, loaded: &Loaded, manifest: Manifest) -> Result<Self> {
        crate::manifest::check_name(name)?;
        if let Some(other) = manifest.name.as_deref().filter(|own| *own != name) {
            return Err(Error::Manifest(format!("it is for plugin \"{other}\", not \"{name}\"")));
        }
        if manifest.limits.fuel.is_some() != loaded.fuel {
            return Err(Error::Internal("module compiled for another kind of engine".to_owned()));
        }
        check_version(&loaded.module)?;
        let tables = loaded.module.resources_required().num_tables as usize;
        if tables > MAX_TABLES {
            return Err(Error::TooManyTables { count: tables, limit: MAX_TABLES });
        }
        check_imports(&loaded.module, &manifest)?;
        let linked =
            runtime.compiler(loaded.fuel)?.linker.instantiate_pre(&loaded.module).map_err(|e| runtime::invalid(&e))?;
        Ok(Self { name: name.to_owned(), hash: loaded.source, manifest, fuel: loaded.fuel, linked })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// BLAKE3 of the module's bytes.
    pub fn hash(&self) -> &blake3::Hash {
        &self.hash
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether a SQL function of this signature can call the export. Needs no instance.
    pub fn check_function(&self, export: &str, signature: &Signature) -> Result<()> {
        self.check_export(export, &signature.parameters(), &signature.answer())?;
        if signature.uses_memory() { self.check_memory() } else { Ok(()) }
    }

    /// Whether a row trigger can call the export. Needs no instance.
    pub fn check_trigger(&self, export: &str) -> Result<()> {
        self.check_export(export, &[wasmtime::ValType::I32], &wasmtime::ValType::I32)?;
        self.check_memory()
    }

    /// A new instance, after running its start function. `most_memory` is the embedder's limit in bytes.
    pub fn instantiate(&self, runtime: &Runtime, most_memory: usize) -> Result<Instance> {
        let memory = self.manifest.limits.memory.map_or(most_memory, |own| own.min(most_memory));
        let state = State::new(runtime.hooks(), memory, self.manifest.limits.time, runtime.total());
        Instance::new(runtime.compiler(self.fuel)?.engine(), &self.linked, state, self.manifest.limits.fuel)
    }

    /// The time limit of its manifest.
    pub fn time_limit(&self) -> Option<Duration> {
        self.manifest.limits.time
    }

    fn check_export(&self, export: &str, parameters: &[wasmtime::ValType], answer: &wasmtime::ValType) -> Result<()> {
        let Some(found) = self.linked.module().get_export(export) else {
            return Err(Error::ExportMissing { plugin: self.name.clone(), export: printable(export, NAME) });
        };
        let found = match found {
            ExternType::Func(found) if abi::fits(&found, parameters, answer) => return Ok(()),
            ExternType::Func(found) => abi::describe(found.params(), found.results()),
            _ => "not a function".to_owned(),
        };
        let wanted = abi::describe(parameters.iter().cloned(), std::iter::once(answer.clone()));
        Err(Error::SignatureMismatch { plugin: self.name.clone(), export: printable(export, NAME), found, wanted })
    }

    fn check_memory(&self) -> Result<()> {
        let module = self.linked.module();
        let missing = |export| Err(Error::SupportMissing { plugin: self.name.clone(), export });
        if !matches!(module.get_export(MEMORY_EXPORT), Some(ExternType::Memory(m)) if !m.is_64() && !m.is_shared()) {
            return missing(MEMORY_EXPORT);
        }
        let i32 = wasmtime::ValType::I32;
        match module.get_export(BUFFER_EXPORT) {
            Some(ExternType::Func(f)) if abi::fits(&f, std::slice::from_ref(&i32), &i32) => Ok(()),
            _ => missing(BUFFER_EXPORT),
        }
    }
}

fn check_version(module: &wasmtime::Module) -> Result<()> {
    if module.get_export(VERSION_EXPORT).is_some() {
        return Ok(());
    }
    match module.exports().find(|e| e.name().starts_with(VERSION_PREFIX)) {
        Some(other) => Err(Error::AbiVersion(printable(other.name(), NAME))),
        None => Err(Error::AbiMissing),
    }
}

fn check_imports(module: &wasmtime::Module, manifest: &Manifest) -> Result<()> {
    for import in module.imports() {
        let capability = Some(import.name()).filter(|_| import.module() == HOST_MODULE).and_then(host::capability);
        let Some(capability) = capability else {
            let (module, name) = (printable(import.module(), NAME), printable(import.name(), NAME));
            return Err(Error::UnknownImport { module, name });
        };
        if let Some(permission) = capability.permission().filter(|permission| !manifest.allows(*permission)) {
            return Err(Error::PermissionDenied { import: import.name().to_owned(), permission: permission.name() });
        }
    }
    Ok(())
}
