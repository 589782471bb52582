//! Ranges of whole numbers: a comparison with a constant becomes one, exactly, whatever digits the constant has.

use super::function::Comparison;
use crate::types::Place;

/// The numbers from `low` to `high`, both included; none if `low` is above `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub low: i128,
    pub high: i128,
}

impl Range {
    pub(super) const ALL: Self = Self { low: i128::MIN, high: i128::MAX };
    pub(super) const NONE: Self = Self { low: i128::MAX, high: i128::MIN };

    /// The numbers x for which `x op place`, or with `true` those for which it is not.
    pub(super) fn of(comparison: Comparison, place: Place) -> (Self, bool) {
        use Comparison::*;
        let range = match (comparison, place) {
            (Eq | NotEq, Place::At { floor, exact: true }) => Self { low: floor, high: floor },
            // Between two neighbours: equal to neither.
            (Eq | NotEq, _) => Self::NONE,
            (Lt | LtEq, Place::Above) | (Gt | GtEq, Place::Below) => Self::ALL,
            (Lt | LtEq, Place::Below) | (Gt | GtEq, Place::Above) => Self::NONE,
            (Lt, Place::At { floor, exact: true }) => Self { high: floor - 1, ..Self::ALL },
            (Lt | LtEq, Place::At { floor, .. }) => Self { high: floor, ..Self::ALL },
            (GtEq, Place::At { floor, exact: true }) => Self { low: floor, ..Self::ALL },
            (Gt | GtEq, Place::At { floor, .. }) => Self { low: floor + 1, ..Self::ALL },
        };
        (range, comparison == NotEq)
    }

    pub(super) fn is_empty(self) -> bool {
        self.low > self.high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_with_what_lies_between_two_numbers_is_a_range_of_them() {
        let between = Place::At { floor: 7, exact: false };
        let range = |comparison| Range::of(comparison, between);
        assert_eq!(range(Comparison::Eq), (Range::NONE, false));
        assert_eq!(range(Comparison::NotEq), (Range::NONE, true));
        assert_eq!(range(Comparison::Lt), (Range { high: 7, ..Range::ALL }, false));
        assert_eq!(range(Comparison::LtEq), range(Comparison::Lt));
        assert_eq!(range(Comparison::Gt), (Range { low: 8, ..Range::ALL }, false));
        assert_eq!(range(Comparison::GtEq), range(Comparison::Gt));
        let (below, _) = Range::of(Comparison::Lt, Place::At { floor: 7, exact: true });
        assert_eq!(below.high, 6);
    }
}
