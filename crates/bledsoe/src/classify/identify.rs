//! Saying who a face is, or that it is nobody known.

use serde::Serialize;

use super::ClassifierFile;
use crate::{Error, Result, embed::Embedding};

/// Embeddings classified together; bounds the memory for thousands of people.
const BATCH: usize = 256;

/// A person that a face may be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Their number in [`ClassifierFile::classes`].
    #[serde(skip)]
    pub class: usize,
    /// Their name.
    pub name: String,
    /// The classifier's probability, given that the face is of somebody known.
    pub probability: f32,
    /// The cosine similarity to the centroid of their photos.
    pub similarity: f32,
}

/// Why a face is called unknown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Doubt {
    /// Nobody is probable enough: the face may be of several known people.
    LowProbability {
        /// The least probability that names a person.
        least: f32,
    },
    /// The face is too unlike the most probable person: a stranger.
    LowSimilarity {
        /// The least similarity to that person's centroid.
        least: f32,
    },
}

/// Who a face is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The person, or `None` for an unknown one.
    pub name: Option<String>,
    /// The most probable person.
    pub best: Candidate,
    /// The next one.
    pub runner_up: Candidate,
    /// Why the face is called unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
}

impl ClassifierFile {
    /// Who each face is. Unknown are those below `min_probability` (the file's own if absent) or below the similarity
    /// that the [`Guard`](super::Guard) asks for.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for embeddings of another embedder.
    pub fn identify(&self, embeddings: &[Embedding], min_probability: Option<f32>) -> Result<Vec<Answer>> {
        let least = min_probability.unwrap_or(self.calibration.min_probability);
        let mut answers = Vec::with_capacity(embeddings.len());
        let mut rows = Vec::new();
        for batch in embeddings.chunks(BATCH) {
            rows.clear();
            for embedding in batch {
                if *embedding.model != *self.embedder || embedding.vector.len() != self.guard.dim {
                    return Err(Error::Mismatch(format!(
                        "the classifier was trained on embeddings of {}, not of {}: embed with --embedder {} or train again",
                        self.embedder, embedding.model, self.embedder
                    )));
                }
                rows.extend_from_slice(&embedding.vector);
            }
            let probabilities = self.model.classifier().probabilities(&rows)?;
            for (x, p) in rows.chunks_exact(self.guard.dim).zip(probabilities.chunks_exact(self.classes.len())) {
                answers.push(self.answer(x, p, least));
            }
        }
        Ok(answers)
    }

    fn answer(&self, x: &[f32], probabilities: &[f32], least: f32) -> Answer {
        let (mut first, mut second) = ((0, f32::NEG_INFINITY), (0, f32::NEG_INFINITY));
        for (class, &p) in probabilities.iter().enumerate() {
            if p > first.1 {
                (first, second) = ((class, p), first);
            } else if p > second.1 {
                second = (class, p);
            }
        }
        let candidate = |(class, probability): (usize, f32)| Candidate {
            class,
            name: self.classes[class].clone(),
            probability,
            similarity: self.guard.similarity(x, class),
        };
        let (best, runner_up) = (candidate(first), candidate(second));
        let floor = self.guard.floors[best.class];
        let doubt = if best.similarity < floor {
            Some(Doubt::LowSimilarity { least: floor })
        } else if best.probability < least {
            Some(Doubt::LowProbability { least })
        } else {
            None
        };
        Answer { name: doubt.is_none().then(|| best.name.clone()), best, runner_up, doubt }
    }
}
