//! Calibration: what a score means in one gallery.
//!
//! In: the scores that strangers get, and those that people enrolled get against themselves. Out: the threshold that a
//! given share of strangers reaches, and the probability that a face is the person's it is most like, with an interval.
//!
//! Strangers are of three kinds. *Synthetic* ones come with bledsoe (the cohort); their scores are moved and stretched
//! as far as the people of this gallery are more or less alike than those that the cohort was made from. Each
//! *enrolled* person is a stranger to all others. *Met* strangers are the user's own. The more of the latter two there
//! are, the less the synthetic ones count. Method and figures: `docs/calibration.md`.

mod beyond;
mod curve;
mod mates;
mod tail;

pub(super) use beyond::Tops;
use curve::{Curve, StrangerDensity};
pub(super) use mates::Mates;
use tail::Strangers;

/// Of faces looked up, the share that is of people enrolled, if nothing else is said.
pub const PRIOR: f64 = 0.5;
/// With so many real strangers, they count as much as all synthetic ones.
const REAL_HALF: f64 = 300.0;
/// So many people outweigh what is expected of a gallery's mean similarity: half that of the cohort's people.
const MEAN_HALF: f64 = 6.0;
/// The same for the spread, of which a few people tell less.
const SPREAD_HALF: f64 = 20.0;
/// The same for the median of the scores against the person most alike.
const MEDIAN_HALF: f64 = 100.0;
/// By how much galleries' mean similarities differ: standard deviation, as between LFW and ORL.
const BETWEEN_GALLERIES: f64 = 0.03;
/// With fewer strangers of any kind, nothing is calibrated.
const LEAST_STRANGERS: usize = 20;
/// Resamplings behind an interval: 95 % of them are inside.
const RESAMPLINGS: usize = 41;
/// How much the weights of the mates' quantiles vary: as if so few people of LFW were behind each.
const PEOPLE_A_QUANTILE: f64 = 20.0;
/// The counts of templates that have their own curve.
const TEMPLATE_COUNTS: [usize; 4] = [1, 2, 4, 8];

/// Mean and standard deviation of scores between different people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) mean: f64,
    pub(super) deviation: f64,
}

impl Spread {
    /// Of scores given one by one as their number, sum and sum of squares; `None` for fewer than two.
    pub(super) fn of_sums(count: f64, sum: f64, squares: f64) -> Option<Self> {
        if count < 2.0 {
            return None;
        }
        let mean = sum / count;
        Some(Self { mean, deviation: (squares / count - mean * mean).max(0.0).sqrt() })
    }
}

/// The synthetic strangers' part.
#[derive(Debug, Clone)]
pub(super) struct Synthetic {
    /// The score of each against the person it is most like.
    pub(super) tops: Vec<f32>,
    /// What scores of single pairs would be, if the gallery's people were like those that the cohort was made from.
    pub(super) pairs: Spread,
}

/// The enrolled people's part.
#[derive(Debug, Clone)]
pub(super) struct Enrolled {
    /// The score of each against the other person it is most like.
    pub(super) tops: Vec<f32>,
    /// The scores of single pairs.
    pub(super) pairs: Spread,
    /// People behind `pairs`.
    pub(super) people: usize,
}

/// Everything that a calibration is fitted to.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub(super) synthetic: Option<Synthetic>,
    pub(super) enrolled: Option<Enrolled>,
    /// The scores of met strangers against the person each is most like.
    pub(super) met: Vec<f32>,
    /// Without it there are thresholds, but no probabilities.
    pub(super) mates: Option<Mates>,
}

/// What scores mean.
#[derive(Debug, Clone)]
pub(super) struct Calibration {
    strangers: Strangers,
    /// The plain curves, then those of resampled evidence; none without mates.
    curves: Vec<Curves>,
}

/// One for each of [`TEMPLATE_COUNTS`].
type Curves = [Curve; TEMPLATE_COUNTS.len()];
/// A probability with its 95 % interval.
pub(super) type Sure = (f64, [f64; 2]);

impl Calibration {
    /// Fits all; `None` with too little evidence.
    pub(super) fn fit(evidence: &Evidence) -> Option<Self> {
        let real = evidence.met.len() + evidence.enrolled.as_ref().map_or(0, |enrolled| enrolled.tops.len());
        if real + evidence.synthetic.as_ref().map_or(0, |s| s.tops.len()) < LEAST_STRANGERS {
            return None;
        }
        let scores = strangers(evidence, 0.0, || 1.0);
        let tail = Strangers::fit(scores.clone())?;
        let Some(mates) = &evidence.mates else { return Some(Self { strangers: tail, curves: Vec::new() }) };
        let density = StrangerDensity::new(&scores, &tail);
        let mut curves = vec![TEMPLATE_COUNTS.map(|count| Curve::fit(&density, mates, count, || 1.0))];
        let mut random = fastrand::Rng::with_seed(0);
        for _ in 0..RESAMPLINGS {
            // The Bayesian bootstrap (Rubin, 1981).
            let shift = gaussian(&mut random);
            let scores = strangers(evidence, shift, || exponential(&mut random));
            let density = StrangerDensity::new(&scores, &Strangers::fit(scores.clone())?);
            curves.push(TEMPLATE_COUNTS.map(|count| {
                let weight = || (1.0 + gaussian(&mut random) / PEOPLE_A_QUANTILE.sqrt()).max(0.0);
                Curve::fit(&density, mates, count, weight)
            }));
        }
        Some(Self { strangers: tail, curves })
    }

    /// The score that the share `rate` of strangers reaches.
    pub(super) fn threshold(&self, rate: f64) -> f32 {
        self.strangers.quantile(rate) as f32
    }

    /// The share of strangers that reach `score`.
    pub(super) fn rate(&self, score: f32) -> f64 {
        self.strangers.share_above(score.into())
    }

    /// As [`Calibration::probabilities`], without intervals, which take most of the time.
    pub(super) fn plain_probabilities(&self, candidates: &[(f32, usize)], prior: f64) -> Option<Vec<f64>> {
        Some(probabilities(self.curves.first()?, candidates, prior))
    }

    /// The probability of each candidate to be the face's own person, if the share `prior` of faces is of people
    /// enrolled. `candidates` are the people whom the face is most like, best first: score, and number of templates.
    /// `None` where it is not known how alike faces of one person are.
    pub(super) fn probabilities(&self, candidates: &[(f32, usize)], prior: f64) -> Option<Vec<Sure>> {
        let (plain, resampled) = self.curves.split_first()?;
        let resampled: Vec<Vec<f64>> =
            resampled.iter().map(|curves| probabilities(curves, candidates, prior)).collect();
        let with_interval = |(k, probability): (usize, f64)| {
            let mut all: Vec<f64> = resampled.iter().map(|r| r[k]).collect();
            all.sort_by(f64::total_cmp);
            let outside = RESAMPLINGS / 40;
            (probability, [all[outside].min(probability), all[RESAMPLINGS - 1 - outside].max(probability)])
        };
        Some(probabilities(plain, candidates, prior).into_iter().enumerate().map(with_interval).collect())
    }
}

fn probabilities(curves: &Curves, candidates: &[(f32, usize)], prior: f64) -> Vec<f64> {
    let curve = |templates| &curves[nearest_count(templates)];
    let Some(&(best, templates)) = candidates.first() else { return Vec::new() };
    let known = curve(templates).probability(best.into(), prior);
    // What is known is shared out by how well each one's score fits.
    let ratios: Vec<f64> = candidates.iter().map(|&(score, templates)| curve(templates).ratio(score.into())).collect();
    let most = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shares: Vec<f64> = ratios.iter().map(|ratio| (ratio - most).exp()).collect();
    let sum: f64 = shares.iter().sum();
    shares.iter().map(|share| known * share / sum).collect()
}

fn nearest_count(templates: usize) -> usize {
    let ratio = |count: usize| (count as f64 / templates.max(1) as f64).ln().abs();
    let nearest =
        (0..TEMPLATE_COUNTS.len()).min_by(|&a, &b| ratio(TEMPLATE_COUNTS[a]).total_cmp(&ratio(TEMPLATE_COUNTS[b])));
    nearest.unwrap_or_default()
}

/// Strangers' scores of all kinds, with weights; those of one kind are multiplied by what `resample` gives. `shift`
/// moves the synthetic ones by so many standard deviations of what is not known of the gallery.
fn strangers(evidence: &Evidence, shift: f64, mut resample: impl FnMut() -> f64) -> Vec<(f64, f64)> {
    let enrolled = evidence.enrolled.as_ref();
    let own = enrolled.map(|enrolled| enrolled.tops.as_slice()).unwrap_or_default();
    let mut scores: Vec<(f64, f64)> = own.iter().chain(&evidence.met).map(|&s| (s.into(), resample())).collect();
    if let Some(synthetic) = &evidence.synthetic {
        let people = enrolled.map_or(0.0, |enrolled| enrolled.people as f64);
        let unknown = BETWEEN_GALLERIES * (MEAN_HALF / (MEAN_HALF + people)).sqrt();
        // All synthetic ones together weigh as REAL_HALF real ones.
        let weight = REAL_HALF / synthetic.tops.len().max(1) as f64;
        let fitted = fitting(synthetic, enrolled);
        scores.extend(fitted.into_iter().map(|score| (score + shift * unknown, weight * resample())));
    }
    scores
}

/// The synthetic strangers' scores, as they would be if their people were like the gallery's: with its mean and spread
/// of single pairs, and its median of the most alike.
fn fitting(synthetic: &Synthetic, enrolled: Option<&Enrolled>) -> Vec<f64> {
    let Synthetic { tops, pairs } = synthetic;
    let Some(enrolled) = enrolled else { return tops.iter().map(|&top| top.into()).collect() };
    let people = enrolled.people as f64;
    let mean = (MEAN_HALF * pairs.mean + people * enrolled.pairs.mean) / (MEAN_HALF + people);
    let variance =
        (SPREAD_HALF * pairs.deviation.powi(2) + people * enrolled.pairs.deviation.powi(2)) / (SPREAD_HALF + people);
    let stretch = if pairs.deviation > 0.0 { variance.sqrt() / pairs.deviation } else { 1.0 };
    let mut fitted: Vec<f64> = tops.iter().map(|&top| mean + (f64::from(top) - pairs.mean) * stretch).collect();
    let own: Vec<f64> = enrolled.tops.iter().map(|&top| top.into()).collect();
    if let (Some(own), Some(synthetic)) = (median(own), median(fitted.clone())) {
        let count = enrolled.tops.len() as f64;
        let shift = (own - synthetic) * count / (MEDIAN_HALF + count);
        fitted.iter_mut().for_each(|score| *score += shift);
    }
    fitted
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn exponential(random: &mut fastrand::Rng) -> f64 {
    -random.f64().max(f64::MIN_POSITIVE).ln()
}

fn gaussian(random: &mut fastrand::Rng) -> f64 {
    (2.0 * exponential(random)).sqrt() * (std::f64::consts::TAU * random.f64()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(mean: f64, deviation: f64, n: usize, seed: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..n).map(|_| (mean + deviation * gaussian(&mut random)) as f32).collect()
    }

    fn evidence(people: usize, mean: f64) -> Evidence {
        let pairs = Spread { mean: 0.4, deviation: 0.1 };
        let enrolled = Enrolled {
            tops: normal(0.6 + mean, 0.04, people, 2),
            pairs: Spread { mean: 0.4 + mean, deviation: 0.1 },
            people,
        };
        Evidence {
            synthetic: Some(Synthetic { tops: normal(0.6, 0.04, 1500, 1), pairs }),
            enrolled: (people > 1).then_some(enrolled),
            met: Vec::new(),
            mates: Mates::of_scores(&normal(0.85, 0.07, 500, 3)),
        }
    }

    #[test]
    fn thresholds_follow_people_who_are_more_alike_the_surer_the_more_there_are() {
        let threshold = |people, mean| Calibration::fit(&evidence(people, mean)).unwrap().threshold(0.01);
        let usual = threshold(0, 0.0);
        assert!((usual - (0.6 + 2.33 * 0.04)).abs() < 0.015, "{usual}");
        let alike: Vec<f32> = [3, 10, 30, 300].iter().map(|&people| threshold(people, 0.05) - usual).collect();
        assert!(alike.is_sorted() && alike[0] > 0.0 && (alike[3] - 0.05).abs() < 0.015, "{alike:?}");
    }

    #[test]
    fn the_rate_of_the_threshold_is_the_rate_asked_for() {
        let calibration = Calibration::fit(&evidence(50, 0.0)).unwrap();
        for rate in [0.05, 0.01, 1e-3, 1e-5] {
            let found = calibration.rate(calibration.threshold(rate));
            assert!((found / rate - 1.0).abs() < 1e-3, "{rate}: {found}");
        }
    }

    #[test]
    fn probabilities_add_up_and_lie_in_their_intervals() {
        let calibration = Calibration::fit(&evidence(50, 0.0)).unwrap();
        for candidates in [vec![(0.9, 1)], vec![(0.72, 1), (0.71, 3), (0.5, 1)], vec![(0.3, 9)]] {
            let sure = calibration.probabilities(&candidates, PRIOR).unwrap();
            assert_eq!(sure.len(), candidates.len());
            assert!(sure.iter().map(|s| s.0).sum::<f64>() <= 1.0 + 1e-9);
            for (probability, [low, high]) in sure {
                assert!((0.0..=1.0).contains(&low) && low <= probability && probability <= high && high <= 1.0);
            }
        }
        let sure = |score| calibration.probabilities(&[(score, 1)], PRIOR).unwrap()[0];
        assert!(sure(0.85).0 > 0.99 && sure(0.55).0 < 0.1);
        // What is half known is less sure with few people than with many.
        let width = |people| {
            let (_, [low, high]) =
                Calibration::fit(&evidence(people, 0.0)).unwrap().probabilities(&[(0.69, 1)], PRIOR).unwrap()[0];
            high - low
        };
        assert!(width(2) > width(500), "{} {}", width(2), width(500));
    }

    #[test]
    fn met_strangers_count_as_they_come() {
        let mut evidence = evidence(2, 0.0);
        let before = Calibration::fit(&evidence).unwrap().threshold(0.01);
        evidence.met = normal(0.7, 0.04, 3000, 5);
        let after = Calibration::fit(&evidence).unwrap().threshold(0.01);
        assert!((after - (0.7 + 2.33 * 0.04)).abs() < 0.015 && after > before + 0.05, "{before} {after}");
    }

    #[test]
    fn too_little_is_known_to_be_calibrated() {
        let nothing = Evidence { synthetic: None, enrolled: None, met: vec![0.3; 19], mates: None };
        assert!(Calibration::fit(&nothing).is_none());
        let some = Evidence { met: normal(0.5, 0.05, 200, 1), ..nothing };
        let calibration = Calibration::fit(&some).unwrap();
        assert!(calibration.threshold(0.01) > 0.55);
        assert!(calibration.probabilities(&[(0.9, 1)], PRIOR).is_none());
    }
}
