//! Whether intervals hold the truth as often as they say, on simulated people: some are harder to know than others, and
//! are so in all their photos. An interval of 95 % must hold the true value in 90 to 98 % of 200 simulated sets.

// Clippy knows test functions, not those that they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bledsoe::evaluate::{
    Bootstrap,
    search::{Probe, Trial, open_set},
    verification::{Comparison, verification},
};

const SETS: u64 = 200;

/// Normally distributed, mean 0 and variance 1.
fn normal(random: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos()
}

fn normals(n: usize, random: &mut fastrand::Rng) -> Vec<f64> {
    (0..n).map(|_| normal(random)).collect()
}

/// A figure with its interval, in each simulated set.
#[derive(Default)]
struct Coverage(Vec<(f64, [f64; 2])>);

impl Coverage {
    /// The share of intervals that hold the truth.
    fn share(&self, truth: f64) -> f64 {
        self.0.iter().filter(|(_, [low, high])| (*low..=*high).contains(&truth)).count() as f64 / self.0.len() as f64
    }

    /// How wide intervals are, on average, in those of a normal distribution as wide as the figures spread.
    fn width(&self) -> f64 {
        let n = self.0.len() as f64;
        let mean = self.0.iter().map(|(figure, _)| figure).sum::<f64>() / n;
        let deviation = (self.0.iter().map(|(figure, _)| (figure - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        self.0.iter().map(|(_, [low, high])| high - low).sum::<f64>() / n / (2.0 * 1.96 * deviation)
    }

    fn check(
        &self,
        what: &str,
        truth: f64,
        shares: std::ops::RangeInclusive<f64>,
        widths: std::ops::RangeInclusive<f64>,
    ) {
        let (share, width) = (self.share(truth), self.width());
        println!(
            "{what}, truly {truth:.4}: in {share} of the intervals, which are {width:.2} times as wide as need be"
        );
        assert!(shares.contains(&share), "{what}: the truth is in {share} of the intervals");
        assert!(widths.contains(&width), "{what}: intervals are {width} times as wide as need be");
    }
}

/// How much people differ, in standard deviations of a score's noise.
const PERSON: f64 = 1.0;
const NOISE: f64 = 1.0;
fn same_score(lift: f64, person: f64, random: &mut fastrand::Rng) -> f64 {
    lift + PERSON * person + NOISE * normal(random)
}

fn different_score(a: f64, b: f64, random: &mut fastrand::Rng) -> f64 {
    PERSON * (a + b) / 2.0 + NOISE * normal(random)
}

/// `each` pairs of each person's own photos, `lift` above as many with others. Nobody is in two folds.
fn pairs(people: usize, each: usize, lift: f64, random: &mut fastrand::Rng) -> Vec<Comparison> {
    const FOLDS: usize = 5;
    let effects = normals(people, random);
    let mut pairs = Vec::new();
    for a in 0..people {
        for turn in 0..each {
            let fold = (a % FOLDS) as u32;
            let score = Some(same_score(lift, effects[a], random));
            pairs.push(Comparison { score, same: true, fold, people: [a as u32; 2] });
            let b = (a + FOLDS * (1 + turn * 3)) % people;
            let score = Some(different_score(effects[a], effects[b], random));
            pairs.push(Comparison { score, same: false, fold, people: [a as u32, b as u32] });
        }
    }
    pairs
}

/// TAR at FAR 0.1, and the accuracy of the best threshold, of more people than any set has.
fn true_figures(lift: f64) -> (f64, f64) {
    const ALL: usize = 500_000;
    let random = &mut fastrand::Rng::with_seed(1);
    let effects = normals(ALL, random);
    let mut same: Vec<f64> = effects.iter().map(|&a| same_score(lift, a, random)).collect();
    let mut different: Vec<f64> =
        (0..ALL).map(|i| different_score(effects[i], effects[(i + 1) % ALL], random)).collect();
    same.sort_by(f64::total_cmp);
    different.sort_by(f64::total_cmp);
    let above = |scores: &[f64], t: f64| (ALL - scores.partition_point(|&s| s < t)) as f64 / ALL as f64;
    let right = |i: i32| {
        let t = lift * f64::from(i) / 400.0;
        (above(&same, t) + 1.0 - above(&different, t)) / 2.0
    };
    (above(&same, different[ALL * 9 / 10]), (0..400).map(right).fold(0.0, f64::max))
}

#[test]
fn intervals_of_verification_hold_the_truth() {
    // Few pairs of many people, as in LFW, and more pairs of fewer.
    for (people, each, lift) in [(500, 1, 4.0), (200, 3, 3.0)] {
        let (tar, accuracy) = true_figures(lift);
        let (mut tars, mut accuracies) = (Coverage::default(), Coverage::default());
        for set in 0..SETS {
            let pairs = pairs(people, each, lift, &mut fastrand::Rng::with_seed(100 + set));
            let figures = verification(&pairs, &Bootstrap { replicates: 200, seed: set }).unwrap();
            tars.0.push((figures.tar_at_far["1e-1"], figures.intervals.tar_at_far["1e-1"]));
            accuracies.0.push((figures.accuracy_mean, figures.intervals.accuracy_mean));
        }
        tars.check(&format!("TAR at FAR 0.1, {people} people"), tar, 0.90..=0.98, 0.9..=1.2);
        accuracies.check(&format!("accuracy, {people} people"), accuracy, 0.90..=0.98, 0.9..=1.2);
    }
}

/// `mated` people enrolled and `strangers` others, each with `each` probes, in every trial the same people.
fn trials(count: u64, [mated, strangers]: [usize; 2], each: usize, random: &mut fastrand::Rng) -> Vec<Trial> {
    let effects = normals(mated + strangers, random);
    let mut trial = |seed| {
        let mut probes = Vec::new();
        for (i, &effect) in effects.iter().enumerate() {
            for _ in 0..each {
                let (person, enrolled) = (i as u32, i < mated);
                let other = different_score(effect, effect, random);
                let mate = enrolled.then(|| same_score(3.0, effect, random));
                let rank = mate.map(|mate| 1 + usize::from(other >= mate));
                probes.push(Probe { person, enrolled, mate, rank, other: Some(other) });
            }
        }
        Trial { seed, probes }
    };
    (0..count).map(&mut trial).collect()
}

#[test]
fn intervals_of_open_set_search_hold_the_truth() {
    let mut random = fastrand::Rng::with_seed(2);
    let many = trials(1, [300_000; 2], 1, &mut random);
    let truth = open_set(&many, &Bootstrap { replicates: 0, seed: 0 }).unwrap();
    let (mut misses, mut firsts) = (Coverage::default(), Coverage::default());
    for set in 0..SETS {
        let trials = trials(2, [150, 150], 2, &mut fastrand::Rng::with_seed(500 + set));
        let figures = open_set(&trials, &Bootstrap { replicates: 300, seed: set }).unwrap();
        misses.0.push((figures.fnir_at_fpir["1e-1"], figures.intervals["1e-1"]));
        firsts.0.push((figures.rank1, figures.rank1_interval));
    }
    misses.check("FNIR at FPIR 0.1", truth.fnir_at_fpir["1e-1"], 0.90..=0.98, 0.9..=1.2);
    firsts.check("rank 1", truth.rank1, 0.90..=0.98, 0.9..=1.2);
}
