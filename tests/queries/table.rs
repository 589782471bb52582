//! Tables of edge values: what a column may hold, as Parquet stores it and as SQL writes it.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// A type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ty {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Uuid,
    /// Of expressions only: no column has it.
    Interval,
}

impl Ty {
    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Numeric => "numeric",
            Self::Text => "text",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::Timestamptz => "timestamptz",
            Self::Uuid => "uuid",
            Self::Interval => "interval",
        }
    }
}

/// A column of every table.
pub struct Column {
    pub name: &'static str,
    pub ty: Ty,
    /// Its type in SQL, with precision and scale.
    pub sql: &'static str,
    /// Its type in a Parquet schema, around the name.
    pub parquet: (&'static str, &'static str),
    /// Whether its values are so small that sums and products of a few are in range, and sums of floats exact in any order.
    pub small: bool,
}

const fn column(
    name: &'static str,
    ty: Ty,
    sql: &'static str,
    parquet: (&'static str, &'static str),
    small: bool,
) -> Column {
    Column { name, ty, sql, parquet, small }
}

/// The columns of every table. `id` is unique and never NULL.
pub const COLUMNS: [Column; 22] = [
    column("id", Ty::Int4, "integer", ("INT32", ""), true),
    column("b", Ty::Bool, "boolean", ("BOOLEAN", ""), false),
    column("i2", Ty::Int2, "smallint", ("INT32", "(INTEGER(16,true))"), false),
    column("i4", Ty::Int4, "integer", ("INT32", ""), false),
    column("i8", Ty::Int8, "bigint", ("INT64", ""), false),
    column("s", Ty::Int4, "integer", ("INT32", ""), true),
    column("f4", Ty::Float4, "real", ("FLOAT", ""), false),
    column("f8", Ty::Float8, "double precision", ("DOUBLE", ""), false),
    column("d8", Ty::Float8, "double precision", ("DOUBLE", ""), true),
    column("n0", Ty::Numeric, "numeric(38,0)", ("FIXED_LEN_BYTE_ARRAY (16)", "(DECIMAL(38,0))"), false),
    column("n2", Ty::Numeric, "numeric(10,2)", ("INT64", "(DECIMAL(10,2))"), true),
    column("n10", Ty::Numeric, "numeric(38,10)", ("FIXED_LEN_BYTE_ARRAY (16)", "(DECIMAL(38,10))"), false),
    column("t", Ty::Text, "text", ("BYTE_ARRAY", "(UTF8)"), false),
    column("w", Ty::Text, "text", ("BYTE_ARRAY", "(UTF8)"), true),
    column("y", Ty::Bytea, "bytea", ("BYTE_ARRAY", ""), false),
    column("dt", Ty::Date, "date", ("INT32", "(DATE)"), false),
    column("sd", Ty::Date, "date", ("INT32", "(DATE)"), true),
    column("tm", Ty::Time, "time", ("INT64", "(TIME(MICROS,false))"), true),
    column("ts", Ty::Timestamp, "timestamp", ("INT64", "(TIMESTAMP(MICROS,false))"), false),
    column("st", Ty::Timestamp, "timestamp", ("INT64", "(TIMESTAMP(MICROS,false))"), true),
    column("tz", Ty::Timestamptz, "timestamptz", ("INT64", "(TIMESTAMP(MICROS,true))"), false),
    column("u", Ty::Uuid, "uuid", ("FIXED_LEN_BYTE_ARRAY (16)", "(UUID)"), true),
];

/// A value as a Parquet file stores it.
#[derive(Clone, Debug)]
pub enum Stored {
    Bool(bool),
    Int32(i32),
    Int64(i64),
    Float(f32),
    Double(f64),
    Bytes(Vec<u8>),
    Fixed([u8; 16]),
}

/// A value in both forms.
#[derive(Clone, Debug)]
pub struct Cell {
    pub stored: Stored,
    pub sql: String,
}

/// A table: for each row a cell of each column, `None` for NULL.
pub struct Table {
    pub name: &'static str,
    pub rows: Vec<Vec<Option<Cell>>>,
    /// How many files it is cut into, and the rows of a row group.
    pub files: usize,
    pub group: usize,
}

/// All tables of a seed.
pub fn tables(seed: u64) -> Vec<Table> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut table = |name, rows: i32, files, group, nulls: f64, edges: f64| {
        let row = |id: i32, rng: &mut StdRng| {
            let cell = |column: &Column, rng: &mut StdRng| {
                if column.name == "id" {
                    return Some(integer(id));
                }
                let edge = rng.random_bool(edges);
                (!rng.random_bool(nulls)).then(|| value(column, edge, rng))
            };
            COLUMNS.iter().map(|column| cell(column, rng)).collect()
        };
        Table { name, rows: (1..=rows).map(|id| row(id, &mut rng)).collect(), files, group }
    };
    vec![
        table("edge", 30, 2, 7, 0.15, 1.0),
        table("many", 70, 3, 12, 0.1, 0.2),
        table("few", 9, 1, 100, 0.1, 0.5),
        table("empty", 0, 2, 100, 0.0, 1.0),
        table("nulls", 4, 1, 2, 1.0, 1.0),
    ]
}

/// A value for a column: one of the edges, or one that others of the column have, too.
fn value(column: &Column, edge: bool, rng: &mut StdRng) -> Cell {
    match column.name {
        "b" => Cell::of(Stored::Bool(rng.random()), |stored| format!("{stored}")),
        "i2" => {
            let edges = [i16::MIN, i16::MIN + 1, i16::MAX, -1, 0, 1, 2, 255].map(i32::from);
            integer(pick(rng, edge, &edges, -3..6))
        }
        "i4" => integer(pick(rng, edge, &[i32::MIN, i32::MIN + 1, i32::MAX, -1, 0, 1, 32768, 1_000_000_007], -3..6)),
        "s" => integer(rng.random_range(-3..9)),
        "i8" => {
            let edges = [i64::MIN, i64::MIN + 1, i64::MAX, -1, 0, 1, 1 << 31, -(1 << 31) - 1, (1 << 53) + 1];
            let number = pick(rng, edge, &edges, -3..6);
            Cell { stored: Stored::Int64(number), sql: format!("'{number}'::bigint") }
        }
        "f4" => {
            let edges =
                [f32::NAN, -f32::NAN, 0.0, -0.0, f32::INFINITY, -f32::INFINITY, 1e-45, f32::MAX, f32::MIN, 0.1, 1.5];
            let number = if edge { one(rng, &edges) } else { rng.random_range(-8..8) as f32 / 4.0 };
            Cell {
                stored: Stored::Float(number),
                sql: format!("'{}'::real", float(number.into(), || number.to_string())),
            }
        }
        "f8" | "d8" => {
            let edges = [
                f64::NAN,
                -f64::NAN,
                0.0,
                -0.0,
                f64::INFINITY,
                -f64::INFINITY,
                5e-324,
                f64::MAX,
                f64::MIN,
                0.1,
                1.5,
                -2.5,
                1e15,
                123_456.789,
            ];
            let edge = edge && column.name == "f8";
            let number = if edge { one(rng, &edges) } else { f64::from(rng.random_range(-32..32)) / 4.0 };
            let sql = format!("'{}'::double precision", float(number, || number.to_string()));
            Cell { stored: Stored::Double(number), sql }
        }
        "n0" => {
            let most = 10i128.pow(38) - 1;
            decimal(pick(rng, edge, &[0, 1, -1, 5, -25, 10i128.pow(18), most, -most], -3..6), 0)
        }
        "n2" => {
            let edges = [0, 1, -1, 5, 10, 15, 100, 250, -250, 9_999_999_999, -9_999_999_999];
            let number = pick(rng, edge, &edges, -300..600);
            let sql = decimal(number.into(), 2).sql;
            Cell { stored: Stored::Int64(number), sql }
        }
        "n10" => {
            let (unit, most) = (10i128.pow(10), 10i128.pow(38) - 1);
            let edges = [0, 1, -1, unit, -unit, unit / 2, unit * 5 / 2, 3 * unit + 1, most, -most];
            decimal(pick(rng, edge, &edges, -3..6), 10)
        }
        "t" => text(if edge { one(rng, &TEXTS) } else { one(rng, &WORDS) }),
        "w" => text(one(rng, &WORDS)),
        "y" => {
            let edges: [&[u8]; 9] = [b"", b"\0", b"\0\0", b"a", b"a\0", b"ab", b"\xff", b"\x80", b"'\\\"\n"];
            let bytes = one(rng, &edges).to_vec();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Cell { stored: Stored::Bytes(bytes), sql: format!("'\\x{hex}'::bytea") }
        }
        "dt" | "sd" => {
            let edge = edge && column.name == "dt";
            let days = pick(rng, edge, &DAYS, 19_000..19_060);
            Cell { stored: Stored::Int32(days), sql: date(days) }
        }
        "tm" => {
            let micros = pick(rng, edge, &[0, 1, DAY - 1, DAY / 2, 3_600_000_000], 0..5);
            let micros = if micros < 5 { micros * 7_200_000_000 } else { micros };
            Cell { stored: Stored::Int64(micros), sql: format!("'{}'::time", clock(micros)) }
        }
        "ts" | "st" | "tz" => {
            let edge = edge && column.name != "st";
            let quarter = rng.random_range(19_000i64 * 96..19_030 * 96) * (DAY / 96);
            let micros = if edge { one(rng, &MOMENTS) } else { quarter + one(rng, &[0, 0, 500_000, 1]) };
            let sql = moment(micros, column.ty == Ty::Timestamptz);
            Cell { stored: Stored::Int64(micros), sql }
        }
        "u" => {
            let ids = [[0; 16], [0xff; 16], [0x80; 16], [7; 16], *b"0123456789abcdef"];
            let id = one(rng, &ids);
            let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            Cell { stored: Stored::Fixed(id), sql: format!("'{hex}'::uuid") }
        }
        other => panic!("no values for column {other}"),
    }
}

/// A literal with type, of values that columns of this type have.
pub fn literal(ty: Ty, small: bool, rng: &mut StdRng) -> String {
    if ty == Ty::Interval {
        return one(rng, &INTERVALS).to_owned();
    }
    if rng.random_ratio(1, 25) {
        return format!("NULL::{}", ty.name());
    }
    if !small && matches!(ty, Ty::Date | Ty::Timestamp | Ty::Timestamptz) && rng.random_ratio(1, 10) {
        return format!("'{}'::{}", one(rng, &["infinity", "-infinity"]), ty.name());
    }
    let columns: Vec<&Column> =
        COLUMNS.iter().filter(|column| column.ty == ty && column.name != "id" && (column.small || !small)).collect();
    let all = || COLUMNS.iter().filter(|column| column.ty == ty).collect();
    let columns = if columns.is_empty() { all() } else { columns };
    let column = columns.choose(rng).unwrap_or_else(|| panic!("no column of {ty:?}"));
    let edge = !small && rng.random_ratio(1, 3);
    let sql = value(column, edge, rng).sql;
    // A date is a sum in SQL.
    if sql.contains(' ') { format!("({sql})") } else { sql }
}

const WORDS: [&str; 8] = ["a", "b", "ab", "B", "", "10", "a ", "é"];
const TEXTS: [&str; 27] = [
    "",
    " ",
    "a",
    "a ",
    " a",
    "A",
    "ab",
    "%",
    "_",
    "a%b",
    "a_b",
    "axb",
    "\\",
    "a\\b",
    "é",
    "É",
    "ß",
    "日本語",
    "𝄞x",
    "e\u{301}",
    "\u{1}",
    "tab\tx",
    "new\nline",
    "'",
    "12",
    "-7.50",
    "a text that is longer than what an Arrow view holds inline",
];
const DAY: i64 = 86_400_000_000;
/// From 1970-01-01: PostgreSQL's first and last day, ends of months, of years, of a century. Infinities no file holds.
const DAYS: [i32; 11] =
    [-2_440_588, 2_145_042_905, 0, -1, 19_782, 19_783, 11_016, -719_162, 2_932_896, -25_567, 18_992];
const MOMENTS: [i64; 11] = [
    -210_866_803_200_000_000,
    i64::MAX,
    i64::MAX - 1,
    0,
    -1,
    -719_162 * DAY,
    2_932_896 * DAY,
    19_782 * DAY + 45_000_500_000,
    19_083 * DAY + 5_400_000_000,
    10_957 * DAY - 1,
    -25_568 * DAY + 1,
];
const INTERVALS: [&str; 9] = [
    "interval '1 day'",
    "interval '1 month'",
    "interval '-1 month'",
    "interval '1 year 2 months'",
    "interval '90 days'",
    "interval '36 hours'",
    "interval '0.5 seconds'",
    "interval '1 mon -1 day 00:00:01'",
    "interval '0'",
];

impl Cell {
    fn of(stored: Stored, sql: impl Fn(bool) -> String) -> Self {
        let truth = matches!(stored, Stored::Bool(true));
        Self { stored, sql: sql(truth) }
    }
}

fn one<T: Copy>(rng: &mut StdRng, choices: &[T]) -> T {
    *choices.choose(rng).unwrap()
}

fn pick<T: Copy + rand::distr::uniform::SampleUniform + PartialOrd>(
    rng: &mut StdRng,
    edge: bool,
    edges: &[T],
    others: std::ops::Range<T>,
) -> T {
    if edge { one(rng, edges) } else { rng.random_range(others) }
}

fn integer(number: i32) -> Cell {
    Cell { stored: Stored::Int32(number), sql: format!("({number})") }
}

fn decimal(number: i128, scale: usize) -> Cell {
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if number < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    let sql = format!("'{sign}{whole}{point}{fraction}'::numeric");
    Cell { stored: Stored::Fixed(number.to_be_bytes()), sql }
}

/// As PostgreSQL reads it: it has one NaN.
fn float(number: f64, finite: impl Fn() -> String) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        format!("{}Infinity", if number < 0.0 { "-" } else { "" })
    } else {
        finite()
    }
}

fn text(text: &str) -> Cell {
    let sql = format!("E'{}'::text", text.replace('\\', "\\\\").replace('\'', "''"));
    Cell { stored: Stored::Bytes(text.as_bytes().to_vec()), sql }
}

fn date(days: i32) -> String {
    format!("'1970-01-01'::date + ({days})")
}

fn clock(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    format!("{}:{:02}:{:02}.{:06}", seconds / 3600, seconds / 60 % 60, seconds % 60, micros % 1_000_000)
}

fn moment(micros: i64, zone: bool) -> String {
    let zone = if zone { " AT TIME ZONE 'UTC'" } else { "" };
    let (days, clock) = (micros.div_euclid(DAY), clock(micros.rem_euclid(DAY)));
    format!("(('1970-01-01'::date + ({days}))::timestamp + '{clock}'::interval){zone}")
}
