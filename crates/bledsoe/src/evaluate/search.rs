//! Search (1:N): which of the people enrolled is it, or is it a stranger?
//!
//! The figures are those of NIST's face recognition vendor test, part 2 (P. Grother, M. Ngan, K. Hanaoka: NISTIR 8271,
//! 2019). In the open set a search answers with the nearest person if the similarity is at or above the threshold:
//! FPIR is the share of strangers for whom it answers, FNIR the share of people enrolled for whom it does not answer, or
//! names somebody else.
//!
//! Each trial has its own gallery and threshold; figures are means over trials. Intervals resample the people of the
//! probes, the same in all trials; galleries stay as they were drawn.
//!
//! ```
//! use bledsoe::evaluate::{Bootstrap, search::{Probe, Trial, open_set}};
//! let known = |person| Probe { person, enrolled: true, mate: Some(0.8), rank: Some(1), other: Some(0.2) };
//! let stranger = |person| Probe { person, enrolled: false, mate: None, rank: None, other: Some(0.3) };
//! let probes = (0..10).map(known).chain((10..30).map(stranger)).collect();
//! let figures = open_set(&[Trial { seed: 0, probes }], &Bootstrap::default())?;
//! assert_eq!((figures.rank1, figures.fnir_at_fpir["1e-2"]), (1.0, 0.0));
//! # Ok::<(), bledsoe::Error>(())
//! ```

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    bootstrap::{Bootstrap, People},
    curve::Curve,
};
use crate::{Error, Result};

/// The false positive identification rates that figures are given at, with their keys in results.
pub const FALSE_POSITIVE_RATES: [(&str, f64); 3] = [("1e-1", 1e-1), ("1e-2", 1e-2), ("1e-3", 1e-3)];

/// A probe searched in a gallery.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    /// The person's number: what the bootstrap resamples.
    pub person: u32,
    /// Whether the person is enrolled.
    pub enrolled: bool,
    /// Similarity to the person's own entry; `None` for strangers and where no face was found.
    pub mate: Option<f64>,
    /// 1 if nobody else is as similar as the person's own entry, and so on; `None` as for `mate`.
    pub rank: Option<usize>,
    /// Similarity to the nearest other person enrolled; `None` where no face was found.
    pub other: Option<f64>,
}

/// One drawing of gallery and probes.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// What it was drawn by.
    pub seed: u64,
    /// All probes.
    pub probes: Vec<Probe>,
}

/// Closed-set identification: only probes of people enrolled count.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClosedSet {
    /// Probes of people enrolled, all trials together.
    pub probes: usize,
    /// Of them, without a face found: errors at every rank.
    pub failures_to_detect: usize,
    /// Share with the own person first; the mean over trials.
    pub rank1: f64,
    /// Share with the own person among the first five.
    pub rank5: f64,
    /// The cumulative match characteristic: `cmc[k]` is the share within rank `k + 1`.
    pub cmc: Vec<CmcPoint>,
    /// 95 % intervals of `rank1` and `rank5`, people resampled.
    pub intervals: BTreeMap<String, [f64; 2]>,
}

/// A point of the CMC curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CmcPoint {
    /// From 1.
    pub rank: usize,
    /// Share of probes found within that rank.
    pub rate: f64,
    /// The 95 % interval of `rate`.
    pub interval: [f64; 2],
}

/// A point of the DET curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DetPoint {
    /// Share of strangers for whom somebody was named; the mean over trials.
    pub fpir: f64,
    /// Share of people enrolled who were not named, or not rightly.
    pub fnir: f64,
    /// The 95 % interval of `fnir`.
    pub interval: [f64; 2],
}

/// Open-set identification: strangers among the probes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpenSet {
    /// Probes of people enrolled, all trials together.
    pub mated: usize,
    /// Probes of strangers, all trials together.
    pub strangers: usize,
    /// Probes without a face found: misses if enrolled, never false alarms.
    pub failures_to_detect: usize,
    /// Share of enrolled people's probes with the own person first, whatever the score.
    pub rank1: f64,
    /// Share of enrolled people's probes not named rightly (not first, or below the threshold), where at most the share
    /// named by the key (`1e-2`) of strangers is; the mean over trials, each with its own threshold.
    pub fnir_at_fpir: BTreeMap<String, f64>,
    /// The threshold at each FPIR: the least score seen that at most that share of strangers reaches; the mean over trials.
    pub thresholds: BTreeMap<String, f64>,
    /// 95 % intervals of `fnir_at_fpir`, people resampled.
    pub intervals: BTreeMap<String, [f64; 2]>,
    /// 95 % interval of `rank1`.
    pub rank1_interval: [f64; 2],
    /// The DET curve, at most about 200 points, FPIR ascending.
    pub det: Vec<DetPoint>,
}

/// The last rank of the CMC curve.
const RANKS: usize = 20;

/// Scores closed-set search: strangers among the probes are passed over.
///
/// # Errors
/// [`Error::Invalid`] without trials, for a trial without probes of people enrolled, and for probes that contradict
/// themselves (see [`Probe`]).
pub fn closed_set(trials: &[Trial], bootstrap: &Bootstrap) -> Result<ClosedSet> {
    check(trials)?;
    let people = People::new(trials.iter().flat_map(|t| &t.probes).filter(|p| p.enrolled).map(|p| p.person));
    let trials: Vec<Vec<(usize, Option<usize>)>> = trials
        .iter()
        .map(|t| t.probes.iter().filter(|p| p.enrolled).map(|p| (people.index(p.person), p.rank)).collect())
        .collect();
    // The share within each rank.
    let figures = |drawn: &[f64]| {
        let of_trial = |probes: &Vec<(usize, Option<usize>)>| {
            let (mut found, mut total) = (vec![0.0; RANKS], 0.0);
            for &(person, rank) in probes {
                total += drawn[person];
                if let Some(rank) = rank.filter(|&rank| rank <= RANKS) {
                    found[rank - 1] += drawn[person];
                }
            }
            let mut within = 0.0;
            (total > 0.0).then(|| {
                let share = |found| {
                    within += found;
                    within / total
                };
                found.into_iter().map(share).collect::<Vec<f64>>()
            })
        };
        mean(trials.iter().map(of_trial))
    };
    let rates = figures(&vec![1.0; people.len()]).ok_or_else(no_mate)?;
    let intervals = bootstrap.intervals(people.len(), &rates, figures);
    Ok(ClosedSet {
        probes: trials.iter().map(Vec::len).sum(),
        failures_to_detect: trials.iter().flatten().filter(|(_, rank)| rank.is_none()).count(),
        rank1: rates[0],
        rank5: rates[4],
        intervals: BTreeMap::from([("rank1".to_owned(), intervals[0]), ("rank5".to_owned(), intervals[4])]),
        cmc: (1..)
            .zip(rates.into_iter().zip(intervals))
            .map(|(rank, (rate, interval))| CmcPoint { rank, rate, interval })
            .collect(),
    })
}

/// Scores open-set search.
///
/// # Errors
/// [`Error::Invalid`] without trials, for a trial without probes of people enrolled, of strangers, or without any
/// score, and for probes that contradict themselves (see [`Probe`]).
pub fn open_set(trials: &[Trial], bootstrap: &Bootstrap) -> Result<OpenSet> {
    check(trials)?;
    if let Some(trial) = trials.iter().find(|trial| trial.probes.iter().all(|probe| probe.enrolled)) {
        return Err(Error::Invalid(format!(
            "the trial of seed {} has no strangers: an open set needs probes of people who are not enrolled",
            trial.seed
        )));
    }
    let people = People::new(trials.iter().flat_map(|trial| &trial.probes).map(|probe| probe.person));
    let searches: Vec<Search> = trials.iter().map(|trial| Search::new(trial, &people)).collect();

    let rates: Vec<f64> = FALSE_POSITIVE_RATES.iter().rev().map(|&(_, rate)| rate).collect();
    let mut thresholds = BTreeMap::new();
    for (key, rate) in FALSE_POSITIVE_RATES {
        thresholds.insert(key.to_owned(), mean_operating(&searches, rate)?.0);
    }
    let most = searches.iter().max_by_key(|search| search.strangers).map(|search| search.curve.limits());
    let (mut limits, mut fpirs) = (Vec::new(), Vec::new());
    for limit in most.unwrap_or_default() {
        let (_, fpir) = mean_operating(&searches, limit)?;
        if fpirs.last() != Some(&fpir) {
            limits.push(limit);
            fpirs.push(fpir);
        }
    }
    // Rank 1, then FNIR by rate and by point of the curve.
    let figures = |drawn: &[f64]| mean(searches.iter().map(|search| search.figures(drawn, &rates, &limits)));
    let all = figures(&vec![1.0; people.len()]).ok_or_else(no_mate)?;
    let intervals = bootstrap.intervals(people.len(), &all, figures);
    let keys = || FALSE_POSITIVE_RATES.iter().rev().map(|&(key, _)| key.to_owned());
    let at_points = 1 + rates.len();
    let probes = || trials.iter().flat_map(|trial| &trial.probes);
    let mated = probes().filter(|probe| probe.enrolled).count();
    Ok(OpenSet {
        mated,
        strangers: probes().count() - mated,
        failures_to_detect: probes().filter(|p| if p.enrolled { p.mate.is_none() } else { p.other.is_none() }).count(),
        rank1: all[0],
        fnir_at_fpir: keys().zip(all[1..at_points].iter().copied()).collect(),
        thresholds,
        intervals: keys().zip(intervals[1..at_points].iter().copied()).collect(),
        rank1_interval: intervals[0],
        det: fpirs
            .into_iter()
            .zip(all[at_points..].iter().zip(&intervals[at_points..]))
            .map(|(fpir, (&fnir, &interval))| DetPoint { fpir, fnir, interval })
            .collect(),
    })
}

/// A trial, ready for figures by many weights.
struct Search {
    /// Of each probe.
    people: Vec<usize>,
    /// Whether the own person was first, for each probe of a person enrolled; nothing for strangers.
    first: Vec<Option<bool>>,
    strangers: usize,
    /// Strangers' highest similarities against those to own entries that came first.
    curve: Curve,
}

impl Search {
    fn new(trial: &Trial, people: &People) -> Self {
        let score = |p: &Probe| if p.enrolled { p.mate.filter(|_| p.rank == Some(1)) } else { p.other };
        Self {
            people: trial.probes.iter().map(|probe| people.index(probe.person)).collect(),
            first: trial.probes.iter().map(|probe| probe.enrolled.then_some(probe.rank == Some(1))).collect(),
            strangers: trial.probes.iter().filter(|probe| !probe.enrolled).count(),
            curve: Curve::new(trial.probes.iter().map(|probe| (score(probe), probe.enrolled))),
        }
    }

    /// Rank 1, then FNIR by rate and by limit; `None` where people enrolled or strangers weigh nothing.
    fn figures(&self, drawn: &[f64], rates: &[f64], limits: &[f64]) -> Option<Vec<f64>> {
        let weights: Vec<f64> = self.people.iter().map(|&person| drawn[person]).collect();
        let misses = |limits| Some(self.curve.hits(&weights, limits)?.into_iter().map(|hits| 1.0 - hits));
        let (mut first, mut mated) = (0.0, 0.0);
        for (found, weight) in self.first.iter().zip(&weights) {
            if let Some(found) = found {
                mated += weight;
                first += if *found { *weight } else { 0.0 };
            }
        }
        Some(std::iter::once(first / mated).chain(misses(rates)?).chain(misses(limits)?).collect())
    }
}

/// Means over trials of threshold and FPIR where at most the share `limit` of strangers is named.
fn mean_operating(searches: &[Search], limit: f64) -> Result<(f64, f64)> {
    let (mut threshold, mut fpir) = (0.0, 0.0);
    for search in searches {
        let operating = search.curve.operating(limit).ok_or_else(|| {
            Error::Invalid(
                "a trial has no score: no stranger has a face, and no person enrolled was found first".into(),
            )
        })?;
        threshold += operating.threshold;
        fpir += operating.false_alarms;
    }
    Ok((threshold / searches.len() as f64, fpir / searches.len() as f64))
}

/// The mean over trials of each figure; `None` where one trial has none.
fn mean(trials: impl ExactSizeIterator<Item = Option<Vec<f64>>>) -> Option<Vec<f64>> {
    let n = trials.len() as f64;
    let mut sums: Vec<f64> = Vec::new();
    for figures in trials {
        let figures = figures?;
        sums.resize(figures.len(), 0.0);
        for (sum, figure) in sums.iter_mut().zip(figures) {
            *sum += figure;
        }
    }
    Some(sums.into_iter().map(|sum| sum / n).collect())
}

fn no_mate() -> Error {
    Error::Invalid("search needs probes of people who are enrolled".into())
}

fn check(trials: &[Trial]) -> Result<()> {
    if trials.is_empty() {
        return Err(Error::Invalid("search needs at least one trial".into()));
    }
    for trial in trials {
        let wrong = |i: usize, what: &str| {
            Err(Error::Invalid(format!("the trial of seed {}, probe {}: {what}", trial.seed, i + 1)))
        };
        if !trial.probes.iter().any(|probe| probe.enrolled) {
            return Err(Error::Invalid(format!("the trial of seed {} has no probe of a person enrolled", trial.seed)));
        }
        for (i, probe) in trial.probes.iter().enumerate() {
            if probe.mate.iter().chain(&probe.other).any(|score| !score.is_finite()) {
                return wrong(i, "a similarity is no finite number");
            }
            if probe.mate.is_some() != probe.rank.is_some() {
                return wrong(i, "similarity and rank of the own person come together or not at all");
            }
            if !probe.enrolled && probe.mate.is_some() {
                return wrong(i, "a stranger has no entry of its own in the gallery");
            }
            if probe.rank == Some(0) {
                return wrong(i, "ranks count from 1");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Bootstrap = Bootstrap { replicates: 50, seed: 1 };

    fn known(person: u32, mate: f64, rank: usize) -> Probe {
        Probe { person, enrolled: true, mate: Some(mate), rank: Some(rank), other: Some(0.3) }
    }

    fn stranger(person: u32, other: impl Into<Option<f64>>) -> Probe {
        Probe { person, enrolled: false, mate: None, rank: None, other: other.into() }
    }

    const LOST: Probe = Probe { person: 7, enrolled: true, mate: None, rank: None, other: None };

    fn trial(probes: impl IntoIterator<Item = Probe>) -> Trial {
        Trial { seed: 4, probes: probes.into_iter().collect() }
    }

    #[test]
    fn ranks_add_up_and_trials_count_alike() {
        let first = trial([known(0, 0.9, 1), known(1, 0.4, 5), known(2, 0.1, 21), LOST, stranger(3, 0.2)]);
        let second = trial([known(0, 0.9, 1)]);
        let figures = closed_set(&[first, second], &QUICK).unwrap();
        assert_eq!((figures.probes, figures.failures_to_detect), (5, 1));
        assert_eq!((figures.rank1, figures.rank5), ((0.25 + 1.0) / 2.0, (0.5 + 1.0) / 2.0));
        let rates: Vec<f64> = figures.cmc.iter().map(|point| point.rate).collect();
        assert_eq!((rates.len(), rates[3], rates[4], rates[19]), (20, 0.625, 0.75, 0.75));
        assert_eq!(figures.cmc[0].interval, figures.intervals["rank1"]);
        assert!(figures.cmc.iter().all(|p| p.interval[0] <= p.rate && p.rate <= p.interval[1]));
    }

    /// Ten people enrolled at 0.50 to 0.95, the first not at rank 1; twenty strangers at 0.00 to 0.57.
    fn ten_and_twenty() -> Trial {
        let enrolled = (0..10).map(|i| known(i, 0.5 + 0.05 * f64::from(i), if i == 9 { 2 } else { 1 }));
        trial(enrolled.chain((0..20).map(|i| stranger(10 + i, 0.03 * f64::from(i)))))
    }

    #[test]
    fn a_threshold_lets_few_strangers_through() {
        let figures = open_set(&[ten_and_twenty()], &QUICK).unwrap();
        assert_eq!((figures.mated, figures.strangers, figures.failures_to_detect, figures.rank1), (10, 20, 0, 0.9));
        // Two strangers may pass: 0.57 and 0.54; of the people, those at 0.50 and the one at rank 2 are missed.
        assert_eq!(figures.thresholds["1e-1"], 0.54);
        assert!((figures.fnir_at_fpir["1e-1"] - 0.2).abs() < 1e-12);
        assert_eq!(figures.thresholds["1e-2"], 0.5 + 0.05 * 2.0);
        assert!((figures.fnir_at_fpir["1e-2"] - 0.3).abs() < 1e-12);
        assert!(figures.det.is_sorted_by(|a, b| a.fpir < b.fpir && a.fnir >= b.fnir));
        assert_eq!((figures.det[0].fpir, figures.det[figures.det.len() - 1].fpir), (0.0, 1.0));
        assert!(figures.det.iter().all(|p| p.interval[0] <= p.fnir && p.fnir <= p.interval[1]));
        assert!(figures.intervals["1e-1"][0] < 0.2 && figures.intervals["1e-1"][1] > 0.2);
    }

    #[test]
    fn each_trial_has_its_own_threshold() {
        let mut shifted = ten_and_twenty();
        for probe in &mut shifted.probes {
            probe.mate = probe.mate.map(|score| score + 1.0);
            probe.other = probe.other.map(|score| score + 1.0);
        }
        let figures = open_set(&[ten_and_twenty(), shifted], &QUICK).unwrap();
        assert!((figures.fnir_at_fpir["1e-1"] - 0.2).abs() < 1e-12);
        assert!((figures.thresholds["1e-1"] - 1.04).abs() < 1e-12);
    }

    #[test]
    fn without_a_face_people_are_missed_and_strangers_pass_unnamed() {
        let mut probes = ten_and_twenty();
        probes.probes.extend([LOST, stranger(30, None)]);
        let figures = open_set(&[probes], &QUICK).unwrap();
        assert_eq!((figures.mated, figures.strangers, figures.failures_to_detect), (11, 21, 2));
        assert!((figures.rank1 - 9.0 / 11.0).abs() < 1e-12);
        let last = figures.det[figures.det.len() - 1];
        assert!((last.fpir - 20.0 / 21.0).abs() < 1e-12 && (last.fnir - 2.0 / 11.0).abs() < 1e-12, "{last:?}");
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let trials = [ten_and_twenty(), ten_and_twenty()];
        let on = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let bootstrap = Bootstrap { replicates: 40, seed };
            pool.install(|| (open_set(&trials, &bootstrap).unwrap(), closed_set(&trials, &bootstrap).unwrap()))
        };
        assert_eq!(on(1, 0), on(3, 0));
        assert_ne!(on(1, 0).0.det, on(1, 1).0.det);
    }

    #[test]
    fn what_cannot_be_scored_says_why() {
        let says = |trials: &[Trial], what: &str| {
            let error = open_set(trials, &QUICK).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)) && error.to_string().contains(what), "{error}");
        };
        says(&[], "at least one trial");
        says(&[trial([known(0, 0.5, 1)])], "seed 4 has no strangers");
        says(&[trial([stranger(0, 0.5)])], "no probe of a person enrolled");
        says(&[trial([known(0, f64::NAN, 1), stranger(1, 0.5)])], "probe 1: a similarity is no finite number");
        says(&[trial([known(0, 0.5, 0), stranger(1, 0.5)])], "ranks count from 1");
        says(&[trial([Probe { rank: None, ..known(0, 0.5, 1) }])], "come together");
        says(&[trial([known(0, 0.5, 1), Probe { enrolled: false, ..known(1, 0.5, 1) }])], "probe 2: a stranger has");
        says(&[trial([LOST, stranger(1, None)])], "no score");
        assert!(closed_set(&[trial([stranger(0, 0.5)])], &QUICK).is_err());
    }
}
