//! Directions and lengths of values, from their codes for inner product: ivfflat clusters directions.

use super::{Coder, Metric, Space, floats, quantised};
use crate::distance::{kernels, norm};

/// Splits the codes of a coder for [`Metric::InnerProduct`] into directions and lengths.
pub(crate) struct Directions {
    space: Space,
    /// The centre of the coder, rotated; zeros if there is none.
    centre: Vec<f32>,
    /// The direction of `centre`. Codes of directions are residuals from it: where values are alike, little else would differ.
    about: Vec<f32>,
    /// The square of the length of `centre`.
    square: f64,
}

impl Directions {
    pub fn new(coder: &Coder) -> Self {
        let space = coder.space;
        let centre = coder.rotated_centre().into_vec();
        let length = norm(&centre);
        let by = if length > 0.0 { 1.0 / length } else { 0.0 };
        let about = centre.iter().map(|x| (f64::from(*x) * by) as f32).collect();
        Self { space, centre, about, square: length * length }
    }

    /// The rotated vector that the codes of directions are residuals of.
    pub fn about(&self) -> &[f32] {
        &self.about
    }

    /// The space of the codes of directions. Their distance is [Euclidean](Space::euclidean).
    pub fn space(&self) -> Space {
        Space { metric: Metric::Cosine, ..self.space }
    }

    /// The code of a value's direction, and its length.
    pub fn of(&self, code: &[u32]) -> (Vec<u32>, f32) {
        let mut elements = vec![0.0; self.space.numbers()];
        self.space.decode(code, &mut elements);
        elements.truncate(self.space.dimensions);
        elements.iter_mut().zip(&self.centre).for_each(|(x, centre)| *x += centre);
        let length = norm(&elements);
        let by = if length > 0.0 { 1.0 / length } else { 0.0 };
        let direction: Vec<f64> =
            elements.iter().zip(&self.about).map(|(x, about)| f64::from(*x) * by - f64::from(*about)).collect();
        let code = self.space().centre(&direction).unwrap_or_else(|| Coder::plain(self.space()).origin());
        (code, length.min(f64::from(f32::MAX)) as f32)
    }

    /// The code of a value with this direction and length, for the centre of a list. A quantised code stores the length, which
    /// cannot be computed from centre and residual: these may cancel out to less than the quantisation error.
    pub fn scaled(&self, direction: &[u32], length: f32) -> Vec<u32> {
        let mut elements = vec![0.0; self.space.dimensions];
        self.space().decode(direction, &mut elements);
        elements.iter_mut().zip(&self.about).for_each(|(x, about)| *x += about);
        let by = f64::from(length) / norm(&elements).max(f64::MIN_POSITIVE);
        let centre = self.centre.iter().map(|x| f64::from(*x));
        let mut numbers: Vec<f64> =
            elements.iter().zip(centre).map(|(x, centre)| f64::from(*x) * by - centre).collect();
        if self.space.numbers() > numbers.len() {
            numbers.push(numbers.iter().zip(&self.centre).map(|(x, centre)| x * f64::from(*centre)).sum());
        }
        let mut code = self.space.centre(&numbers).unwrap_or_else(|| Coder::plain(self.space).origin());
        if self.space.is_quantised() {
            quantised::set_length(&mut code, length);
        }
        code
    }

    /// The negative length of a value's projection onto the direction of a list's centre, which [`Self::scaled`] has made.
    /// `distance` is the [distance](Space::measure) of their codes.
    #[inline]
    pub fn along(&self, distance: f32, centre: &[u32]) -> f32 {
        let length = self.length(centre);
        if length == 0.0 {
            return 0.0;
        }
        ((f64::from(distance) - self.square) / length).clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
    }

    /// The length of a list's centre, which [`Self::scaled`] has made.
    #[inline]
    pub fn length(&self, centre: &[u32]) -> f64 {
        match self.space.is_quantised() {
            true => quantised::length(centre),
            false => f64::from((kernels().inner_product)(floats(centre), floats(centre))).sqrt(),
        }
    }

    /// The distance of a value to a vector of `length` in the direction of the centre, or to the centre itself if that is less.
    /// `distance` is that to the centre.
    pub fn lengthened(&self, distance: f32, centre: &[u32], length: f32) -> f32 {
        let farther = f64::from(self.along(distance, centre)) * f64::from(length) + self.square;
        distance.min(farther.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::space::{Element, Form, Value};
    use crate::tests::Random;

    #[test]
    fn a_value_is_its_direction_and_its_length() {
        let mut random = Random::new(41);
        for (dimensions, centre) in [(5, 0.0), (100, 0.0), (100, 30.0)] {
            let plain = Space::new(Element::Dense, Metric::InnerProduct, dimensions);
            for form in
                [Form::Floats, Form::Quantised, Form::Fine].into_iter().take(if dimensions < 32 { 1 } else { 3 })
            {
                let about = (form != Form::Floats && centre > 0.0).then(|| vec![centre; dimensions].into());
                let coder = Coder::new(plain.with_form(form), about);
                let directions = Directions::new(&coder);
                let mut vector =
                    |by: f32| -> Vec<f32> { random.vector(dimensions).iter().map(|x| centre + by * x).collect() };
                let (a, b) = (vector(1.0), vector(2.0));
                let [x, y] = [&a, &b].map(|vector| coder.encode(Value::Dense(vector)).unwrap().unwrap());
                let ((u, length), (v, _)) = (directions.of(&x), directions.of(&y));
                assert!((f64::from(length) / norm(&a) - 1.0).abs() < 0.005, "{form:?}, {centre}: {length}");
                let product: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                let cosine = product / norm(&a) / norm(&b);
                let apart = f64::from(directions.space().euclidean().distance(&u, &v));
                assert!(
                    (apart / 2.0 - (1.0 - cosine)).abs() < 0.01 * (1.0 - cosine),
                    "{form:?}, {centre}: {apart}, {cosine}"
                );
                for length in [7.0, 0.9 * norm(&b) as f32] {
                    let scaled = directions.scaled(&v, length);
                    let along = directions.along(coder.space.measure().distance(&x, &scaled), &scaled);
                    let exact = -product / norm(&b);
                    assert!((f64::from(along) - exact).abs() < 0.01 * norm(&a), "{form:?}, {centre}: {along}, {exact}");
                }
            }
        }
    }
}
