//! Verification (1:1): are two photos of one person?
//!
//! A pair is accepted, taken for one person, if its score is at or above the threshold. The accuracy is that of LFW's
//! protocol (G. B. Huang, M. Ramesh, T. Berg, E. Learned-Miller: Labeled Faces in the Wild, UMass Amherst TR 07-49, 2007):
//! for each fold, the threshold that is best on the others. Rates are those of ISO/IEC 19795-1, over all pairs at once.
//!
//! ```
//! use bledsoe::evaluate::{Bootstrap, verification::{Comparison, verification}};
//! let pair = |person: u32, score, same| Comparison {
//!     score: Some(score),
//!     same,
//!     fold: person % 2,
//!     people: [person, if same { person } else { person + 1 }],
//! };
//! let pairs: Vec<_> = (0..20).flat_map(|p| [pair(p, 0.8, true), pair(p, 0.1 + 0.01 * f64::from(p), false)]).collect();
//! let figures = verification(&pairs, &Bootstrap::default())?;
//! assert_eq!((figures.accuracy_mean, figures.auc, figures.tar_at_far["1e-2"]), (1.0, 1.0, 1.0));
//! # Ok::<(), bledsoe::Error>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    bootstrap::{Bootstrap, People},
    curve::Curve,
};
use crate::{Error, Result, components::Components};

/// The false accept rates that figures are given at, with their keys in results.
pub const FALSE_ACCEPT_RATES: [(&str, f64); 4] = [("1e-1", 1e-1), ("1e-2", 1e-2), ("1e-3", 1e-3), ("1e-4", 1e-4)];

/// A pair of photos and how similar their faces are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Larger for more alike; `None` where a face was not found in one of the photos.
    pub score: Option<f64>,
    /// Whether it is truly one person.
    pub same: bool,
    /// The fold of the protocol, from 0.
    pub fold: u32,
    /// Numbers of the two people (the same twice for one person): what the bootstrap resamples.
    pub people: [u32; 2],
}

/// A point of the ROC curve with the 95 % interval of its TAR.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RocPoint {
    /// Share of pairs of different people accepted. The curve ends where all pairs with a score are.
    pub far: f64,
    /// Share of pairs of one person accepted.
    pub tar: f64,
    /// The 95 % interval of `tar`.
    pub interval: [f64; 2],
}

/// Where the folds come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoldsFrom {
    /// The protocol has them.
    Protocol,
    /// It has one alone. People were dealt to ten, so that nobody is in two.
    People,
    /// It has one alone, and people are linked by too many pairs to be dealt. Pairs were dealt to ten in their order,
    /// those of one person first: folds share people, though no pairs.
    Pairs,
}

/// One fold of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fold {
    /// Its number, from 0.
    pub fold: u32,
    /// The threshold chosen on the other folds.
    pub threshold: f64,
    /// The share of its pairs told right by that threshold.
    pub accuracy: f64,
}

/// 95 % intervals of the figures of the same names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Intervals {
    /// Of the mean accuracy.
    pub accuracy_mean: [f64; 2],
    /// Of the area under the ROC curve.
    pub auc: [f64; 2],
    /// Of the equal error rate.
    pub eer: [f64; 2],
    /// Of the TAR at each FAR.
    pub tar_at_far: BTreeMap<String, [f64; 2]>,
}

/// The figures of a verification protocol.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// All pairs, failures included.
    pub pairs: usize,
    /// Pairs of one person.
    pub same: usize,
    /// Pairs of different people.
    pub different: usize,
    /// Pairs in which a face was not found. In the accuracy they are errors; in rates they are not accepted.
    pub failures_to_detect: usize,
    /// Mean of the folds' accuracies.
    pub accuracy_mean: f64,
    /// Standard error of that mean over folds.
    pub accuracy_stderr: f64,
    /// Area under the ROC curve.
    pub auc: f64,
    /// Equal error rate: the share of pairs of different people accepted where as large a share of pairs of one person is
    /// refused; linear between neighbouring points of the ROC curve.
    pub eer: f64,
    /// Share of pairs of one person accepted, where at most the share named by the key (`1e-3`) of pairs of different
    /// people is. A share of less than one pair means none.
    pub tar_at_far: BTreeMap<String, f64>,
    /// The threshold of each FAR: the least score seen that at most that share of pairs of different people reaches; just
    /// above the highest score where each is reached by more.
    pub thresholds: BTreeMap<String, f64>,
    /// 95 % intervals, people resampled.
    pub intervals: Intervals,
    /// Fold by fold.
    pub folds: Vec<Fold>,
    /// Where they come from.
    pub folds_from: FoldsFrom,
    /// The ROC curve, at most about 200 points, FAR ascending.
    pub roc: Vec<RocPoint>,
}

/// Folds that are made where the protocol has but one.
const FOLDS: usize = 10;

/// Scores a protocol. The order of the pairs does not matter, except where folds are dealt ([`FoldsFrom::Pairs`]).
///
/// A fold's threshold is the middle of the widest gap between neighbouring scores among those with the best accuracy on
/// the other folds (of equally wide ones, the highest); without folds, ten are made ([`FoldsFrom`]).
///
/// # Errors
/// [`Error::Invalid`] for scores that are no finite numbers, without pairs of both kinds, or without scores to choose
/// thresholds by.
pub fn verification(pairs: &[Comparison], bootstrap: &Bootstrap) -> Result<Verification> {
    let same = pairs.iter().filter(|pair| pair.same).count();
    let different = pairs.len() - same;
    if same == 0 || different == 0 {
        return Err(Error::Invalid(format!(
            "verification needs pairs of one person and pairs of different people; there are {same} and {different}"
        )));
    }
    if let Some((i, score)) = (0..).zip(pairs).find_map(|(i, p)| p.score.filter(|s| !s.is_finite()).map(|s| (i, s))) {
        return Err(Error::Invalid(format!("pair {}: the score {score} is no finite number", i + 1_usize)));
    }
    let (folds, folds_from) = Folds::of(pairs);
    let curve = Curve::new(pairs.iter().map(|pair| (pair.score, pair.same)));
    let ones = vec![1.0; pairs.len()];
    let mut fold_figures = Vec::with_capacity(folds.numbers.len());
    for (fold, figures) in folds.numbers.iter().zip(folds.figures(&ones)) {
        let (threshold, accuracy) = figures.ok_or_else(|| {
            Error::Invalid(format!("fold {fold}: no pair of the other folds has a score to choose a threshold by"))
        })?;
        fold_figures.push(Fold { fold: *fold, threshold, accuracy });
    }

    let rates: Vec<f64> = FALSE_ACCEPT_RATES.iter().rev().map(|&(_, rate)| rate).collect();
    let mut thresholds = BTreeMap::new();
    for (key, rate) in FALSE_ACCEPT_RATES {
        let operating = curve.operating(rate).ok_or_else(no_score)?;
        thresholds.insert(key.to_owned(), operating.threshold);
    }
    let mut fars = Vec::new();
    for limit in curve.limits() {
        let far = curve.operating(limit).ok_or_else(no_score)?.false_alarms;
        if fars.last() != Some(&far) {
            fars.push(far);
        }
    }
    // Accuracy, area, equal error rate, then TAR by rate and by point of the curve.
    let figures = |weights: &[f64]| {
        let accuracies: Vec<f64> = folds.figures(weights).into_iter().flatten().map(|(_, accuracy)| accuracy).collect();
        let accuracy = mean(&accuracies)?;
        let (area, equal) = curve.area_and_equal_error(weights)?;
        Some([vec![accuracy, area, equal], curve.hits(weights, &rates)?, curve.hits(weights, &fars)?].concat())
    };
    let all = figures(&ones).ok_or_else(no_score)?;
    let people = People::new(pairs.iter().flat_map(|pair| pair.people));
    let members: Vec<[usize; 2]> = pairs.iter().map(|pair| pair.people.map(|p| people.index(p))).collect();
    let intervals = bootstrap.pair_intervals(people.len(), &members, &all, figures);

    let keys = || FALSE_ACCEPT_RATES.iter().rev().map(|&(key, _)| key.to_owned());
    let (at_rates, at_points) = (3, 3 + rates.len());
    let accuracies: Vec<f64> = fold_figures.iter().map(|fold| fold.accuracy).collect();
    Ok(Verification {
        pairs: pairs.len(),
        same,
        different,
        failures_to_detect: pairs.iter().filter(|pair| pair.score.is_none()).count(),
        accuracy_mean: all[0],
        accuracy_stderr: standard_error(&accuracies),
        auc: all[1],
        eer: all[2],
        tar_at_far: keys().zip(all[at_rates..].iter().copied()).take(rates.len()).collect(),
        thresholds,
        intervals: Intervals {
            accuracy_mean: intervals[0],
            auc: intervals[1],
            eer: intervals[2],
            tar_at_far: keys().zip(intervals[at_rates..].iter().copied()).take(rates.len()).collect(),
        },
        folds: fold_figures,
        folds_from,
        roc: fars
            .iter()
            .zip(all[at_points..].iter().zip(&intervals[at_points..]))
            .map(|(&far, (&tar, &interval))| RocPoint { far, tar, interval })
            .collect(),
    })
}

fn no_score() -> Error {
    Error::Invalid("verification needs scores: no face was found in any pair".into())
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Of the mean, by the spread between values.
fn standard_error(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (squares / (n - 1.0) / n).sqrt()
}

/// At least two folds of pairs.
struct Folds {
    /// Their numbers in the protocol, ascending.
    numbers: Vec<u32>,
    /// The pairs of each.
    pairs: Vec<Vec<usize>>,
    /// Scores from the highest down.
    scored: Vec<Scored>,
    /// Where in `scored` each fold's stand.
    places: Vec<Vec<usize>>,
}

struct Scored {
    score: f64,
    pair: usize,
    fold: usize,
    same: bool,
}

impl Folds {
    fn of(pairs: &[Comparison]) -> (Self, FoldsFrom) {
        let mut from = FoldsFrom::Protocol;
        let mut fold_of: Vec<u32> = pairs.iter().map(|pair| pair.fold).collect();
        if fold_of.iter().all(|&fold| fold == fold_of[0]) {
            (fold_of, from) = match deal_people(pairs) {
                Some(dealt) => (dealt, FoldsFrom::People),
                None => (deal_pairs(pairs), FoldsFrom::Pairs),
            };
        }
        let numbers: Vec<u32> = fold_of.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut folds = Self {
            pairs: vec![Vec::new(); numbers.len()],
            places: vec![Vec::new(); numbers.len()],
            scored: Vec::new(),
            numbers,
        };
        for (i, (pair, number)) in pairs.iter().zip(&fold_of).enumerate() {
            let fold = folds.numbers.partition_point(|n| n < number);
            folds.pairs[fold].push(i);
            folds.scored.extend(pair.score.map(|score| Scored { score, pair: i, fold, same: pair.same }));
        }
        folds.scored.sort_by(|a, b| b.score.total_cmp(&a.score));
        for (place, scored) in folds.scored.iter().enumerate() {
            folds.places[scored.fold].push(place);
        }
        (folds, from)
    }

    /// Threshold and accuracy of each fold; `None` where it weighs nothing, or the others have no score.
    fn figures(&self, weights: &[f64]) -> Vec<Option<(f64, f64)>> {
        // How many more are right when the threshold falls to the score.
        let gains: Vec<f64> =
            self.scored.iter().map(|s| if s.same { weights[s.pair] } else { -weights[s.pair] }).collect();
        let figures = |fold: usize| {
            let threshold = self.best_threshold(fold, &gains)?;
            let right = |&place: &usize| {
                let scored = &self.scored[place];
                if (scored.score >= threshold) == scored.same { gains[place].abs() } else { 0.0 }
            };
            let total: f64 = self.pairs[fold].iter().map(|&pair| weights[pair]).sum();
            (total > 0.0).then(|| (threshold, self.places[fold].iter().map(right).sum::<f64>() / total))
        };
        (0..self.numbers.len()).map(figures).collect()
    }

    /// The best threshold on all folds but one. Gains are whole numbers, so that their sums are exact and ties are ties.
    fn best_threshold(&self, without: usize, gains: &[f64]) -> Option<f64> {
        struct Gap {
            gain: f64,
            width: f64,
            threshold: f64,
        }
        let mut best: Option<Gap> = None;
        let mut consider = |gap: Gap| {
            if best.as_ref().is_none_or(|b| gap.gain > b.gain || (gap.gain == b.gain && gap.width > b.width)) {
                best = Some(gap);
            }
        };
        let (mut gain, mut above) = (0.0, None);
        for (scored, &more) in self.scored.iter().zip(gains) {
            if scored.fold == without || more == 0.0 {
                continue;
            }
            match above {
                None => consider(Gap { gain, width: 0.0, threshold: scored.score.next_up() }),
                Some(above) if scored.score < above => {
                    consider(Gap { gain, width: above - scored.score, threshold: middle(scored.score, above) });
                }
                Some(_) => {}
            }
            gain += more;
            above = Some(scored.score);
        }
        consider(Gap { gain, width: 0.0, threshold: above? });
        best.map(|gap| gap.threshold)
    }
}

/// Between the two, above the lower.
fn middle(low: f64, high: f64) -> f64 {
    let middle = low / 2.0 + high / 2.0;
    if middle > low { middle } else { high }
}

/// A fold for each pair such that people of two folds share no pair; `None` where too many hang together for that.
fn deal_people(pairs: &[Comparison]) -> Option<Vec<u32>> {
    let people = People::new(pairs.iter().flat_map(|pair| pair.people));
    let mut components = Components::new(people.len());
    for pair in pairs {
        components.link(people.index(pair.people[0]), people.index(pair.people[1]));
    }
    let group_of: Vec<usize> = pairs.iter().map(|pair| components.find(people.index(pair.people[0]))).collect();
    let mut sizes = vec![0_usize; people.len()];
    for &group in &group_of {
        sizes[group] += 1;
    }
    let mut groups: Vec<usize> = (0..people.len()).filter(|&group| sizes[group] > 0).collect();
    groups.sort_by_key(|&group| std::cmp::Reverse(sizes[group]));
    let folds = FOLDS.min(groups.len());
    let (mut loads, mut fold_of_group) = (vec![0; folds], vec![0; people.len()]);
    for group in groups {
        let fold = (0..folds).min_by_key(|&fold| loads[fold])?;
        loads[fold] += sizes[group];
        fold_of_group[group] = fold as u32;
    }
    let even = folds == FOLDS && loads.iter().all(|&load| load * FOLDS <= 2 * pairs.len());
    even.then(|| group_of.into_iter().map(|group| fold_of_group[group]).collect())
}

/// A fold for each pair, in turn, pairs of one person first.
fn deal_pairs(pairs: &[Comparison]) -> Vec<u32> {
    let mut folds = vec![0; pairs.len()];
    let same = (0..pairs.len()).filter(|&i| pairs[i].same);
    let different = (0..pairs.len()).filter(|&i| !pairs[i].same);
    for (turn, pair) in same.chain(different).enumerate() {
        folds[pair] = (turn % FOLDS) as u32;
    }
    folds
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUICK: Bootstrap = Bootstrap { replicates: 50, seed: 1 };

    fn pair(score: impl Into<Option<f64>>, same: bool, fold: u32, people: [u32; 2]) -> Comparison {
        Comparison { score: score.into(), same, fold, people }
    }

    /// `n` pairs of each kind in ten folds; nobody is in two.
    fn made(n: u32, score: impl Fn(u32, bool) -> f64) -> Vec<Comparison> {
        let pairs = |i: u32| {
            [pair(score(i, true), true, i % 10, [2 * i; 2]), pair(score(i, false), false, i % 10, [2 * i, 2 * i + 1])]
        };
        (0..n).flat_map(pairs).collect()
    }

    #[test]
    fn separated_scores_are_perfect() {
        let pairs = made(100, |i, same| f64::from(i % 7) / 100.0 + if same { 0.6 } else { 0.1 });
        let figures = verification(&pairs, &QUICK).unwrap();
        assert_eq!((figures.pairs, figures.same, figures.different), (200, 100, 100));
        assert_eq!((figures.accuracy_mean, figures.accuracy_stderr), (1.0, 0.0));
        assert_eq!((figures.auc, figures.eer, figures.tar_at_far["1e-4"]), (1.0, 0.0, 1.0));
        assert_eq!(figures.intervals.accuracy_mean, [1.0; 2]);
        assert_eq!(figures.thresholds["1e-3"], 0.6);
        assert!(figures.folds.iter().all(|fold| (fold.threshold - 0.38).abs() < 1e-12), "{:?}", figures.folds);
    }

    #[test]
    fn scores_at_random_are_chance() {
        let random = std::cell::RefCell::new(fastrand::Rng::with_seed(5));
        let figures = verification(&made(2000, |_, _| random.borrow_mut().f64()), &QUICK).unwrap();
        assert!(
            (figures.auc - 0.5).abs() < 0.03 && (figures.eer - 0.5).abs() < 0.03,
            "{} {}",
            figures.auc,
            figures.eer
        );
        assert!((figures.accuracy_mean - 0.5).abs() < 0.03, "{}", figures.accuracy_mean);
        assert!((figures.tar_at_far["1e-1"] - 0.1).abs() < 0.03, "{:?}", figures.tar_at_far);
        let [low, high] = figures.intervals.auc;
        assert!(low < figures.auc && figures.auc < high && high - low < 0.1, "{low} {high}");
    }

    #[test]
    fn one_score_for_all_is_chance_by_ties() {
        let figures = verification(&made(30, |_, _| 0.5), &QUICK).unwrap();
        assert_eq!((figures.auc, figures.eer, figures.tar_at_far["1e-1"]), (0.5, 0.5, 0.0));
        assert_eq!(figures.accuracy_mean, 0.5);
    }

    #[test]
    fn pairs_without_a_face_are_errors_and_never_accepted() {
        let mut pairs = made(100, |_, same| if same { 0.9 } else { 0.1 });
        // The first of one person, the second of two.
        (pairs[0].score, pairs[21].score) = (None, None);
        let figures = verification(&pairs, &QUICK).unwrap();
        assert_eq!(figures.failures_to_detect, 2);
        assert_eq!((figures.folds[0].accuracy, figures.folds[1].accuracy), (0.9, 1.0));
        assert_eq!(figures.tar_at_far["1e-3"], 0.99);
        let last = figures.roc[figures.roc.len() - 1];
        assert_eq!((last.far, last.tar), (0.99, 0.99));
    }

    #[test]
    fn folds_are_dealt_where_there_are_none() {
        let alone = |mut pairs: Vec<Comparison>| {
            pairs.iter_mut().for_each(|pair| pair.fold = 3);
            verification(&pairs, &QUICK).unwrap()
        };
        let separated = |_, same| if same { 0.9 } else { 0.1 };
        let figures = alone(made(100, separated));
        assert_eq!((figures.folds_from, figures.folds.len(), figures.accuracy_mean), (FoldsFrom::People, 10, 1.0));
        // All know person 0.
        let mut linked = made(100, separated);
        linked.iter_mut().for_each(|pair| pair.people[1] = if pair.same { pair.people[1] } else { 0 });
        let figures = alone(linked);
        assert_eq!((figures.folds_from, figures.folds.len(), figures.accuracy_mean), (FoldsFrom::Pairs, 10, 1.0));
        let figures = alone(vec![pair(0.9, true, 0, [0, 0]), pair(0.1, false, 0, [0, 1])]);
        assert_eq!(figures.folds.len(), 2);
    }

    #[test]
    fn nobody_is_in_two_folds_dealt_by_people() {
        let pairs: Vec<Comparison> = (0..300_u32)
            .map(|i| pair(0.5, i % 2 == 0, 0, [i / 5, if i % 2 == 0 { i / 5 } else { i / 5 / 2 * 2 }]))
            .collect();
        let folds = deal_people(&pairs).unwrap();
        let mut of_person = BTreeMap::new();
        for (pair, fold) in pairs.iter().zip(folds) {
            for person in pair.people {
                assert_eq!(*of_person.entry(person).or_insert(fold), fold, "person {person}");
            }
        }
    }

    #[test]
    fn of_equal_thresholds_the_middle_of_the_widest_gap_is_taken() {
        let score = |i: usize, same| [[0.1, 0.3, 0.31], [0.4, 0.8, 0.9]][usize::from(same)][i];
        let mut pairs = Vec::new();
        for fold in 0..2 {
            for i in 0..3 {
                pairs.push(pair(score(i, true), true, fold, [fold; 2]));
                pairs.push(pair(score(i, false), false, fold, [fold, 9]));
            }
        }
        assert!((verification(&pairs, &QUICK).unwrap().folds[0].threshold - 0.355).abs() < 1e-12);
        // One of two people at 0.5: refusing it costs one at 0.4. Between 0.5 and 0.8 the gap is wider.
        pairs.iter_mut().filter(|pair| pair.score == Some(0.31)).for_each(|pair| pair.score = Some(0.5));
        assert!((verification(&pairs, &QUICK).unwrap().folds[0].threshold - 0.65).abs() < 1e-12);
        assert_eq!(middle(1.0, 1.0_f64.next_up()), 1.0_f64.next_up());
    }

    #[test]
    fn what_cannot_be_scored_says_why() {
        let says = |pairs: &[Comparison], what: &str| {
            let error = verification(pairs, &QUICK).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)) && error.to_string().contains(what), "{error}");
        };
        says(&[], "there are 0 and 0");
        says(&[pair(0.5, true, 0, [0, 0])], "there are 1 and 0");
        let with = |score: Option<f64>| vec![pair(score, true, 0, [0, 0]), pair(0.1, false, 1, [0, 1])];
        says(&with(Some(f64::NAN)), "pair 1: the score NaN");
        says(&with(Some(f64::INFINITY)), "pair 1: the score inf");
        says(&with(None), "fold 1: no pair of the other folds");
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let random = std::cell::RefCell::new(fastrand::Rng::with_seed(5));
        let pairs = made(200, |_, same| random.borrow_mut().f64() + if same { 0.5 } else { 0.0 });
        let on = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| verification(&pairs, &Bootstrap { replicates: 40, seed }).unwrap())
        };
        assert_eq!(on(1, 0), on(3, 0));
        assert_ne!(on(1, 0).intervals, on(1, 1).intervals);
    }

    proptest! {
        /// What the bootstrap relies on.
        #[test]
        fn a_weight_of_n_is_n_copies_in_folds(
            items in prop::collection::vec((prop::option::weighted(0.9, 0..12_u8), any::<bool>(), 0..3_u32, 0..3_u8), 4..60),
        ) {
            let all = |weigh: &dyn Fn(u8) -> u8| -> Vec<Comparison> {
                let one = |&(score, same, fold, weight): &(Option<u8>, bool, u32, u8)| {
                    (0..weigh(weight)).map(move |_| pair(score.map(f64::from), same, fold, [0, 1]))
                };
                items.iter().flat_map(one).collect()
            };
            let (single, copies) = (all(&|_| 1), all(&|weight| weight));
            let numbers = |pairs: &[Comparison]| pairs.iter().map(|pair| pair.fold).collect::<BTreeSet<u32>>();
            prop_assume!(numbers(&single).len() == 3 && numbers(&copies).len() == 3);
            let weights: Vec<f64> = items.iter().map(|item| f64::from(item.3)).collect();
            prop_assert_eq!(
                Folds::of(&single).0.figures(&weights),
                Folds::of(&copies).0.figures(&vec![1.0; copies.len()])
            );
        }

        #[test]
        fn figures_lie_in_their_intervals_and_in_0_to_1(
            scores in prop::collection::vec((prop::option::weighted(0.9, -1.0..1.0_f64), any::<bool>(), 0..6_u32, 0..6_u32), 20..80),
            folds in 2..4_u32,
        ) {
            let pairs: Vec<Comparison> = (0..)
                .zip(&scores)
                .map(|(i, &(score, same, a, b))| pair(score, same, i % folds, [a, if same { a } else { b }]))
                .collect();
            let Ok(figures) = verification(&pairs, &QUICK) else { return Ok(()) };
            let intervals = &figures.intervals;
            let mut all = vec![
                (figures.accuracy_mean, intervals.accuracy_mean),
                (figures.auc, intervals.auc),
                (figures.eer, intervals.eer),
            ];
            all.extend(figures.tar_at_far.iter().map(|(key, &tar)| (tar, intervals.tar_at_far[key])));
            all.extend(figures.roc.iter().map(|point| (point.tar, point.interval)));
            for (figure, [low, high]) in all {
                prop_assert!(0.0 <= low && low <= figure && figure <= high && high <= 1.0, "{} in {} {}", figure, low, high);
            }
            prop_assert!(figures.roc.is_sorted_by(|a, b| a.far < b.far && a.tar <= b.tar));
        }
    }
}
