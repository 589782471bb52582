//! The host function `lagoon.error`.

use wasmtime::{Caller, Linker};

use super::{Capability, State, Stop, text_of};
use crate::GuestError;
use crate::abi::HOST_MODULE;
use crate::text::{printable, printable_lines};

/// Maximum bytes of an error record; longer ones are truncated.
const MAX_ERROR: usize = 64 << 10;

pub(super) struct Raise;

impl Capability for Raise {
    fn imports(&self) -> &'static [&'static str] {
        &["error"]
    }

    fn link(&self, linker: &mut Linker<State>) -> wasmtime::Result<()> {
        linker.func_wrap(HOST_MODULE, "error", error).map(drop)
    }
}

/// `lagoon.error(address, length)`: sets the error with which the current call will end.
fn error(mut caller: Caller<'_, State>, address: i32, length: i32) -> wasmtime::Result<()> {
    let record = text_of(&mut caller, address, length, MAX_ERROR)?;
    let error = parse_error(&record).map_err(Stop::Violation)?;
    caller.data_mut().error = Some(error);
    Ok(())
}

/// Parses an error record: five characters of SQLSTATE, then message, detail and hint, separated by NUL.
fn parse_error(record: &str) -> Result<GuestError, String> {
    let (sqlstate, rest) =
        record.split_at_checked(5).ok_or("an error record has at least the five characters of a SQLSTATE")?;
    let characters = sqlstate.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    let not_an_error = ["00", "01", "02"].iter().any(|class| sqlstate.starts_with(class));
    if !characters || not_an_error {
        return Err(format!("\"{}\" is not the SQLSTATE of an error", sqlstate.escape_debug()));
    }
    let mut fields = rest.split('\0');
    let message = printable(fields.next().unwrap_or_default(), MAX_ERROR);
    let mut optional = || fields.next().filter(|f| !f.is_empty()).map(|f| printable_lines(f, MAX_ERROR));
    let (detail, hint) = (optional(), optional());
    Ok(GuestError { sqlstate: sqlstate.to_owned(), message, detail, hint })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn error_records() {
        let error = parse_error("22023bad section\0It is empty.\0Give one.").unwrap();
        assert_eq!((error.sqlstate.as_str(), error.message.as_str()), ("22023", "bad section"));
        assert_eq!(error.detail.as_deref(), Some("It is empty."));
        assert_eq!(error.hint.as_deref(), Some("Give one."));
        assert_eq!(parse_error("P0001no more").unwrap().detail, None);
        for bad in ["", "1234", "00000fine", "01000warning", "lower!"] {
            assert!(parse_error(bad).is_err(), "{bad}");
        }
    }
}
