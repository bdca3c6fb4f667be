//! A crowd: faces of which nobody is enrolled, and what a similarity means among them.
//!
//! The synthetic strangers of the cohort are searched for among all faces, as they are in a gallery, and the same calibration is
//! fitted to what they are most like. So the more faces there are, the more alike two must be to count as one person.

use super::{
    calibration::{Calibration, Evidence, PRIOR, Spread, Synthetic},
    cohort::Cohort,
};
use crate::{Result, search::Index};

/// What a similarity means among some faces.
#[derive(Debug, Clone)]
pub(crate) struct Crowd(Calibration);

impl Crowd {
    /// Among the faces of `index`, embeddings of `embedder`, whose mean vector (not of unit length) is `mean`. `None` for an
    /// embedder without a cohort, or whose cohort is of another length.
    pub(crate) fn fit(embedder: &str, index: &dyn Index, mean: &[f32]) -> Result<Option<Self>> {
        let Some(cohort) = Cohort::of(embedder)? else { return Ok(None) };
        let strangers = cohort.strangers()?;
        if strangers.iter().any(|stranger| stranger.len() != index.dim()) {
            return Ok(None);
        }
        let probes: Vec<&[f32]> = strangers.iter().map(Vec::as_slice).collect();
        let tops = index.nearest(&probes, 1)?.into_iter().filter_map(|found| found.first().map(|n| n.similarity));
        let similarity = |stranger: &[f32]| stranger.iter().zip(mean).map(|(&a, &b)| f64::from(a * b)).sum::<f64>();
        let between = probes.iter().map(|stranger| similarity(stranger)).sum::<f64>() / probes.len() as f64;
        // As real strangers' would be.
        let real = |top: f32| between + cohort.pair_offset + (f64::from(top) - between) * cohort.pair_ratio;
        let tops: Vec<f32> = tops.map(|top| real(top) as f32).collect();
        let pairs = Spread { mean: between + cohort.pair_offset, deviation: 0.0 };
        let evidence = Evidence {
            synthetic: Some(Synthetic { tops, pairs }),
            enrolled: None,
            met: Vec::new(),
            mates: Some(cohort.mates),
        };
        Ok(Calibration::fit(&evidence).map(Self))
    }

    /// The similarity to the most alike of all faces that the share `rate` of strangers reaches.
    pub(crate) fn threshold(&self, rate: f64) -> f32 {
        self.0.threshold(rate)
    }

    /// For each of `candidates`, the most alike first, the probability that a face is theirs. A candidate is a score, as of a
    /// gallery's person (half the nearest similarity, half that to the mean), and a number of faces. Half of all faces have
    /// somebody. `None` where nothing is known of how alike one person's faces are.
    pub(crate) fn probabilities(&self, candidates: &[(f32, usize)]) -> Option<Vec<f64>> {
        self.0.plain_probabilities(candidates, PRIOR)
    }
}
