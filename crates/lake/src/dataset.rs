//! Identity of a dataset: its id follows from its name, its fingerprint from its columns.

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::schema::Column;

/// Namespace of dataset ids. Never changes: ids would.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x6b1f_3c62_5a0e_4c8b_9d53_1a90_0d0a_11a6);

/// UUIDv5 of the name: the same on every server.
pub fn id(name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// Whether the name can be a folder's and an option's.
pub fn check_name(name: &str) -> Result<()> {
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.');
    if (1..=63).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(legal) {
        Ok(())
    } else {
        Err(Error::DatasetName { name: name.to_owned() })
    }
}

/// 32 hexadecimal digits over names and types of the columns, in whatever order, and nothing else: neither whether a file
/// happens to have NULLs, nor the writer's name, its key-value metadata or its choice of encodings count.
pub fn fingerprint(columns: &[Column]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"lagoon schema 2");
    let mut columns: Vec<_> = columns.iter().collect();
    columns.sort_by(|a, b| a.name.cmp(&b.name));
    for column in columns {
        let ty = column.ty.as_ref().map_or_else(|unsupported| format!("?{unsupported}"), ToString::to_string);
        for part in [column.name.as_bytes(), ty.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::types::ColumnType;

    #[test]
    fn ids_are_fixed_for_ever() {
        assert_eq!(id("packages").to_string(), id("packages").to_string());
        assert_eq!(id("packages").get_version_num(), 5);
        assert_ne!(id("a"), id("b"));
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        for bad in ["", ".", "..", ".hidden", "a/b", "a b", "é", &"x".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        for good in ["a", "packages-2026.11", "_x", &"x".repeat(63)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn fingerprint_sees_names_and_types_in_any_order() {
        let column =
            |name: &str, ty, nullable| Column { name: name.into(), ty: Ok(ty), nullable, trust: Default::default() };
        let base = vec![column("a", ColumnType::Int8, true), column("b", ColumnType::Text, true)];
        let same = [
            vec![column("b", ColumnType::Text, true), column("a", ColumnType::Int8, true)],
            vec![column("a", ColumnType::Int8, false), column("b", ColumnType::Text, true)],
        ];
        let others = [
            vec![column("a", ColumnType::Int4, true), column("b", ColumnType::Text, true)],
            vec![column("ab", ColumnType::Int8, true), column("", ColumnType::Text, true)],
            vec![column("a", ColumnType::Int8, true)],
        ];
        assert!(same.iter().all(|columns| fingerprint(columns) == fingerprint(&base)));
        assert!(others.iter().all(|columns| fingerprint(columns) != fingerprint(&base)));
    }
}
