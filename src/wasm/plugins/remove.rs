//! Removing a plugin.

use lagoon_wasm::Error;
use pgrx::prelude::*;

use super::install::{as_owner_of_table, check_owner, functions_of, signature_of};
use super::{catalog, copies, notes};
use crate::pg::spi;
use crate::pg::transaction::must_write;
use crate::wasm::error::{finish, sql};

#[pg_schema]
pub mod lagoon {
    use super::*;

    /// Removes a plugin. Refused while functions use it, unless `cascade` says to drop those, and their triggers, too.
    #[pg_extern]
    pub fn remove_plugin(name: &str, cascade: default!(bool, "false")) {
        must_write(c"lagoon.remove_plugin()");
        finish(remove(name, cascade));
    }
}

fn remove(name: &str, cascade: bool) -> Result<(), Error> {
    lagoon_wasm::manifest::check_name(name)?;
    let Some(row) = catalog::find(name, false)? else { return Err(Error::UnknownPlugin(name.to_owned())) };
    check_owner(name, Some(&row))?;
    let functions: Vec<String> = functions_of(name)?.into_iter().map(signature_of).collect();
    if !functions.is_empty() && !cascade {
        return Err(Error::StillUsed { plugin: name.to_owned(), functions });
    }
    for function in functions {
        Spi::run(&format!("DROP FUNCTION {function} CASCADE")).map_err(sql)?;
    }
    as_owner_of_table(|| {
        notes::forget(name)?;
        let statement = "DELETE FROM lagoon.plugins WHERE name OPERATOR(pg_catalog.=) $1";
        spi::write(statement, &[name.into()]).map_err(sql)?;
        copies::drop(name) // of a schema that was restored without its data
    })
}
