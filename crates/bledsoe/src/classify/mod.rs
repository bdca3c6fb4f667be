//! Classifying: who an embedding is, among the people trained on, and with what probability.
//!
//! [`train_photos`] and [`train_table`] make a [`ClassifierFile`]; it holds one of four classifiers, all behind the
//! trait [`Classifier`]: support vector machines ([`svm`]), the nearest centroid, the nearest neighbours. Probabilities
//! are fitted to held-out data. [`tuning`] finds out which classifier suits some photos best.
//! [`ClassifierFile::identify`] adds the [`Guard`] against strangers.
//!
//! ```
//! use bledsoe::classify::{ClassifierKind, Samples, fit};
//! # fn main() -> bledsoe::Result<()> {
//! // Two people, three photos each, in a plane.
//! let vectors = vec![1.0, 0.0, 0.8, 0.6, 0.9, 0.4, 0.0, 1.0, -0.1, 1.0, -0.6, 0.8];
//! let samples = Samples::new(2, vectors, &[3, 3], (0..6).collect())?;
//! let fitted = fit(&ClassifierKind::SvmLinear { c: 10.0 }, &samples, 0)?;
//! let p = fitted.model.classifier().probabilities(&[0.9, 0.3])?;
//! assert!(p[0] > p[1]);
//! # Ok(())
//! # }
//! ```

mod augmentation;
mod calibration;
mod centroid;
mod file;
mod fitting;
mod gathering;
mod guard;
mod identify;
mod neighbours;
mod samples;
mod softmax;
pub mod svm;
mod testing;
mod training;
pub mod tuning;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use augmentation::{Augmentation, Draw, augment};
pub use calibration::Calibration;
pub use centroid::Centroids;
pub use file::{ClassifierFile, Image};
pub use fitting::{Fitted, HeldOut, Model, fit};
pub use gathering::Gathered;
pub use guard::{Guard, GuardRates};
pub use identify::{Answer, Candidate, Doubt};
pub use neighbours::Neighbours;
pub use samples::Samples;
pub(crate) use softmax::HeldOutScores;
pub use softmax::Softmax;
pub use testing::{Tested, TestedFace, test_photos, test_table};
pub use training::{Trained, Training, train_photos, train_table};

use crate::{Error, Result};

/// Tells people apart. Batch-first: a classifier uses all cores for a batch by itself.
pub trait Classifier: Send + Sync {
    /// Number of classes.
    fn classes(&self) -> usize;

    /// Length of an embedding.
    fn dim(&self) -> usize;

    /// For each embedding the probability of each class: `embeddings` holds rows of [`Classifier::dim`] numbers, the
    /// result rows of [`Classifier::classes`] numbers that sum to 1.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when `embeddings` is not made of whole rows.
    fn probabilities(&self, embeddings: &[f32]) -> Result<Vec<f32>>;
}

/// Refuses what is not made of whole rows.
fn check_rows(embeddings: &[f32], dim: usize) -> Result<()> {
    if dim == 0 || !embeddings.len().is_multiple_of(dim) {
        return Err(Error::Mismatch(format!("{} numbers are not embeddings of {dim}", embeddings.len())));
    }
    Ok(())
}

/// A classifier and its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClassifierKind {
    /// Support vector machine, linear kernel.
    SvmLinear {
        /// Penalty of a sample on the wrong side; above 0.
        c: f64,
    },
    /// Support vector machine, Gaussian kernel.
    SvmRbf {
        /// Penalty of a sample on the wrong side; above 0.
        c: f64,
        /// Kernel width; `1 / (dim x variance of the numbers)` if absent, as scikit-learn's `scale`.
        gamma: Option<f64>,
    },
    /// The `k` nearest photos vote.
    Knn {
        /// At least 1.
        k: usize,
    },
    /// The nearest centroid.
    Centroid,
}

impl FromStr for ClassifierKind {
    type Err = Error;

    /// `svm-linear`, `svm-rbf`, `knn` or `centroid`, with the default parameters C = 1 and k = 5.
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "svm-linear" => Ok(Self::SvmLinear { c: 1.0 }),
            "svm-rbf" => Ok(Self::SvmRbf { c: 1.0, gamma: None }),
            "knn" => Ok(Self::Knn { k: 5 }),
            "centroid" => Ok(Self::Centroid),
            _ => Err(Error::Invalid(format!("classifier {s:?}: expected svm-linear, svm-rbf, knn or centroid"))),
        }
    }
}

impl ClassifierKind {
    /// The same with the parameters given.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a parameter that this classifier does not have, or out of range.
    pub fn with(mut self, c: Option<f64>, gamma: Option<f64>, k: Option<usize>) -> Result<Self> {
        let foreign = |name: &str| Err(Error::Invalid(format!("--{name} is not a parameter of this classifier")));
        match &mut self {
            Self::SvmLinear { c: own } => {
                *own = c.unwrap_or(*own);
                if gamma.is_some() {
                    return foreign("gamma");
                }
            }
            Self::SvmRbf { c: own, gamma: width } => {
                *own = c.unwrap_or(*own);
                *width = gamma.or(*width);
            }
            Self::Knn { .. } | Self::Centroid if c.is_some() => return foreign("c"),
            Self::Knn { .. } | Self::Centroid if gamma.is_some() => return foreign("gamma"),
            Self::Knn { k: own } => *own = k.unwrap_or(*own),
            Self::Centroid => {}
        }
        if k.is_some() && !matches!(self, Self::Knn { .. }) {
            return foreign("k");
        }
        self.check()?;
        Ok(self)
    }

    /// Checks the parameters' ranges.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the parameter.
    pub fn check(&self) -> Result<()> {
        let positive = |name: &str, value: f64| match value {
            v if v.is_finite() && v > 0.0 => Ok(()),
            v => Err(Error::Invalid(format!("{name} {v}: expected a number above 0"))),
        };
        match self {
            Self::SvmLinear { c } => positive("c", *c),
            Self::SvmRbf { c, gamma } => positive("c", *c).and(gamma.map_or(Ok(()), |g| positive("gamma", g))),
            Self::Knn { k: 0 } => Err(Error::Invalid("k 0: expected at least 1".into())),
            Self::Knn { .. } | Self::Centroid => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_belong_to_their_classifier() {
        let kind = |s: &str| s.parse::<ClassifierKind>().unwrap();
        assert_eq!(kind("svm-linear").with(Some(3.0), None, None).unwrap(), ClassifierKind::SvmLinear { c: 3.0 });
        assert_eq!(kind("knn").with(None, None, Some(2)).unwrap(), ClassifierKind::Knn { k: 2 });
        for (name, c, gamma, k) in [
            ("svm-linear", None, Some(1.0), None),
            ("svm-rbf", None, None, Some(1)),
            ("svm-rbf", None, Some(-1.0), None),
            ("svm-linear", Some(0.0), None, None),
            ("svm-linear", Some(f64::NAN), None, None),
            ("knn", Some(1.0), None, None),
            ("knn", None, None, Some(0)),
            ("centroid", None, None, Some(3)),
        ] {
            assert!(kind(name).with(c, gamma, k).is_err(), "{name}");
        }
        assert!("tree".parse::<ClassifierKind>().is_err());
    }
}
