//! A head: what it answers, and what is remembered of its training.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Fitted, Ranges, Settings};
use crate::{
    Error, Result,
    classify::{ClassifierFile, Softmax},
    evaluate::attributes::{ClassFigures, NumberFigures},
    model::Store,
};

/// The heads that come with bledsoe: for each target their ids in the registry, the best first.
const BUILTIN: [(&str, [&str; 2]); 2] = [("gender", ["gender-spatial", "gender"]), ("age", ["age-spatial", "age"])];

/// A head, trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// What is remembered of its training.
    pub about: About,
    /// Basis and weights.
    pub fitted: Fitted,
    /// What its outputs mean.
    pub output: Output,
}

/// What is remembered of a head's training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Version of bledsoe that trained it.
    pub bledsoe: String,
    /// Id of the embedder whose embeddings it takes.
    pub embedder: String,
    /// SHA-256 of the embedder's models, by id, where the registry knows them.
    pub models: BTreeMap<String, String>,
    /// The label's name, such as `age`.
    pub target: String,
    /// The settings chosen by cross-validation.
    pub settings: Settings,
    /// What it was trained on, and every setting of the training.
    pub training: serde_json::Value,
    /// How it did on photos of people that it had not seen.
    pub figures: Figures,
}

/// Cross-validated figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Figures {
    /// Of classes.
    Classify(ClassFigures),
    /// Of numbers.
    Regress(NumberFigures),
}

/// What a head's outputs mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "lowercase", deny_unknown_fields)]
pub enum Output {
    /// One a class.
    Classify {
        /// Names, in the order of the outputs.
        names: Vec<String>,
        /// From outputs to probabilities.
        softmax: Softmax,
    },
    /// One number.
    Regress {
        /// How far off it may be.
        ranges: Ranges,
    },
}

/// What a head says of a face.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// The likeliest class.
    Class {
        /// Its name.
        label: String,
        /// Its probability, 0 to 1.
        probability: f32,
    },
    /// A number.
    Number {
        /// The number itself.
        value: f64,
        /// The 10 % quantile of what is true.
        low: f64,
        /// The 90 % quantile of what is true.
        high: f64,
    },
}

impl Head {
    /// The heads for `target` that come with bledsoe, the best first, each for embeddings of another embedder.
    ///
    /// # Errors
    /// [`Error::Model`] when one is damaged.
    pub fn builtin(target: &str) -> Result<Vec<Self>> {
        let ids = BUILTIN.iter().filter(|(of, _)| *of == target).flat_map(|(_, ids)| ids);
        let head = |id: &&str| {
            Self::parse(&Store::new(None).bytes(id)?, (*id).as_ref()).map_err(|e| Error::model(*id, e.reason()))
        };
        ids.map(head).collect()
    }

    /// Makes sure that embeddings of `embedder` are those that the head was trained on.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for another embedder, or another version of a model.
    pub fn check_embedder(&self, embedder: &str) -> Result<()> {
        let what = format!("the head for {}", self.about.target);
        ClassifierFile::check_models(&what, &self.about.embedder, &self.about.models, embedder)
    }

    /// An answer for each embedding.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for an embedding of another length.
    pub fn answer(&self, embeddings: &[&[f32]]) -> Result<Vec<Answer>> {
        let dim = self.fitted.basis.dim();
        if let Some(other) = embeddings.iter().find(|e| e.len() != dim) {
            return Err(Error::Mismatch(format!(
                "the head for {} takes embeddings of {dim} numbers, not of {}",
                self.about.target,
                other.len()
            )));
        }
        Ok(embeddings.par_iter().map(|embedding| self.output.answer(&self.fitted.outputs(embedding))).collect())
    }
}

impl Output {
    /// From outputs to the answer.
    fn answer(&self, outputs: &[f64]) -> Answer {
        match self {
            Self::Classify { names, softmax } => {
                let shares = softmax.of(outputs.iter().map(|&x| x as f32).collect());
                let mut best = (0, f32::NEG_INFINITY);
                for (class, share) in shares.into_iter().enumerate() {
                    if share > best.1 {
                        best = (class, share);
                    }
                }
                Answer::Class { label: names.get(best.0).cloned().unwrap_or_default(), probability: best.1.max(0.0) }
            }
            Self::Regress { ranges } => {
                let (value, low, high) = ranges.of(outputs.first().copied().unwrap_or_default());
                Answer::Number { value, low, high }
            }
        }
    }
}
