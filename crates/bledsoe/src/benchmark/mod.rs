//! Benchmarks: runs the stages over labelled photos, and hands what they found to [`crate::evaluate`].
//!
//! In: photos with the truth about them. Out: scores and figures with intervals, and the worst mistakes by name.
//!
//! - [`verification`]: pairs of photos are compared (1:1);
//! - [`identification`]: some photos of each person are enrolled, the rest searched for (1:N), strangers among them;
//! - [`detection`]: a detector against true [`boxes`];
//! - [`landmarks`]: a landmarker against true points;
//! - [`contract`]: a network against itself, fed otherwise, on faces of [`specimens`];
//! - [`speed`]: the time of each stage, on photos of which nothing need be known.

pub mod boxes;
pub mod contract;
pub mod detection;
mod faces;
pub mod identification;
pub mod landmarks;
mod photos;
pub mod specimens;
pub mod speed;
mod variants;
pub mod verification;

pub use faces::{Face, Faces};
