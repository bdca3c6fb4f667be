//! Platt's sigmoid: from a decision value to a probability.
//!
//! J. Platt (1999), with the targets and the Newton method of H.-T. Lin, C.-J. Lin, R. C. Weng, "A note on Platt's
//! probabilistic outputs for support vector machines", Machine Learning 68 (2007).

use serde::{Deserialize, Serialize};

/// `P(positive | f) = 1 / (1 + exp(slope f + shift))`; the slope is negative.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sigmoid {
    /// Platt's A.
    pub slope: f64,
    /// Platt's B.
    pub shift: f64,
}

impl Sigmoid {
    /// The probability of the positive class at the decision value `f`.
    pub fn probability(&self, f: f64) -> f64 {
        let z = self.slope * f + self.shift;
        // Each branch takes the exponential of a negative number, which cannot overflow.
        if z >= 0.0 { (-z).exp() / (1.0 + (-z).exp()) } else { 1.0 / (1.0 + z.exp()) }
    }

    /// The sigmoid of most likelihood for held-out decision values with their labels.
    /// `None` where one label is absent or the values do not rise with the label.
    pub fn fit(values: &[(f32, bool)]) -> Option<Self> {
        let positive = values.iter().filter(|v| v.1).count() as f64;
        let negative = values.len() as f64 - positive;
        if positive == 0.0 || negative == 0.0 {
            return None;
        }
        let high = (positive + 1.0) / (positive + 2.0);
        let low = 1.0 / (negative + 2.0);
        let target = |label: bool| if label { high } else { low };
        let loss = |s: &Self| -> f64 {
            let cost = |&(f, label): &(f32, bool)| {
                let (z, t) = (s.slope * f64::from(f) + s.shift, target(label));
                if z >= 0.0 { t * z + (-z).exp().ln_1p() } else { (t - 1.0) * z + z.exp().ln_1p() }
            };
            values.iter().map(cost).sum()
        };
        let mut fit = Self { slope: 0.0, shift: ((negative + 1.0) / (positive + 1.0)).ln() };
        let mut now = loss(&fit);
        for _ in 0..100 {
            // The ridge keeps the Hessian invertible.
            let (mut h11, mut h22, mut h21, mut g1, mut g2) = (1e-12, 1e-12, 0.0, 0.0, 0.0);
            for &(f, label) in values {
                let f = f64::from(f);
                let p = fit.probability(f);
                let (d1, d2) = (target(label) - p, p * (1.0 - p));
                h11 += f * f * d2;
                h22 += d2;
                h21 += f * d2;
                g1 += f * d1;
                g2 += d1;
            }
            if g1.abs() < 1e-5 && g2.abs() < 1e-5 {
                break;
            }
            let det = h11 * h22 - h21 * h21;
            let (da, db) = (-(h22 * g1 - h21 * g2) / det, -(h11 * g2 - h21 * g1) / det);
            let descent = g1 * da + g2 * db;
            let mut step = 1.0;
            loop {
                let next = Self { slope: fit.slope + step * da, shift: fit.shift + step * db };
                let then = loss(&next);
                if then < now + 1e-4 * step * descent {
                    (fit, now) = (next, then);
                    break;
                }
                step /= 2.0;
                if step < 1e-10 {
                    return Some(fit).filter(Self::is_sound);
                }
            }
        }
        Some(fit).filter(Self::is_sound)
    }

    /// Finite and rising.
    pub fn is_sound(&self) -> bool {
        self.slope.is_finite() && self.shift.is_finite() && self.slope < 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_sigmoid_that_labels_were_drawn_from() {
        let truth = Sigmoid { slope: -2.0, shift: 0.5 };
        let mut rng = fastrand::Rng::with_seed(1);
        let values: Vec<(f32, bool)> = (0..20_000)
            .map(|_| {
                let f = rng.f32() * 6.0 - 3.0;
                (f, rng.f64() < truth.probability(f64::from(f)))
            })
            .collect();
        let fit = Sigmoid::fit(&values).unwrap();
        assert!((fit.slope - truth.slope).abs() < 0.1 && (fit.shift - truth.shift).abs() < 0.1, "{fit:?}");
    }

    #[test]
    fn extremes_stay_probabilities() {
        let s = Sigmoid::fit(&[(-1.0, false), (-2.0, false), (1.0, true), (2.0, true)]).unwrap();
        for f in [-1e30, -1.0, 0.0, 1.0, 1e30] {
            assert!((0.0..=1.0).contains(&s.probability(f)));
        }
        assert!(Sigmoid::fit(&[(1.0, true)]).is_none());
        assert!(Sigmoid::fit(&[(1.0, false), (-1.0, true)]).is_none());
    }
}
