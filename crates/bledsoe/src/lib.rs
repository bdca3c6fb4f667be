//! Face recognition, from a folder of photos to a trained, tested classifier.
//!
//! A datum is a photo; it flows one way:
//!
//! ```text
//! dataset -> decode -> detect -> landmarks -> align -> embed -> classify -> evaluate -> report
//! ```
//!
//! Each stage is one module, and a module imports only from those above it.

pub mod error;
pub mod geometry;
pub mod hash;
pub mod package;

pub mod align;
pub mod classify;
pub mod dataset;
pub mod detect;
pub mod embed;
pub mod engine;
pub mod evaluate;
pub mod gallery;
pub mod landmark;
pub mod model;
pub mod photo;
pub mod pipeline;
pub mod report;

pub use error::{Error, Result};
