//! The text of a query as a tree, so that a query that shows a difference can be made smaller by trial: parts are dropped,
//! or replaced by what stands in them.

use crate::table::Ty;

/// What a tree is, so that it can stand in another one's place.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Value(Ty),
    /// A query with columns of these types.
    Rows(Vec<Ty>),
    /// What stands in a FROM.
    Relation,
    /// Nothing that another tree could replace.
    Other,
}

#[derive(Clone, Debug)]
pub enum Part {
    Text(String),
    Tree(Tree),
    /// It may be dropped.
    Optional(Tree),
    /// All but one may be dropped.
    List(&'static str, Vec<Tree>),
    /// A constant that is a parameter of a prepared statement.
    Constant(String, Ty),
}

#[derive(Clone, Debug)]
pub struct Tree {
    pub kind: Kind,
    pub parts: Vec<Part>,
}

/// Levels to which replacements are looked for in a tree.
const DEPTH: usize = 12;

impl Tree {
    pub fn new(kind: Kind, parts: Vec<Part>) -> Self {
        Self { kind, parts }
    }

    /// A value without parts.
    pub fn leaf(ty: Ty, text: impl Into<String>) -> Self {
        Self::new(Kind::Value(ty), vec![Part::Text(text.into())])
    }

    /// Text that is no value.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Kind::Other, vec![Part::Text(text.into())])
    }

    /// A value: each `{}` of the template is the next tree.
    pub fn value(ty: Ty, template: &str, trees: impl IntoIterator<Item = Tree>) -> Self {
        Self::new(Kind::Value(ty), filled(template, trees))
    }

    /// As [`Self::value`], of anything else.
    pub fn other(template: &str, trees: impl IntoIterator<Item = Tree>) -> Self {
        Self::new(Kind::Other, filled(template, trees))
    }

    /// As [`Self::value`], of what stands in a FROM.
    pub fn relation(template: &str, trees: impl IntoIterator<Item = Tree>) -> Self {
        Self::new(Kind::Relation, filled(template, trees))
    }

    /// The same without parameters: what has to be the same text in two places cannot have them.
    pub fn fixed(mut self) -> Self {
        for part in &mut self.parts {
            match part {
                Part::Constant(text, _) => *part = Part::Text(text.clone()),
                Part::Tree(tree) | Part::Optional(tree) => *tree = tree.clone().fixed(),
                Part::List(_, trees) => trees.iter_mut().for_each(|tree| *tree = tree.clone().fixed()),
                Part::Text(_) => {}
            }
        }
        self
    }

    /// The SQL with constants in their places.
    pub fn sql(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, &mut None);
        out
    }

    /// The SQL with parameters, and each one's value and type.
    pub fn prepared(&self) -> (String, Vec<(String, Ty)>) {
        let (mut out, mut parameters) = (String::new(), Some(Vec::new()));
        self.write(&mut out, &mut parameters);
        (out, parameters.unwrap_or_default())
    }

    fn write(&self, out: &mut String, parameters: &mut Option<Vec<(String, Ty)>>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Tree(tree) | Part::Optional(tree) => tree.write(out, parameters),
                Part::List(separator, trees) => {
                    for (number, tree) in trees.iter().enumerate() {
                        if number > 0 {
                            out.push_str(separator);
                        }
                        tree.write(out, parameters);
                    }
                }
                Part::Constant(text, ty) => match parameters {
                    None => out.push_str(text),
                    Some(parameters) => {
                        parameters.push((text.clone(), *ty));
                        out.push_str(&format!("${}", parameters.len()));
                    }
                },
            }
        }
    }

    /// Smaller trees, one change each, the smallest first. Some are no SQL.
    pub fn smaller(&self) -> Vec<Tree> {
        let length = self.sql().len();
        let mut variants: Vec<(usize, Tree)> = self
            .variants()
            .into_iter()
            .map(|tree| (tree.sql().len(), tree))
            .filter(|(size, _)| *size < length)
            .collect();
        variants.sort_by_key(|(size, _)| *size);
        variants.dedup_by(|(_, left), (_, right)| left.sql() == right.sql());
        variants.into_iter().map(|(_, tree)| tree).collect()
    }

    fn variants(&self) -> Vec<Tree> {
        let mut out = Vec::new();
        if self.kind != Kind::Other {
            self.of_kind(&self.kind, DEPTH, &mut out);
        }
        if let Kind::Value(ty) = &self.kind {
            out.push(Tree::leaf(*ty, format!("NULL::{}", ty.name())));
            out.extend(plain(*ty).map(|text| Tree::leaf(*ty, text)));
        }
        for (at, part) in self.parts.iter().enumerate() {
            let mut with = |part: Option<Part>| {
                let mut changed = self.clone();
                match part {
                    Some(part) => changed.parts[at] = part,
                    None => drop(changed.parts.remove(at)),
                }
                out.push(changed);
            };
            match part {
                Part::Text(_) | Part::Constant(..) => {}
                Part::Tree(tree) => tree.variants().into_iter().for_each(|tree| with(Some(Part::Tree(tree)))),
                Part::Optional(tree) => {
                    with(None);
                    tree.variants().into_iter().for_each(|tree| with(Some(Part::Optional(tree))));
                }
                Part::List(separator, trees) => {
                    for (number, tree) in trees.iter().enumerate() {
                        if trees.len() > 1 {
                            let mut fewer = trees.clone();
                            fewer.remove(number);
                            with(Some(Part::List(separator, fewer)));
                        }
                        for variant in tree.variants() {
                            let mut changed = trees.clone();
                            changed[number] = variant;
                            with(Some(Part::List(separator, changed)));
                        }
                    }
                }
            }
        }
        out
    }

    /// What stands in it and is of this kind.
    fn of_kind(&self, kind: &Kind, depth: usize, out: &mut Vec<Tree>) {
        let mut look = |tree: &Tree| {
            if tree.kind == *kind {
                out.push(tree.clone());
            }
            if depth > 0 {
                tree.of_kind(kind, depth - 1, out);
            }
        };
        for part in &self.parts {
            match part {
                Part::Tree(tree) | Part::Optional(tree) => look(tree),
                Part::List(_, trees) => trees.iter().for_each(&mut look),
                Part::Text(_) | Part::Constant(..) => {}
            }
        }
    }
}

fn filled(template: &str, trees: impl IntoIterator<Item = Tree>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut texts = template.split("{}");
    parts.extend(texts.next().filter(|text| !text.is_empty()).map(|text| Part::Text(text.to_owned())));
    let mut trees = trees.into_iter();
    for text in texts {
        parts.push(Part::Tree(trees.next().unwrap_or_else(|| panic!("too few trees for {template}"))));
        if !text.is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
    }
    assert!(trees.next().is_none(), "too many trees for {template}");
    parts
}

/// The plainest constant of a type.
fn plain(ty: Ty) -> Option<&'static str> {
    Some(match ty {
        Ty::Bool => "true",
        Ty::Int4 => "1",
        Ty::Text => "'a'",
        Ty::Numeric => "1.0",
        _ => return None,
    })
}
