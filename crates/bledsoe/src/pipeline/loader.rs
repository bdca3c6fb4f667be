//! Opens engine, models and stages by the names that a user types.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rayon::prelude::*;

use crate::{
    Error, Result,
    align::Template,
    detect::{Cascade, CenterFace, Detector, Hog, Mmod, YuNet},
    embed::{Adapted, Adapter, Embedder, Fusion, NetworkEmbedder},
    engine::{Engine, EngineConfig, Precision, Session},
    hash,
    landmark::{DetectedPoints, Landmarker, RegressionTrees, Scheme},
    model::{Contract, Format, Registry, Store, Task, Threshold, dlib},
};

/// The detector that is used if none is named.
pub const DEFAULT_DETECTOR: &str = "centerface";
/// The detector of `--fast`: a very small network, on half the size of small photos.
pub const FAST_DETECTOR: &str = "yunet-half";
/// The embedder that is used if none is named.
pub const DEFAULT_EMBEDDER: &str = "mobilefacenet+dlib";
/// The embedder of `--fast`: half the time, for a little accuracy.
pub const FAST_EMBEDDER: &str = "mobilefacenet-straight";
/// The embedder of `--accurate`.
pub const ACCURATE_EMBEDDER: &str = "mobilefacenet+facenet+dlib";

/// How a detector is to look.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DetectorOptions {
    /// How often the photo is doubled first (HOG, MMOD).
    pub upsample: u32,
    /// The least score; the detector's own if absent.
    pub min_score: Option<f32>,
}

/// Opens stages by name, all on one engine, and remembers which model files they were made of.
pub struct Loader {
    engine: Engine,
    store: Store,
    adapter: Option<Arc<Adapter>>,
    loaded: Mutex<BTreeMap<String, String>>,
    /// The registry's networks, loaded once for all who use them.
    sessions: Mutex<BTreeMap<(String, Precision), Arc<dyn Session>>>,
}

impl Loader {
    /// Opens the engine; `models` is a folder of model files that goes before the embedded ones.
    ///
    /// # Errors
    /// [`Error::Engine`] when the engine asked for does not load.
    pub fn new(config: &EngineConfig, models: Option<&Path>) -> Result<Self> {
        let (engine, store) = (Engine::open(config)?, Store::new(models));
        Ok(Self { engine, store, adapter: None, loaded: Mutex::default(), sessions: Mutex::default() })
    }

    /// The same with an adapter: its embedders are those with it behind them, and no others.
    pub fn with_adapter(self, adapter: Option<Arc<Adapter>>) -> Self {
        Self { adapter, ..self }
    }

    /// The engine, for people and for results.
    pub fn engine(&self) -> &str {
        self.engine.describe()
    }

    /// The SHA-256 of every model file opened so far, by id or path.
    pub fn models(&self) -> BTreeMap<String, String> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The template called `name`.
    ///
    /// # Errors
    /// [`Error::Model`] when there is none.
    pub fn template(&self, name: &str) -> Result<Template> {
        Registry::embedded()?.template(name).cloned()
    }

    /// The default threshold of an embedder or fusion, or of the adapter behind it, where one was measured.
    ///
    /// # Errors
    /// [`Error::Model`] when the embedder is not known; [`Error::Mismatch`] as for [`Loader::embedder`].
    pub fn threshold(&self, embedder: &str) -> Result<Option<Threshold>> {
        if let (_, Some(adapter)) = self.with_or_without(embedder)? {
            return Ok(adapter.about().threshold.clone());
        }
        if embedder.contains('+') {
            let fusion = Registry::embedded()?.fusions().iter().find(|fusion| fusion.id == embedder);
            return Ok(fusion.and_then(|fusion| fusion.threshold.clone()));
        }
        match file(embedder) {
            // Nobody measured a user's own dlib network.
            Some(path) if has_extension(path, "dat") => Ok(None),
            Some(path) => Ok(Contract::of_file(path)?.threshold),
            None => Ok(Registry::embedded()?.get(embedder)?.threshold.clone()),
        }
    }

    /// The embedder called `name`: of the registry, a file (`.onnx` with its contract beside it, or dlib's `.dat`), or
    /// several joined by `+`; with `+adapter-…` at its end, that with the loader's adapter behind it.
    ///
    /// # Errors
    /// [`Error::Model`] when it is not known or not on this machine; [`Error::Mismatch`] when it has an adapter that the
    /// loader lacks, or the loader one that it lacks, or the adapter was made for another embedder.
    pub fn embedder(&self, name: &str) -> Result<Box<dyn Embedder>> {
        let (name, adapter) = self.with_or_without(name)?;
        let base = self.base_embedder(name)?;
        Ok(match adapter {
            Some(adapter) => Box::new(Adapted::new(base, Arc::clone(adapter))?),
            None => base,
        })
    }

    /// The embedder's own name, and the adapter behind it: the loader's, if both have one and it is the same.
    fn with_or_without<'a>(&self, name: &'a str) -> Result<(&'a str, Option<&Arc<Adapter>>)> {
        let (base, asked) = Adapter::split(name).map_or((name, None), |(base, asked)| (base, Some(asked)));
        match (asked, &self.adapter) {
            (None, None) => Ok((base, None)),
            (Some(asked), Some(adapter)) if asked == adapter.name() => Ok((base, Some(adapter))),
            (Some(_), None) => {
                Err(Error::Mismatch(format!("{name} takes the adapter of that name: give it (--adapter)")))
            }
            (_, Some(adapter)) => Err(Error::Mismatch(format!(
                "embeddings of {name} are needed, but with this adapter they are of {}",
                adapter.id_on(base)
            ))),
        }
    }

    fn base_embedder(&self, name: &str) -> Result<Box<dyn Embedder>> {
        let names: Vec<&str> = name.split('+').collect();
        if let [one] = names.as_slice() {
            return self.network_embedder(one);
        }
        let fusion = Registry::embedded()?.fusions().iter().find(|fusion| fusion.id == name);
        let parts = names.iter().enumerate().map(|(i, part)| {
            // Equal weights where none were measured.
            let weight = fusion.and_then(|fusion| fusion.weights.get(i)).copied().unwrap_or(1.0);
            Ok((self.network_embedder(part)?, weight))
        });
        Ok(Box::new(Fusion::new(parts.collect::<Result<_>>()?)?))
    }

    fn network_embedder(&self, name: &str) -> Result<Box<dyn Embedder>> {
        let (contract, session) = self.network(name)?;
        Ok(Box::new(self.with_session(&contract, session)?))
    }

    /// The contract and the loaded network of the embedder called `name`: of the registry, or a file. A template is cut
    /// at the size of the network's input.
    ///
    /// # Errors
    /// [`Error::Model`] when it is not known, not on this machine, or a fusion.
    pub fn network(&self, name: &str) -> Result<(Contract, Box<dyn Session>)> {
        if let Some(path) = file(name) {
            let (contract, onnx) = self.own_embedder(path)?;
            return Ok((contract, self.engine.load(name, onnx, Precision::Fast)?));
        }
        let contract = self.known_embedder(name)?;
        Ok((contract.clone(), Box::new(self.session(name, Precision::Fast)?)))
    }

    /// The contract of the embedder called `name`, and its network as ONNX.
    ///
    /// # Errors
    /// As [`Loader::network`].
    pub fn onnx(&self, name: &str) -> Result<(Contract, Vec<u8>)> {
        match file(name) {
            Some(path) => self.own_embedder(path),
            None => Ok((self.known_embedder(name)?.clone(), self.store.onnx(name)?)),
        }
    }

    /// The embedder of that contract and network, which need be none of the registry's.
    ///
    /// # Errors
    /// [`Error::Model`] for a contract without an embedder's template; [`Error::Engine`] when the network does not load.
    pub fn embedder_of(&self, contract: &Contract, onnx: Vec<u8>) -> Result<NetworkEmbedder> {
        self.with_session(contract, self.engine.load(&contract.id, onnx, Precision::Fast)?)
    }

    fn with_session(&self, contract: &Contract, session: Box<dyn Session>) -> Result<NetworkEmbedder> {
        let template = self.template(contract.template.as_deref().unwrap_or_default())?.at(contract.input()?.size);
        NetworkEmbedder::new(contract, template, session)
    }

    /// The contract of the registry's embedder called `name`.
    fn known_embedder(&self, name: &str) -> Result<&'static Contract> {
        let contract = Registry::embedded()?.get(name)?;
        if contract.task != Task::Embed {
            return Err(Error::model(name, "not an embedder: see `bledsoe models list`"));
        }
        self.remember(name, &contract.sha256);
        Ok(contract)
    }

    /// Loads the networks of a detector, if one is needed, and an embedder at once, on all cores. Opening them is then a matter of
    /// microseconds, and tells what went wrong here.
    pub fn preload(&self, detector: Option<&str>, embedder: &str) {
        let detectors = detector.into_iter().flat_map(|d| d.split(',')).map(|name| (name, detector_precision(name)));
        let embedder = Adapter::split(embedder).map_or(embedder, |(base, _)| base);
        let embedders = embedder.split('+').map(|name| (name, Precision::Fast));
        let networks: Vec<(&str, Precision)> = detectors.chain(embedders).collect();
        networks.into_par_iter().for_each(|(name, precision)| {
            let _ = self.session(name, precision);
        });
    }

    /// The network called `name` in the registry.
    fn session(&self, name: &str, precision: Precision) -> Result<Arc<dyn Session>> {
        let key = (name.to_owned(), precision);
        if let Some(session) = self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(session));
        }
        let session: Arc<dyn Session> = Arc::from(self.engine.load(name, self.store.onnx(name)?, precision)?);
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&session));
        Ok(session)
    }

    /// A user's own network as ONNX: an ONNX file with its contract beside it, or one that dlib wrote, which has the
    /// contract of dlib's ResNet.
    fn own_embedder(&self, path: &Path) -> Result<(Contract, Vec<u8>)> {
        let (bytes, name) = self.read(path)?;
        if has_extension(path, "dat") {
            let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let contract = Contract { id, sha256: hash::sha256(&bytes), ..Registry::embedded()?.get("dlib")?.clone() };
            return Ok((contract, dlib::network::resnet_to_onnx(&bytes, &name)?));
        }
        let contract = Contract::of_file(path)?;
        contract.verify(&bytes, &name)?;
        if contract.task != Task::Embed {
            return Err(Error::model(name, "task: its contract does not say embed"));
        }
        let onnx = contract.cut(bytes)?;
        Ok((contract, onnx))
    }

    /// The detector called `name`: of the registry, a dlib `.svm` (HOG) or `.dat` (MMOD) file, or several joined by commas,
    /// each for the photos in which those before it find nothing. The options are the first one's.
    ///
    /// # Errors
    /// [`Error::Model`] when it is not known or not on this machine.
    pub fn detector(&self, name: &str, options: &DetectorOptions) -> Result<Box<dyn Detector>> {
        if !name.contains(',') {
            return self.one_detector(name, options);
        }
        let stage = |(stage, name)| {
            let options = if stage == 0 { *options } else { DetectorOptions::default() };
            self.one_detector(name, &options)
        };
        Ok(Box::new(Cascade::new(name.split(',').enumerate().map(stage).collect::<Result<_>>()?)?))
    }

    fn one_detector(&self, name: &str, options: &DetectorOptions) -> Result<Box<dyn Detector>> {
        let &DetectorOptions { upsample, min_score } = options;
        let hog = |bytes: &[u8]| -> Result<Box<dyn Detector>> {
            Ok(Box::new(Hog::new(dlib::hog::read(bytes, name)?, name, upsample, min_score)?))
        };
        let mmod = |onnx: &[u8], session: Box<dyn Session>| -> Result<Box<dyn Detector>> {
            let details = dlib::network::MmodDetails::of_onnx(onnx, name)?;
            Ok(Box::new(Mmod::new(session, details, name, upsample, min_score)?))
        };
        if let Some(path) = file(name) {
            let (bytes, _) = self.read(path)?;
            if has_extension(path, "svm") {
                return hog(&bytes);
            }
            let onnx = dlib::network::mmod_to_onnx(&bytes, name)?;
            let session = self.engine.load(name, onnx.clone(), Precision::Full)?;
            return mmod(&onnx, session);
        }
        let contract = Registry::embedded()?.get(name)?;
        if contract.task != Task::Detect {
            return Err(Error::model(name, "not a detector: see `bledsoe models list`"));
        }
        self.remember(name, &contract.sha256);
        let session = || self.session(name, detector_precision(name));
        match name {
            "hog" => hog(&self.store.bytes(name)?),
            "mmod" | "mmod-f32" => mmod(&self.store.onnx(name)?, Box::new(session()?)),
            _ if upsample > 0 => {
                Err(Error::Invalid(format!("--upsample is for hog and mmod; {name} scales photos itself")))
            }
            "yunet" | "yunet-half" => {
                Ok(Box::new(YuNet::new(Box::new(session()?), name, name == "yunet-half", min_score)))
            }
            _ => Ok(Box::new(CenterFace::new(Box::new(session()?), min_score))),
        }
    }

    /// The landmarker called `name` for the boxes of `detector` and the chips of `templates`: `detector`, one of the
    /// registry, a dlib `.dat` file, or `auto`: 68 points where a template needs them, else the detector's own five,
    /// else dlib's five.
    ///
    /// # Errors
    /// [`Error::Model`] when it is not known or not on this machine.
    pub fn landmarker(&self, name: &str, detector: &str, templates: &[(Template, u32)]) -> Result<Box<dyn Landmarker>> {
        let name = match name {
            "auto" if templates.iter().any(|(t, _)| t.schemes().all(|s| s == Scheme::Ibug68)) => "landmarks68",
            "auto" if detector == "centerface" => "detector",
            "auto" => "landmarks5",
            other => other,
        };
        if name == "detector" {
            return Ok(Box::new(DetectedPoints));
        }
        let predictor = match file(name) {
            Some(path) => {
                let (bytes, name) = self.read(path)?;
                dlib::shape::read_dat(&bytes, &name)?
            }
            None => {
                let contract = Registry::embedded()?.get(name)?;
                let bytes = self.store.bytes(name)?;
                self.remember(name, &contract.sha256);
                match contract.format {
                    Format::Shape => dlib::shape::read_compact(&bytes, name)?,
                    Format::ShapeDat => dlib::shape::read_dat(&bytes, name)?,
                    _ => return Err(Error::model(name, "not a landmark predictor: see `bledsoe models list`")),
                }
            }
        };
        Ok(Box::new(RegressionTrees::new(name, predictor)))
    }

    /// A user's own file and its name for messages.
    fn read(&self, path: &Path) -> Result<(Vec<u8>, String)> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        self.remember(&name, &hash::sha256(&bytes));
        Ok((bytes, name))
    }

    fn remember(&self, name: &str, sha256: &str) {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), sha256.to_owned());
    }
}

/// How exactly the network of the detector called `name` is computed. CenterFace's points, on which chips are cut, move by
/// small errors; YuNet only says where a face is.
pub(crate) fn detector_precision(name: &str) -> Precision {
    if name.starts_with("yunet") { Precision::Fast } else { Precision::Full }
}

/// The path, if `name` is that of a model file rather than an id.
fn file(name: &str) -> Option<&Path> {
    let path = Path::new(name);
    ["onnx", "dat", "svm"].iter().any(|extension| has_extension(path, extension)).then_some(path)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
}
