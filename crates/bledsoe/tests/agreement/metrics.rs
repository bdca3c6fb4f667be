//! Agreement with scikit-learn and numpy to 1e-9, from golden/metrics.json made by tools/reference/metrics.py.

use std::collections::BTreeMap;

use bledsoe::evaluate::{
    Bootstrap,
    search::{Probe, Trial, closed_set, open_set},
    verification::{Comparison, FoldsFrom, verification},
};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-9;
const NO_INTERVALS: Bootstrap = Bootstrap { replicates: 0, seed: 0 };

#[derive(Deserialize)]
struct Golden {
    verification: Vec<Protocol>,
    search: Search,
}

#[derive(Deserialize)]
struct Protocol {
    /// Score, same, fold.
    pairs: Vec<(Option<f64>, u32, u32)>,
    figures: ProtocolFigures,
}

#[derive(Deserialize)]
struct ProtocolFigures {
    accuracy_mean: f64,
    accuracy_stderr: f64,
    fold_accuracies: Vec<f64>,
    fold_thresholds: Vec<f64>,
    auc: f64,
    eer: f64,
    tar_at_far: BTreeMap<String, f64>,
    thresholds: BTreeMap<String, f64>,
    roc: Vec<[f64; 2]>,
}

/// Enrolled, mate, rank, other.
type Searched = (u32, Option<f64>, Option<usize>, Option<f64>);

#[derive(Deserialize)]
struct Search {
    trials: Vec<Vec<Searched>>,
    figures: SearchFigures,
}

#[derive(Deserialize)]
struct SearchFigures {
    cmc: Vec<f64>,
    rank1: f64,
    fnir_at_fpir: BTreeMap<String, f64>,
    thresholds: BTreeMap<String, f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/metrics.json")).unwrap()
}

fn near(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() < TOLERANCE, "{what}: {found}, reference {expected}");
}

fn all_near(what: &str, found: &BTreeMap<String, f64>, expected: &BTreeMap<String, f64>) {
    assert!(found.keys().eq(expected.keys()), "{what}: {found:?}");
    for (key, value) in expected {
        near(&format!("{what} {key}"), found[key], *value);
    }
}

#[test]
fn verification_agrees() {
    for Protocol { pairs, figures: expected } in golden().verification {
        let pairs: Vec<Comparison> = (0..)
            .zip(&pairs)
            .map(|(i, &(score, same, fold))| Comparison { score, same: same == 1, fold, people: [i, i] })
            .collect();
        let found = verification(&pairs, &NO_INTERVALS).unwrap();
        assert_eq!(found.failures_to_detect, pairs.iter().filter(|p| p.score.is_none()).count());
        assert_eq!((found.folds_from, found.folds.len()), (FoldsFrom::Protocol, expected.fold_accuracies.len()));
        near("accuracy", found.accuracy_mean, expected.accuracy_mean);
        near("standard error", found.accuracy_stderr, expected.accuracy_stderr);
        for (i, fold) in found.folds.iter().enumerate() {
            near(&format!("accuracy of fold {i}"), fold.accuracy, expected.fold_accuracies[i]);
            near(&format!("threshold of fold {i}"), fold.threshold, expected.fold_thresholds[i]);
        }
        near("area", found.auc, expected.auc);
        near("equal error rate", found.eer, expected.eer);
        all_near("TAR", &found.tar_at_far, &expected.tar_at_far);
        all_near("threshold", &found.thresholds, &expected.thresholds);
        assert!(found.roc.len() > 50 && found.roc[0].far == 0.0, "{} points", found.roc.len());
        for point in &found.roc {
            let best = expected.roc.iter().filter(|p| (p[0] - point.far).abs() < TOLERANCE).map(|p| p[1]);
            near(&format!("TAR at {}", point.far), point.tar, best.fold(f64::NAN, f64::max));
        }
    }
}

#[test]
fn search_agrees() {
    let Search { trials, figures: expected } = golden().search;
    let trial = |probes: &Vec<Searched>| Trial {
        seed: 0,
        probes: (0..)
            .zip(probes)
            .map(|(person, &(enrolled, mate, rank, other))| Probe {
                person,
                enrolled: enrolled == 1,
                mate,
                rank,
                other,
            })
            .collect(),
    };
    let trials: Vec<Trial> = trials.iter().map(trial).collect();
    let found = open_set(&trials, &NO_INTERVALS).unwrap();
    near("rank 1", found.rank1, expected.rank1);
    all_near("FNIR", &found.fnir_at_fpir, &expected.fnir_at_fpir);
    all_near("threshold", &found.thresholds, &expected.thresholds);
    assert!(trials.iter().flat_map(|t| &t.probes).any(|p| p.mate.is_none() && p.other.is_none()));
    let found = closed_set(&trials, &NO_INTERVALS).unwrap();
    near("rank 1", found.rank1, expected.cmc[0]);
    near("rank 5", found.rank5, expected.cmc[4]);
    assert_eq!(found.cmc.len(), expected.cmc.len());
    for (point, expected) in found.cmc.iter().zip(&expected.cmc) {
        near(&format!("rank {}", point.rank), point.rate, *expected);
    }
}
