//! The two runs over folders, with a detector and an embedder that need no model.

// Clippy knows test functions, not those that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod align;
mod bad_photos;
mod embed;
mod fakes;
