//! Facts about an ONNX file that are needed before ONNX Runtime loads it: the files of its weights, and whether it quantises at
//! run time.
//!
//! An ONNX file is a protocol buffer (onnx.proto). It is parsed without recursion, and only messages that matter are entered.
//! Lengths are checked, so parsing takes at most as many steps as the file has fields.

use std::collections::BTreeSet;

use crate::Cancel;

/// Maximum depth of nested messages, as in ONNX Runtime.
const MAX_DEPTH: usize = 100;
/// Maximum number of files with weights. Some exporters write one for each tensor.
const MAX_LOCATIONS: usize = 4096;
/// Number of fields between two checks for a cancel.
const FIELDS: usize = 1 << 14;

/// Operators that compute one scale for all of their input, so that every text of a batch changes the vectors of the others.
const DYNAMIC: [&[u8]; 3] = [b"DynamicQuantizeLinear", b"DynamicQuantizeLSTM", b"DynamicQuantizeMatMul"];

/// The facts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Files of weights, relative to the folder of the ONNX file and within it.
    pub locations: BTreeSet<String>,
    /// Whether an operator in any subgraph or function quantises its input at run time.
    pub is_dynamic: bool,
}

/// Why a file is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Invalid(String),
    Unsupported(String),
    Cancelled,
}

/// Parses a whole file.
pub(crate) fn read(bytes: &[u8], cancel: &Cancel) -> Result<Facts, Refused> {
    let mut facts = Facts::default();
    let mut stack = vec![Frame::new(Message::Model, bytes)];
    let mut fields = 0usize;
    while let Some(frame) = stack.last_mut() {
        let Some((number, value)) = next(&mut frame.rest)? else {
            let Some(done) = stack.pop() else { break };
            close(&done, stack.last_mut(), &mut facts)?;
            continue;
        };
        fields += 1;
        if fields.is_multiple_of(FIELDS) && cancel.is_set() {
            return Err(Refused::Cancelled);
        }
        match (frame.message, number, value) {
            (Message::Node, 4, Value::Bytes(name)) => facts.is_dynamic |= DYNAMIC.contains(&name),
            (Message::Tensor { .. }, 14, Value::Number(place)) => frame.is_external = place == 1,
            (Message::Entry, 1, Value::Bytes(key)) => frame.key = key,
            (Message::Entry, 2, Value::Bytes(value)) => frame.value = value,
            (message, _, Value::Bytes(inner)) => {
                if let Some(child) = message.child(number) {
                    if stack.len() >= MAX_DEPTH {
                        return Err(Refused::Invalid("it is nested too deeply".to_owned()));
                    }
                    stack.push(Frame::new(child, inner));
                }
            }
            (_, _, Value::Number(_)) => {}
        }
    }
    Ok(facts)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Model,
    /// The one of the model, or one within a node, a function or the training part.
    Graph {
        is_main: bool,
    },
    Node,
    Attribute,
    Function,
    Training,
    Sparse,
    /// `is_weight`: an initializer of the main graph.
    Tensor {
        is_weight: bool,
    },
    /// Key and value of a tensor's `external_data`.
    Entry,
}

impl Message {
    /// The kind of message in a field; None if it does not matter.
    fn child(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 7) => Self::Graph { is_main: true },
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Self::Graph { is_main: false },
            (Self::Graph { .. }, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph { is_main }, 5) => Self::Tensor { is_weight: is_main },
            (Self::Graph { .. }, 15) | (Self::Attribute, 22 | 23) => Self::Sparse,
            (Self::Function, 11) | (Self::Node, 5) => Self::Attribute,
            (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Self::Tensor { is_weight: false },
            (Self::Tensor { .. }, 13) => Self::Entry,
            _ => return None,
        })
    }
}

struct Frame<'a> {
    message: Message,
    rest: &'a [u8],
    /// Of a tensor: whether its values are elsewhere, and where.
    is_external: bool,
    location: Option<&'a [u8]>,
    /// Of an entry.
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> Frame<'a> {
    fn new(message: Message, rest: &'a [u8]) -> Self {
        Self { message, rest, is_external: false, location: None, key: b"", value: b"" }
    }
}

/// Applies a message that has been read to its end to the one around it.
fn close<'a>(done: &Frame<'a>, outer: Option<&mut Frame<'a>>, facts: &mut Facts) -> Result<(), Refused> {
    match (done.message, outer) {
        (Message::Entry, Some(tensor)) if done.key == b"location" => tensor.location = Some(done.value),
        (Message::Tensor { is_weight }, _) if done.is_external || done.location.is_some() => {
            if !is_weight {
                return Err(Refused::Unsupported("external data in other places than the weights of its graph".into()));
            }
            let location = done.location.unwrap_or_default();
            let location = std::str::from_utf8(location).ok().filter(|location| is_within(location));
            let Some(location) = location else {
                let named =
                    String::from_utf8_lossy(done.location.unwrap_or_default()).chars().take(100).collect::<String>();
                let named = named.escape_debug();
                return Err(Refused::Invalid(format!("its weights lie in \"{named}\", outside of its directory")));
            };
            facts.locations.insert(location.to_owned());
            if facts.locations.len() > MAX_LOCATIONS {
                return Err(Refused::Invalid(format!("its weights lie in more than {MAX_LOCATIONS} files")));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether a location is a plain path below the folder. (ONNX Runtime has a name that means an address in memory.)
fn is_within(location: &str) -> bool {
    let mut parts = std::path::Path::new(location).components();
    !location.is_empty()
        && location.len() <= 1024
        && !location.contains(['\0', '*'])
        && parts.all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The next field: its number and value. None at the end of the message.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<(u64, Value<'a>)>, Refused> {
    if rest.is_empty() {
        return Ok(None);
    }
    let damaged = || Refused::Invalid("it is not an ONNX model".to_owned());
    let tag = varint(rest).ok_or_else(damaged)?;
    let value = match tag & 7 {
        0 => Value::Number(varint(rest).ok_or_else(damaged)?),
        1 => Value::Bytes(take(rest, 8).ok_or_else(damaged)?),
        2 => {
            let length = varint(rest).ok_or_else(damaged)?;
            Value::Bytes(take(rest, length).ok_or_else(damaged)?)
        }
        5 => Value::Bytes(take(rest, 4).ok_or_else(damaged)?),
        _ => return Err(damaged()),
    };
    match tag >> 3 {
        0 => Err(damaged()),
        // No field of fixed width matters; number 0 is skipped.
        _ if matches!(tag & 7, 1 | 5) => Ok(Some((0, value))),
        number => Ok(Some((number, value))),
    }
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, left) = rest.split_first()?;
        *rest = left;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
