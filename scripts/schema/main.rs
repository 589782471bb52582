//! Writes the install script of the extension: `lagoon-schema LIBRARY CONTROL SCRIPT`.
//!
//! pgrx's macros leave what they know of each SQL object in a section of the shared library. This reads the section, puts
//! the objects in an order in which they can be created, and writes them as SQL. It stands for `cargo pgrx schema`, which
//! takes eight minutes to compile for the same calls.

use std::error::Error;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSection};
use pgrx_sql_entity_graph::section::{decode_entities, is_schema_section_name};
use pgrx_sql_entity_graph::{ControlFile, PgrxSql, SqlGraphEntity};

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [library, control, script] = paths.as_slice() else {
        return Err("usage: lagoon-schema LIBRARY CONTROL SCRIPT".into());
    };
    write_script(library, control, script)
}

fn write_script(library: &Path, control: &Path, script: &Path) -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(library).map_err(|e| format!("{}: {e}", library.display()))?;
    let file = object::File::parse(bytes.as_slice())?;
    let section = file
        .sections()
        .find(|section| section.name().is_ok_and(is_schema_section_name))
        .ok_or_else(|| format!("{} has no section with a schema", library.display()))?;
    let control = ControlFile::from_path_with_cargo_version(control, env!("CARGO_PKG_VERSION"))?;
    let mut entities = vec![SqlGraphEntity::ExtensionRoot(control)];
    entities.extend(decode_entities(section.data()?)?);
    // The control file names the library, so its name carries no version.
    let versioned_library = false;
    let sql = PgrxSql::build(entities.into_iter(), "lagoon".to_owned(), versioned_library)?;
    Ok(sql.to_file(script)?)
}
