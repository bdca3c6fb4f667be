//! Search (1:N): which of the people enrolled is it, or is it a stranger?

use std::collections::BTreeMap;

use serde::Serialize;

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
    /// Share of strangers for whom somebody was named.
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
    /// Share of enrolled people's probes not named rightly (not first, or below the threshold), by the share of strangers
    /// named (`1e-2`); the mean over trials, each with its own threshold.
    pub fnir_at_fpir: BTreeMap<String, f64>,
    /// The threshold at each FPIR; the mean over trials.
    pub thresholds: BTreeMap<String, f64>,
    /// 95 % intervals of `fnir_at_fpir`, people resampled.
    pub intervals: BTreeMap<String, [f64; 2]>,
    /// 95 % interval of `rank1`.
    pub rank1_interval: [f64; 2],
    /// The DET curve, at most about 200 points, FPIR ascending.
    pub det: Vec<DetPoint>,
}
