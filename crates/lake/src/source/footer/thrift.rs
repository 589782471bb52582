//! Thrift's compact protocol, walked and not built: every length is held against the bytes that are left, every depth against
//! a limit, and every field that the reader knows against the type that the reader takes it for.
//!
//! The parquet crate reads a known field as the type it expects, whatever the file says that it is, skips booleans without
//! taking a byte, and takes room for lists before it looks at their elements. So a footer is written anew for it, with the
//! fields that it knows, of the types that it expects. Headers of pages it reads from the file itself: there, what it would
//! misread is refused.

/// Why the bytes are not what they are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They end too early. For a page header: more bytes may help.
    Short,
    /// They contradict themselves or the format.
    Bad(String),
}

/// The types of the compact protocol, with what is known of their insides.
#[derive(Debug)]
pub(crate) enum Type {
    Bool,
    Byte,
    I16,
    I32,
    I64,
    Double,
    Binary,
    List(&'static Type),
    Struct(&'static Shape),
}

/// A struct and the fields that the reader knows of it. Others are skipped.
#[derive(Debug)]
pub(crate) struct Shape {
    pub tag: Tag,
    pub fields: &'static [(i16, Type)],
}

/// The structs that somebody wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    File,
    Element,
    RowGroup,
    Chunk,
    Meta,
    Page,
    DataPage,
    DictionaryPage,
    DataPageV2,
    Other,
}

/// What a walk tells of known fields.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Int(Tag, i16, i64),
    /// A list begins, with so many elements.
    List(Tag, i16, u64),
    /// A struct begins as this field of another.
    Field(Tag, i16),
    End(Tag),
}

impl Type {
    /// Whether a field or an element that says to be of this type is.
    fn is(&self, ty: u8) -> bool {
        match self {
            Self::Bool => matches!(ty, TRUE | FALSE),
            Self::Byte => ty == BYTE,
            Self::I16 => ty == I16,
            Self::I32 => ty == I32,
            Self::I64 => ty == I64,
            Self::Double => ty == DOUBLE,
            Self::Binary => ty == BINARY,
            Self::List(_) => ty == LIST,
            Self::Struct(_) => ty == STRUCT,
        }
    }
}

/// Structs within structs within lists: the footer has nine levels.
const DEEPEST: usize = 32;

const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// Walks a struct from the beginning of `bytes` and returns its length. Fields that the reader would misread are refused.
pub(crate) fn walk(
    bytes: &[u8],
    shape: &'static Shape,
    visit: &mut dyn FnMut(Event) -> Result<(), Fault>,
) -> Result<usize, Fault> {
    let mut walker = Walker { bytes, at: 0, out: None, visit };
    walker.known(shape, 0)?;
    Ok(walker.at)
}

/// Walks a struct and writes it to `out`, which has room, without the fields that the reader does not know or would misread.
pub(crate) fn rewrite(
    bytes: &[u8],
    shape: &'static Shape,
    out: Vec<u8>,
    visit: &mut dyn FnMut(Event) -> Result<(), Fault>,
) -> Result<Vec<u8>, Fault> {
    let mut walker = Walker { bytes, at: 0, out: Some(out), visit };
    walker.known(shape, 0)?;
    Ok(walker.out.unwrap_or_default())
}

struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
    out: Option<Vec<u8>>,
    visit: &'a mut dyn FnMut(Event) -> Result<(), Fault>,
}

fn bad<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Bad(message.into()))
}

impl Walker<'_> {
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.bytes.get(self.at).ok_or(Fault::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, count: u64) -> Result<(), Fault> {
        match usize::try_from(count) {
            Ok(count) if count <= self.left() => {
                self.at += count;
                Ok(())
            }
            _ => Err(Fault::Short),
        }
    }

    fn unsigned(&mut self) -> Result<u64, Fault> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        bad("an integer of more than ten bytes")
    }

    fn signed(&mut self) -> Result<i64, Fault> {
        let value = self.unsigned()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The next field of a struct, unless it ends: its type and number.
    fn field(&mut self, last: i16) -> Result<Option<(u8, i16)>, Fault> {
        let header = self.byte()?;
        if header & 0xf == STOP {
            return Ok(None);
        }
        let (delta, ty) = (i16::from(header >> 4), header & 0xf);
        if delta == 0 {
            return Ok(Some((ty, self.signed()? as i16)));
        }
        match last.checked_add(delta) {
            Some(id) => Ok(Some((ty, id))),
            None => bad("a field number out of range"),
        }
    }

    /// Type and number of the elements of a list. Every element takes a byte at least.
    fn list(&mut self) -> Result<(u8, u64), Fault> {
        let header = self.byte()?;
        if header == 0 {
            return Ok((BYTE, 0)); // how some writers say an empty list
        }
        let count = if header >> 4 == 15 { self.unsigned()? } else { u64::from(header >> 4) };
        if count > self.left() as u64 {
            return Err(Fault::Short);
        }
        Ok((header & 0xf, count))
    }

    fn known(&mut self, shape: &'static Shape, depth: usize) -> Result<(), Fault> {
        if depth > DEEPEST {
            return bad("structs within structs without end");
        }
        let (mut last, mut written) = (0, 0);
        while let Some((ty, id)) = self.field(last)? {
            match shape.fields.iter().find(|(known, _)| *known == id) {
                Some((_, expected)) if expected.is(ty) => {
                    self.write_field(&mut written, id, ty);
                    self.value(shape.tag, id, expected, depth)?;
                }
                Some(_) if self.out.is_none() => return bad(format!("field {id} has type {ty}")),
                _ => self.unknown(ty, depth + 1)?,
            }
            last = id;
        }
        self.write(&[STOP]);
        (self.visit)(Event::End(shape.tag))
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(out) = &mut self.out {
            out.extend_from_slice(bytes);
        }
    }

    /// What was read since `start`.
    fn copy(&mut self, start: usize) {
        let bytes = self.bytes;
        self.write(bytes.get(start..self.at).unwrap_or_default());
    }

    fn write_field(&mut self, last: &mut i16, id: i16, ty: u8) {
        match i32::from(id) - i32::from(*last) {
            delta @ 1..=15 => self.write(&[(delta as u8) << 4 | ty]),
            _ => {
                self.write(&[ty]);
                let mut number = (i32::from(id) << 1 ^ i32::from(id) >> 31) as u32;
                while number >= 0x80 {
                    self.write(&[number as u8 | 0x80]);
                    number >>= 7;
                }
                self.write(&[number as u8]);
            }
        }
        *last = id;
    }

    fn value(&mut self, tag: Tag, id: i16, expected: &'static Type, depth: usize) -> Result<(), Fault> {
        let start = self.at;
        match expected {
            Type::Bool => {}
            Type::I16 | Type::I32 | Type::I64 => {
                let value = self.signed()?;
                let fits = match expected {
                    Type::I16 => i16::try_from(value).is_ok(),
                    Type::I32 => i32::try_from(value).is_ok(),
                    _ => true,
                };
                if !fits {
                    return bad(format!("field {id} is out of range"));
                }
                (self.visit)(Event::Int(tag, id, value))?;
            }
            Type::Byte => self.skip(1)?,
            Type::Double => self.skip(8)?,
            Type::Binary => {
                let length = self.unsigned()?;
                self.skip(length)?;
            }
            Type::Struct(shape) => {
                (self.visit)(Event::Field(tag, id))?;
                return self.known(shape, depth + 1);
            }
            Type::List(element) => {
                let (found, count) = self.list()?;
                self.copy(start);
                (self.visit)(Event::List(tag, id, count))?;
                if count > 0 && !element.is(found) {
                    return bad(format!("elements of type {found} in list {id}"));
                }
                for _ in 0..count {
                    match element {
                        Type::Struct(shape) => self.known(shape, depth + 1)?,
                        _ => self.value(Tag::Other, id, element, depth + 1)?,
                    }
                }
                return Ok(());
            }
        }
        self.copy(start);
        Ok(())
    }

    /// A field that is skipped. Where the reader skips it as well, lists of booleans are refused.
    fn unknown(&mut self, ty: u8, depth: usize) -> Result<(), Fault> {
        if depth > DEEPEST {
            return bad("structs within structs without end");
        }
        match ty {
            TRUE | FALSE => Ok(()),
            BYTE => self.skip(1),
            I16 | I32 | I64 => self.unsigned().map(|_| ()),
            DOUBLE => self.skip(8),
            UUID => self.skip(16),
            BINARY => {
                let length = self.unsigned()?;
                self.skip(length)
            }
            STRUCT => {
                let mut last = 0;
                while let Some((ty, id)) = self.field(last)? {
                    self.unknown(ty, depth + 1)?;
                    last = id;
                }
                Ok(())
            }
            LIST | SET => {
                let (ty, count) = self.list()?;
                match ty {
                    TRUE | FALSE if self.out.is_none() && count > 0 => {
                        bad("a list of booleans in a field that is not known")
                    }
                    TRUE | FALSE => self.skip(count),
                    _ => (0..count).try_for_each(|_| self.unknown(ty, depth + 1)),
                }
            }
            MAP => {
                let count = self.unsigned()?;
                if count == 0 { Ok(()) } else { bad("a map in a field that is not known") }
            }
            _ => bad(format!("a field of type {ty}")),
        }
    }
}
