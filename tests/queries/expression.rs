//! Random expressions of a type.

use crate::generator::{Generator, Scope};
use crate::select::Want;
use crate::table::Ty;
use crate::tree::{Part, Tree};

use Ty::{
    Bool, Bytea, Date, Float4, Float8, Int2, Int4, Int8, Interval, Numeric, Text, Time, Timestamp, Timestamptz, Uuid,
};

/// Types of two sides of a comparison, beside equal ones.
const PAIRS: [(Ty, Ty); 12] = [
    (Int2, Int4),
    (Int2, Int8),
    (Int4, Int8),
    (Float4, Float8),
    (Int4, Numeric),
    (Int8, Numeric),
    (Int4, Float8),
    (Int8, Float8),
    (Numeric, Float8),
    (Date, Timestamp),
    (Date, Timestamptz),
    (Timestamp, Timestamptz),
];

const PATTERNS: [&str; 16] = [
    "'%'", "''", "'a%'", "'%b'", "'%a%'", "'_'", "'a_b'", "'a%b'", "'%%'", "'é%'", "'_日%'", r"'a\%b'", r"'%\_%'",
    r"'\\'", r"'a\\b'", "' %'",
];

impl Generator {
    /// A value of this type, so many levels deep at most.
    pub fn value(&mut self, ty: Ty, scope: &Scope, depth: u32) -> Tree {
        self.fuel -= 1;
        if depth == 0 || self.fuel < 0 || self.chance(30) {
            return self.leaf(ty, scope);
        }
        let depth = depth - 1;
        if self.chance(12) {
            return self.conditional(ty, scope, depth);
        }
        match ty {
            Bool => self.condition(scope, depth),
            Int2 => match self.rng_below(3) {
                0 => self.of_small(ty, "{}::smallint", &[Int4], scope),
                1 => self.of_small(ty, "abs({})", &[Int2], scope),
                _ => {
                    let (left, right) = (self.small(Int4, scope), self.small(Int4, scope));
                    Tree::value(ty, "({}::smallint - {}::smallint)", [left, right])
                }
            },
            Int4 => self.int4(scope, depth),
            Int8 => self.int8(scope, depth),
            Float4 => match self.rng_below(3) {
                0 => self.of_small(ty, "{}::real", &[Float8], scope),
                1 => self.unary(ty, &["abs({})", "(-{})"], Float4, scope, depth),
                _ => self.arithmetic(ty, scope, depth),
            },
            Float8 => self.float8(scope, depth),
            Numeric => self.numeric(scope, depth),
            Text => self.text(scope, depth),
            Bytea => match self.rng_below(3) {
                0 => self.of_any(ty, "({} || {})", &[Bytea, Bytea], scope, depth),
                1 => self.of_any(ty, "convert_to({}, 'UTF8')", &[Text], scope, depth),
                _ => self.of_any(ty, "substring({} FROM 1 FOR 1)", &[Bytea], scope, depth),
            },
            Date => self.date(scope, depth),
            Time => match self.rng_below(2) {
                0 => self.of_any(ty, "{}::time", &[Timestamp], scope, depth),
                _ => self.of_any(ty, "({} + interval '90 minutes')", &[Time], scope, depth),
            },
            Timestamp => self.timestamp(scope, depth),
            Timestamptz => match self.rng_below(3) {
                0 => self.of_small(ty, "({} AT TIME ZONE 'America/New_York')", &[Timestamp], scope),
                1 => self.of_small(ty, "{}::timestamptz", &[Timestamp], scope),
                _ => self.of_small(ty, "date_trunc('day', {})", &[Timestamptz], scope),
            },
            Uuid => self.leaf(ty, scope),
            Interval => self.of_small(ty, "({} - {})", &[Timestamp, Timestamp], scope),
        }
    }

    pub fn rng_below(&mut self, end: u32) -> u32 {
        rand::Rng::random_range(&mut self.rng, 0..end)
    }

    /// A template over any values of these types.
    fn of_any(&mut self, ty: Ty, template: &str, types: &[Ty], scope: &Scope, depth: u32) -> Tree {
        let operands: Vec<Tree> = types.iter().map(|ty| self.value(*ty, scope, depth)).collect();
        Tree::value(ty, template, operands)
    }

    /// One that is in range for small values; others are a risk.
    fn of_small(&mut self, ty: Ty, template: &str, types: &[Ty], scope: &Scope) -> Tree {
        let any = self.chance(15);
        if any {
            self.risk();
        }
        let operands: Vec<Tree> =
            types.iter().map(|ty| if any { self.leaf(*ty, scope) } else { self.small(*ty, scope) }).collect();
        Tree::value(ty, template, operands)
    }

    /// One of the templates over a value of another type.
    fn unary(&mut self, ty: Ty, templates: &[&str], of: Ty, scope: &Scope, depth: u32) -> Tree {
        let template = self.one(templates);
        self.of_any(ty, template, &[of], scope, depth)
    }

    /// `+`, `-`, `*`.
    fn arithmetic(&mut self, ty: Ty, scope: &Scope, depth: u32) -> Tree {
        let template = self.one(&["({} + {})", "({} - {})", "({} * {})", "({} * {})"]);
        if ty == Numeric || (self.chance(15) && ty != Float4) {
            if ty != Numeric {
                self.risk();
            }
            let (left, right) = (self.value(ty, scope, depth), self.value(ty, scope, depth));
            return Tree::value(ty, template, [left, right]);
        }
        let (of, cast) = if ty == Float4 { (Float8, "::real") } else { (ty, "") };
        let template = template.replace("{}", &format!("{{}}{cast}"));
        let (left, right) = (self.small(of, scope), self.small(of, scope));
        Tree::value(ty, &template, [left, right])
    }

    /// Division by what is no zero, or may be one at a risk.
    fn division(&mut self, ty: Ty, operator: &str, scope: &Scope) -> Tree {
        let (left, right) = (self.small(ty, scope), self.small(ty, scope));
        if self.chance(10) {
            self.risk();
            return Tree::value(ty, &format!("({{}} {operator} {{}})"), [left, right]);
        }
        Tree::value(ty, &format!("({{}} {operator} nullif({{}}, 0))"), [left, right])
    }

    fn int4(&mut self, scope: &Scope, depth: u32) -> Tree {
        match self.rng_below(12) {
            0..3 => self.arithmetic(Int4, scope, depth),
            3 => {
                let operator = self.one(&["/", "%"]);
                self.division(Int4, operator, scope)
            }
            4 => self.of_any(Int4, "length({})", &[Text], scope, depth),
            5 => self.of_small(Int4, "({} - {})", &[Date, Date], scope),
            6 => {
                let field = self.one(&["year", "month", "day", "dow", "doy", "week", "quarter"]);
                let of = self.one(&[Date, Timestamp]);
                self.of_small(Int4, &format!("extract({field} FROM {{}})::integer"), &[of], scope)
            }
            7 => self.of_any(Int4, "strpos({}, {})", &[Text, Text], scope, depth),
            8 => {
                let operand = self.small(Numeric, scope);
                Tree::value(Int4, "{}::integer", [operand])
            }
            9 => self.of_small(Int4, "{}::integer", &[Float8], scope),
            10 => self.of_any(Int4, "{}::integer", &[Bool], scope, depth),
            _ => {
                let template = self.one(&["abs({})", "(-{})", "sign({})::integer", "({} % 3)", "mod({}, 7)"]);
                let operand = self.small(Int4, scope);
                Tree::value(Int4, template, [operand])
            }
        }
    }

    fn int8(&mut self, scope: &Scope, depth: u32) -> Tree {
        match self.rng_below(6) {
            0 => {
                let (left, right) = (self.leaf(Int4, scope), self.small(Int4, scope));
                Tree::value(Int8, "({}::bigint * {})", [left, right])
            }
            1 => self.of_small(Int8, "{}::bigint", &[Numeric], scope),
            2 => {
                let template = self.one(&["abs({})", "(-{})", "({} + 1)"]);
                self.of_small(Int8, template, &[Int8], scope)
            }
            3 => {
                let operand = self.leaf(Int8, scope);
                let template = self.one(&["({} % 10)", "({} / 3)"]);
                Tree::value(Int8, template, [operand])
            }
            4 => self.of_small(Int8, "({} + {})", &[Int8, Int4], scope),
            _ => self.unary(Int8, &["{}::bigint"], Int4, scope, depth),
        }
    }

    fn float8(&mut self, scope: &Scope, depth: u32) -> Tree {
        match self.rng_below(8) {
            0..2 => self.arithmetic(Float8, scope, depth),
            2 => self.division(Float8, "/", scope),
            3 => self.unary(
                Float8,
                &["abs({})", "(-{})", "floor({})", "ceil({})", "round({})", "trunc({})", "sign({})"],
                Float8,
                scope,
                depth,
            ),
            4 => self.unary(Float8, &["{}::double precision"], Int8, scope, depth),
            5 => self.unary(Float8, &["{}::double precision"], Float4, scope, depth),
            6 => self.of_any(Float8, "sqrt(abs({}))", &[Float8], scope, depth),
            _ => self.unary(Float8, &["{}::double precision"], Numeric, scope, depth),
        }
    }

    fn numeric(&mut self, scope: &Scope, depth: u32) -> Tree {
        match self.rng_below(10) {
            0..4 => self.arithmetic(Numeric, scope, depth),
            4 => {
                let operator = self.one(&["/", "/", "%"]);
                self.division(Numeric, operator, scope)
            }
            5 => {
                let digits = self.one(&["0", "1", "3", "-1"]);
                let name = self.one(&["round", "trunc"]);
                self.unary(Numeric, &[&format!("{name}({{}}, {digits})")], Numeric, scope, depth)
            }
            6 => self.unary(
                Numeric,
                &["abs({})", "(-{})", "floor({})", "ceil({})", "round({})", "sign({})"],
                Numeric,
                scope,
                depth,
            ),
            7 => {
                let of = self.one(&[Int2, Int4, Int8]);
                self.unary(Numeric, &["{}::numeric"], of, scope, depth)
            }
            8 => {
                let operand = self.small(Numeric, scope);
                let typmod = self.one(&["12,1", "20,4", "12,0"]);
                Tree::value(Numeric, &format!("{{}}::numeric({typmod})"), [operand])
            }
            _ => {
                let field = self.one(&["year", "month", "day", "epoch", "second", "dow"]);
                let of = if field == "second" { Timestamp } else { self.one(&[Date, Timestamp, Timestamptz]) };
                self.unary(Numeric, &[&format!("extract({field} FROM {{}})")], of, scope, 0)
            }
        }
    }

    fn text(&mut self, scope: &Scope, depth: u32) -> Tree {
        match self.rng_below(14) {
            0 => self.of_any(Text, "({} || {})", &[Text, Text], scope, depth),
            1 => self.unary(Text, &["lower({})", "upper({})", "initcap({})"], Text, scope, depth),
            2 => {
                let (from, length) = (self.one(&["-1", "0", "1", "2", "3"]), self.one(&["0", "1", "2", "100"]));
                self.unary(
                    Text,
                    &[&format!("substring({{}} FROM {from} FOR {length})"), &format!("substr({{}}, {from})")],
                    Text,
                    scope,
                    depth,
                )
            }
            3 => {
                let length = self.one(&["0", "1", "2", "-1", "100"]);
                let name = self.one(&["left", "right"]);
                self.unary(Text, &[&format!("{name}({{}}, {length})")], Text, scope, depth)
            }
            4 => self.unary(
                Text,
                &["trim({})", "ltrim({})", "rtrim({})", "btrim({}, 'ab ')", "trim(LEADING 'a' FROM {})"],
                Text,
                scope,
                depth,
            ),
            5 => self.of_any(Text, "replace({}, {}, {})", &[Text, Text, Text], scope, depth),
            6 => self.of_any(Text, "concat({}, {}, {})", &[Text, Int4, Date], scope, depth),
            7 => self.unary(
                Text,
                &[
                    "lpad({}, 3, '*')",
                    "rpad({}, 4)",
                    "repeat({}, 2)",
                    "reverse({})",
                    "md5({})",
                    "split_part({}, 'a', 1)",
                ],
                Text,
                scope,
                depth,
            ),
            8 => self.unary(Text, &["{}::text"], Int4, scope, depth),
            9 => {
                let of = self.one(&[Bool, Date, Time, Timestamp, Timestamptz, Uuid, Numeric, Int8]);
                let operand = self.leaf(of, scope);
                Tree::value(Text, "{}::text", [operand])
            }
            10 => {
                let of = self.one(&[Float4, Float8]);
                let operand = self.leaf(of, scope);
                Tree::value(Text, "({} + 0)::text", [operand]) // -0 may be one of several equal values
            }
            11 => {
                let format = self.one(&["YYYY-MM", "YYYY-MM-DD HH24:MI:SS", "Mon DD", "DDD IW"]);
                self.of_small(Text, &format!("to_char({{}}, '{format}')"), &[Timestamp], scope)
            }
            12 => self.of_any(Text, "regexp_replace({}, '^(a|b)', 'x')", &[Text], scope, depth),
            _ => self.of_any(Text, "concat_ws('-', {}, {})", &[Text, Text], scope, depth),
        }
    }

    fn date(&mut self, scope: &Scope, depth: u32) -> Tree {
        match self.rng_below(4) {
            0 => self.of_small(Date, "({} + {})", &[Date, Int4], scope),
            1 => self.of_any(Date, "{}::date", &[Timestamp], scope, depth),
            2 => self.of_small(Date, "({} - 7)", &[Date], scope),
            _ => {
                let (month, day) = (self.small(Int4, scope), self.small(Int4, scope));
                Tree::value(Date, "make_date(2024, abs({} % 12) + 1, abs({} % 28) + 1)", [month, day])
            }
        }
    }

    fn timestamp(&mut self, scope: &Scope, depth: u32) -> Tree {
        match self.rng_below(6) {
            0 | 1 => {
                let of = self.one(&[Date, Timestamp]);
                let operator = self.one(&["+", "-"]);
                let interval = self.literal(Interval, true);
                let operand = self.small(of, scope);
                Tree::value(Timestamp, &format!("({{}} {operator} {{}})"), [operand, interval])
            }
            2 => self.of_small(Timestamp, "{}::timestamp", &[Date], scope),
            3 => {
                let unit = self.one(&["year", "quarter", "month", "week", "day", "hour", "minute", "decade"]);
                self.of_small(Timestamp, &format!("date_trunc('{unit}', {{}})"), &[Timestamp], scope)
            }
            4 => self.of_any(Timestamp, "({} AT TIME ZONE 'Europe/Berlin')", &[Timestamptz], scope, depth),
            _ => self.of_small(Timestamp, "({} + {})", &[Date, Time], scope),
        }
    }

    /// What evaluates some of its parts only.
    fn conditional(&mut self, ty: Ty, scope: &Scope, depth: u32) -> Tree {
        let choice = self.rng_below(6);
        self.perhaps(|own| match choice {
            0 | 1 => {
                let parts = [own.condition(scope, depth), own.value(ty, scope, depth), own.value(ty, scope, depth)];
                Tree::value(ty, "CASE WHEN {} THEN {} ELSE {} END", parts)
            }
            2 => {
                let [of, when] = [own.small(Int4, scope), own.small(Int4, scope)];
                let parts = [of, when, own.value(ty, scope, depth)];
                Tree::value(ty, "CASE {} WHEN {} THEN {} END", parts)
            }
            3 => {
                let parts = [own.value(ty, scope, depth), own.value(ty, scope, depth)];
                // Of equal values of other scales PostgreSQL has its own choice.
                let templates: &[&str] = match ty {
                    Numeric | Float4 | Float8 | Interval => &["coalesce({}, {})", "nullif({}, {})"],
                    _ => &["coalesce({}, {})", "nullif({}, {})", "greatest({}, {})", "least({}, {})"],
                };
                Tree::value(ty, own.one(templates), parts)
            }
            _ if scope.free && own.nesting < 2 && own.fuel > 0 => {
                let query = own.subquery(scope, Want::one_row(ty));
                Tree::value(ty, "({})", [query])
            }
            _ => {
                let parts = [own.value(ty, scope, depth), own.leaf(ty, scope)];
                Tree::value(ty, "coalesce({}, {})", parts)
            }
        })
    }

    /// A boolean that is worth having in a WHERE.
    pub fn condition(&mut self, scope: &Scope, depth: u32) -> Tree {
        let subqueries = scope.free && self.nesting < 2 && self.fuel > 0 && depth > 0;
        match self.rng_below(if subqueries { 18 } else { 14 }) {
            0..4 => self.comparison(scope, depth),
            4 => {
                let ty = self.any_type();
                let operand = self.value(ty, scope, depth);
                let test = self.one(&["IS NULL", "IS NOT NULL"]);
                Tree::value(Bool, &format!("({{}} {test})"), [operand])
            }
            5 | 6 if depth > 0 => self.perhaps(|own| {
                let terms = (0..own.one(&[2, 2, 3])).map(|_| own.condition(scope, depth - 1)).collect();
                let connective = own.one(&[" AND ", " OR "]);
                let parts = vec![Part::Text("(".into()), Part::List(connective, terms), Part::Text(")".into())];
                Tree::new(crate::tree::Kind::Value(Bool), parts)
            }),
            7 if depth > 0 => {
                let operand = self.condition(scope, depth - 1);
                Tree::value(Bool, "(NOT {})", [operand])
            }
            8 => {
                let ty = self.any_type();
                let parts = [self.value(ty, scope, depth), self.leaf(ty, scope), self.leaf(ty, scope)];
                let template = self.one(&[
                    "({} BETWEEN {} AND {})",
                    "({} NOT BETWEEN {} AND {})",
                    "({} BETWEEN SYMMETRIC {} AND {})",
                ]);
                Tree::value(Bool, template, parts)
            }
            9 => self.list(scope, depth),
            10 | 11 => self.pattern(scope, depth),
            12 => {
                let ty = self.any_type();
                let parts = [self.value(ty, scope, depth), self.leaf(ty, scope)];
                let template = self.one(&["({} IS DISTINCT FROM {})", "({} IS NOT DISTINCT FROM {})"]);
                Tree::value(Bool, template, parts)
            }
            13 => {
                let operand = self.value(Bool, scope, depth);
                let test =
                    self.one(&["IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE", "IS UNKNOWN", "IS NOT UNKNOWN"]);
                Tree::value(Bool, &format!("({{}} {test})"), [operand])
            }
            14 => {
                let query = self.perhaps(|own| own.subquery(scope, Want::rows(Vec::new())));
                let template = self.one(&["EXISTS ({})", "(NOT EXISTS ({}))"]);
                Tree::value(Bool, template, [query])
            }
            15 | 16 => {
                let ty = self.any_type();
                let item = self.value(ty, scope, depth - 1);
                let query = self.perhaps(|own| own.subquery(scope, Want::rows(vec![ty])));
                let template = self.one(&["({} IN ({}))", "({} NOT IN ({}))", "({} IN ({}))"]);
                Tree::value(Bool, template, [item, query])
            }
            17 => {
                let ty = self.any_type();
                let item = self.value(ty, scope, depth - 1);
                let query = self.perhaps(|own| own.subquery(scope, Want::rows(vec![ty])));
                let (operator, quantifier) = (self.one(&["=", "<>", "<", ">="]), self.one(&["ANY", "ALL"]));
                Tree::value(Bool, &format!("({{}} {operator} {quantifier} ({{}}))"), [item, query])
            }
            _ => self.comparison(scope, depth),
        }
    }

    fn comparison(&mut self, scope: &Scope, depth: u32) -> Tree {
        let operator = self.one(&["=", "=", "<>", "<", "<=", ">", ">="]);
        let ty = self.any_type();
        let (left, right) = if self.chance(25) { self.one(&PAIRS) } else { (ty, ty) };
        let (left, right) = if self.chance(50) { (left, right) } else { (right, left) };
        let parts = [self.value(left, scope, depth), self.value(right, scope, depth.saturating_sub(1))];
        Tree::value(Bool, &format!("({{}} {operator} {{}})"), parts)
    }

    /// `IN`, `= ANY` of constants.
    fn list(&mut self, scope: &Scope, depth: u32) -> Tree {
        let ty = self.any_type();
        let item = self.value(ty, scope, depth);
        let count = self.one(&[1, 2, 3, 5]);
        let items: Vec<Tree> = (0..count).map(|_| self.literal(ty, self.fuel % 2 == 0)).collect();
        let items = if scope.free { items } else { items.into_iter().map(Tree::fixed).collect() };
        let (before, after) = match self.rng_below(5) {
            0 => (" NOT IN (".to_owned(), "))"),
            1 => (" = ANY (ARRAY[".to_owned(), "]))"),
            2 => (format!(" {} ALL (ARRAY[", self.one(&["<>", "<", ">="])), "]))"),
            _ => (" IN (".to_owned(), "))"),
        };
        let parts = vec![
            Part::Text("(".into()),
            Part::Tree(item),
            Part::Text(before),
            Part::List(", ", items),
            Part::Text(after.into()),
        ];
        Tree::new(crate::tree::Kind::Value(Bool), parts)
    }

    fn pattern(&mut self, scope: &Scope, depth: u32) -> Tree {
        let item = self.value(Text, scope, depth);
        let pattern = self.constant(Text, &PATTERNS);
        let template = match self.rng_below(8) {
            0 | 1 => "({} NOT LIKE {})",
            2 => "({} ILIKE {})",
            3 => "starts_with({}, {})",
            4 => {
                let regex = self.constant(Text, &["'^a'", "'b$'", "'a.b'", "'[[:alpha:]]'"]);
                return Tree::value(Bool, "({} ~ {})", [item, regex]);
            }
            5 => {
                let pattern = self.constant(Text, &["'a!%b'", "'!_%'", "'%a'"]);
                return Tree::value(Bool, "({} LIKE {} ESCAPE '!')", [item, pattern]);
            }
            _ => "({} LIKE {})",
        };
        Tree::value(Bool, template, [item, pattern])
    }
}
