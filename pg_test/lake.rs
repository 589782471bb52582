//! Promises of the lake wing that hold within one transaction.
//!
//! The heart of it: every call that `lagoon_lake::expr::rules` lists, on every combination of types, with edge values, gives
//! the same rows when the engine answers it as when PostgreSQL does on a heap copy.

mod edges;
mod functions;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lagoon_lake::arrow::array::{
    Array, ArrayRef, Date32Array, Decimal128Array, FixedSizeBinaryBuilder, Int64Array, ListArray, ListBuilder,
    RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray, TimestampNanosecondArray, TimestampSecondArray,
    UInt32Array, UInt64Array,
};
use lagoon_lake::arrow::datatypes::{DataType, Field, Int32Type, Schema};
use lagoon_lake::expr::rules::{RULES, Rule};
use lagoon_lake::expr::{Function, ends_in_escape};
use lagoon_lake::parquet::arrow::ArrowWriter;
use lagoon_lake::parquet::arrow::arrow_writer::ArrowWriterOptions;
use lagoon_lake::parquet::file::properties::WriterProperties;
use lagoon_lake::parquet::schema::parser::parse_message_type;
use lagoon_lake::parquet::schema::types::SchemaDescriptor;
use lagoon_lake::types::Kind;
use pgrx::prelude::*;

use edges::{Edge, ROWS, edges};

/// A folder in the data directory, deleted at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let data = one("SELECT current_setting('data_directory')");
        let path = Path::new(&data).join(format!("lagoon_test_{}_{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn one(sql: &str) -> String {
    Spi::get_one::<String>(sql).unwrap().unwrap_or_default()
}

fn run(sql: &str) {
    Spi::run(sql).unwrap();
}

/// SQLSTATE of a statement that must fail.
fn sqlstate(sql: &str) -> String {
    run("CREATE OR REPLACE FUNCTION pg_temp.sqlstate(q text) RETURNS text LANGUAGE plpgsql AS $$
         BEGIN EXECUTE q; RETURN 'none'; EXCEPTION WHEN others THEN RETURN SQLSTATE; END $$");
    one(&format!("SELECT pg_temp.sqlstate({})", pgrx::spi::quote_literal(sql)))
}

fn explain(query: &str) -> String {
    Spi::connect(|client| {
        let rows = client.select(&format!("EXPLAIN (VERBOSE, COSTS OFF) {query}"), None, &[]).unwrap();
        rows.map(|row| row.get::<String>(1).unwrap().unwrap()).collect::<Vec<_>>().join("\n")
    })
}

/// Writes columns to a Parquet file with row groups of five rows, so that there is something to prune.
fn write(path: &str, columns: Vec<(&str, ArrayRef)>) {
    let fields: Vec<_> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns.iter().map(|(_, array)| array.clone()).collect()).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(5)).build();
    let options = ArrowWriterOptions::new().with_properties(properties.clone());
    // The writer does not say of 16 bytes that they are a UUID, so say it.
    let converter = lagoon_lake::parquet::arrow::ArrowSchemaConverter::new();
    let mut message = Vec::new();
    lagoon_lake::parquet::schema::printer::print_schema(
        &mut message,
        converter.convert(&schema).unwrap().root_schema(),
    );
    let message = String::from_utf8(message)
        .unwrap()
        .replace("FIXED_LEN_BYTE_ARRAY (16) u;", "FIXED_LEN_BYTE_ARRAY (16) u (UUID);");
    let root = Arc::new(parse_message_type(&message).unwrap());
    let options = options.with_parquet_schema(SchemaDescriptor::new(root));
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new_with_options(file, schema, options).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Foreign table `ft` over a file of edge values, and `heap` with the same rows.
fn edge_tables(folder: &Folder) -> Vec<Edge> {
    run("SET LOCAL timezone = 'UTC'");
    let edges = edges();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=ROWS as i64));
    let mut columns = vec![("id", ids)];
    columns.extend(edges.iter().map(|edge| (edge.name, edge.array.clone())));
    let path = folder.file("edges.parquet");
    write(&path, columns);
    run(&format!("CREATE FOREIGN TABLE ft () SERVER lagoon OPTIONS (path '{path}')"));
    let declared: Vec<_> = edges.iter().map(|edge| format!("{} {}", edge.name, edge.sql)).collect();
    run(&format!("CREATE TABLE heap (id bigint, {})", declared.join(", ")));
    for row in 0..ROWS {
        let values: Vec<_> = edges
            .iter()
            .map(|edge| edge.literals[row].as_ref().map_or("NULL".to_owned(), pgrx::spi::quote_literal))
            .collect();
        run(&format!("INSERT INTO heap VALUES ({}, {})", row + 1, values.join(", ")));
    }
    edges
}

fn ids(table: &str, condition: &str) -> String {
    one(&format!("SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') FROM {table} WHERE {condition}"))
}

fn assert_same(condition: &str) {
    assert_eq!(ids("ft", condition), ids("heap", condition), "{condition}");
}

fn assert_pushed(condition: &str) {
    let plan = explain(&format!("SELECT id FROM ft WHERE {condition}"));
    assert!(plan.contains("Pushed filter") && !plan.contains("Kept filter"), "{condition}\n{plan}");
    assert_same(condition);
}

fn assert_kept(condition: &str, reason: &str) {
    let plan = explain(&format!("SELECT id FROM ft WHERE {condition}"));
    assert!(plan.contains("Kept filter") && plan.contains(reason), "{condition}\n{plan}");
    assert_same(condition);
}

#[pgrx::pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn lake_values_of_every_type_arrive_unchanged() {
        let folder = Folder::new("values");
        let edges = edge_tables(&folder);
        let shape = "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
                     FROM pg_attribute WHERE attnum > 0 AND attrelid = '%'::regclass";
        assert_eq!(one(&shape.replace('%', "ft")), one(&shape.replace('%', "heap")));
        for edge in &edges {
            let text = |table: &str| {
                one(&format!("SELECT string_agg(coalesce({}::text, 'NULL'), '|' ORDER BY id) FROM {table}", edge.name))
            };
            // -0 is printed with its sign, so this is more than equality.
            assert_eq!(text("ft"), text("heap"), "{}", edge.name);
        }
        assert_eq!(one("SELECT count(*)::text FROM (TABLE ft EXCEPT ALL TABLE heap) d"), "0");
    }

    #[pg_test]
    fn lake_every_pushed_comparison_answers_like_a_heap_table() {
        let folder = Folder::new("operators");
        for edge in edge_tables(&folder) {
            let mut constants: Vec<String> = edge
                .literals
                .iter()
                .flatten()
                .map(|text| format!("{}::{}", pgrx::spi::quote_literal(text), edge.sql))
                .chain(edge.more.iter().map(ToString::to_string))
                .collect();
            constants.sort();
            constants.dedup();
            for op in ["=", "<>", "<", "<=", ">", ">="] {
                for constant in &constants {
                    let condition = format!("{} {op} {constant}", edge.name);
                    assert_pushed(&condition);
                    assert_same(&format!("NOT ({condition})"));
                    assert_same(&format!("({condition}) IS NOT TRUE"));
                    assert_pushed(&format!("{constant} {op} {}", edge.name));
                }
                assert_same(&format!("{} {op} NULL", edge.name));
                assert_pushed(&format!("{0} {op} {0} OR id = 0", edge.name));
            }
            assert_pushed(&format!("{} IS NULL", edge.name));
            assert_pushed(&format!("{} IS NOT NULL", edge.name));
            let list = constants.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            if edge.name != "t" {
                assert_pushed(&format!("{} IN ({list})", edge.name));
                assert_pushed(&format!("{} NOT IN ({list})", edge.name));
                assert_pushed(&format!("{} IN ({list}, NULL)", edge.name));
                assert_pushed(&format!("{} NOT IN ({list}, NULL)", edge.name));
            }
            assert_pushed(&format!("{} = ANY ('{{}}'::{}[])", edge.name, edge.sql.split('(').next().unwrap()));
        }
    }

    /// The table itself is walked: a line of it for which there are no columns, no constants or no way to ask fails here.
    #[pg_test]
    fn lake_every_rule_answers_like_a_heap_table() {
        let folder = Folder::new("rules");
        let edges = edge_tables(&folder);
        let of = |kind: Kind| edges.iter().filter(move |edge| edge.kind == kind);
        for (function, types) in RULES.iter().flat_map(Rule::signatures) {
            let name = function.name();
            let [left, right] = types[..] else { panic!("{name}{types:?}: write how it is asked") };
            let is_pattern = matches!(function, Function::Like | Function::NotLike);
            let mut asked = 0;
            for (column, other) in of(left).flat_map(|column| of(right).map(move |other| (column, other))) {
                let mut constants: Vec<_> = other.literals.iter().flatten().collect();
                constants.sort();
                constants.dedup();
                for text in constants.into_iter().filter(|text| !is_pattern || !ends_in_escape(text)) {
                    let constant = format!("{}::{}", pgrx::spi::quote_literal(text), other.sql);
                    assert_pushed(&format!("{} {name} {constant}", column.name));
                    asked += 1;
                }
                if function.commuted().is_some() {
                    assert_pushed(&format!("{} {name} {} OR id = 0", column.name, other.name));
                }
            }
            assert!(asked > 1, "{name}{types:?}: there is nothing to ask it of");
        }
    }

    #[pg_test]
    fn lake_float_lists_know_nan_and_zero() {
        let folder = Folder::new("float_lists");
        edge_tables(&folder);
        for column in ["f4", "f8"] {
            assert_pushed(&format!("{column} IN ('NaN'::float8, 0::float8)"));
            assert_pushed(&format!("{column} NOT IN ('NaN'::float8, 0::float8)"));
        }
    }

    #[pg_test]
    fn lake_columns_are_compared_with_columns() {
        let folder = Folder::new("columns");
        edge_tables(&folder);
        for (left, right) in
            [("i2", "i4"), ("i4", "i8"), ("i8", "id"), ("f4", "f8"), ("n", "n"), ("ts", "ts"), ("t", "t")]
        {
            for op in ["=", "<>", "<", "<=", ">", ">="] {
                assert_same(&format!("{left} {op} {right}"));
                assert_pushed(&format!("{left} {op} {right} OR id < 0"));
            }
        }
        for op in ["=", "<>", "<", "<=", ">", ">="] {
            assert_pushed(&format!("n {op} n38"));
            assert_pushed(&format!("n38 {op} n"));
        }
    }

    #[pg_test]
    fn lake_dates_are_compared_with_timestamps_that_postgres_has_computed() {
        let folder = Folder::new("points_in_time");
        edge_tables(&folder);
        for op in ["=", "<>", "<", "<=", ">", ">="] {
            assert_pushed(&format!("d {op} date '1998-12-01' - interval '90 days'"));
            assert_pushed(&format!("d {op} date '1970-01-01' + interval '1 microsecond'"));
            assert_pushed(&format!("d {op} timestamp '294276-12-31 23:59:59'"));
            assert_pushed(&format!("date '1970-01-01' - interval '1 second' {op} d"));
            assert_pushed(&format!("ts {op} date '1970-01-01'"));
            assert_pushed(&format!("ts {op} date '5874897-12-31'"));
            assert_pushed(&format!("d {op} ts OR id = 0"));
            assert_pushed(&format!("ts {op} d OR id = 0"));
        }
        assert_pushed("d = ANY ('{1970-01-01,1970-01-01 12:00,infinity,NULL}'::timestamp[])");
        for zone in ["UTC", "America/New_York", "Asia/Kolkata"] {
            run(&format!("SET LOCAL timezone = '{zone}'"));
            for op in ["=", "<>", "<", "<=", ">", ">="] {
                assert_pushed(&format!("tz {op} date '1970-01-01'"));
                assert_pushed(&format!("tz {op} timestamp '2024-03-10 02:30'"));
                assert_pushed(&format!("timestamp '1969-12-31 19:00' {op} tz"));
                assert_same(&format!("tz {op} date 'infinity'"));
                assert_same(&format!("tz {op} timestamp '-infinity'"));
            }
        }
        assert_kept("d < tz", "is not pushed");
    }

    #[pg_test]
    fn lake_conditions_combine_with_three_values() {
        let folder = Folder::new("combine");
        edge_tables(&folder);
        for condition in [
            "b",
            "NOT b",
            "b IS TRUE",
            "b IS NOT TRUE",
            "b IS UNKNOWN",
            "b IS NOT UNKNOWN",
            "b IS NOT FALSE",
            "(b OR i4 > 0) AND (t = 'a' OR t IS NULL)",
            "NOT (b AND i4 > 0)",
            "NOT (b OR i4 > 0 OR f8 = 'NaN')",
            "(i4 > 0) IS UNKNOWN",
            "i4 BETWEEN -1 AND 1",
            "NOT (n = 1.005 OR b)",
            "t IN ('a', 'é', NULL)",
            "t NOT IN ('a', 'é')",
        ] {
            assert_pushed(condition);
        }
    }

    #[pg_test]
    fn lake_patterns_are_pushed() {
        let folder = Folder::new("patterns");
        edge_tables(&folder);
        for pattern in [
            "%", "a%", "%a", "_", "a_b", "%\n%", "x%y", "é", "", "a%%", "50%", "__", "50\\%", "%\\_%", "\\a%",
            "%\\\\%", "\\é",
        ] {
            assert_pushed(&format!("t LIKE {}", pgrx::spi::quote_literal(pattern)));
            assert_pushed(&format!("t NOT LIKE {}", pgrx::spi::quote_literal(pattern)));
        }
        assert_pushed("t LIKE '50!%' ESCAPE '!'");
        assert_pushed("t LIKE 'a\\%' ESCAPE ''");
        assert_kept("id < 0 AND t LIKE 'a\\'", "ends in its escape");
        assert_kept("t ILIKE 'A'", "is not pushed");
        assert_kept("t ~ 'a'", "is not pushed");
    }

    #[pg_test]
    fn lake_conditions_have_any_number_of_terms() {
        let folder = Folder::new("long");
        for edge in edge_tables(&folder) {
            let base = edge.sql.split('(').next().unwrap();
            let known: Vec<_> = edge.literals.iter().flatten().collect();
            let list = |count: usize| {
                let elements = known.iter().skip(1).cycle().take(count);
                let elements = elements.map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
                pgrx::spi::quote_literal(format!("{{{}}}", elements.collect::<Vec<_>>().join(",")))
            };
            for condition in [
                format!("{} = ANY ({}::{base}[])", edge.name, list(20_000)),
                format!("{} <> ALL ({}::{base}[])", edge.name, list(5_000)),
                format!("{} = ANY (array_append({}::{base}[], NULL))", edge.name, list(5_000)),
                format!("NOT {} = ANY (array_append({}::{base}[], NULL))", edge.name, list(100)),
                format!(
                    "{0} = ANY ((SELECT array_agg({0}) FROM heap, generate_series(1, 200) WHERE id < 9)::{base}[])",
                    edge.name
                ),
            ] {
                assert_pushed(&condition);
            }
        }
        let terms = |count: usize, term: &dyn Fn(usize) -> String, operator: &str| {
            (0..count).map(term).collect::<Vec<_>>().join(operator)
        };
        assert_pushed(&terms(3_000, &|i| format!("i4 = {i}"), " OR "));
        assert_pushed(&terms(3_000, &|i| format!("f8 <> {i}.5"), " AND "));
        assert_pushed(&terms(3_000, &|i| format!("i8 > {i} AND f8 < {i}.5"), " OR "));
        assert_pushed(&format!("f8 IN ({})", terms(3_000, &|i| format!("{i}.5"), ", ")));
        assert_pushed(&format!("n NOT IN ({})", terms(3_000, &|i| format!("{i}.005"), ", ")));
    }

    #[pg_test]
    fn lake_conditions_that_are_nested_too_deeply_stay_in_postgres() {
        let folder = Folder::new("deep");
        edge_tables(&folder);
        let nested = |depth: usize| {
            (0..depth).fold("b".to_owned(), |inner, i| match i % 3 {
                0 => format!("({inner} OR f8 > {i})"),
                1 => format!("({inner} AND i4 < {i})"),
                _ => format!("({inner} IS NOT TRUE)"),
            })
        };
        assert_pushed(&nested(30));
        assert_kept(&nested(70), "nested more than");
        assert_kept(&nested(600), "nested more than");
    }

    #[pg_test]
    fn lake_a_cached_plan_goes_on_with_another_scale() {
        let folder = Folder::new("scales");
        let path = folder.file("n.parquet");
        let put = |precision, scale, values: Vec<i128>| {
            let array = Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap();
            write(&folder.file("new"), vec![("n", Arc::new(array) as ArrayRef)]);
            std::fs::rename(folder.file("new"), &path).unwrap();
        };
        put(9, 2, vec![150, 250]);
        run(&format!("CREATE FOREIGN TABLE scales (n numeric) SERVER lagoon OPTIONS (path '{path}')"));
        run("SET LOCAL plan_cache_mode = force_generic_plan");
        run("CREATE FUNCTION pg_temp.above(v numeric) RETURNS text LANGUAGE plpgsql AS
             'BEGIN RETURN (SELECT string_agg(n::text, '','') FROM scales WHERE n > v AND n <> 2.505); END'");
        assert_eq!(one("SELECT pg_temp.above(2)"), "2.50");
        put(18, 4, vec![25_050, 25_051]);
        assert_eq!(one("SELECT pg_temp.above(2)"), "2.5051");
        put(5, 0, vec![1, 3]);
        assert_eq!(one("SELECT pg_temp.above(2)"), "3");
    }

    #[pg_test]
    fn lake_collations_decide_over_text() {
        let folder = Folder::new("collations");
        edge_tables(&folder);
        assert_pushed("t < 'b' COLLATE \"C\"");
        let exists =
            |name: &str| one(&format!("SELECT count(*)::text FROM pg_collation WHERE collname = '{name}'")) != "0";
        // Since PostgreSQL 17.
        if exists("pg_c_utf8") {
            assert_pushed("t < 'b' COLLATE pg_c_utf8");
        }
        // A server that was built without ICU has none of its collations.
        if !exists("und-x-icu") {
            return;
        }
        run("CREATE COLLATION pg_temp.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
        assert_pushed("t = 'a' COLLATE \"und-x-icu\"");
        assert_kept("t < 'b' COLLATE \"und-x-icu\"", "collation");
        assert_kept("t = 'a' COLLATE pg_temp.nocase", "nondeterministic");
    }

    #[pg_test]
    fn lake_what_is_not_listed_stays_in_postgres() {
        let folder = Folder::new("kept");
        edge_tables(&folder);
        assert_kept("length(t) > 0", "neither side");
        assert_kept("i4 / 2 > 0", "neither side");
        assert_kept("i4 IS DISTINCT FROM 1", "IS DISTINCT FROM");
        assert_kept("i4 > random() - 10", "neither side");
        assert_kept("f8 < random() * 0", "volatile");
        run("CREATE FUNCTION pg_temp.eq(int4, int4) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
             CREATE OPERATOR pg_temp.= (LEFTARG = int4, RIGHTARG = int4, FUNCTION = pg_temp.eq)");
        assert_kept("i4 OPERATOR(pg_temp.=) 1", "");
        run("SET LOCAL lagoon.pushdown = off");
        assert_kept("i4 = 1", "lagoon.pushdown is off");
    }

    #[pg_test]
    fn lake_parameters_are_evaluated_at_execution() {
        let folder = Folder::new("parameters");
        edge_tables(&folder);
        run("SET LOCAL plan_cache_mode = force_generic_plan");
        run("CREATE FUNCTION pg_temp.ask(v int4, l int8[], s text) RETURNS text LANGUAGE plpgsql AS
             'BEGIN RETURN (SELECT string_agg(id::text, '','' ORDER BY id) FROM ft WHERE i4 >= v AND i8 = ANY (l) OR t = s); END'");
        run("CREATE FUNCTION pg_temp.expect(v int4, l int8[], s text) RETURNS text LANGUAGE plpgsql AS
             'BEGIN RETURN (SELECT string_agg(id::text, '','' ORDER BY id) FROM heap WHERE i4 >= v AND i8 = ANY (l) OR t = s); END'");
        for arguments in ["0, '{1,0}', 'a'", "NULL, '{1}', 'é'", "-1, '{}', NULL", "1, NULL, ''", "1, '{NULL,1}', 'a'"]
        {
            assert_eq!(
                one(&format!("SELECT coalesce(pg_temp.ask({arguments}), '')")),
                one(&format!("SELECT coalesce(pg_temp.expect({arguments}), '')")),
                "{arguments}"
            );
        }
        assert_pushed("tz < now() - interval '1 day'");
        assert_pushed("i4 = (SELECT max(i4) FROM heap)");
    }

    #[pg_test]
    fn lake_rescans_begin_again() {
        let folder = Folder::new("rescan");
        edge_tables(&folder);
        let join = "SELECT string_agg(h.id || ':' || x.n, ',' ORDER BY h.id) FROM heap h,
                    LATERAL (SELECT count(*) AS n FROM % f WHERE f.i4 = h.i4) x";
        assert_eq!(one(&join.replace('%', "ft")), one(&join.replace('%', "heap")));
        run("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_material = off");
        let join = "SELECT count(*)::text FROM heap h JOIN % f ON f.t = h.t";
        assert_eq!(one(&join.replace('%', "ft")), one(&join.replace('%', "heap")));
    }

    #[pg_test]
    fn lake_limits_are_pushed_only_when_nothing_is_left_to_do() {
        let folder = Folder::new("limit");
        edge_tables(&folder);
        let count = |query: &str| one(&format!("SELECT count(*)::text FROM ({query}) q"));
        for (query, rows, pushed) in [
            ("SELECT id FROM ft LIMIT 3", "3", true),
            ("SELECT id FROM ft LIMIT 3 OFFSET 22", "2", true),
            ("SELECT id FROM ft OFFSET 20", "4", true),
            ("SELECT id FROM ft LIMIT 0", "0", true),
            ("SELECT id FROM ft WHERE i4 IS NOT NULL LIMIT 7", "7", true),
            ("SELECT id FROM ft LIMIT ALL", "24", false),
            ("SELECT id FROM ft WHERE length(t) >= 0 LIMIT 7", "7", false),
            ("SELECT id FROM ft ORDER BY id LIMIT 7", "7", false),
            ("SELECT i4 FROM ft GROUP BY i4 LIMIT 2", "2", false),
            ("SELECT DISTINCT b FROM ft LIMIT 2", "2", false),
            ("SELECT count(*) FROM ft LIMIT 2", "1", false),
            ("SELECT generate_series(1, 3) FROM ft LIMIT 2", "2", false),
            ("SELECT id FROM ft ORDER BY id FETCH FIRST 2 ROWS WITH TIES", "2", false),
            ("SELECT f.id FROM ft f JOIN heap h USING (id) LIMIT 2", "2", false),
        ] {
            assert_eq!(count(query), rows, "{query}");
            let plan = explain(query);
            assert_eq!(plan.contains("\n  Limit: "), pushed, "{query}\n{plan}");
        }
        assert_eq!(sqlstate("SELECT id FROM ft LIMIT -1"), "2201W");
    }

    #[pg_test]
    fn lake_only_what_is_asked_for_is_read() {
        let folder = Folder::new("projection");
        edge_tables(&folder);
        assert!(explain("SELECT count(*) FROM ft").contains("Projection: none"));
        assert!(explain("SELECT t FROM ft WHERE i4 = 1").contains("Projection: t\n"));
        assert!(explain("SELECT t FROM ft WHERE i4 / 2 = 1").contains("Projection: i4, t\n"));
        assert!(explain("SELECT ft FROM ft").contains("Projection: id, b, i2"));
        assert_eq!(one("SELECT count(ft)::text FROM ft"), "24");
        assert_eq!(one("SELECT DISTINCT tableoid::regclass::text FROM ft"), "ft");
    }

    #[pg_test]
    fn lake_cursors_fetch_in_parts() {
        let folder = Folder::new("cursor");
        edge_tables(&folder);
        run("CREATE FUNCTION pg_temp.half() RETURNS bigint LANGUAGE plpgsql AS
             'DECLARE c CURSOR FOR SELECT id FROM ft; i bigint; n bigint := 0;
              BEGIN OPEN c; FOR k IN 1..12 LOOP FETCH c INTO i; n := n + 1; END LOOP; CLOSE c; RETURN n; END'");
        assert_eq!(one("SELECT pg_temp.half()::text"), "12");
        assert_eq!(sqlstate("SELECT 1 / (id - id) FROM ft"), "22012");
        assert_eq!(one("SELECT count(*)::text FROM ft"), "24");
    }

    #[pg_test]
    fn lake_nested_and_odd_types() {
        let folder = Folder::new("lists");
        let path = folder.file("lists.parquet");
        let ints =
            ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None, Some(3)]), None, Some(vec![])]);
        let mut names = ListBuilder::new(StringBuilder::new());
        names.append_value([Some("a"), Some("é,\"x\""), None]);
        names.append_value(Vec::<Option<&str>>::new());
        names.append_null();
        let unsigned = UInt64Array::from(vec![u64::MAX, 0, 1]);
        let nanos = TimestampNanosecondArray::from(vec![1_001, 1_999, -1]);
        let mut uuids = ListBuilder::new(FixedSizeBinaryBuilder::new(16)).with_field(Field::new(
            "u",
            DataType::FixedSizeBinary(16),
            true,
        ));
        uuids.values().append_value([7; 16]).unwrap();
        uuids.values().append_null();
        uuids.append(true);
        uuids.append(true);
        uuids.append(false);
        write(
            &path,
            vec![
                ("ints", Arc::new(ints) as ArrayRef),
                ("names", Arc::new(names.finish())),
                ("big", Arc::new(unsigned)),
                ("ns", Arc::new(nanos)),
                ("us", Arc::new(uuids.finish())),
                ("u4", Arc::new(UInt32Array::from(vec![u32::MAX, 0, 1]))),
            ],
        );
        run(&format!("CREATE FOREIGN TABLE lists () SERVER lagoon OPTIONS (path '{path}')"));
        let text = |column: &str| one(&format!("SELECT string_agg(coalesce({column}::text, 'NULL'), ' ') FROM lists"));
        assert_eq!(text("ints"), "{1,NULL,3} NULL {}");
        assert_eq!(text("names"), r#"{a,"é,\"x\"",NULL} {} NULL"#);
        assert_eq!(text("big"), "18446744073709551615 0 1");
        assert_eq!(text("u4"), "4294967295 0 1");
        assert_eq!(text("us"), "{07070707-0707-0707-0707-070707070707,NULL} {} NULL");
        assert_eq!(one("SELECT DISTINCT pg_typeof(us)::text FROM lists"), "uuid[]");
        // Rounded down, before 1970 as after it.
        assert_eq!(one("SELECT ns::text FROM lists WHERE ns < '1970-01-01'"), "1969-12-31 23:59:59.999999");
        // Two of the file's values are one of PostgreSQL's: the engine must not compare the file's.
        let plan = explain("SELECT ns FROM lists WHERE ns = '1970-01-01 00:00:00.000001'");
        assert!(!plan.contains("Kept filter"), "{plan}");
        assert_eq!(one("SELECT count(*)::text FROM lists WHERE ns = '1970-01-01 00:00:00.000001'"), "2");
        assert_eq!(one("SELECT count(*)::text FROM lists WHERE big > 18446744073709551614"), "1");
    }

    #[pg_test]
    fn lake_declared_columns_are_checked_and_widened() {
        let folder = Folder::new("declared");
        edge_tables(&folder);
        let path = folder.file("edges.parquet");
        let table = |name: &str, columns: &str| {
            run(&format!("CREATE FOREIGN TABLE {name} ({columns}) SERVER lagoon OPTIONS (path '{path}')"));
        };
        table("wide", "id bigint, i2 bigint, i4 numeric, f4 double precision, n numeric(14,4), t varchar(9), y bytea");
        assert_eq!(one("SELECT sum(i2)::text FROM wide"), one("SELECT sum(i2)::text FROM heap"));
        assert_eq!(one("SELECT sum(i4)::text FROM wide"), one("SELECT sum(i4)::text FROM heap"));
        assert_eq!(one("SELECT max(n)::text FROM wide"), "99999999.9900");
        assert_eq!(
            one("SELECT string_agg(t, '|' ORDER BY id) FROM wide"),
            one("SELECT string_agg(t, '|' ORDER BY id) FROM heap")
        );
        assert_eq!(
            one("SELECT count(*)::text FROM wide WHERE f4 = 0.1"),
            one("SELECT count(*)::text FROM heap WHERE f4 = 0.1::float8")
        );
        assert_eq!(
            one("SELECT count(*)::text FROM wide WHERE i2 = 0 AND n > 1.005"),
            one("SELECT count(*)::text FROM heap WHERE i2 = 0 AND n > 1.005")
        );
        table("short", "t varchar(1)");
        assert_eq!(sqlstate("SELECT t FROM short"), "22001");
        table("narrow", "i8 integer");
        assert_eq!(sqlstate("SELECT i8 FROM narrow"), "HV004");
        table("zone", "ts timestamptz");
        assert_eq!(sqlstate("SELECT ts FROM zone"), "HV004");
        table("stranger", "nobody text");
        assert_eq!(sqlstate("SELECT * FROM stranger"), "HV005");
        table("reordered", "t text, id bigint");
        assert_eq!(one("SELECT t FROM reordered WHERE id = 2"), "a");
        run("ALTER FOREIGN TABLE reordered DROP COLUMN t");
        assert_eq!(one("SELECT id::text FROM reordered WHERE id = 2"), "2");
    }

    #[pg_test]
    fn lake_out_of_range_values_are_errors() {
        let folder = Folder::new("range");
        let path = folder.file("range.parquet");
        write(
            &path,
            vec![
                ("d", Arc::new(Date32Array::from(vec![i32::MAX])) as ArrayRef),
                ("ts", Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN]))),
                ("s", Arc::new(TimestampSecondArray::from(vec![i64::MAX / 2]))),
                ("t", Arc::new(StringArray::from(vec!["a\0b"]))),
            ],
        );
        run(&format!("CREATE FOREIGN TABLE range () SERVER lagoon OPTIONS (path '{path}')"));
        assert_eq!(sqlstate("SELECT d FROM range"), "22008");
        assert_eq!(sqlstate("SELECT ts FROM range"), "22008");
        assert_eq!(sqlstate("SELECT t FROM range"), "22021");
        assert_eq!(sqlstate("SELECT s FROM range"), "22008");
        assert_eq!(one("SELECT count(*)::text FROM range"), "1");
    }

    #[pg_test]
    fn lake_many_files_are_one_table() {
        let folder = Folder::new("files");
        for i in 0..4i64 {
            let ids = Int64Array::from(vec![i * 10, i * 10 + 1]);
            write(&folder.file(&format!("part{i}.parquet")), vec![("id", Arc::new(ids) as ArrayRef)]);
        }
        std::fs::write(folder.file("notes.txt"), "not data").unwrap();
        std::fs::write(folder.file(".hidden.parquet"), "not data").unwrap();
        run(&format!("CREATE FOREIGN TABLE all_files () SERVER lagoon OPTIONS (path '{}')", folder.file("")));
        run(&format!(
            "CREATE FOREIGN TABLE some_files () SERVER lagoon OPTIONS (path '{}')",
            folder.file("part[12].*")
        ));
        assert_eq!(one("SELECT string_agg(id::text, ',' ORDER BY id) FROM all_files"), "0,1,10,11,20,21,30,31");
        assert_eq!(one("SELECT string_agg(id::text, ',' ORDER BY id) FROM some_files"), "10,11,20,21");
        // A new file is there for the next statement; one with other columns is named.
        write(&folder.file("part9.parquet"), vec![("id", Arc::new(Int64Array::from(vec![99])) as ArrayRef)]);
        assert_eq!(one("SELECT count(*)::text FROM all_files WHERE id > 30"), "2");
        write(&folder.file("partx.parquet"), vec![("id", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)]);
        assert_eq!(sqlstate("SELECT * FROM all_files"), "HV004");
        assert_eq!(
            sqlstate(&format!("CREATE FOREIGN TABLE mixed () SERVER lagoon OPTIONS (path '{}')", folder.file("part*"))),
            "LG005"
        );
    }

    #[pg_test]
    fn lake_damaged_files_are_errors() {
        let folder = Folder::new("damaged");
        let good = folder.file("good.parquet");
        write(
            &good,
            vec![("t", Arc::new(StringArray::from_iter_values((0..100).map(|i| format!("row {i}")))) as ArrayRef)],
        );
        let bytes = std::fs::read(&good).unwrap();
        let half = &bytes[..bytes.len() / 2];
        let mut nonsense = bytes.clone();
        let end = nonsense.len();
        nonsense[end - 60..end - 8].fill(0xa5);
        let mut pages = bytes.clone();
        pages[4..200].fill(0x5a);
        for (name, content, state) in [
            ("empty", &b""[..], "LG002"),
            ("short", b"PAR1", "LG002"),
            ("text", b"id,name\n1,one\n2,two\n", "LG002"),
            ("half", half, "LG003"),
            ("nonsense", &nonsense, "LG004"),
            ("pages", &pages, "LG004"),
        ] {
            let path = folder.file(&format!("{name}.parquet"));
            std::fs::write(&path, content).unwrap();
            run(&format!("CREATE FOREIGN TABLE {name}_file (t text) SERVER lagoon OPTIONS (path '{path}')"));
            assert_eq!(sqlstate(&format!("SELECT * FROM {name}_file")), state, "{name}");
        }
        let missing = folder.file("missing.parquet");
        run(&format!("CREATE FOREIGN TABLE missing_file (t text) SERVER lagoon OPTIONS (path '{missing}')"));
        assert_eq!(sqlstate("SELECT * FROM missing_file"), "58P01");
        assert_eq!(sqlstate(&format!("SELECT * FROM lagoon.parquet_schema('{missing}')")), "58P01");
        assert_eq!(one(&format!("SELECT column_type FROM lagoon.parquet_schema('{good}') WHERE name = 't'")), "text");
    }

    #[pg_test]
    fn lake_numerics_are_encoded_as_postgres_does() {
        let folder = Folder::new("numerics");
        let mut seed = 42u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 11
        };
        for scale in 0..=38u8 {
            let limit = 10i128.pow(38);
            let values: Vec<i128> = (0..40)
                .map(|i| {
                    let wide = i128::from(random()) << 64 | i128::from(random()) << 20 | i128::from(random());
                    let value = wide % 10i128.pow(1 + i % 38);
                    if i % 2 == 0 { value } else { -value }
                })
                .chain([0, 1, -1, 10_000, 9_999, limit - 1, 1 - limit, 10i128.pow(37)])
                .collect();
            let array = Decimal128Array::from(values.clone()).with_precision_and_scale(38, scale as i8).unwrap();
            let ids = Int64Array::from_iter_values(0..values.len() as i64);
            let path = folder.file(&format!("scale{scale}.parquet"));
            write(&path, vec![("id", Arc::new(ids) as ArrayRef), ("n", Arc::new(array))]);
            run(&format!("CREATE FOREIGN TABLE n{scale} () SERVER lagoon OPTIONS (path '{path}')"));
            let same = one(&format!(
                "SELECT string_agg(n::text, ' ' ORDER BY id) || ' ' || bool_and(n = n::text::numeric AND hash_numeric(n) =
                 hash_numeric(n::text::numeric) AND numeric_send(n) = numeric_send(n::text::numeric))::text FROM n{scale}"
            ));
            let unit = 10u128.pow(u32::from(scale));
            let shown = values.iter().map(|value| {
                let (sign, digits) = (if *value < 0 { "-" } else { "" }, value.unsigned_abs());
                let fraction = format!(".{:0>width$}", digits % unit, width = usize::from(scale));
                format!("{sign}{}{}", digits / unit, if scale == 0 { "" } else { &fraction })
            });
            assert_eq!(same, shown.collect::<Vec<_>>().join(" ") + " true", "scale {scale}");
        }
    }
}
