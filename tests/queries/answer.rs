//! Answers of a query and what makes two of them different.

use std::collections::BTreeMap;

use lagoon_tests::{Session, describe};

use crate::generator::Traits;

pub type Row = Vec<Option<String>>;

/// What came back.
#[derive(Clone, Debug)]
pub enum Answer {
    Rows(Vec<Row>),
    /// SQLSTATE and message.
    Error(String, String),
    /// The connection is gone.
    Lost(String),
}

/// How two answers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    /// Both are errors, with the same SQLSTATE.
    SameError,
    /// An error that depends on the order of evaluation, in one of them or in both.
    Open,
    /// One of them took too long.
    Slow,
    Different,
}

/// Sums of floats in another order differ by this part of them, or by this.
const TOLERANCE: f64 = 1e-9;
const ABSOLUTE: f64 = 1e-6;
/// Rows of an answer that a report shows.
const SHOWN: usize = 8;

/// Runs statements, after an error of which no transaction is left open.
pub fn ask(session: &Session, sql: &str) -> Answer {
    match session.try_rows(sql) {
        Ok(rows) => Answer::Rows(rows),
        Err(error) => match error.code() {
            Some(code) if !error.is_closed() && !code.code().starts_with("57P") => {
                if sql.contains("BEGIN;") {
                    let _ = session.try_rows("ROLLBACK"); // a lost connection shows at the next query
                }
                Answer::Error(code.code().to_owned(), describe(&error))
            }
            _ => Answer::Lost(describe(&error)),
        },
    }
}

/// Compares with what PostgreSQL answers over the heap copy.
pub fn compare(heap: &Answer, other: &Answer, traits: Traits) -> Verdict {
    match (heap, other) {
        (Answer::Error(state, _), _) | (_, Answer::Error(state, _)) if state == "57014" => Verdict::Slow,
        (Answer::Rows(heap), Answer::Rows(other)) if same_rows(heap, other, traits) => Verdict::Same,
        (Answer::Error(_, _), Answer::Error(state, _)) if state.starts_with("XX") => Verdict::Different,
        (Answer::Error(left, _), Answer::Error(right, _)) if left == right => Verdict::SameError,
        // Which of two data exceptions comes first is open, whatever the query.
        (Answer::Error(left, _), Answer::Error(right, _)) if is_of_data(left) && is_of_data(right) => Verdict::Open,
        (Answer::Error(state, _), Answer::Rows(_)) | (Answer::Rows(_), Answer::Error(state, _))
            if traits.open && is_of_data(state) =>
        {
            Verdict::Open
        }
        _ => Verdict::Different,
    }
}

/// Data exceptions, and more than one row from a scalar subquery.
fn is_of_data(state: &str) -> bool {
    state.starts_with("22") || state == "21000"
}

fn same_rows(left: &[Row], right: &[Row], traits: Traits) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let plain = |rows: &[Row]| -> Vec<Row> {
        rows.iter().map(|row| row.iter().map(|cell| plain_cell(cell.as_deref(), traits)).collect()).collect()
    };
    let (mut left, mut right) = (plain(left), plain(right));
    if !traits.ordered {
        left.sort_unstable();
        right.sort_unstable();
    }
    if left == right {
        return true;
    }
    if !traits.inexact {
        return false;
    }
    if traits.ordered {
        return left.iter().zip(&right).all(|(left, right)| is_near(left, right));
    }
    // Without those that are equal each row needs a partner of its own.
    let mut counts: BTreeMap<&Row, i64> = BTreeMap::new();
    left.iter().for_each(|row| *counts.entry(row).or_default() += 1);
    right.iter().for_each(|row| *counts.entry(row).or_default() -= 1);
    let rest = |sign: i64| counts.iter().flat_map(move |(row, count)| (0..count * sign).map(move |_| *row));
    let mut others: Vec<&Row> = rest(-1).collect();
    rest(1).all(|row| {
        let partner = others.iter().position(|other| is_near(row, other));
        partner.map(|at| others.swap_remove(at)).is_some()
    })
}

fn plain_cell(cell: Option<&str>, traits: Traits) -> Option<String> {
    Some(match cell? {
        "-0" if traits.zero => "0".to_owned(),
        text => text.to_owned(),
    })
}

fn is_near(left: &Row, right: &Row) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| {
            let number = |cell: &Option<String>| cell.as_deref().and_then(|text| text.parse::<f64>().ok());
            left == right
                || number(left).zip(number(right)).is_some_and(|(left, right)| {
                    (left - right).abs() <= TOLERANCE * left.abs().max(right.abs()) + ABSOLUTE
                })
        })
}

/// For a report: of rows those that only one of them has, and the first ones.
pub fn show(own: &Answer, other: &Answer) -> String {
    match own {
        Answer::Error(_, message) => message.clone(),
        Answer::Lost(message) => format!("connection lost: {message}"),
        Answer::Rows(rows) => {
            let mut others: Vec<&Row> = match other {
                Answer::Rows(rows) => rows.iter().collect(),
                _ => Vec::new(),
            };
            let only: Vec<&Row> = rows
                .iter()
                .filter(|row| match others.iter().position(|other| other == row) {
                    Some(at) => {
                        others.swap_remove(at);
                        false
                    }
                    None => true,
                })
                .collect();
            let (what, few) =
                if only.is_empty() { ("first", rows.iter().take(SHOWN).collect()) } else { ("only here", only) };
            let lines: Vec<String> = few.into_iter().take(SHOWN).map(line).collect();
            format!("{} rows; {what}: {}", rows.len(), lines.join(" "))
        }
    }
}

fn line(row: &Row) -> String {
    let cells: Vec<String> =
        row.iter().map(|cell| cell.as_ref().map_or("NULL".to_owned(), |text| format!("{text:?}"))).collect();
    format!("({})", cells.join(", "))
}
