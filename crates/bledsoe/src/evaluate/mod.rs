//! Scoring answers against the truth. In: scores, names, boxes as plain numbers. Out: the figures of the standard
//! protocols, with intervals. Knows nothing of networks or photos.
//!
//! - [`identification`]: a classifier's answers, person by person;
//! - [`verification`]: same person or not (1:1), as LFW's protocol has it: accuracy, ROC, TAR at FAR;
//! - [`search`]: who of the people enrolled, or a stranger (1:N): CMC, FNIR at FPIR;
//! - [`detection`]: boxes against the faces that there are: recall, average precision;
//! - [`landmarks`]: points against their true places: normalised mean error;
//! - [`clustering`]: groups against people: pairwise and BCubed precision, recall and F;
//! - [`separation`]: how well similarities tell people apart, to compare a network with itself;
//! - [`attributes`]: labels and numbers said of faces: accuracy, mean absolute error;
//! - [`bootstrap`]: intervals by resampling people.
//!
//! ```
//! use bledsoe::evaluate::{Outcome, identification};
//! let outcomes = [Outcome { truth: 0, predicted: 0 }, Outcome { truth: 1, predicted: 0 }];
//! let score = identification(&["Ada", "Bob"], &outcomes, &[]);
//! assert_eq!((score.correct, score.total), (1, 2));
//! assert_eq!(score.per_class["Ada"].accuracy, Some(1.0));
//! ```

pub mod attributes;
pub mod bootstrap;
mod classes;
pub mod clustering;
mod curve;
pub mod detection;
pub mod landmarks;
mod photos;
pub mod reliability;
pub mod search;
pub mod separation;
pub mod verification;

pub use bootstrap::Bootstrap;
pub use classes::{ClassScore, Confusion, Identification, Outcome, identification, wilson};
