//! Benchmarks: runs the stages over labelled photos and hands what they found to [`crate::evaluate`].
//!
//! In: photos with the truth about them ([`boxes`]). Out: figures with intervals.
//!
//! - [`detection`]: a detector against true boxes;
//! - [`landmarks`]: a landmarker against true points;
//! - [`contract`]: a network against itself, fed otherwise, on faces of [`specimens`].

pub mod boxes;
pub mod contract;
pub mod detection;
pub mod landmarks;
mod photos;
pub mod specimens;
mod variants;
