//! The support functions of an operator class.

use lagoon_vector::Metric;

/// The distance of two values. The metric of the index follows from the function's name.
pub const DISTANCE: u16 = 1;
/// The norm of a value. Its presence means cosine.
pub const NORM: u16 = 2;
/// Never called. Its presence raises pgvector's limits of dimensions.
pub const WIDE: u16 = 3;
/// Number of support functions.
pub const SUPPORT_FUNCTIONS: u16 = 3;

/// The metric of an operator class with a distance function of this name, and with or without a norm function.
pub fn metric_of(function: &str, has_norm: bool) -> Option<Metric> {
    // As pgvector names them: vector_l2_squared_distance, halfvec_negative_inner_product, l1_distance ...
    let is = |suffix: &str| function.ends_with(suffix);
    match has_norm {
        true if is("negative_inner_product") => Some(Metric::Cosine),
        _ if is("l2_squared_distance") => Some(Metric::L2),
        _ if is("negative_inner_product") => Some(Metric::InnerProduct),
        _ if is("l1_distance") => Some(Metric::L1),
        _ if is("hamming_distance") => Some(Metric::Hamming),
        _ if is("jaccard_distance") => Some(Metric::Jaccard),
        _ => None,
    }
}
