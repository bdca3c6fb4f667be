//! Pages with made-up figures, for the tests and to be looked at.

use std::{collections::BTreeMap, path::Path};

use super::{About, Failure, Model, Picture, PicturePair, identification::*, verification::*};
use crate::{
    evaluate::{
        search::{ClosedSet, CmcPoint, DetPoint, FALSE_POSITIVE_RATES, OpenSet},
        verification::{FALSE_ACCEPT_RATES, Fold, FoldsFrom, Intervals, RocPoint, Verification},
    },
    photo::{Limits, Photo},
};

const PEOPLE: [&str; 6] = [
    "Barack_Obama/2009-congress.jpg",
    "Joe_Biden/2010-blue-room.jpg",
    "Eileen_Collins/nasa-portrait.jpg",
    "Grace_Hopper/1984-us-navy.jpg",
    "Barack_Obama/2010-blue-room.jpg",
    "Barack_Obama/2012-oval-office.jpg",
];

/// `n` draws, about normal.
fn draws(n: usize, mean: f64, deviation: f64, seed: u64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..n).map(|_| mean + deviation * ((0..12).map(|_| random.f64()).sum::<f64>() - 6.0)).collect()
}

/// The share of descending `scores` that are at least `threshold`.
fn share(scores: &[f64], threshold: f64) -> f64 {
    scores.partition_point(|s| *s >= threshold) as f64 / scores.len() as f64
}

fn descending(mut scores: Vec<f64>) -> Vec<f64> {
    scores.sort_by(|a, b| b.total_cmp(a));
    scores
}

/// An interval about a share of `n` trials.
fn interval(share: f64, n: f64) -> [f64; 2] {
    let half = 1.96 * (share * (1.0 - share) / n).sqrt() + 1.0 / n;
    [(share - half).max(0.0), (share + half).min(1.0)]
}

fn picture(i: usize) -> Picture {
    let path = PEOPLE[i % PEOPLE.len()];
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos").join(path);
    Picture { caption: path.into(), photo: Photo::open(&file, &Limits::default()).unwrap() }
}

fn pairs(pairs: &[(usize, usize, f64)], note: &str) -> Vec<PicturePair> {
    pairs
        .iter()
        .map(|&(left, right, score)| PicturePair {
            left: picture(left),
            right: picture(right),
            score,
            note: note.into(),
        })
        .collect()
}

fn about(title: &str, command: &str) -> About {
    About {
        title: title.into(),
        summary: "Made-up figures, to see what the page looks like: 1 < 2.".into(),
        notes: "Photos: works of the United States federal government, in the public domain.".into(),
        command: command.into(),
        models: [("detector", "centerface", "7"), ("embedder", "mobilefacenet", "c")]
            .map(|(role, id, digit)| Model { role: role.into(), id: id.into(), sha256: digit.repeat(64) })
            .into(),
        settings: serde_json::json!({
            "embedder": "mobilefacenet", "engine": "rten 0.27 (built in), f32, 2 threads",
            "finder": { "detector": { "id": "centerface", "min_score": 0.5 }, "select": "centre" },
            "bootstrap": { "replicates": 1000, "seed": 0 },
        }),
    }
}

/// A verification of descending scores.
fn verified(same: &[f64], different: &[f64], failures: usize) -> Verification {
    let none = different[0] + 1e-9;
    let mut thresholds: Vec<f64> = different.iter().copied().step_by(different.len().div_ceil(150)).collect();
    thresholds.extend(&different[..8]);
    thresholds.push(none);
    let thresholds = descending(thresholds);
    let n = same.len() as f64;
    let roc = thresholds.iter().map(|&t| {
        let tar = share(same, t);
        RocPoint { far: share(different, t), tar, interval: interval(tar, n) }
    });
    let at = |far: f64| {
        let accepted = (far * different.len() as f64) as usize;
        different[accepted.min(different.len() - 1)] + 1e-9
    };
    let by_rate = |f: &dyn Fn(f64) -> f64| -> BTreeMap<String, f64> {
        FALSE_ACCEPT_RATES.iter().map(|(key, far)| (key.to_string(), f(*far))).collect()
    };
    let tar_at_far = by_rate(&|far| share(same, at(far)));
    let middle = 0.3;
    let accuracy = 0.5 * (share(same, middle) + 1.0 - share(different, middle));
    let folds = (0..10).map(|i| {
        let wobble = f64::from(i * 7 % 10) - 4.5;
        Fold { fold: i, threshold: middle + wobble / 2000.0, accuracy: (accuracy + wobble / 1500.0).min(1.0) }
    });
    Verification {
        pairs: same.len() + different.len() + failures,
        same: same.len() + failures,
        different: different.len(),
        failures_to_detect: failures,
        accuracy_mean: accuracy,
        accuracy_stderr: 0.0011,
        auc: 0.9987,
        eer: 1.0 - accuracy,
        thresholds: by_rate(&at),
        intervals: Intervals {
            accuracy_mean: interval(accuracy, n),
            auc: [0.9979, 0.9993],
            eer: interval(1.0 - accuracy, n),
            tar_at_far: tar_at_far.iter().map(|(key, tar)| (key.clone(), interval(*tar, n))).collect(),
        },
        tar_at_far,
        folds: folds.collect(),
        folds_from: FoldsFrom::Protocol,
        roc: roc.chain([RocPoint { far: 1.0, tar: 1.0, interval: [1.0, 1.0] }]).collect(),
    }
}

/// A verification page much like LFW's.
pub(super) fn verification() -> VerificationPage {
    let scores =
        |n, mean, seed| (descending(draws(n, mean, 0.11, seed)), descending(draws(n, 0.05, 0.085, seed + 100)));
    let (same, different) = scores(3000, 0.62, 1);
    let group = |name: &str, n, mean, seed| {
        let (same, different) = scores(n, mean, seed);
        (name.to_owned(), verified(&same, &different, seed as usize % 3))
    };
    VerificationPage {
        about: about(
            "Verification: LFW View 2",
            "bledsoe benchmark verification --protocol lfw --root shared/datasets/lfw --view 2 --report report.html",
        ),
        result: verified(&same, &different, 2),
        same_scores: same,
        different_scores: different,
        threshold: 0.3,
        threshold_origin: "the mean of the folds' thresholds".into(),
        false_matches: pairs(&[(0, 1, 0.412), (2, 3, 0.377), (1, 3, 0.341), (1, 4, 0.312), (2, 5, 0.301)], ""),
        false_non_matches: pairs(&[(0, 4, 0.091), (4, 5, 0.203), (0, 5, 0.281)], ""),
        failures: vec![
            Failure { path: "Ada_&_Co/Ada_0001.jpg".into(), reason: "no face found".into() },
            Failure { path: "Grace_Hopper/Grace_0002.jpg".into(), reason: "no face found".into() },
        ],
        groupings: vec![
            Grouping {
                label: "gender".into(),
                groups: vec![group("women", 700, 0.58, 4), group("men", 2300, 0.63, 5)],
            },
            Grouping {
                label: "age".into(),
                groups: vec![
                    group("under 30", 600, 0.6, 6),
                    group("30 to 60", 1900, 0.63, 7),
                    group("over 60", 500, 0.62, 8),
                ],
            },
        ],
    }
}

fn closed(rank1: f64) -> ClosedSet {
    let cmc: Vec<CmcPoint> = (1..=50)
        .map(|rank| {
            let rate = 1.0 - (1.0 - rank1) / (rank as f64).powf(0.6);
            CmcPoint { rank, rate, interval: interval(rate, 800.0) }
        })
        .collect();
    let interval = |rank: usize| cmc[rank - 1].interval;
    ClosedSet {
        probes: 7484,
        failures_to_detect: 3,
        rank1,
        rank5: cmc[4].rate,
        intervals: [("rank1".to_owned(), interval(1)), ("rank5".to_owned(), interval(5))].into(),
        cmc,
    }
}

fn open(misses: f64) -> OpenSet {
    let fnir = |fpir: f64| (misses * (0.01 / fpir).powf(0.35)).clamp(0.002, 1.0);
    let det = (0..=150).map(|i| {
        let fpir = 10f64.powf(-3.4 + 3.4 * f64::from(i) / 150.0);
        DetPoint { fpir, fnir: fnir(fpir), interval: interval(fnir(fpir), 1200.0) }
    });
    let by_rate = |f: &dyn Fn(f64) -> f64| -> BTreeMap<String, f64> {
        FALSE_POSITIVE_RATES.iter().map(|(key, rate)| (key.to_string(), f(*rate))).collect()
    };
    OpenSet {
        mated: 7484,
        strangers: 4069,
        failures_to_detect: 5,
        rank1: 1.0 - misses / 3.0,
        fnir_at_fpir: by_rate(&fnir),
        thresholds: by_rate(&|rate| 0.25 - 0.06 * rate.log10()),
        intervals: FALSE_POSITIVE_RATES
            .iter()
            .map(|(key, rate)| (key.to_string(), interval(fnir(*rate), 1200.0)))
            .collect(),
        rank1_interval: interval(1.0 - misses / 3.0, 1200.0),
        det: det.collect(),
    }
}

/// An identification page with both kinds of set.
pub(super) fn identification() -> IdentificationPage {
    IdentificationPage {
        about: about(
            "Identification on LFW",
            "bledsoe benchmark identification --protocol open --root shared/datasets/lfw --enrol 1 --report report.html",
        ),
        closed: vec![
            ("1 photo".into(), closed(0.953)),
            ("2 photos".into(), closed(0.978)),
            ("5 photos".into(), closed(0.989)),
            ("70 % of photos".into(), closed(0.993)),
        ],
        open: vec![
            ("1 photo".into(), open(0.094)),
            ("2 photos".into(), open(0.051)),
            ("5 photos".into(), open(0.028)),
            ("70 % of photos".into(), open(0.019)),
        ],
        false_alarms: pairs(&[(1, 0, 0.512), (3, 2, 0.467), (1, 4, 0.441)], ""),
        misses: pairs(&[(0, 4, 0.091), (4, 5, 0.203)], "Joe_Biden was nearer: 0.314"),
        failures: (0..30)
            .map(|i| Failure { path: format!("Ada/Ada_{i:04}.jpg"), reason: "no face found".into() })
            .collect(),
    }
}

/// The words and drawings of a page without its style and pictures, whose encoding may look like anything.
pub(super) fn readable(html: &str) -> String {
    let body = html.split_once("<body>").unwrap().1;
    let mut pieces = body.split("data:image/jpeg;base64,");
    let first = pieces.next().unwrap().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('"').unwrap().1)
}

/// Writes both pages where `tools/measure/screenshot.py` can take their pictures:
/// `cargo test -p bledsoe --lib report_samples -- --ignored`.
#[test]
#[ignore = "writes files to be looked at"]
fn report_samples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/report-samples");
    std::fs::create_dir_all(&folder).unwrap();
    super::verification::write(&folder.join("verification.html"), &verification()).unwrap();
    super::identification::write(&folder.join("identification.html"), &identification()).unwrap();
}
