//! Identity of a dataset: its id follows from its name, its fingerprint from its columns.

use serde::Deserialize;
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
    let ty = |column: &Column| match &column.ty {
        Ok(ty) => ty.to_string(),
        Err(unsupported) => format!("?{unsupported}"),
    };
    hash(columns.iter().map(|column| (column.name.as_str(), ty(column))).collect())
}

/// The fingerprint of columns as the catalogue lists them: a JSON array of objects with `name` and `type`.
pub fn listed_fingerprint(columns: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Listed {
        name: String,
        #[serde(rename = "type")]
        ty: String,
    }

    let columns: Vec<Listed> = serde_json::from_str(columns)
        .map_err(|error| Error::Internal { message: format!("the columns of a dataset: {error}") })?;
    // Types that we do not read are listed by their name in Arrow, which begins with a capital.
    let ty = |ty: &str| if ty.starts_with(char::is_uppercase) { format!("?{ty}") } else { ty.to_owned() };
    Ok(hash(columns.iter().map(|column| (column.name.as_str(), ty(&column.ty))).collect()))
}

fn hash(mut columns: Vec<(&str, String)>) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"lagoon schema 2");
    columns.sort_by(|a, b| a.0.cmp(b.0));
    for (name, ty) in &columns {
        for part in [name.as_bytes(), ty.as_bytes()] {
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
    use crate::types::{ColumnType, Numeric};

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

    #[test]
    fn a_list_of_columns_has_the_fingerprint_of_the_columns() {
        let column = |name: &str, ty| Column { name: name.into(), ty, nullable: true, trust: Default::default() };
        let columns = [
            column("b", Ok(ColumnType::Numeric(Numeric { precision: 10, scale: 2 }))),
            column("a", Ok(ColumnType::array(ColumnType::Timestamptz))),
            column("c", Err("Struct(\"x\": Int32)".to_owned())),
        ];
        let listed = r#"[{"name": "b", "type": "numeric(10,2)", "nullable": true},
            {"name": "a", "type": "timestamp with time zone[]", "nullable": false},
            {"name": "c", "type": "Struct(\"x\": Int32)", "nullable": true}]"#;
        assert_eq!(listed_fingerprint(listed).unwrap(), fingerprint(&columns));
        assert!(listed_fingerprint("{}").is_err());
    }
}
