//! The order of joins: what is chosen, and that rows are the same in any.

use super::*;

/// Numbers that repeat with their seed.
struct Dice(u64);

impl Dice {
    /// One of so many.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

type Row = Vec<Option<i64>>;

const WIDTH: usize = 3;

/// Small tables of three columns of few values, some of them NULL, and the world of their files.
fn small(dice: &mut Dice) -> (World, Vec<Vec<Row>>) {
    let folder = tempfile::tempdir().unwrap();
    let mut tables = Vec::new();
    let mut rows = Vec::new();
    for table in 0..4 {
        let count = 1 + dice.roll(12);
        let value = |dice: &mut Dice| (dice.roll(8) > 0).then(|| i64::try_from(dice.roll(5)).unwrap());
        let all: Vec<Row> = (0..count).map(|_| (0..WIDTH).map(|_| value(dice)).collect()).collect();
        let column = |at: usize| -> ArrayRef {
            Arc::new(Int64Array::from(all.iter().map(|row: &Row| row[at]).collect::<Vec<_>>()))
        };
        let columns = vec![("x", column(0)), ("y", column(1)), ("z", column(2))];
        tables.push(stored(&folder, &format!("t{table}"), columns));
        rows.push(all);
    }
    (World { _folder: folder, tables }, rows)
}

fn whole(at: usize) -> Expr {
    column(at, Kind::Int8)
}

/// A comparison of two columns, and of a column with a number.
#[derive(Clone, Copy)]
enum Asked {
    Columns(Comparison, usize, usize),
    Number(Comparison, usize, i64),
}

impl Asked {
    fn expr(self) -> Expr {
        match self {
            Asked::Columns(comparison, one, other) => is(comparison, whole(one), whole(other)),
            Asked::Number(comparison, one, number) => is(comparison, whole(one), int(number)),
        }
    }

    fn is_true(self, row: &Row) -> bool {
        let (comparison, one, other) = match self {
            Asked::Columns(comparison, one, other) => (comparison, row[one], row[other]),
            Asked::Number(comparison, one, number) => (comparison, row[one], Some(number)),
        };
        one.zip(other).is_some_and(|(one, other)| match comparison {
            Comparison::Eq => one == other,
            Comparison::NotEq => one != other,
            Comparison::Lt => one < other,
            Comparison::LtEq => one <= other,
            Comparison::Gt => one > other,
            Comparison::GtEq => one >= other,
        })
    }
}

/// Conditions in an OR of ANDs, as an expression and as a test.
fn either(asked: &[Vec<Asked>]) -> Expr {
    let all = |parts: &Vec<Asked>| Expr::And(parts.iter().map(|part| part.expr()).collect());
    Expr::Or(asked.iter().map(all).collect())
}

fn joined(kind: JoinKind, left: &[Row], left_width: usize, right: &[Row], asked: &[Vec<Asked>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for one in left {
        let pairs: Vec<Row> = right.iter().map(|other| one.iter().chain(other).copied().collect()).collect();
        let found: Vec<Row> = pairs
            .into_iter()
            .filter(|pair| asked.iter().any(|parts| parts.iter().all(|part| part.is_true(pair))))
            .collect();
        match kind {
            JoinKind::Inner => rows.extend(found),
            JoinKind::Left if found.is_empty() => rows.push(one.iter().copied().chain([None; WIDTH]).collect()),
            JoinKind::Left | JoinKind::Right => rows.extend(found),
            JoinKind::Semi if !found.is_empty() => rows.push(one.clone()),
            JoinKind::Anti if found.is_empty() => rows.push(one.clone()),
            _ => {}
        }
    }
    if kind == JoinKind::Right {
        let is_found = |one: &Row, other: &Row| {
            let pair: Row = one.iter().chain(other).copied().collect();
            asked.iter().any(|parts| parts.iter().all(|part| part.is_true(&pair)))
        };
        let alone = right.iter().filter(|other| !left.iter().any(|one| is_found(one, other)));
        rows.extend(
            alone.map(|other| vec![None; left_width].into_iter().chain(other.iter().copied()).collect::<Row>()),
        );
    }
    rows
}

/// A condition between a relation of `left` columns and one to the right of it.
fn condition(dice: &mut Dice, left: usize) -> Vec<Vec<Asked>> {
    const OTHERS: [Comparison; 4] = [Comparison::NotEq, Comparison::Lt, Comparison::GtEq, Comparison::Eq];
    let equal = |dice: &mut Dice| Asked::Columns(Comparison::Eq, dice.roll(left), left + dice.roll(WIDTH));
    let mut parts = vec![equal(dice)];
    for _ in 0..dice.roll(3) {
        let comparison = OTHERS[dice.roll(4)];
        parts.push(match dice.roll(3) {
            0 => equal(dice),
            1 => Asked::Columns(comparison, dice.roll(left + WIDTH), dice.roll(left + WIDTH)),
            _ => Asked::Number(comparison, dice.roll(left + WIDTH), i64::try_from(dice.roll(5)).unwrap()),
        });
    }
    let mut all = vec![parts.clone()];
    if dice.roll(4) == 0 {
        // The same first equality in every branch.
        let number = i64::try_from(dice.roll(5)).unwrap();
        all.push(vec![parts[0], Asked::Number(Comparison::Eq, dice.roll(left + WIDTH), number)]);
    }
    all
}

#[test]
fn any_order_gives_the_same_rows() {
    for seed in 0..100 {
        let mut dice = Dice(seed);
        let (world, tables) = small(&mut dice);
        let scan = |table: usize| Rel::Table { table, columns: vec![0, 1, 2] };
        let first = dice.roll(4);
        let (mut rel, mut rows, mut width) = (scan(first), tables[first].clone(), WIDTH);
        for _ in 0..2 + dice.roll(4) {
            let table = dice.roll(4);
            let kind = match dice.roll(9) {
                0 => JoinKind::Left,
                1 => JoinKind::Semi,
                2 => JoinKind::Anti,
                3 => JoinKind::Right,
                _ => JoinKind::Inner,
            };
            let asked = condition(&mut dice, width);
            let result = joined(kind, &rows, width, &tables[table], &asked);
            if result.len() > 20_000 {
                continue;
            }
            rel = match (kind, dice.roll(2)) {
                (JoinKind::Inner, 0) => filter(join(kind, rel, scan(table), None), either(&asked)),
                _ => join(kind, rel, scan(table), Some(either(&asked))),
            };
            rows = result;
            if matches!(kind, JoinKind::Inner | JoinKind::Left | JoinKind::Right) {
                width += WIDTH;
            }
        }
        let shown = |row: &Row| {
            let value = |value: &Option<i64>| value.map_or("-".to_owned(), |value| value.to_string());
            row.iter().map(value).collect::<Vec<_>>().join(" ")
        };
        let mut expected: Vec<_> = rows.iter().map(shown).collect();
        expected.sort();
        assert_eq!(world.set(&rel), expected, "seed {seed}\n{}", world.explain(&rel));
    }
}

/// Tables of one, a hundred and ten thousand rows: (id, of), where `of` names a row of the table before.
fn chain() -> World {
    let folder = tempfile::tempdir().unwrap();
    let tables = [("few", 10), ("some", 100), ("many", 20_000)].map(|(name, count)| {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
        let of: ArrayRef = Arc::new(Int64Array::from_iter_values((0..count).map(|id| id % (count / 10))));
        stored(&folder, name, vec![("id", ids), ("of", of)])
    });
    World { _folder: folder, tables: tables.into() }
}

/// The files of a plan's scans in the order of its lines.
fn scans(world: &World, rel: &Rel) -> Vec<usize> {
    let plan = world.explain(rel);
    let lines = plan.lines().filter(|line| line.contains("LakeScan"));
    // Columns are named after the place of their table in the tree.
    let place = |line: &str| {
        let at = line.find('#').unwrap_or_else(|| panic!("{plan}"));
        let digits: String = line[at + 1..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().unwrap()
    };
    let places: Vec<_> = lines.map(place).collect();
    let mut sorted = places.clone();
    sorted.sort_unstable();
    places.iter().map(|place| sorted.binary_search(place).unwrap()).collect()
}

fn of_chain(table: usize) -> Rel {
    Rel::Table { table, columns: vec![0, 1] }
}

#[test]
fn the_smallest_side_is_joined_first_and_built() {
    let world = chain();
    // many, some, few: in the worst order.
    let first = join(JoinKind::Inner, of_chain(2), of_chain(1), Some(eq(whole(1), whole(2))));
    let rel = join(JoinKind::Inner, first, filter(of_chain(0), eq(whole(0), int(3))), Some(eq(whole(3), whole(4))));
    assert_eq!(scans(&world, &rel), [2, 1, 0]);
    let counted = aggregate(rel, vec![], vec![count()]);
    assert_eq!(world.rows(&counted), ["100"]);
}

#[test]
fn what_is_equal_to_the_same_is_joined_directly() {
    let world = chain();
    // some.id = many.of and many.of = few.id: some and few are joined before many.
    let first = join(JoinKind::Inner, of_chain(1), of_chain(2), Some(eq(whole(0), whole(3))));
    let rel = join(JoinKind::Inner, first, of_chain(0), Some(eq(whole(3), whole(4))));
    assert_eq!(scans(&world, &rel), [2, 0, 1]);
    assert_eq!(world.rows(&aggregate(rel, vec![], vec![count()])), ["100"]);
}

#[test]
fn a_semijoin_builds_its_smaller_side() {
    let world = chain();
    let few = filter(
        of_chain(2),
        Expr::Exists(Box::new(filter(of_chain(0), eq(whole(0), Expr::Outer(1, 0, Kind::Int8.into()))))),
    );
    assert_eq!(scans(&world, &few), [1, 0]);
    assert_eq!(world.rows(&aggregate(few, vec![], vec![count()])), ["10"]);
}

#[test]
fn a_range_is_estimated_by_the_bounds_of_its_column() {
    let world = chain();
    let scan = |number: i64| {
        let condition = is(Comparison::Lt, whole(0), int(number));
        join(JoinKind::Inner, filter(of_chain(2), condition), of_chain(1), Some(eq(whole(0), whole(2))))
    };
    assert_eq!(scans(&world, &scan(10)), [0, 1]);
    assert_eq!(scans(&world, &scan(10_000)), [1, 0]);
}

#[test]
fn other_joins_build_their_smaller_side_and_keep_their_columns() {
    let world = chain();
    let on = || Some(eq(whole(0), whole(2)));
    for (kind, left, right, rows) in [
        (JoinKind::Left, 2, 0, 20_000),
        (JoinKind::Left, 0, 2, 10),
        (JoinKind::Right, 0, 2, 20_000),
        (JoinKind::Right, 2, 0, 10),
        (JoinKind::Full, 2, 0, 20_000),
    ] {
        let rel = join(kind, of_chain(left), of_chain(right), on());
        let small = usize::from(left == 2);
        assert_eq!(scans(&world, &rel), [small, 1 - small], "{kind:?}");
        let found = aggregate(rel, vec![], vec![count(), call("sum", vec![whole(1)]), call("sum", vec![whole(3)])]);
        // Of the table of ten rows the second column is 0, of the large one what is left of a division by 2000.
        let (all, some) = (i64::from(rows == 20_000), (0..10).sum::<i64>());
        let large = if all == 1 { 10 * (0..2000).sum::<i64>() } else { some };
        let expected = if left == 2 { format!("{rows} {large} 0") } else { format!("{rows} 0 {large}") };
        assert_eq!(world.rows(&found), [expected], "{kind:?} of {left} and {right}");
    }
}

#[test]
fn a_mark_is_of_the_row_whichever_side_is_built() {
    let world = chain();
    let same = |table| filter(of_chain(table), eq(whole(0), Expr::Outer(1, 0, Kind::Int8.into())));
    let either = |of: usize, asked: usize, other: i64| {
        let condition = Expr::Or(vec![Expr::Exists(Box::new(same(asked))), eq(whole(0), int(other))]);
        world.rows(&aggregate(filter(of_chain(of), condition), vec![], vec![count()]))
    };
    assert_eq!(either(2, 0, 5000), ["11"]);
    assert_eq!(either(0, 2, 5000), ["10"]);
    assert_eq!(either(1, 0, 3), ["10"]);
}

#[test]
fn a_subquery_that_leaves_little_is_asked_before_the_joins() {
    let world = chain();
    // many JOIN some ON many.of = some.id WHERE some.of IN (SELECT id FROM few WHERE id = 3)
    let joined = join(JoinKind::Inner, of_chain(2), of_chain(1), Some(eq(whole(1), whole(2))));
    let three = project(filter(of_chain(0), eq(whole(0), int(3))), vec![whole(0)]);
    let rel = filter(joined, within(whole(3), three));
    assert_eq!(scans(&world, &rel), [2, 1, 0]);
    // Rows of `some` are 3, 13, ..., 93: each is named by ten of `many`.
    assert_eq!(world.rows(&aggregate(rel, vec![], vec![count()])), ["100"]);
}
