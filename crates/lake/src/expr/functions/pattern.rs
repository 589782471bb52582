//! Regular expressions that mean the same to PostgreSQL and to the crate `regex`.
//!
//! PostgreSQL's advanced regular expressions match the longest text, of those that begin first, and give parts of it to groups
//! from left to right, each as much as it can get. The crate prefers alternatives in their order. Which texts match depends on
//! no preference. Where a match ends and what its groups are does not, either, if there is at most one quantifier that has a
//! choice ([`Shape::is_definite`]): most have none, as what follows them is no character that they repeat.

use std::iter::Peekable;
use std::str::Chars;

/// Repetitions that a quantifier may ask for (DUPMAX).
const MOST_REPETITIONS: u32 = 255;

/// Groups within groups.
const MOST_GROUPS: usize = 8;

/// A pattern that both understand alike.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// For the crate.
    pub pattern: String,
    /// How many groups are captured.
    pub groups: usize,
    /// Whether a match has one end and one division into groups, whatever is preferred.
    pub is_definite: bool,
}

/// Characters that may stand in a place.
#[derive(Clone, Copy)]
struct Set {
    /// A bit each.
    ascii: u128,
    /// Whether there are others, whichever.
    others: bool,
}

impl Set {
    const ALL: Self = Self { ascii: u128::MAX, others: true };
    const NONE: Self = Self { ascii: 0, others: false };

    fn with(self, c: char) -> Self {
        if c.is_ascii() { Self { ascii: self.ascii | 1 << (c as u32), ..self } } else { Self { others: true, ..self } }
    }

    fn meets(self, other: Self) -> bool {
        self.ascii & other.ascii != 0 || self.others && other.others
    }
}

/// The same pattern for the crate; `None` if it may mean something else there.
pub(super) fn shape(pattern: &str) -> Option<Shape> {
    // A director or an embedded option changes what follows.
    if pattern.is_empty() || pattern.starts_with("***") || pattern.starts_with("(?") && !pattern.starts_with("(?:") {
        return None;
    }
    let mut parser = Parser {
        rest: pattern.chars().peekable(),
        out: "(?s)".to_owned(),
        groups: 0,
        depth: 0,
        quantified: 0,
        is_ambiguous: false,
        choices: 0,
        open: None,
    };
    parser.alternatives()?;
    if parser.rest.next().is_some() {
        return None;
    }
    // What repeats all characters at the end takes all that is left.
    parser.choices += usize::from(parser.open.is_some_and(|open| !open.takes_all));
    let is_definite = !parser.is_ambiguous && parser.choices <= 1;
    Some(Shape { pattern: parser.out, groups: parser.groups, is_definite })
}

/// A quantifier of which it is not yet known whether it has a choice.
#[derive(Clone, Copy)]
struct Open {
    set: Set,
    takes_all: bool,
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    groups: usize,
    depth: usize,
    quantified: usize,
    /// Whether there was an alternative, or a group that may come again or holds quantifiers and may be missing.
    is_ambiguous: bool,
    /// Quantifiers that may repeat more or fewer characters where a pattern matches.
    choices: usize,
    open: Option<Open>,
}

/// What a quantifier repeats.
enum Atom {
    Character(Set),
    /// Whether it is without quantifiers, and whether it began behind one that was open.
    Group {
        is_fixed: bool,
        was_open: bool,
    },
}

impl Parser<'_> {
    fn alternatives(&mut self) -> Option<()> {
        self.sequence()?;
        while self.rest.next_if_eq(&'|').is_some() {
            self.out.push('|');
            self.is_ambiguous = true;
            self.sequence()?;
        }
        Some(())
    }

    /// Atoms up to the end, an alternative or the end of a group. An empty one is an error in PostgreSQL or not, as it comes.
    fn sequence(&mut self) -> Option<()> {
        let mut is_empty = true;
        if self.depth == 0 && self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
            is_empty = false;
        }
        while let Some(c) = self.rest.peek().copied() {
            match c {
                '|' | ')' => break,
                '$' => {
                    self.rest.next();
                    // Only at the end: elsewhere it means other things in other places.
                    if self.depth > 0 || self.rest.peek().is_some_and(|c| *c != '|') {
                        return None;
                    }
                    self.out.push('$');
                    self.open = None;
                }
                _ => {
                    let atom = self.atom()?;
                    self.quantifier(&atom)?;
                }
            }
            is_empty = false;
        }
        (!is_empty).then_some(())
    }

    fn atom(&mut self) -> Option<Atom> {
        match self.rest.next()? {
            '.' => {
                self.out.push('.');
                Some(Atom::Character(Set::ALL))
            }
            '[' => self.class(),
            '(' => self.group(),
            '\\' => {
                // Before letters and digits it begins escapes that are not the same.
                let c = self.rest.next().filter(char::is_ascii_punctuation)?;
                self.literal(c);
                Some(Atom::Character(Set::NONE.with(c)))
            }
            '*' | '+' | '?' | '{' | '^' => None,
            c => {
                self.literal(c);
                Some(Atom::Character(Set::NONE.with(c)))
            }
        }
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// `[...]` of single characters and ranges of ASCII.
    fn class(&mut self) -> Option<Atom> {
        self.out.push('[');
        let is_negated = self.rest.next_if_eq(&'^').is_some();
        if is_negated {
            self.out.push('^');
        }
        let mut set = Set::NONE;
        let mut is_first = true;
        loop {
            let c = self.rest.next()?;
            match c {
                ']' if !is_first => break,
                '[' | '\\' | '-' | ']' => return None,
                c => self.literal(c),
            }
            is_first = false;
            set = set.with(c);
            if self.rest.next_if_eq(&'-').is_some() {
                let end = self.rest.next().filter(|end| end.is_ascii_alphanumeric())?;
                if !c.is_ascii_alphanumeric() || end < c {
                    return None;
                }
                set = (c..=end).fold(set, Set::with);
                self.out.push('-');
                self.out.push(end);
            }
        }
        self.out.push(']');
        Some(Atom::Character(if is_negated { Set { ascii: !set.ascii, others: true } } else { set }))
    }

    fn group(&mut self) -> Option<Atom> {
        self.depth += 1;
        if self.depth > MOST_GROUPS {
            return None;
        }
        if self.rest.next_if_eq(&'?').is_some() {
            self.rest.next_if_eq(&':')?;
            self.out.push_str("(?:");
        } else {
            self.groups += 1;
            self.out.push('(');
        }
        let (before, was_ambiguous, was_open) = (self.quantified, self.is_ambiguous, self.open.is_some());
        self.alternatives()?;
        self.rest.next_if_eq(&')')?;
        self.out.push(')');
        self.depth -= 1;
        let is_fixed = self.quantified == before && self.is_ambiguous == was_ambiguous;
        Some(Atom::Group { is_fixed, was_open })
    }

    fn quantifier(&mut self, atom: &Atom) -> Option<()> {
        let (is_star, may_repeat) = match self.rest.peek() {
            Some('*') => (true, true),
            Some('+') => (false, true),
            Some('?') => (false, false),
            Some('{') => (false, true),
            _ => {
                if let Atom::Character(set) = atom {
                    self.follow(*set);
                }
                return Some(());
            }
        };
        match self.rest.next() {
            Some('{') => self.bounds()?,
            Some(c) => self.out.push(c),
            None => {}
        }
        // Two quantifiers, or one that is not greedy.
        if matches!(self.rest.peek(), Some('*' | '+' | '?' | '{')) {
            return None;
        }
        self.quantified += 1;
        match *atom {
            Atom::Character(set) => {
                // What may be missing says nothing of the one before.
                self.follow(Set::ALL);
                let takes_all = is_star && set.ascii == u128::MAX && self.depth == 0;
                self.open = Some(Open { set, takes_all });
            }
            Atom::Group { is_fixed, was_open } => {
                self.is_ambiguous |= !is_fixed || may_repeat;
                self.choices += 1 + usize::from(was_open);
            }
        }
        Some(())
    }

    /// What stands behind an open quantifier.
    fn follow(&mut self, set: Set) {
        if let Some(open) = self.open.take() {
            self.choices += usize::from(open.set.meets(set));
        }
    }

    /// `m}`, `m,}` or `m,n}`.
    fn bounds(&mut self) -> Option<()> {
        let least = self.number()?;
        self.out.push_str(&format!("{{{least}"));
        if self.rest.next_if_eq(&',').is_some() {
            self.out.push(',');
            if self.rest.peek() != Some(&'}') {
                let most = self.number().filter(|most| *most >= least)?;
                self.out.push_str(&most.to_string());
            }
        }
        self.rest.next_if_eq(&'}')?;
        self.out.push('}');
        Some(())
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(10)) {
            self.rest.next();
            number = Some(number.unwrap_or(0) * 10 + digit).filter(|number| *number <= MOST_REPETITIONS);
            number?;
        }
        number
    }
}

/// A part of a replacement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Text(String),
    /// What a group has matched; 0 is everything.
    Group(usize),
}

/// The replacement text of `regexp_replace`: `\1` to `\9`, `\&`, `\\`. `None` if something else stands behind a backslash.
pub(super) fn replacement(text: &str, groups: usize) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        let group = match rest.next()? {
            '\\' => {
                plain.push('\\');
                continue;
            }
            '&' => 0,
            c @ '1'..='9' => c.to_digit(10)? as usize,
            _ => return None,
        };
        if group > groups {
            return None;
        }
        parts.push(Part::Text(std::mem::take(&mut plain)));
        parts.push(Part::Group(group));
    }
    parts.push(Part::Text(plain));
    Some(parts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_may_mean_something_else_is_refused() {
        for pattern in [
            "",
            "(?i)a",
            "***=a",
            "***:a",
            r"\d",
            r"\w+",
            r"a\b",
            r"(a)\1",
            "a*?",
            "a+?",
            "a??",
            "a{2}?",
            "a**",
            "[[:alpha:]]",
            "[a\\]",
            "[]a]",
            "[a-]",
            "[é-ü]",
            "(?=a)",
            "(?!a)",
            "a^b",
            "a$b",
            "(a$)",
            "(^a)",
            "a||b",
            "()",
            "a{",
            "a{1",
            "a{256}",
            "a{2,1}",
            "*a",
            "+",
            "?",
            ")",
            "(",
            "[",
            "a|",
            "|a",
        ] {
            assert!(shape(pattern).is_none(), "{pattern}");
        }
    }

    #[test]
    fn at_most_one_quantifier_has_a_choice() {
        let is_definite = |pattern: &str| shape(pattern).unwrap().is_definite;
        for pattern in [
            "abc",
            "a.c",
            "a+",
            "[^/]+",
            "^ab*$",
            "x.*",
            "a?b*$",
            "a*b",
            "^(a*)b(c*)d",
            "(x?).*",
            "(a+)$",
            "(a*)(a*)$",
            "a?a?b",
            r"^https?://(?:www\.)?([^/]+)/.*$",
        ] {
            assert!(is_definite(pattern), "{pattern}");
        }
        for pattern in
            ["a|ab", "a?b?", "(a|ab)c$", "(ab?)*$", "(?:ab)+$", "(a.)*", "^a?(?:ab)?(b?.*)$", "a*(?:b)?a", "(.*)(.*)"]
        {
            assert!(!is_definite(pattern), "{pattern}");
        }
    }

    #[test]
    fn a_replacement_is_text_and_groups() {
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(
            replacement(r"a\1\&\\b", 1),
            Some(vec![text("a"), Part::Group(1), text(""), Part::Group(0), text("\\b")])
        );
        assert_eq!(replacement(r"\2", 1), None);
        assert_eq!(replacement(r"\x", 1), None);
        assert_eq!(replacement("\\", 1), None);
    }
}
