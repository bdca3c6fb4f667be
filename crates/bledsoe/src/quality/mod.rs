//! How good the picture of a face is: how it is turned ([`Pose`]), how sharp it is ([`sharpness()`]), and whether that
//! and its size are enough ([`Bar`]).
//!
//! In: landmarks or a chip. Out: plain measures, and [`Fault`]s.

mod fault;
mod pose;
mod sharpness;

pub use fault::{Bar, Fault};
pub use pose::Pose;
pub use sharpness::sharpness;
