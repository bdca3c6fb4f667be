//! Benchmarks: the standard protocols, run over the faces of a dataset.
//!
//! In: the faces of a folder or of a table of embeddings ([`Faces`]), and a protocol. Out: scores for [`crate::evaluate`],
//! and the worst mistakes by name. [`verification`] compares pairs (1:1); [`identification`] enrols some photos of each
//! person and searches the rest (1:N), strangers among them.

mod faces;
pub mod identification;
pub mod verification;

pub use faces::{Face, Faces};
