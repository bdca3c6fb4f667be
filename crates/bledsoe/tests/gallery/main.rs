//! Galleries: what every store must do, and each store's own promises.

// Clippy knows test functions, not those that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod file;
#[cfg(feature = "postgres")]
mod postgres;
mod suite;
