//! From scores of classes to probabilities: the softmax with a fitted scale.

use serde::{Deserialize, Serialize};

/// Rival scores kept of a held-out sample; those further behind add nothing to the sum.
const RIVALS: usize = 64;

/// `p_k = exp(scale s_k) / sum of exp(scale s_j)`: temperature scaling, C. Guo et al., "On calibration of modern neural
/// networks", ICML 2017.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softmax {
    /// Above zero.
    pub scale: f64,
}

/// The scores of a held-out sample.
#[derive(Debug, Clone)]
pub struct HeldOutScores {
    own: f64,
    others: Vec<f64>,
}

impl HeldOutScores {
    /// From the scores of all classes and the number of the true one.
    pub fn new(scores: &[f32], class: usize) -> Self {
        let mut others: Vec<f64> =
            scores.iter().enumerate().filter(|(k, _)| *k != class).map(|(_, s)| f64::from(*s)).collect();
        others.sort_by(|a, b| b.total_cmp(a));
        others.truncate(RIVALS);
        Self { own: f64::from(scores[class]), others }
    }

    /// The negative logarithm of the own class's probability.
    pub fn log_loss(&self, softmax: Softmax) -> f64 {
        let highest = self.others.iter().copied().fold(self.own, f64::max);
        let power = |score: f64| (softmax.scale * (score - highest)).exp();
        let sum: f64 = std::iter::once(self.own).chain(self.others.iter().copied()).map(power).sum();
        sum.ln() - softmax.scale * (self.own - highest)
    }
}

impl Softmax {
    /// The probabilities.
    pub fn of(&self, scores: Vec<f32>) -> Vec<f32> {
        let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> = scores.iter().map(|s| (self.scale * f64::from(s - highest)).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|p| (p / sum) as f32).collect()
    }

    /// The scale of most likelihood; `None` without samples. Targets are Platt's, a little short of certainty, so that
    /// samples without an error do not give an endless scale.
    pub fn fit(samples: &[HeldOutScores]) -> Option<Self> {
        if samples.is_empty() {
            return None;
        }
        let doubt = 1.0 / (samples.len() as f64 + 2.0);
        let loss = |log_scale: f64| -> f64 {
            let scale = log_scale.exp();
            let one = |s: &HeldOutScores| {
                let highest = s.others.iter().copied().fold(s.own, f64::max);
                let sum: f64 = std::iter::once(&s.own).chain(&s.others).map(|v| (scale * (v - highest)).exp()).sum();
                let log = |v: f64| scale * (v - highest) - sum.ln();
                let rival = s.others.first().map_or(0.0, |v| log(*v));
                -(1.0 - doubt) * log(s.own) - doubt * rival
            };
            samples.iter().map(one).sum()
        };
        Some(Self { scale: least(loss, -2.0, 7.0).exp() })
    }
}

/// Where a function with one valley is least, by golden section.
pub fn least(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut fa, mut fb) = (f(a), f(b));
    while high - low > 1e-3 {
        if fa <= fb {
            (high, b, fb) = (b, a, fa);
            a = high - ratio * (high - low);
            fa = f(a);
        } else {
            (low, a, fa) = (a, b, fb);
            b = low + ratio * (high - low);
            fb = f(b);
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_scale_that_labels_were_drawn_from() {
        let truth = Softmax { scale: 6.0 };
        let mut rng = fastrand::Rng::with_seed(3);
        let samples: Vec<HeldOutScores> = (0..8000)
            .map(|_| {
                let scores: Vec<f32> = (0..5).map(|_| rng.f32()).collect();
                let mut left = rng.f32();
                let drawn = truth.of(scores.clone()).iter().position(|p| {
                    left -= p;
                    left <= 0.0
                });
                HeldOutScores::new(&scores, drawn.unwrap_or(4))
            })
            .collect();
        let fit = Softmax::fit(&samples).unwrap();
        assert!((fit.scale - 6.0).abs() < 0.4, "{fit:?}");
        assert!(Softmax::fit(&[]).is_none());
    }

    #[test]
    fn probabilities_sum_to_one_at_any_scale() {
        for scale in [1e-3, 1.0, 1e6] {
            let sum: f32 = Softmax { scale }.of(vec![-3.0, 0.5, 0.4, 100.0]).iter().sum();
            assert!((sum - 1.0).abs() < 1e-5);
        }
    }
}
