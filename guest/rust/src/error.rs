use std::fmt;

/// An ERROR as PostgreSQL shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub(crate) sqlstate: String,
    pub(crate) message: String,
    pub(crate) detail: String,
    pub(crate) hint: String,
}

impl Error {
    /// `sqlstate`: five of `0-9A-Z`, not of the classes 00, 01 and 02. Messages are lower case, without full stop.
    pub fn new(sqlstate: &str, message: impl Into<String>) -> Self {
        Self { sqlstate: sqlstate.to_owned(), message: message.into(), detail: String::new(), hint: String::new() }
    }

    /// The DETAIL line, a full sentence.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The HINT line, a full sentence.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Five characters.
    pub fn sqlstate(&self) -> &str {
        &self.sqlstate
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Five characters of SQLSTATE, then message, detail and hint with NUL between them.
pub(crate) fn record(error: &Error) -> String {
    let clean = |text: &str| text.replace('\0', "");
    format!("{}{}\0{}\0{}", error.sqlstate, clean(&error.message), clean(&error.detail), clean(&error.hint))
}
