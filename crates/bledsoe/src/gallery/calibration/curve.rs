//! From a score to the probability that the face is the person's.

use super::{mates::Mates, tail::Strangers};

/// Scores run from -1 to 1 in steps of this.
const STEP: f64 = 0.0025;
const POINTS: usize = 801;
/// Standard deviation of the kernel that smooths strangers' scores: about Silverman's rule for a few thousand of them.
const STRANGER_KERNEL: f64 = 0.006;
/// The same for mates' scores, which are known by some quantiles only.
const MATE_KERNEL: f64 = 0.02;
/// Densities are at least this: chance that nobody has seen yet.
const LEAST_DENSITY: f64 = 1e-3;
/// The same in the strangers' tail, which is continued beyond what was seen.
const LEAST_TAIL_DENSITY: f64 = 1e-6;

/// Nothing is surer than this: about so often LFW's own labels, to which all was fitted, are wrong.
const LEAST_DOUBT: f64 = 1e-3;

/// For each score of the best candidate, how sure it is that it is the face's own person.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    /// The logarithm of the likelihood ratio of "the best candidate is the face's own person" and "the face is a
    /// stranger's".
    ratio: Vec<f64>,
    /// How likely it is for an enrolled person's own score to be lower.
    missed: Vec<f64>,
}

/// What strangers do, on the curve's points.
pub(super) struct StrangerDensity {
    density: Vec<f64>,
    below: Vec<f64>,
}

impl StrangerDensity {
    /// By their scores with weights, and the tail fitted to the same.
    pub(super) fn new(scores: &[(f64, f64)], tail: &Strangers) -> Self {
        let mut density = smoothed(scores.iter().copied(), STRANGER_KERNEL);
        for (i, density) in density.iter_mut().enumerate() {
            *density = match tail.tail_density(score(i)) {
                Some(tail) => tail.max(LEAST_TAIL_DENSITY),
                None => *density + LEAST_DENSITY,
            };
        }
        Self { density, below: (0..POINTS).map(|i| 1.0 - tail.share_above(score(i))).collect() }
    }
}

impl Curve {
    /// For people of so many templates. `resample` gives each part of the mates' distribution its weight: 1 for the
    /// plain curve.
    pub(super) fn fit(
        strangers: &StrangerDensity,
        mates: &Mates,
        templates: usize,
        mut resample: impl FnMut() -> f64,
    ) -> Self {
        let scores: Vec<(f64, f64)> = mates.scores(templates).map(|(score, w)| (score, w * resample())).collect();
        let density = smoothed(scores.into_iter(), MATE_KERNEL);
        let (mut ratio, mut missed) = (Vec::with_capacity(POINTS), Vec::with_capacity(POINTS));
        let (mut most, mut below, mut lower) = (f64::NEG_INFINITY, 0.0, 1.0);
        for (i, mate) in density.iter().enumerate() {
            below += mate * STEP;
            // The own person comes first where no other reaches the score.
            let first = (mate + LEAST_DENSITY * 1e-3) * strangers.below[i];
            let before = most;
            most = most.max((first / strangers.density[i]).max(f64::MIN_POSITIVE).ln());
            // More alike is never less probable: neither by the ratio, nor by what is missed.
            lower =
                f64::min(below, if before.is_finite() { lower * (most - before).exp() } else { 1.0 }).clamp(1e-12, 1.0);
            ratio.push(most);
            missed.push(lower);
        }
        Self { ratio, missed }
    }

    /// The logarithm of the likelihood ratio at `score`.
    pub(super) fn ratio(&self, score: f64) -> f64 {
        at(&self.ratio, score)
    }

    /// The probability that the best candidate, of this score, is the face's own person, if the share `prior` of faces
    /// is of people enrolled.
    pub(super) fn probability(&self, score: f64, prior: f64) -> f64 {
        // Against strangers, and against people enrolled whose own score is lower.
        let odds = self.ratio(score).exp() * prior / (1.0 - prior + prior * at(&self.missed, score));
        (1.0 - LEAST_DOUBT) * if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 }
    }
}

fn score(point: usize) -> f64 {
    point as f64 * STEP - 1.0
}

/// `values` at `score`, by linear interpolation.
fn at(values: &[f64], score: f64) -> f64 {
    let place = ((score + 1.0) / STEP).clamp(0.0, (POINTS - 1) as f64);
    let (i, share) = (place as usize, place.fract());
    let next = values[(i + 1).min(POINTS - 1)];
    values[i] + share * (next - values[i])
}

/// The density of weighted scores, smoothed by a Gaussian.
fn smoothed(scores: impl Iterator<Item = (f64, f64)>, kernel: f64) -> Vec<f64> {
    let mut bins = vec![0.0; POINTS];
    let mut total = 0.0;
    for (score, weight) in scores {
        let place = ((score + 1.0) / STEP).clamp(0.0, (POINTS - 1) as f64);
        let (i, share) = (place as usize, place.fract());
        bins[i] += weight * (1.0 - share);
        bins[(i + 1).min(POINTS - 1)] += weight * share;
        total += weight;
    }
    let reach = (4.0 * kernel / STEP).ceil() as usize;
    let taps: Vec<f64> =
        (0..=2 * reach).map(|i| (-0.5 * ((i as f64 - reach as f64) * STEP / kernel).powi(2)).exp()).collect();
    let sum: f64 = taps.iter().sum();
    let mut density = vec![0.0; POINTS];
    for (i, weight) in bins.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        for (tap, j) in taps.iter().zip((i + POINTS).saturating_sub(reach)..) {
            if let Some(density) = j.checked_sub(POINTS).and_then(|j| density.get_mut(j)) {
                *density += weight * tap;
            }
        }
    }
    density.iter_mut().for_each(|density| *density /= sum * total.max(f64::MIN_POSITIVE) * STEP);
    density
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(strangers: &[(f64, f64)], mates: &[f32]) -> Curve {
        let tail = Strangers::fit(strangers.to_vec()).unwrap();
        let mates = Mates::of_scores(mates).unwrap();
        Curve::fit(&StrangerDensity::new(strangers, &tail), &mates, 1, || 1.0)
    }

    fn normal(mean: f64, sd: f64, n: usize) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(7);
        let mut uniform = || random.f64().max(1e-12);
        let mut one = || mean + sd * (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        (0..n).map(|_| one() as f32).collect()
    }

    #[test]
    fn densities_have_area_one_wherever_the_scores_lie() {
        for scores in [vec![(0.3, 1.0), (0.31, 4.0)], vec![(0.5, 2.0)]] {
            let area: f64 = smoothed(scores.into_iter(), 0.01).iter().sum::<f64>() * STEP;
            assert!((area - 1.0).abs() < 1e-9, "{area}");
        }
    }

    #[test]
    fn the_probability_is_bayes_rule_of_two_bells() {
        let bell =
            |x: f64, mean: f64, sd: f64| (-0.5 * ((x - mean) / sd).powi(2)).exp() / (sd * std::f64::consts::TAU.sqrt());
        let strangers: Vec<_> = normal(0.5, 0.05, 20_000).into_iter().map(|s| (s.into(), 1.0)).collect();
        let curve = curve(&strangers, &normal(0.75, 0.1, 20_000));
        // The kernels widen the bells a little.
        let (own, other) = (f64::hypot(0.1, MATE_KERNEL), f64::hypot(0.05, STRANGER_KERNEL));
        for score in [0.56, 0.6, 0.62, 0.65] {
            let ratio = bell(score, 0.75, own) / bell(score, 0.5, other);
            assert!(
                (curve.ratio(score) - ratio.ln()).abs() < 0.4,
                "{score}: {} and {}",
                curve.ratio(score),
                ratio.ln()
            );
        }
        let probabilities: Vec<f64> = (0..200).map(|i| curve.probability(f64::from(i) / 100.0 - 1.0, 0.5)).collect();
        assert!(probabilities.is_sorted() && probabilities[0] < 0.01 && *probabilities.last().unwrap() > 0.99);
        assert!(curve.probability(0.62, 0.9) > curve.probability(0.62, 0.5));
    }
}
