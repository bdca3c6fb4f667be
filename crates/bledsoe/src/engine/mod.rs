//! Engines: run a network.
//!
//! An [`Engine`] is a backend opened once; it loads ONNX bytes into [`Session`]s.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A dense f32 tensor, row-major; images are N x C x H x W.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Lengths of the axes, outermost first.
    pub shape: Vec<usize>,
    /// `shape.iter().product()` values.
    pub data: Vec<f32>,
}

/// A loaded network with one input. Safe to call from several threads; calls may be serialised inside.
pub trait Session: Send + Sync {
    /// Runs the network; one tensor per graph output, in the graph's order.
    ///
    /// # Errors
    /// [`Error::Engine`] when the shape does not fit or the backend fails.
    fn run(&self, input: Tensor) -> Result<Vec<Tensor>>;
}

/// Which backend to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The fastest that loads.
    #[default]
    Auto,
    /// ONNX Runtime, from its shared library.
    Ort,
    /// rten, compiled in.
    Rten,
}

impl FromStr for Backend {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "auto" => Ok(Self::Auto),
            "ort" => Ok(Self::Ort),
            "rten" => Ok(Self::Rten),
            _ => Err(Error::Invalid(format!("engine {s:?}: expected auto, ort or rten"))),
        }
    }
}

/// Where networks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU, through ONNX Runtime.
    Cuda,
}

impl FromStr for Device {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            _ => Err(Error::Invalid(format!("device {s:?}: expected cpu or cuda"))),
        }
    }
}
