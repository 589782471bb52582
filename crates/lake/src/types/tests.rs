#![allow(clippy::unwrap_used, clippy::expect_used)]
use arrow::datatypes::TimeUnit;

use super::*;

#[test]
fn names_are_those_of_format_type() {
    assert_eq!(ColumnType::numeric(10, 2).to_string(), "numeric(10,2)");
    assert_eq!(ColumnType::array(ColumnType::Int8).to_string(), "bigint[]");
    for name in ["boolean", "bigint", "double precision", "numeric(38,38)", "timestamp with time zone"] {
        assert_eq!(name.parse::<ColumnType>().unwrap().to_string(), name);
    }
    for name in ["numeric", "numeric(39,0)", "numeric(2,3)", "money", "", "numeric(1,1,1)"] {
        assert!(name.parse::<ColumnType>().is_err(), "{name}");
    }
}

#[test]
fn names_in_the_catalog_are_no_words_of_the_grammar() {
    assert_eq!(ColumnType::array(ColumnType::Float8).catalog_name(), "float8[]");
    assert_eq!(ColumnType::numeric(10, 2).catalog_name(), "numeric(10,2)");
    assert_eq!(ColumnType::Timestamptz.catalog_name(), "timestamptz");
}

#[test]
fn reading_never_narrows() {
    use ColumnType::*;
    let numeric = ColumnType::numeric;
    let ok = |from: ColumnType, to: ColumnType| from.read_as(&Declared::Exactly(to)).is_some();
    assert!(ok(Int2, Int8) && ok(Int4, Int8) && ok(Float4, Float8) && ok(Int8, numeric(19, 0)) && ok(Bytea, Text));
    assert!(ok(numeric(10, 2), numeric(12, 4)) && !ok(numeric(10, 2), numeric(10, 4)));
    assert!(!ok(Int8, Int4) && !ok(Float8, Float4) && !ok(Int8, Float8) && !ok(Int8, numeric(18, 0)));
    assert!(!ok(Timestamp, Timestamptz) && !ok(Text, Bytea) && !ok(Text, Int4) && !ok(numeric(10, 2), numeric(10, 1)));
    assert_eq!(numeric(7, 3).read_as(&Declared::AnyNumeric), Some(numeric(7, 3)));
    assert_eq!(Text.read_as(&Declared::FromText), Some(Text));
    assert_eq!(Int4.read_as(&Declared::FromText), None);
    assert!(ok(ColumnType::array(Int4), ColumnType::array(Int8)) && !ok(ColumnType::array(Int4), Int8));
}

#[test]
fn the_widest_numeric_holds_the_digits_of_both() {
    let numeric = ColumnType::numeric;
    assert_eq!(numeric(10, 2).widest(numeric(8, 4)), Some(numeric(12, 4)));
    assert_eq!(numeric(38, 0).widest(numeric(38, 1)), None);
    assert_eq!(ColumnType::Int4.widest(ColumnType::Int4), Some(ColumnType::Int4));
    assert_eq!(ColumnType::Int4.widest(ColumnType::Int8), None);
}

#[test]
fn unsigned_integers_become_wider() {
    assert_eq!(ColumnType::of_arrow(&DataType::UInt32, false), Ok(ColumnType::Int8));
    assert_eq!(ColumnType::of_arrow(&DataType::UInt64, false), Ok(ColumnType::numeric(20, 0)));
    assert!(ColumnType::of_arrow(&DataType::Duration(TimeUnit::Second), false).is_err());
}
