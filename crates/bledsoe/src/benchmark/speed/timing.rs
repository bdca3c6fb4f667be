//! Repeats of one measurement.

use serde::Serialize;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Photos.
    Photo,
    /// Faces.
    Face,
    /// Inputs of a network.
    Input,
}

/// How long something took, again and again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// What.
    pub name: String,
    /// Of what there are `count`.
    pub unit: Unit,
    /// How many units one repeat did.
    pub count: usize,
    /// Seconds of each repeat, in order.
    pub seconds: Vec<f64>,
    /// Median over the repeats of milliseconds for one unit; absent where there was none.
    pub milliseconds: Option<f64>,
    /// Units in a second, by the same median.
    pub per_second: Option<f64>,
}

impl Timing {
    /// The figures of `seconds`, each of which went into `count` units.
    pub fn new(name: impl Into<String>, unit: Unit, count: usize, seconds: Vec<f64>) -> Self {
        let each = median(&seconds).filter(|_| count > 0).map(|median| median / count as f64);
        Self {
            name: name.into(),
            unit,
            count,
            seconds,
            milliseconds: each.map(|seconds| seconds * 1e3),
            per_second: each.filter(|&seconds| seconds > 0.0).map(f64::recip),
        }
    }

    /// The least and most milliseconds for one unit.
    pub fn range(&self) -> Option<(f64, f64)> {
        let each = self.seconds.iter().map(|seconds| seconds * 1e3 / self.count.max(1) as f64);
        Some((each.clone().min_by(f64::total_cmp)?, each.max_by(f64::total_cmp)?)).filter(|_| self.count > 0)
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get((sorted.len().max(1) - 1) / 2)?, sorted.get(sorted.len() / 2)?);
    Some((low + high) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_medians_for_one_unit() {
        let timing = Timing::new("x", Unit::Photo, 4, vec![2.0, 8.0, 4.0]);
        assert_eq!((timing.milliseconds, timing.per_second), (Some(1000.0), Some(1.0)));
        assert_eq!(timing.range(), Some((500.0, 2000.0)));
        assert_eq!(Timing::new("x", Unit::Photo, 1, vec![1.0, 4.0, 2.0, 3.0]).milliseconds, Some(2500.0));
    }

    #[test]
    fn nothing_measured_has_no_figures() {
        for nothing in [Timing::new("x", Unit::Face, 0, vec![1.0]), Timing::new("x", Unit::Face, 3, Vec::new())] {
            assert_eq!((nothing.milliseconds, nothing.per_second, nothing.range()), (None, None, None));
        }
    }
}
