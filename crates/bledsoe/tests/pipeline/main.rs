//! The two runs over folders, with a detector and an embedder that need no model.

mod align;
mod bad_photos;
mod embed;
mod fakes;
