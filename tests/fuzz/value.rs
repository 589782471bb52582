//! Extreme and random values of every type that the extension's functions take, as SQL expressions.

use lagoon_tests::guest::bytea;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::fixture::{Fixture, NAMES};

/// An expression of type `name` (as `format_type` writes it); one in twenty is NULL.
pub fn value(rng: &mut StdRng, fixture: &Fixture, name: &str) -> String {
    if rng.random_ratio(1, 20) {
        return format!("NULL::{name}");
    }
    if let Some(element) = name.strip_suffix("[]") {
        return array(rng, fixture, element);
    }
    match name {
        "boolean" => one(rng, &["true", "false"]).to_owned(),
        "smallint" => format!("({})::smallint", one(rng, &["0", "1", "-1", "-32768", "32767", "100"])),
        "integer" => integer(rng),
        "bigint" => format!("({})::bigint", number(rng, &INTEGERS)),
        "oid" | "regclass" | "regproc" | "regprocedure" | "regtype" => oid(rng, name),
        "real" => format!("{}::real", quote(number(rng, &REALS))),
        "double precision" => format!("{}::float8", quote(number(rng, &FLOATS))),
        "numeric" => format!("{}::numeric", quote(number(rng, &NUMERICS))),
        "text" | "character varying" | "character" | "unknown" | "cstring" | "name" | "\"char\"" => {
            text(rng, fixture, name)
        }
        "bytea" => bytes(rng, fixture),
        "jsonb" | "json" => json(rng, name),
        "vector" | "halfvec" | "sparsevec" => vector(rng, name),
        "bit" | "bit varying" => bits(rng, name),
        "uuid" => one(rng, &["gen_random_uuid()", "'00000000-0000-0000-0000-000000000000'::uuid"]).to_owned(),
        "date" => format!(
            "{}::date",
            quote(one(rng, &["-infinity", "infinity", "4713-01-01 BC", "5874897-12-31", "2026-02-28"]))
        ),
        "timestamp with time zone" | "timestamp without time zone" => {
            let moment = one(
                rng,
                &["-infinity", "infinity", "4713-01-01 BC", "294276-12-31 23:59:59.999999", "1969-12-31 23:59:59.5"],
            );
            format!("{}::{name}", quote(moment))
        }
        "time without time zone" => format!("{}::time", quote(one(rng, &["00:00", "24:00", "23:59:59.999999"]))),
        "anyelement" | "anynonarray" | "\"any\"" | "anycompatible" => {
            let name = *["integer", "text", "vector", "bytea", "numeric", "jsonb"].choose(rng).unwrap();
            value(rng, fixture, name)
        }
        "anyarray" | "anycompatiblearray" => array(rng, fixture, "integer"),
        _ => format!("NULL::{name}"),
    }
}

const INTEGERS: [&str; 14] = [
    "0",
    "1",
    "-1",
    "2",
    "3",
    "10",
    "100",
    "32768",
    "-2147483648",
    "2147483647",
    "2147483648",
    "4294967296",
    "-9223372036854775808",
    "9223372036854775807",
];
const REALS: [&str; 12] =
    ["0", "-0", "1", "-1", "NaN", "Infinity", "-Infinity", "3.4028235e38", "-3.4028235e38", "1e-45", "0.1", "65504"];
const FLOATS: [&str; 13] = [
    "0",
    "-0",
    "1",
    "-1",
    "NaN",
    "Infinity",
    "-Infinity",
    "1.7976931348623157e308",
    "5e-324",
    "-5e-324",
    "0.1",
    "1e300",
    "65520",
];
const NUMERICS: [&str; 9] =
    ["0", "1", "-1", "NaN", "Infinity", "-Infinity", "1e400", "-1e-400", "0.00000000000000000001"];

/// A string literal.
pub fn quote(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

pub fn one<'a>(rng: &mut StdRng, choices: &[&'a str]) -> &'a str {
    choices.choose(rng).copied().unwrap_or_default()
}

fn number<'a>(rng: &mut StdRng, choices: &[&'a str]) -> &'a str {
    one(rng, choices)
}

fn integer(rng: &mut StdRng) -> String {
    let number = match rng.random_range(0..3) {
        0 => rng.random_range(-5..20),
        1 => *[i32::MIN, i32::MAX, i32::MIN + 1, -1, 0, 1, 16000, 16001, 1_000_000_000].choose(rng).unwrap(),
        _ => rng.random(),
    };
    format!("({number})")
}

fn oid(rng: &mut StdRng, name: &str) -> String {
    // Of other kinds too: a table, a foreign table, a view, a catalogue, an index of another method, a type, a function.
    let object = one(
        rng,
        &[
            "0",
            "4294967295",
            "1",
            "'items_hnsw'::regclass::oid",
            "'items_ivfflat'::regclass::oid",
            "'halves_hnsw'::regclass::oid",
            "'sparse_hnsw'::regclass::oid",
            "'bits_hnsw'::regclass::oid",
            "'parted_hnsw'::regclass::oid",
            "'empty_hnsw'::regclass::oid",
            "'partial_hnsw'::regclass::oid",
            "'items'::regclass::oid",
            "'items_pkey'::regclass::oid",
            "'lake'::regclass::oid",
            "'pg_class'::regclass::oid",
            "'pg_class_oid_index'::regclass::oid",
            "'lagoon.plugin_status'::regclass::oid",
            "'lagoon.plugins'::regclass::oid",
            "'int4'::regtype::oid",
            "'vector'::regtype::oid",
            "'vector_in'::regproc::oid",
            "'lagoon.ingest'::regproc::oid",
            "'wasm_echo'::regproc::oid",
        ],
    );
    format!("({object})::oid::{name}")
}

fn text(rng: &mut StdRng, fixture: &Fixture, name: &str) -> String {
    let text = match rng.random_range(0..10) {
        0..3 => quote(one(rng, &NAMES)),
        3..6 => quote(&fixture.any_path(rng)),
        6 => quote(one(rng, &ODD_TEXTS)),
        7 => {
            let length = *[0, 1, 62, 63, 64, 65, 8191, 1_000_000].choose(rng).unwrap();
            format!(
                "repeat({}, {length})",
                quote(one(rng, &["x", "é", "𝄞", "/", "../", " ", "'", "red ", "[", "*", "\n"]))
            )
        }
        8 => {
            let literals = [
                "[1,2,3]",
                "[1e39]",
                "[]",
                "{1:1}/3",
                "{}/1",
                "[nan]",
                "[1,2",
                "{0:1}/3",
                "{1:1,1:2}/3",
                "{1:1}/1000000001",
                "  [ 1 , 2 ]  ",
            ];
            quote(one(rng, &literals))
        }
        _ => {
            let length = rng.random_range(0..40);
            let text: String = (0..length).map(|_| character(rng)).collect();
            quote(&text)
        }
    };
    // A text becomes a cstring only through a literal.
    if name == "cstring" && !text.starts_with('\'') && !text.starts_with("E'") {
        return format!("textout({text})");
    }
    format!("{text}::{name}")
}

const ODD_TEXTS: [&str; 18] = [
    "",
    " ",
    "ctid",
    "xmin",
    "tableoid",
    "a\u{202e}b",
    "\u{feff}",
    "\u{1}\u{1b}[31m",
    "e\u{301}\u{301}\u{301}",
    "İıß",
    "👩\u{200d}👩\u{200d}👧",
    "\\x",
    "\\",
    "'\"",
    "$1",
    "{}",
    "null",
    "\u{10ffff}\u{fffd}",
];

fn character(rng: &mut StdRng) -> char {
    loop {
        let code = match rng.random_range(0..4) {
            0 => rng.random_range(1..0x80),
            1 => rng.random_range(0x20..0x7f),
            2 => rng.random_range(0x80..0x800),
            _ => rng.random_range(0x800..0x11_0000),
        };
        if let Some(character) = char::from_u32(code) {
            return character;
        }
    }
}

fn bytes(rng: &mut StdRng, fixture: &Fixture) -> String {
    match rng.random_range(0..6) {
        0 => "''::bytea".to_owned(),
        1 => {
            let length = rng.random_range(0..200);
            bytea(&(0..length).map(|_| rng.random()).collect::<Vec<u8>>())
        }
        2 => {
            let length = rng.random_range(0..100);
            let junk: Vec<u8> = (0..length).map(|_| rng.random()).collect();
            bytea(&[b"\0asm\x01\0\0\0".to_vec(), junk].concat())
        }
        3 => one(rng, &["decode(repeat('00', 1000000), 'hex')", "vector_send('[1,2,3]')", "convert_to('red', 'UTF8')"])
            .to_owned(),
        _ => {
            let module = fixture.modules.choose(rng).unwrap();
            bytea(&mutated(rng, module))
        }
    }
}

/// Bytes with a few of them changed, taken away or doubled, or as they are.
pub fn mutated(rng: &mut StdRng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..*[0, 1, 1, 2, 5, 20].choose(rng).unwrap() {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..7) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes[at] = *[0, 1, 0x7f, 0x80, 0xff].choose(rng).unwrap(),
            3 => bytes.truncate(at),
            4 => {
                bytes.remove(at);
            }
            5 => bytes.insert(at, rng.random()),
            _ => {
                let end = (at + rng.random_range(1..50)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

fn json(rng: &mut StdRng, name: &str) -> String {
    let json = match rng.random_range(0..8) {
        0 => quote(one(rng, &["{}", "[]", "null", "1e400", "-1e400", "\"x\"", "true", "0", "1e-400", "[null]"])),
        1 => {
            let depth = rng.random_range(1..400);
            let (open, close) = if rng.random() { ("[", "]") } else { (r#"{"types":"#, "}") };
            format!("(repeat({}, {depth}) || '1' || repeat({}, {depth}))", quote(open), quote(close))
        }
        2 => format!("(repeat({}, 20000) || '1' || repeat(']', 20000))", quote("[")), // a text that may be too deep for jsonb itself
        3 => format!("('{{\"' || repeat('k', {}) || '\": 1}}')", rng.random_range(0..3000)),
        _ => {
            let keys = [
                "format",
                "delimiter",
                "quote",
                "escape",
                "header",
                "null",
                "sample_rows",
                "types",
                "replace",
                "name",
                "version",
                "runtime",
                "wasm",
                "limits",
                "permissions",
                "description",
                "",
                "unknown",
            ];
            let count = rng.random_range(1..4);
            let pairs: Vec<String> =
                (0..count).map(|_| format!("\"{}\": {}", one(rng, &keys), json_value(rng))).collect();
            quote(&format!("{{{}}}", pairs.join(", ")))
        }
    };
    format!("{json}::{name}")
}

fn json_value(rng: &mut StdRng) -> &'static str {
    one(
        rng,
        &[
            "null",
            "true",
            "false",
            "0",
            "1",
            "-1",
            "1e400",
            "18446744073709551616",
            "1.5",
            "\"\"",
            "\",\"",
            "\";\"",
            "\"\\u00e9\"",
            "\"csv\"",
            "\"core\"",
            "[]",
            "{}",
            "[\"log\"]",
            "[\"\"]",
            "{\"memory\": \"1e400GB\"}",
            "{\"time\": -1}",
            "{\"fuel\": 0}",
            "{\"fuel\": 18446744073709551615}",
            "{\"time\": \"1ms\", \"memory\": 65536}",
            "{\"id\": \"bigint\"}",
            "{\"id\": \"vector(3)\"}",
            "{\"id\": 1}",
            "{\"\": \"text\"}",
            "{\"id\": \"numeric(1000,1000)\"}",
            "{\"id\": \"no_such_type\"}",
            "\"../x.wasm\"",
            "\"\\t\"",
            "\"\\n\"",
            "\"\\\"\"",
            "\"xx\"",
            "[[[[]]]]",
        ],
    )
}

fn vector(rng: &mut StdRng, name: &str) -> String {
    let large = if name == "halfvec" { "65504" } else { "3.4028235e38" };
    match rng.random_range(0..8) {
        0 => {
            // More than the type holds is an error of the cast, which is a function of ours too.
            let dimensions = one(rng, &["0", "1", "2", "3", "3", "3", "1000", "2000", "2001", "16000", "16001"]);
            let element = one(rng, &["0", "1", "-1", "1e-45", "3.4028235e38", "65504", "65520", "NaN", "Infinity"]);
            format!("array_fill({}::real, ARRAY[{dimensions}])::{name}", quote(element))
        }
        1 if name == "sparsevec" => {
            let texts = [
                "{}/1",
                "{}/1000000000",
                "{1:1}/1000000000",
                "{1000000000:1}/1000000000",
                "{1:3e38,3:-3e38}/3",
                "{1:1}/3",
            ];
            format!("{}::sparsevec", quote(one(rng, &texts)))
        }
        1 => format!("'[{large},-{large},{large}]'::{name}"),
        2 => format!("'[{large},0,-0]'::vector::{name}"),
        3 => {
            let source = one(
                rng,
                &["'{1:1,3:2.5}/3'::sparsevec", "'[1,2,3]'::halfvec", "'[1,2,3]'::vector", "'[0,0,0]'::vector"],
            );
            format!("{source}::{name}")
        }
        4 => format!("'[0,0,0]'::vector::{name}"),
        _ => {
            let count = *[1, 2, 3, 3, 3, 3, 4, 33].choose(rng).unwrap();
            let elements: Vec<String> =
                (0..count).map(|_| format!("{:?}", rng.random_range(-100.0..100.0f32))).collect();
            format!("'[{}]'::vector::{name}", elements.join(","))
        }
    }
}

fn bits(rng: &mut StdRng, name: &str) -> String {
    let texts = [
        "''",
        "'1'",
        "'0'",
        "'101'",
        "'000'",
        "'111'",
        "repeat('1', 1000)",
        "repeat('10', 32000)",
        "repeat('1', 64001)",
    ];
    let text = one(rng, &texts);
    let width = one(rng, &["varbit", "varbit", "bit(3)", "bit(64000)", "varbit(1)"]);
    // A cast to plain `bit` would be one to bit(1).
    if name == "bit" { format!("({text})::{width}") } else { format!("({text})::{width}::varbit") }
}

fn array(rng: &mut StdRng, fixture: &Fixture, element: &str) -> String {
    match rng.random_range(0..8) {
        0 => format!("'{{}}'::{element}[]"),
        1 => format!("ARRAY[NULL, NULL]::{element}[]"),
        2 if element != "cstring" => {
            let size = one(rng, &["0", "1", "3", "1000", "16000", "16001"]);
            let bound = one(rng, &["1", "0", "-5", "2147483600"]);
            let item = match element {
                "vector" | "halfvec" | "sparsevec" => format!("'[1,2,3]'::vector::{element}"),
                _ => value(rng, fixture, element),
            };
            format!("array_fill({item}, ARRAY[{size}], ARRAY[{bound}])")
        }
        3 if element != "cstring" => format!("array_fill({}, ARRAY[2, 3])", value(rng, fixture, element)),
        4 if element == "double precision" || element == "real" || element == "integer" || element == "numeric" => {
            // Among them states of the aggregates: a count, then sums.
            let states = [
                "{0}",
                "{1,1}",
                "{3,1,2,3}",
                "{-1,1,2,3}",
                "{NULL,1}",
                "[0:1]={1,2}",
                "[5:7]={1,2,3}",
                "{{1,2},{3,4}}",
                "{2147483647,1}",
            ];
            format!("{}::{element}[]", quote(one(rng, &states)))
        }
        5 if element == "double precision" => {
            let states = [
                "{NaN,1}",
                "{Infinity,1,2,3}",
                "{1e308,1e308,1e308,1e308}",
                "{0.5,1}",
                "{-0,1,1,1}",
                "{9223372036854775807,1,2,3}",
            ];
            format!("{}::{element}[]", quote(one(rng, &states)))
        }
        _ if element == "cstring" => {
            let lists = [
                "{1}",
                "{0}",
                "{-1}",
                "{1,2}",
                "{16001}",
                "{x}",
                "{2147483648}",
                "{NULL}",
                "{\"\"}",
                "{\" 3 \"}",
                "[0:0]={3}",
                "{{1},{2}}",
            ];
            format!("{}::cstring[]", quote(one(rng, &lists)))
        }
        _ => {
            let count = rng.random_range(1..5);
            let items: Vec<String> = (0..count).map(|_| value(rng, fixture, element)).collect();
            format!("ARRAY[{}]::{element}[]", items.join(", "))
        }
    }
}
