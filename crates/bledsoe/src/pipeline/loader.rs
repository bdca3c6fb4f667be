//! Opens engine, models and stages by the names that a user types.

use std::path::Path;

use crate::{
    Error, Result,
    align::Template,
    detect::Detector,
    embed::Embedder,
    engine::{Engine, EngineConfig},
    landmark::Landmarker,
    model::{Registry, Store, Threshold},
};

/// The detector that is used if none is named.
pub const DEFAULT_DETECTOR: &str = "centerface";
/// The embedder that is used if none is named.
pub const DEFAULT_EMBEDDER: &str = "mobilefacenet";

/// How a detector is to look.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DetectorOptions {
    /// How often the photo is doubled first (HOG, MMOD).
    pub upsample: u32,
    /// The least score; the detector's own if absent.
    pub min_score: Option<f32>,
}

/// Opens stages by name, all on one engine.
pub struct Loader {
    engine: Engine,
    store: Store,
}

impl Loader {
    /// Opens the engine; `models` is a folder of model files that goes before the embedded ones.
    ///
    /// # Errors
    /// [`Error::Engine`] when the engine asked for does not load.
    pub fn new(config: &EngineConfig, models: Option<&Path>) -> Result<Self> {
        Ok(Self { engine: Engine::open(config)?, store: Store::new(models) })
    }

    /// The engine, for people and for results.
    pub fn engine(&self) -> &str {
        self.engine.describe()
    }

    /// The template called `name`.
    ///
    /// # Errors
    /// [`Error::Model`] when there is none.
    pub fn template(&self, name: &str) -> Result<Template> {
        Registry::embedded()?.template(name).cloned()
    }

    /// The default threshold of an embedder or fusion, where one was measured.
    ///
    /// # Errors
    /// [`Error::Model`] when the embedder is not known.
    pub fn threshold(&self, _embedder: &str) -> Result<Option<Threshold>> {
        Err(Error::Invalid("being written".into()))
    }

    /// The embedder called `name`.
    ///
    /// # Errors
    /// [`Error::Model`] when it is not known or not on this machine.
    pub fn embedder(&self, _name: &str) -> Result<Box<dyn Embedder>> {
        Err(Error::Invalid("being written".into()))
    }

    /// The detector called `name`.
    ///
    /// # Errors
    /// [`Error::Model`] when it is not known or not on this machine.
    pub fn detector(&self, _name: &str, _options: &DetectorOptions) -> Result<Box<dyn Detector>> {
        Err(Error::Invalid("being written".into()))
    }

    /// The landmarker called `name`.
    ///
    /// # Errors
    /// [`Error::Model`] when it is not known or not on this machine.
    pub fn landmarker(
        &self,
        _name: &str,
        _detector: &str,
        _templates: &[(Template, u32)],
    ) -> Result<Box<dyn Landmarker>> {
        Err(Error::Invalid("being written".into()))
    }
}
