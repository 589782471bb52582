//! Whole numbers that a file stores, against those that are delivered.

/// How a stored number becomes the one that is delivered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unit {
    /// Times so many.
    Times(i128),
    /// Divided by so many, rounded down.
    Floor(i128),
}

/// What a stored type can hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    pub least: i128,
    pub greatest: i128,
}

impl Limits {
    /// Two's complement of so many bits.
    pub(super) fn signed(bits: u32) -> Self {
        Self { least: -(1 << (bits - 1)), greatest: (1 << (bits - 1)) - 1 }
    }

    /// So many bits without a sign.
    pub(super) fn unsigned(bits: u32) -> Self {
        Self { least: 0, greatest: (1 << bits) - 1 }
    }
}
