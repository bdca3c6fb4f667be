//! Between which numbers the truth probably lies.

use serde::{Deserialize, Serialize};

/// Held-out photos that one place of the ranges rests on, at least.
const PHOTOS_A_PLACE: usize = 50;
const MOST_PLACES: usize = 12;
/// Below and above the range lies one tenth each.
const TAIL: f64 = 0.1;

/// How far the truth lies from what is said, by what is said: conformal prediction (V. Vovk, A. Gammerman, G. Shafer,
/// Algorithmic Learning in a Random World, 2005) in bands of the prediction, from the errors of photos held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranges {
    /// By ascending [`Place::said`]; one at least. Between them the errors are interpolated, beyond them they stay.
    pub places: Vec<Place>,
    /// The least and the greatest number trained on: nothing beyond is said.
    pub limits: [f64; 2],
}

/// The errors about one prediction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The prediction.
    pub said: f64,
    /// What is added to it for the 10 % quantile of the truth.
    pub low: f64,
    /// What is added to it for the 90 % quantile of the truth.
    pub high: f64,
}

impl Ranges {
    /// From held-out photos: what was said of each, and the truth. `None` without any.
    pub(super) fn fit(held_out: &[(f64, f64)], limits: [f64; 2]) -> Option<Self> {
        let mut pairs = held_out.to_vec();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let n = pairs.len();
        let places = (n / PHOTOS_A_PLACE).clamp(1, MOST_PLACES);
        let place = |k: usize| {
            let band = pairs.get(k * n / places..(k + 1) * n / places).filter(|band| !band.is_empty())?;
            let mut errors: Vec<f64> = band.iter().map(|(said, truth)| truth - said).collect();
            errors.sort_unstable_by(f64::total_cmp);
            // The conformal rank: one further out than the plain quantile's.
            let out = (((errors.len() + 1) as f64 * TAIL).floor() as usize).saturating_sub(1);
            let said = band.iter().map(|(said, _)| said).sum::<f64>() / band.len() as f64;
            Some(Place { said, low: errors[out], high: errors[errors.len() - 1 - out] })
        };
        let places: Vec<Place> = (0..places).filter_map(place).collect();
        (!places.is_empty()).then_some(Self { places, limits })
    }

    /// Whether it can be used: sorted, finite, the right way round.
    pub(super) fn is_sound(&self) -> bool {
        let finite = |p: &Place| p.said.is_finite() && p.low.is_finite() && p.high.is_finite() && p.low <= p.high;
        let [least, most] = self.limits;
        !self.places.is_empty()
            && self.places.iter().all(finite)
            && self.places.is_sorted_by(|a, b| a.said <= b.said)
            && least.is_finite()
            && most.is_finite()
            && least <= most
    }

    /// The prediction, and the range that the truth lies in eight times in ten, all within the limits.
    pub(super) fn of(&self, said: f64) -> (f64, f64, f64) {
        let above = self.places.partition_point(|p| p.said < said);
        let (low, high) = match (above.checked_sub(1).and_then(|i| self.places.get(i)), self.places.get(above)) {
            (Some(a), Some(b)) if b.said > a.said => {
                let share = (said - a.said) / (b.said - a.said);
                (a.low + share * (b.low - a.low), a.high + share * (b.high - a.high))
            }
            (Some(p), None) | (None, Some(p)) | (Some(_), Some(p)) => (p.low, p.high),
            (None, None) => (0.0, 0.0),
        };
        let within = |x: f64| x.max(self.limits[0]).min(self.limits[1]);
        let value = within(said);
        (value, within(said + low).min(value), within(said + high).max(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors that grow with the number.
    fn pairs(n: usize, seed: u64) -> Vec<(f64, f64)> {
        let mut random = fastrand::Rng::with_seed(seed);
        let one = |_| {
            let said = 80.0 * random.f64();
            (said, said + (0.1 * said + 1.0) * (2.0 * random.f64() - 1.0))
        };
        (0..n).map(one).collect()
    }

    #[test]
    fn eight_in_ten_of_other_pairs_lie_within_at_every_size() {
        let ranges = Ranges::fit(&pairs(3000, 1), [-20.0, 110.0]).unwrap();
        assert!(ranges.is_sound());
        let others = pairs(6000, 2);
        for band in [0.0..20.0, 20.0..50.0, 50.0..80.0] {
            let inside: Vec<bool> = others
                .iter()
                .filter(|(said, _)| band.contains(said))
                .map(|&(said, truth)| {
                    let (_, low, high) = ranges.of(said);
                    (low..=high).contains(&truth)
                })
                .collect();
            let share = inside.iter().filter(|&&x| x).count() as f64 / inside.len() as f64;
            assert!((share - 0.8).abs() < 0.05, "{band:?}: {share}");
        }
        let width = |said: f64| ranges.of(said).2 - ranges.of(said).1;
        assert!(width(70.0) > 2.0 * width(5.0));
    }

    #[test]
    fn nothing_is_said_beyond_what_was_trained_on() {
        let ranges = Ranges::fit(&[(5.0, 4.0), (6.0, 8.0)], [1.0, 9.0]).unwrap();
        assert_eq!(ranges.of(-3.0), (1.0, 1.0, 1.0));
        assert_eq!(ranges.of(100.0).0, 9.0);
        assert!(Ranges::fit(&[], [0.0, 1.0]).is_none());
    }
}
