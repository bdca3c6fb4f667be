//! Datasets: which photos there are, and whose they are.
//!
//! The layout is that of LFW: `FOLDER/person/photo.jpg`. A photo deeper down belongs to the folder it lies in; one at
//! the top belongs to nobody.

pub mod clusters;
mod csv;
mod folder;
pub mod labels;
pub mod protocol;
pub mod split;

pub use folder::{Item, Scan, Skipped, scan};
