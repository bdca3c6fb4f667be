//! Face recognition, from a folder of photos to a trained, tested classifier.
//!
//! A datum is a photo; it flows one way:
//!
//! ```text
//! dataset -> decode -> detect -> landmarks -> align -> embed -> classify -> evaluate -> report
//! ```
//!
//! Each stage is one module, and a module imports only from those above it. In: photos, as files or bytes
//! ([`photo::Photo`]). Out: face chips ([`align::FaceChip`]), embeddings ([`embed::Embedding`]) and decisions
//! ([`gallery::Decision`], [`classify`]). The models are compiled in; nothing is fetched.
//!
//! # Two photos, one person?
//!
//! ```no_run
//! use bledsoe::{
//!     align::{Template, warp},
//!     detect::Select,
//!     engine::EngineConfig,
//!     photo::{Limits, Photo},
//!     pipeline::{DEFAULT_DETECTOR, DEFAULT_EMBEDDER, DetectorOptions, Loader},
//! };
//!
//! # fn main() -> bledsoe::Result<()> {
//! let loader = Loader::new(&EngineConfig::default(), None)?;
//! let embedder = loader.embedder(DEFAULT_EMBEDDER)?;
//! // The default is a fusion: it takes a chip of each of its embedders' templates.
//! let templates: Vec<_> = embedder.templates().iter().map(|t| (t.clone(), t.size())).collect();
//! let detector = loader.detector(DEFAULT_DETECTOR, &DetectorOptions::default())?;
//! let landmarker = loader.landmarker("auto", DEFAULT_DETECTOR, &templates)?;
//!
//! let mut chips = Vec::new();
//! for file in ["passport.jpg", "selfie.jpg"] {
//!     let photo = Photo::open(file.as_ref(), &Limits::default())?;
//!     let found = detector.detect(&[&photo])?.remove(0);
//!     for face in Select::Largest.choose(found, photo.width(), photo.height()) {
//!         let landmarks = landmarker.landmarks(&photo, &face)?;
//!         let chip = |(template, size): &(Template, u32)| Ok(warp(&photo, &template.fit(&landmarks, *size)?, *size));
//!         chips.push(templates.iter().map(chip).collect::<bledsoe::Result<_>>()?);
//!     }
//! }
//! let faces = embedder.embed(&chips)?;
//! let threshold = loader.threshold(DEFAULT_EMBEDDER)?;
//! println!("similarity {}, threshold {threshold:?}", faces[0].similarity(&faces[1])?);
//! # Ok(())
//! # }
//! ```
//!
//! For many photos use [`pipeline`]: it does the same in chunks, on all cores, and can be stopped and resumed.
//!
//! # Who is it?
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use bledsoe::{
//!     embed::Embedding,
//!     gallery::{
//!         Face, Gallery, Limit, Probe, Rule,
//!         store::{FileStore, Model},
//!     },
//! };
//!
//! # fn main() -> bledsoe::Result<()> {
//! // Embeddings come from an `Embedder`; these stand for them.
//! let (ada, grace) = (vec![1.0, 0.1, 0.0], vec![0.0, 1.0, 0.2]);
//! let store = FileStore::in_memory(&Model { id: "example".into(), dim: 3 })?;
//! let mut gallery = Gallery::new(Box::new(store))?;
//! for (name, vector) in [("Ada", ada), ("Grace", grace)] {
//!     gallery.enroll(name, &BTreeMap::new(), &[Face::of(Embedding::new("example", vector)?)])?;
//! }
//!
//! let probe = |vector: Vec<f32>| -> bledsoe::Result<Probe> {
//!     Ok(Probe { embedding: Embedding::new("example", vector)?, faults: Vec::new() })
//! };
//! // With an embedder of bledsoe's, `Rule::default()` asks for an error rate instead of a score.
//! let rule = Rule { limit: Limit::Score(0.5), ..Rule::default() };
//! let said = gallery.identify(&[probe(vec![0.9, 0.2, 0.1])?, probe(vec![0.0, 0.0, 1.0])?], &rule)?;
//! assert_eq!(said[0].name.as_deref(), Some("Ada"));
//! assert_eq!(said[1].name, None);
//! # Ok(())
//! # }
//! ```

mod components;
pub mod error;
mod fingerprint;
mod folds;
pub mod geometry;
pub mod hash;
pub mod package;
mod processor;
mod whole_file;

pub mod align;
pub mod attribute;
pub mod benchmark;
pub mod classify;
pub mod cluster;
pub mod dataset;
pub mod detect;
pub mod doctor;
pub mod embed;
pub mod engine;
pub mod evaluate;
pub mod gallery;
pub mod landmark;
#[cfg(feature = "finetune")]
pub mod metric;
pub mod model;
pub mod photo;
pub mod pipeline;
pub mod projection;
pub mod quality;
pub mod regions;
pub mod report;
pub mod search;

pub use error::{Error, Result};

/// Says that a test was skipped: past the test harness, which hides what passing tests print.
#[cfg(test)]
fn skipped(what: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "\n!! SKIPPED {what}");
}
