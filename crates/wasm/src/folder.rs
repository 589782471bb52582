//! The plugins in a folder, and the contents of their files.
//!
//! A plugin in a folder is `<name>.wasm`, with a manifest `<name>.yaml`, `.yml` or `.json` beside it if it needs one, or a
//! folder `<name>` with `manifest.yaml`, `.yml` or `.json` and the module.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Component, Path, PathBuf};

use lagoon_file::Scope;

use crate::manifest::{MAX_BYTES, check_name};
use crate::{Error, Hash, Manifest, Result, Source};

/// Maximum number of entries of a folder; one with more is refused.
pub const MAX_ENTRIES: usize = 100_000;

const MANIFESTS: [&str; 3] = ["yaml", "yml", "json"];

/// A plugin in a folder, not read yet.
#[derive(Debug)]
pub struct Candidate {
    /// The name that it is installed under.
    pub name: String,
    manifest: Option<PathBuf>,
    /// The path of the module, unless the manifest has another.
    module: PathBuf,
    /// Another file of the folder that claims the name.
    rival: Option<PathBuf>,
}

/// The contents of a candidate's files, read together.
#[derive(Debug)]
pub struct Content {
    /// A hash of the files' bytes and of the version of this crate: while it stays the same, what has failed will fail again.
    pub fingerprint: Hash,
    /// The manifest and the module's bytes, or the error in the manifest.
    pub parsed: Result<(Manifest, Vec<u8>)>,
}

/// The plugins in `directory`, by name. Files that have no valid name, as editors leave them, are ignored. `go_on` is called now
/// and then; if it returns false, the result is [`Error::Interrupted`].
pub fn candidates(directory: &Path, mut go_on: impl FnMut() -> bool) -> Result<Vec<Candidate>> {
    let failed = |source| Error::Io { action: "read directory", path: directory.to_owned(), source };
    let mut found = BTreeMap::new();
    for (count, entry) in fs::read_dir(directory).map_err(failed)?.enumerate() {
        if count % 64 == 0 && !go_on() {
            return Err(Error::Interrupted);
        }
        if count == MAX_ENTRIES {
            return Err(Error::FolderTooLarge { path: directory.to_owned(), limit: MAX_ENTRIES });
        }
        let path = entry.map_err(failed)?.path();
        let main_file = if path.is_dir() {
            MANIFESTS.iter().map(|e| path.join("manifest").with_extension(e)).find(|p| is_there(p))
        } else {
            path.extension().is_some_and(|e| e == "wasm").then_some(path)
        };
        let Some(candidate) = main_file.and_then(|path| Candidate::of(&path).ok()) else { continue };
        match found.entry(candidate.name.clone()) {
            Entry::Vacant(place) => drop(place.insert(candidate)),
            Entry::Occupied(mut place) => place.get_mut().rival = Some(candidate.path().to_owned()),
        }
    }
    Ok(found.into_values().collect())
}

impl Candidate {
    /// The plugin of a module or a manifest.
    pub fn of(path: &Path) -> Result<Self> {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        let is_manifest = MANIFESTS.contains(&extension.as_str());
        let name = match path.parent().and_then(Path::file_name) {
            Some(folder) if is_manifest && stem == "manifest" => folder.to_string_lossy().into_owned(),
            _ => stem,
        };
        check_name(&name)?;
        let (manifest, module) = if is_manifest {
            (Some(path.to_owned()), path.with_file_name(format!("{name}.wasm")))
        } else {
            (MANIFESTS.iter().map(|e| path.with_extension(e)).find(|p| is_there(p)), path.to_owned())
        };
        Ok(Self { name, manifest, module, rival: None })
    }

    /// The file to show for it: the manifest if it has one, else the module.
    pub fn path(&self) -> &Path {
        self.manifest.as_deref().unwrap_or(&self.module)
    }

    /// Reads manifest and module. Fails if a file cannot be read; errors in the contents are in [`Content::parsed`]. `go_on` as
    /// in [`candidates`].
    pub fn read(&self, mut go_on: impl FnMut() -> bool) -> Result<Content> {
        if let Some(rival) = &self.rival {
            let (first, second) = (self.path().to_owned(), rival.clone());
            return Err(Error::Twice { name: self.name.clone(), first, second });
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes()).update(&[0]);
        let manifest = match &self.manifest {
            None => Manifest::default(),
            Some(path) => {
                let bytes = read(path, MAX_BYTES as u64, &mut go_on)?;
                hasher.update(blake3::hash(&bytes).as_bytes());
                match Manifest::from_bytes(&bytes) {
                    Ok(manifest) => manifest,
                    Err(error) => return Ok(Content { fingerprint: hasher.finalize(), parsed: Err(error) }),
                }
            }
        };
        let module = match (&self.manifest, &manifest.wasm) {
            (Some(path), Some(own)) if Path::new(own).components().all(|c| matches!(c, Component::Normal(_))) => {
                path.with_file_name(own)
            }
            (Some(_), Some(own)) => {
                let error = Error::Manifest(format!("wasm \"{own}\" is not below the manifest's folder"));
                return Ok(Content { fingerprint: hasher.finalize(), parsed: Err(error) });
            }
            _ => self.module.clone(),
        };
        let bytes = read(&module, Source::MAX_BYTES as u64, &mut go_on)?;
        hasher.update(&bytes);
        Ok(Content { fingerprint: hasher.finalize(), parsed: Ok((manifest, bytes)) })
    }
}

/// Whether the path exists and is not a folder.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok() && !path.is_dir()
}

fn read(path: &Path, limit: u64, go_on: impl FnMut() -> bool) -> Result<Vec<u8>> {
    let bytes = lagoon_file::open(path, Scope::Anywhere).and_then(|file| file.read(limit, go_on));
    bytes.map_err(|source| match source {
        lagoon_file::Error::Interrupted => Error::Interrupted,
        source => Error::File { path: path.to_owned(), source },
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn states(folder: &Path) -> Vec<(String, String)> {
        let state = |candidate: &Candidate| match candidate.read(|| true).and_then(|content| content.parsed) {
            Ok((_, bytes)) => String::from_utf8(bytes).unwrap(),
            Err(error) => error.sqlstate().to_owned(),
        };
        candidates(folder, || true).unwrap().iter().map(|c| (c.name.clone(), state(c))).collect()
    }

    fn is(name: &str, state: &str) -> (String, String) {
        (name.to_owned(), state.to_owned())
    }

    #[test]
    fn a_module_beside_its_manifest_and_a_folder_are_plugins() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        fs::write(folder.join("one.wasm"), "1").unwrap();
        fs::write(folder.join("one.yml"), "version: '1'").unwrap();
        fs::create_dir_all(folder.join("two/target/release")).unwrap();
        fs::write(folder.join("two/manifest.json"), r#"{"wasm": "target/release/out.wasm"}"#).unwrap();
        fs::write(folder.join("two/target/release/out.wasm"), "2").unwrap();
        for other in ["notes.txt", ".one.wasm.swp", "One.wasm", "one.wasm~"] {
            fs::write(folder.join(other), "").unwrap();
        }
        assert_eq!(states(folder), [is("one", "1"), is("two", "2")]);
        assert!(matches!(candidates(folder, || false), Err(Error::Interrupted)));
    }

    #[test]
    fn pipes_devices_and_endless_files_are_errors_and_not_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        let pipe = |path: PathBuf| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        pipe(folder.join("pipe.wasm"));
        symlink("/dev/zero", folder.join("zero.wasm")).unwrap();
        symlink("nowhere", folder.join("dangling.wasm")).unwrap();
        fs::File::create(folder.join("large.wasm")).unwrap().set_len(1 << 40).unwrap();
        fs::create_dir(folder.join("inner")).unwrap();
        pipe(folder.join("inner/manifest.yaml"));
        fs::create_dir(folder.join("outer")).unwrap();
        fs::write(folder.join("outer/manifest.yaml"), "wasm: module").unwrap();
        pipe(folder.join("outer/module"));
        fs::create_dir(folder.join("wordy")).unwrap();
        fs::File::create(folder.join("wordy/manifest.yaml")).unwrap().set_len(1 << 30).unwrap();
        assert_eq!(
            states(folder),
            [
                is("dangling", "58P01"),
                is("inner", "42809"),
                is("large", "54000"),
                is("outer", "42809"),
                is("pipe", "42809"),
                is("wordy", "54000"),
                is("zero", "42809"),
            ]
        );
    }

    #[test]
    fn a_name_that_two_files_claim_is_an_error_that_names_both() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("x.wasm"), "").unwrap();
        fs::create_dir(place.path().join("x")).unwrap();
        fs::write(place.path().join("x/manifest.yaml"), "").unwrap();
        let found = candidates(place.path(), || true).unwrap();
        let [one] = found.as_slice() else { panic!("{found:?}") };
        let error = one.read(|| true).unwrap_err();
        assert_eq!(error.sqlstate(), "42710");
        let text = error.to_string();
        assert!(text.contains("x.wasm") && text.contains("x/manifest.yaml"), "{text}");
    }

    #[test]
    fn the_fingerprint_is_that_of_the_bytes() {
        let place = tempfile::tempdir().unwrap();
        let write = |wasm: &str, manifest: &str| {
            fs::write(place.path().join("x.wasm"), wasm).unwrap();
            fs::write(place.path().join("x.yaml"), manifest).unwrap();
            candidates(place.path(), || true).unwrap()[0].read(|| true).unwrap().fingerprint
        };
        let first = write("a", "version: '1'");
        assert_eq!(write("a", "version: '1'"), first);
        assert_ne!(write("b", "version: '1'"), first);
        assert_ne!(write("a", "version: '2'"), first);
        assert_ne!(write("a", "nonsense: 1"), first);
    }
}
