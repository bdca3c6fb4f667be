//! Verification (1:1): are two photos of one person?

use std::collections::BTreeMap;

use serde::Serialize;

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
    /// Share of pairs of different people accepted.
    pub far: f64,
    /// Share of pairs of one person accepted.
    pub tar: f64,
    /// The 95 % interval of `tar`.
    pub interval: [f64; 2],
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
    /// Equal error rate: where as many strangers are accepted as own people are refused.
    pub eer: f64,
    /// Share of pairs of one person accepted, by the share of different people accepted (`1e-3`).
    pub tar_at_far: BTreeMap<String, f64>,
    /// The threshold of each FAR.
    pub thresholds: BTreeMap<String, f64>,
    /// 95 % intervals, people resampled.
    pub intervals: Intervals,
    /// Fold by fold.
    pub folds: Vec<Fold>,
    /// The ROC curve, at most about 200 points, FAR ascending.
    pub roc: Vec<RocPoint>,
}
