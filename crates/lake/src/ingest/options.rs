//! How a source is to be read.

use serde::Deserialize;

use crate::error::{Error, Result};

/// How to read the source. Field names are the keys of the SQL function's `options`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// `csv`, the only one of this version.
    pub format: String,
    /// One byte; absent: found out, see [`super::dialect`].
    pub delimiter: Option<char>,
    /// One byte.
    pub quote: char,
    /// One byte; absent: a doubled quote stands for one.
    pub escape: Option<char>,
    /// Whether the first row holds the names.
    pub header: bool,
    /// What stands for NULL.
    pub null: String,
    /// Rows that the types are learnt from; 0: all.
    pub sample_rows: u64,
    /// Types by column name, instead of what is learnt.
    pub types: std::collections::BTreeMap<String, String>,
    /// Whether the dataset is to have this file only, instead of this one too. For the caller; the file is the same.
    pub replace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: "csv".to_owned(),
            delimiter: None,
            quote: '"',
            escape: None,
            header: true,
            null: String::new(),
            sample_rows: 0,
            types: Default::default(),
            replace: false,
        }
    }
}

impl Options {
    /// From the JSON of the SQL function.
    pub fn parse(json: &str) -> Result<Self> {
        let options: Self = serde_json::from_str(json).map_err(|error| Error::BadValue {
            what: "options".to_owned(),
            message: error.to_string(),
            hint: Some(
                "Valid keys are: format, delimiter, quote, escape, header, null, sample_rows, types, replace."
                    .to_owned(),
            ),
        })?;
        if options.format != "csv" {
            return Err(Error::BadValue {
                what: "option \"format\"".to_owned(),
                message: format!("\"{}\" is not supported", options.format),
                hint: Some("Only csv is.".to_owned()),
            });
        }
        for (name, value) in
            [("delimiter", options.delimiter), ("quote", Some(options.quote)), ("escape", options.escape)]
        {
            if value.is_some_and(|value| !value.is_ascii() || matches!(value, '\n' | '\r' | '\0')) {
                return Err(Error::BadValue {
                    what: format!("option \"{name}\""),
                    message: "it must be one ASCII character, not a line end".to_owned(),
                    hint: None,
                });
            }
        }
        if options.delimiter == Some(options.quote) {
            return Err(Error::BadValue {
                what: "option \"quote\"".to_owned(),
                message: "it must differ from the delimiter".to_owned(),
                hint: None,
            });
        }
        if options.null.contains(|c| matches!(c, '\n' | '\r') || c == options.quote || Some(c) == options.delimiter) {
            return Err(Error::BadValue {
                what: "option \"null\"".to_owned(),
                message: "it must hold no line end, no quote and no delimiter".to_owned(),
                hint: None,
            });
        }
        Ok(options)
    }
}
