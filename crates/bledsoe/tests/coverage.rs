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

fn holds(interval: [f64; 2], truth: f64) -> u64 {
    u64::from((interval[0]..=interval[1]).contains(&truth))
}

fn check(what: &str, held: u64) {
    let share = held as f64 / SETS as f64;
    println!("{what}: {share}");
    assert!((0.90..=0.98).contains(&share), "{what}: the truth is in {share} of the intervals");
}

/// How much people differ, in standard deviations of a score's noise.
const PERSON: f64 = 1.0;
const NOISE: f64 = 1.0;
/// How far scores of one person lie above those of two.
const LIFT: f64 = 4.0;

fn same_score(person: f64, random: &mut fastrand::Rng) -> f64 {
    LIFT + PERSON * person + NOISE * normal(random)
}

fn different_score(a: f64, b: f64, random: &mut fastrand::Rng) -> f64 {
    PERSON * (a + b) / 2.0 + NOISE * normal(random)
}

/// `each` pairs of each person's own photos and as many with others. Nobody is in two folds.
fn pairs(people: usize, each: usize, random: &mut fastrand::Rng) -> Vec<Comparison> {
    const FOLDS: usize = 5;
    let effects = normals(people, random);
    let mut pairs = Vec::new();
    for a in 0..people {
        for turn in 0..each {
            let fold = (a % FOLDS) as u32;
            let score = Some(same_score(effects[a], random));
            pairs.push(Comparison { score, same: true, fold, people: [a as u32; 2] });
            let b = (a + FOLDS * (1 + turn * 3)) % people;
            let score = Some(different_score(effects[a], effects[b], random));
            pairs.push(Comparison { score, same: false, fold, people: [a as u32, b as u32] });
        }
    }
    pairs
}

#[test]
fn intervals_of_verification_hold_the_truth() {
    const RATE: f64 = 0.1;
    // Truth, from more people than any set has.
    let mut random = fastrand::Rng::with_seed(1);
    let all = 500_000;
    let effects = normals(all, &mut random);
    let mut same: Vec<f64> = effects.iter().map(|&a| same_score(a, &mut random)).collect();
    let mut different: Vec<f64> =
        (0..all).map(|i| different_score(effects[i], effects[(i + 1) % all], &mut random)).collect();
    same.sort_by(f64::total_cmp);
    different.sort_by(f64::total_cmp);
    let above = |scores: &[f64], t: f64| (all - scores.partition_point(|&s| s < t)) as f64 / all as f64;
    let tar = above(&same, different[(all as f64 * (1.0 - RATE)) as usize]);
    let right = |i: i32| {
        let t = LIFT * f64::from(i) / 400.0;
        (above(&same, t) + 1.0 - above(&different, t)) / 2.0
    };
    let accuracy = (0..400).map(right).fold(0.0, f64::max);

    let (mut tar_held, mut accuracy_held) = (0, 0);
    for set in 0..SETS {
        let pairs = pairs(200, 3, &mut fastrand::Rng::with_seed(100 + set));
        let figures = verification(&pairs, &Bootstrap { replicates: 300, seed: set }).unwrap();
        tar_held += holds(figures.intervals.tar_at_far["1e-1"], tar);
        accuracy_held += holds(figures.intervals.accuracy_mean, accuracy);
    }
    check("TAR at FAR 0.1", tar_held);
    check("accuracy", accuracy_held);
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
                let mate = enrolled.then(|| same_score(effect, random));
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
    let (mut fnir_held, mut rank1_held) = (0, 0);
    for set in 0..SETS {
        let trials = trials(2, [150, 150], 2, &mut fastrand::Rng::with_seed(500 + set));
        let figures = open_set(&trials, &Bootstrap { replicates: 300, seed: set }).unwrap();
        fnir_held += holds(figures.intervals["1e-1"], truth.fnir_at_fpir["1e-1"]);
        rank1_held += holds(figures.rank1_interval, truth.rank1);
    }
    check("FNIR at FPIR 0.1", fnir_held);
    check("rank 1", rank1_held);
}
