//! How the distance of two vectors is measured.

use std::borrow::Cow;

use crate::distance::{Kernel, kernels};

/// The distance of an operator class. Only its order matters inside the graph, so it is the cheapest with that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Euclidean, as its square.
    L2,
    /// Negative inner product.
    InnerProduct,
    /// Cosine: negative inner product of normalised vectors.
    Cosine,
    /// Taxicab.
    L1,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::L2, Self::InnerProduct, Self::Cosine, Self::L1];

    /// Its number on disk.
    pub fn code(self) -> u16 {
        match self {
            Self::L2 => 1,
            Self::InnerProduct => 2,
            Self::Cosine => 3,
            Self::L1 => 4,
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
        }
    }

    /// The distance of two prepared vectors. Take it once per operation: a call is one indirect jump.
    pub fn kernel(self) -> Kernel {
        match self {
            Self::L2 => kernels().l2_squared,
            Self::InnerProduct | Self::Cosine => negative_inner_product,
            Self::L1 => kernels().l1,
        }
    }

    /// The vector as the graph keeps it and searches for it. None: a zero vector has no direction, hence no cosine.
    pub fn prepare(self, vector: &[f32]) -> Option<Cow<'_, [f32]>> {
        if self != Self::Cosine {
            return Some(Cow::Borrowed(vector));
        }
        let norm = crate::distance::norm(vector);
        if norm == 0.0 {
            return None;
        }
        Some(Cow::Owned(vector.iter().map(|x| (f64::from(*x) / norm) as f32).collect()))
    }
}

fn negative_inner_product(a: &[f32], b: &[f32]) -> f32 {
    -(kernels().inner_product)(a, b)
}
