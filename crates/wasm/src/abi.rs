//! The fast ABI between host and guest, version 1: names, codes and layouts. `guest/ABI.md` explains them.

use wasmtime::{FuncType, ValType};

/// The export of a function of this name declares version 1. Its type does not matter, and it is never called.
pub const VERSION_EXPORT: &str = "lagoon_abi_1";
/// The prefix of all version exports.
pub const VERSION_PREFIX: &str = "lagoon_abi_";
/// The linear memory that addresses refer to.
pub const MEMORY_EXPORT: &str = "memory";
/// `(size: i32) -> i32`: the address of a buffer of at least `size` bytes, which is valid until the next call.
pub const BUFFER_EXPORT: &str = "lagoon_buffer";
/// `<trigger><suffix>: () -> i64`: the packed address and length of the list of columns that a trigger needs.
pub const COLUMNS_SUFFIX: &str = "_columns";
/// Maximum bytes of a text: what a value of the embedder can hold.
pub const MAX_TEXT: usize = (1 << 30) - 1 - 4;
/// Maximum bytes of the list of columns of a trigger.
pub(crate) const MAX_COLUMNS: usize = 256 << 10;
/// The import module of all host functions.
pub const HOST_MODULE: &str = "lagoon";

/// Packs the address and length of a text result or a column list: the address is in the upper half.
pub const fn pack(address: u32, length: u32) -> i64 {
    ((address as i64) << 32) | length as i64
}

/// Unpacks address and length.
pub const fn unpack(packed: i64) -> (u32, u32) {
    ((packed as u64 >> 32) as u32, packed as u32)
}

/// The type of an argument or result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Type {
    Bool = 1,
    Int2 = 2,
    Int4 = 3,
    Int8 = 4,
    Float4 = 5,
    Float8 = 6,
    /// UTF-8 without NUL.
    Text = 7,
}

impl Type {
    /// The SQL name, also used in column lists of triggers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int2 => "int2",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Float4 => "float4",
            Self::Float8 => "float8",
            Self::Text => "text",
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Bool, Self::Int2, Self::Int4, Self::Int8, Self::Float4, Self::Float8, Self::Text]
            .into_iter()
            .find(|t| t.name() == name)
    }
}

/// An argument or result. Text from a guest borrows the guest's memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int2(i16),
    Int4(i32),
    Int8(i64),
    Float4(f32),
    Float8(f64),
    Text(&'a [u8]),
}

/// The SQL signature of a function. A row trigger has none: its export is `(address: i32) -> i32`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub arguments: Vec<Type>,
    pub result: Type,
    /// Whether it is STRICT. If not, the first parameter of the export is a bitmap of the NULL arguments, an i64.
    pub strict: bool,
}

impl Signature {
    /// The parameters of the export.
    pub(crate) fn parameters(&self) -> Vec<ValType> {
        let bitmap = (!self.strict).then_some(ValType::I64);
        let arguments = self.arguments.iter().flat_map(|t| match t {
            Type::Bool | Type::Int2 | Type::Int4 => vec![ValType::I32],
            Type::Int8 => vec![ValType::I64],
            Type::Float4 => vec![ValType::F32],
            Type::Float8 => vec![ValType::F64],
            Type::Text => vec![ValType::I32, ValType::I32],
        });
        bitmap.into_iter().chain(arguments).collect()
    }

    /// The result of the export.
    pub(crate) fn answer(&self) -> ValType {
        match self.result {
            Type::Bool | Type::Int2 | Type::Int4 => ValType::I32,
            Type::Int8 | Type::Text => ValType::I64,
            Type::Float4 => ValType::F32,
            Type::Float8 => ValType::F64,
        }
    }

    /// Whether calls need the guest's memory.
    pub(crate) fn uses_memory(&self) -> bool {
        self.result == Type::Text || self.arguments.contains(&Type::Text)
    }
}

/// `(i32, i64) -> i32` and the like, for messages.
pub(crate) fn describe(parameters: impl Iterator<Item = ValType>, results: impl Iterator<Item = ValType>) -> String {
    let list = |types: &mut dyn Iterator<Item = ValType>| types.map(|t| t.to_string()).collect::<Vec<_>>().join(", ");
    let results = list(&mut { results });
    let results = if results.is_empty() { "nothing".to_owned() } else { results };
    format!("({}) -> {results}", list(&mut { parameters }))
}

/// Whether an export has exactly these parameters and this result. All of them are numbers.
pub(crate) fn fits(found: &FuncType, parameters: &[ValType], answer: &ValType) -> bool {
    let same = |a: &ValType, b: &ValType| ValType::eq(a, b);
    found.params().len() == parameters.len()
        && found.params().zip(parameters).all(|(a, b)| same(&a, b))
        && found.results().len() == 1
        && found.results().all(|a| same(&a, answer))
}

/// Sizes and offsets of the row buffer.
pub mod row {
    /// u32 operation, u32 columns, u32 bytes in use, u32 zero.
    pub const HEADER: usize = 16;
    /// u8 kind, u8 flags, u16 zero, u32 length of text, u64 value or address of text.
    pub const SLOT: usize = 16;
    /// The value is NULL.
    pub const NULL: u8 = 1;
    /// The guest has set the slot.
    pub const DIRTY: u8 = 2;

    /// Codes that a trigger returns.
    pub const UNCHANGED: i32 = 0;
    pub const SKIP: i32 = 1;
    pub const MODIFIED: i32 = 2;
    pub const ERROR: i32 = 3;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_both_halves() {
        assert_eq!(unpack(pack(0x8000_0001, 7)), (0x8000_0001, 7));
        assert_eq!(unpack(-1), (u32::MAX, u32::MAX));
    }
}
