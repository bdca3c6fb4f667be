//! A crowd: faces of which nobody is enrolled, and what a similarity means among them.
//!
//! How alike synthetic strangers are to the most alike of some people is stored with the cohort, measured on people
//! that they were not made of. From that follows how alike they are to the most alike of any number of faces, by
//! extreme value theory: the more faces there are, the more alike two must be to count as one person. If these faces
//! are more alike on average than those, all is moved by as much.

use super::{
    calibration::{Calibration, Evidence, PRIOR, Spread, Synthetic},
    cohort::Cohort,
};
use crate::Result;

/// Strangers that a calibration is fitted to.
const STRANGERS: usize = 1000;

/// What a similarity means among some faces.
#[derive(Debug, Clone)]
pub(crate) struct Crowd(Calibration);

impl Crowd {
    /// Among `faces` embeddings of `embedder` whose mean vector (not of unit length) is `mean`. `None` for an embedder
    /// without a cohort, or whose cohort is of another length.
    pub(crate) fn fit(embedder: &str, faces: usize, mean: &[f32]) -> Result<Option<Self>> {
        let Some(cohort) = Cohort::of(embedder)? else { return Ok(None) };
        let strangers = cohort.strangers()?;
        if strangers.iter().any(|stranger| stranger.len() != mean.len()) {
            return Ok(None);
        }
        let similarity = |stranger: &Vec<f32>| stranger.iter().zip(mean).map(|(&a, &b)| f64::from(a * b)).sum::<f64>();
        let between = strangers.iter().map(similarity).sum::<f64>() / strangers.len() as f64;
        // A face is compared with all others.
        let others = faces.saturating_sub(1).max(1);
        let Some(tops) = cohort.tops.among(others, STRANGERS) else { return Ok(None) };
        let tops = tops.into_iter().map(|top| (top + between - cohort.tops.mean) as f32).collect();
        let evidence = Evidence {
            synthetic: Some(Synthetic { tops, pairs: Spread { mean: between, deviation: 0.0 } }),
            enrolled: None,
            met: Vec::new(),
            mates: Some(cohort.mates),
        };
        Ok(Calibration::fit(&evidence).map(Self))
    }

    /// The similarity to the most alike of all other faces that the share `rate` of strangers reaches.
    pub(crate) fn threshold(&self, rate: f64) -> f32 {
        self.0.threshold(rate)
    }

    /// For each of `candidates`, the most alike first, the probability that a face is theirs. A candidate is a score,
    /// as of a gallery's person (half the nearest similarity, half that to the mean), and a number of faces. Half of
    /// all faces have somebody. `None` where nothing is known of how alike one person's faces are.
    pub(crate) fn probabilities(&self, candidates: &[(f32, usize)]) -> Option<Vec<f64>> {
        self.0.plain_probabilities(candidates, PRIOR)
    }
}
