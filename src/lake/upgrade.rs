//! What the scripts under `sql/upgrade/` call, and nobody else: the install script does not declare it.

use std::ffi::CStr;

use lagoon_lake::{Error, dataset};

use crate::pg::function::{Text, sql_functions};

sql_functions! {
    /// The fingerprint of a dataset, from the column `columns` of `lagoon.datasets`.
    fn lagoon_dataset_fingerprint(columns: &CStr) -> Result<Text, Error> {
        dataset::listed_fingerprint(&columns.to_string_lossy()).map(|fingerprint| Text(fingerprint.into_bytes()))
    }
}
