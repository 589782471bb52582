//! How the distance of two values is measured.

/// The distance of an operator class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Euclidean. Codes are compared by its square.
    L2,
    /// Negative inner product.
    InnerProduct,
    /// One minus the cosine. Codes are compared by the square of the Euclidean distance of normalised vectors, sparse ones by the
    /// negative inner product.
    Cosine,
    /// Taxicab distance.
    L1,
    /// The number of bits that differ.
    Hamming,
    /// One minus the ratio of bits set in both to bits set in either.
    Jaccard,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::L2, Self::InnerProduct, Self::Cosine, Self::L1, Self::Hamming, Self::Jaccard];

    /// Its number on disk.
    pub fn code(self) -> u16 {
        match self {
            Self::L2 => 1,
            Self::InnerProduct => 2,
            Self::Cosine => 3,
            Self::L1 => 4,
            Self::Hamming => 5,
            Self::Jaccard => 6,
        }
    }

    /// From its number on disk.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.code() == code)
    }

    /// Its name as an operator class spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::InnerProduct => "ip",
            Self::Cosine => "cosine",
            Self::L1 => "l1",
            Self::Hamming => "hamming",
            Self::Jaccard => "jaccard",
        }
    }
}
