//! How good the picture of a face is: how it is turned ([`Pose`]) and how sharp it is ([`sharpness`]).
//!
//! In: landmarks or a chip. Out: plain measures. What is good enough is for the caller to say.

mod pose;
mod sharpness;

pub use pose::Pose;
pub use sharpness::sharpness;
