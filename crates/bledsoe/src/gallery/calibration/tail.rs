//! How often a stranger reaches a score: as often as seen, and beyond what was seen by extreme value theory.

use std::ops::Range;

/// The share of strangers, the highest, that the tail is fitted to.
const TAIL: f64 = 0.1;
/// The shapes that a tail may have: never with an end, for a stranger can be as like as a twin; never so heavy that it
/// has no variance.
const SHAPES: Range<f64> = 0.0..0.5;
/// The least scale, where strangers' scores are all alike.
const LEAST_SCALE: f64 = 1e-4;

/// The distribution of strangers' scores, each score with a weight.
///
/// Above the 90th percentile `u` it is a generalised Pareto distribution, by the theorem of Pickands (1975) and Balkema
/// and de Haan (1974), fitted by probability-weighted moments (Hosking and Wallis, *Parameter and quantile estimation
/// for the generalized Pareto distribution*, Technometrics 29, 1987), which are steadier than maximum likelihood for
/// the few hundred scores at hand.
#[derive(Debug, Clone)]
pub(super) struct Strangers {
    /// Ascending, with the share of weight above each.
    scores: Vec<(f64, f64)>,
    threshold: f64,
    shape: f64,
    scale: f64,
}

impl Strangers {
    /// Fits scores and their positive weights; `None` with fewer than ten.
    pub(super) fn fit(mut scores: Vec<(f64, f64)>) -> Option<Self> {
        if scores.len() < 10 {
            return None;
        }
        scores.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = scores.iter().map(|s| s.1).sum();
        let mut above = total;
        let mut start = scores.len() - 1;
        for (i, (_, weight)) in scores.iter().enumerate() {
            above -= weight;
            if above <= TAIL * total {
                start = i;
                break;
            }
        }
        let threshold = scores[start].0;
        let tail = &scores[start + 1..];
        let (shape, scale) = pareto(threshold, tail);
        let mut above = total;
        for score in &mut scores {
            above -= score.1;
            score.1 = (above / total).max(0.0);
        }
        Some(Self { scores, threshold, shape, scale })
    }

    /// The share of strangers with a score of at least `score`.
    pub(super) fn share_above(&self, score: f64) -> f64 {
        if score >= self.threshold {
            return TAIL * self.survival((score - self.threshold) / self.scale);
        }
        match self.scores.partition_point(|s| s.0 < score) {
            0 => 1.0,
            i => self.scores[i - 1].1.max(TAIL),
        }
    }

    /// The score that the share `rate` (0 to 1) of strangers reaches.
    pub(super) fn quantile(&self, rate: f64) -> f64 {
        if rate < TAIL {
            let ratio = (rate / TAIL).max(f64::MIN_POSITIVE);
            let z = if self.shape < 1e-9 { -ratio.ln() } else { (ratio.powf(-self.shape) - 1.0) / self.shape };
            return self.threshold + self.scale * z;
        }
        let i = self.scores.partition_point(|s| s.1 > rate).min(self.scores.len() - 1);
        self.scores[i].0.min(self.threshold)
    }

    /// The density of the tail at `score`; `None` below the tail.
    pub(super) fn tail_density(&self, score: f64) -> Option<f64> {
        let z = (score - self.threshold) / self.scale;
        (z >= 0.0).then(|| TAIL / self.scale * self.survival(z) / (1.0 + self.shape * z))
    }

    fn survival(&self, z: f64) -> f64 {
        if self.shape < 1e-9 { (-z).exp() } else { (1.0 + self.shape * z).powf(-1.0 / self.shape) }
    }
}

/// Shape and scale of the excesses over `threshold` of `tail`, ascending, with weights.
fn pareto(threshold: f64, tail: &[(f64, f64)]) -> (f64, f64) {
    let total: f64 = tail.iter().map(|s| s.1).sum();
    let (mut below, mut b0, mut b1) = (0.0, 0.0, 0.0);
    for (score, weight) in tail {
        let rank = (below + weight / 2.0) / total;
        below += weight;
        b0 += weight / total * (score - threshold);
        b1 += weight / total * (1.0 - rank) * (score - threshold);
    }
    let shape = if b0 > 2.0 * b1 { 2.0 - b0 / (b0 - 2.0 * b1) } else { 0.0 };
    let shape = if shape.is_finite() { shape.clamp(SHAPES.start, SHAPES.end) } else { 0.0 };
    // The mean of the distribution is scale / (1 - shape): kept when the shape is not as fitted.
    let scale = b0 * (1.0 - shape);
    (shape, if scale.is_finite() { scale.max(LEAST_SCALE) } else { LEAST_SCALE })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of a distribution at the middles of `n` equal steps.
    fn sample(n: usize, quantile: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (0..n).map(|i| (quantile((i as f64 + 0.5) / n as f64), 1.0)).collect()
    }

    #[test]
    fn an_exponential_tail_is_continued_as_it_began() {
        let strangers = Strangers::fit(sample(2000, |p| 0.4 - 0.05 * (1.0 - p).ln())).unwrap();
        for rate in [0.05f64, 0.01, 1e-3, 1e-5] {
            let truth = 0.4 - 0.05 * rate.ln();
            assert!((strangers.quantile(rate) / truth - 1.0).abs() < 0.02, "{rate}: {}", strangers.quantile(rate));
            assert!((strangers.share_above(strangers.quantile(rate)) / rate - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_heavy_tail_is_seen() {
        let heavy = |p: f64| 0.5 + 0.02 * ((1.0 - p).powf(-0.25) - 1.0) / 0.25;
        let strangers = Strangers::fit(sample(20_000, heavy)).unwrap();
        assert!((strangers.shape - 0.25).abs() < 0.03, "{strangers:?}", strangers = strangers.shape);
        assert!((strangers.quantile(1e-3) - heavy(0.999)).abs() < 0.005);
    }

    #[test]
    fn a_tail_with_an_end_is_not_believed() {
        let strangers = Strangers::fit(sample(2000, |p| p)).unwrap();
        assert_eq!(strangers.shape, 0.0);
        assert!(strangers.quantile(1e-9) > 1.0);
    }

    #[test]
    fn weights_count_as_repetitions() {
        let mut scores: Vec<(f64, f64)> = sample(300, |p| p * p);
        let repeated: Vec<_> = scores.iter().flat_map(|s| [*s, *s]).collect();
        scores.iter_mut().for_each(|s| s.1 = 2.0);
        let (once, twice) = (Strangers::fit(scores).unwrap(), Strangers::fit(repeated).unwrap());
        for rate in [0.9, 0.5, 0.2, 0.05, 1e-3] {
            assert!((once.quantile(rate) - twice.quantile(rate)).abs() < 0.01, "{rate}");
        }
    }

    #[test]
    fn the_body_is_as_seen_and_the_share_falls() {
        let strangers = Strangers::fit(sample(1000, |p| p)).unwrap();
        let shares: Vec<f64> = (-10..120).map(|i| strangers.share_above(f64::from(i) / 100.0)).collect();
        assert!(shares.is_sorted_by(|a, b| a >= b) && shares[0] == 1.0);
        assert!((strangers.share_above(0.3) - 0.7).abs() < 0.01);
        assert!((strangers.quantile(0.5) - 0.5).abs() < 0.01);
        // The density is what the share loses.
        let at = 0.95;
        let slope = (strangers.share_above(at - 1e-5) - strangers.share_above(at + 1e-5)) / 2e-5;
        assert!((strangers.tail_density(at).unwrap() / slope - 1.0).abs() < 1e-3);
        assert_eq!(strangers.tail_density(0.5), None);
    }

    #[test]
    fn scores_that_are_all_alike_do_no_harm() {
        let strangers = Strangers::fit(vec![(0.3, 1.0); 50]).unwrap();
        assert!(strangers.quantile(1e-3).is_finite() && strangers.share_above(0.4) < 1e-6);
        assert!(Strangers::fit(vec![(0.3, 1.0); 9]).is_none());
    }
}
