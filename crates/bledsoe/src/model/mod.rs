//! Models: what each one is (its [`Contract`]), where its bytes are (the [`Store`]), and readers of foreign formats.
//!
//! The registry (`models/registry.toml`) is compiled in, and so is the embedded pack. Bytes are checked against the
//! contract's SHA-256 each time they are loaded.

pub mod arithmetic;
mod contract;
pub mod dlib;
pub mod graph;
pub mod onnx;
pub mod pack;
pub mod pull;
mod registry;
pub mod selftest;
mod store;
mod tap;
pub mod tuned;

pub use contract::{Channels, Contract, Format, Input, Output, Pull, PullClient, SelfTest, Tap, Task, Threshold};
pub use registry::{FusionSpec, Registry};
pub use store::{Place, Store};
