//! Flags that several commands share: what was typed, resolved once into what it means.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Result, bail};
use bledsoe::{
    align::Template,
    dataset::Scan,
    detect::Select,
    embed::{Adapter, Embedder},
    engine::{Backend, Device, EngineConfig},
    model::Store,
    photo::Limits,
    pipeline::{
        ACCURATE_EMBEDDER, Alignment, ChipReader, DEFAULT_DETECTOR, DEFAULT_EMBEDDER, DetectorOptions, FAST_DETECTOR,
        FAST_EMBEDDER, Finder, Loader, Source,
    },
};
use clap::builder::TypedValueParser;

/// Photos that are done before OpenVINO has loaded its networks.
const SOON_DONE: usize = 10;

/// Which engine runs the networks.
#[derive(clap::Args, Debug, Clone)]
pub struct EngineArgs {
    /// Engine: auto (native; for networks with other layers ort if it loads, else rten; on a GPU ort), native (bledsoe's own
    /// kernels), ort (ONNX Runtime; for less than ten photos its own kernels instead of OpenVINO's) or rten (built in)
    #[arg(long, default_value = "auto", value_name = "NAME")]
    engine: Backend,
    /// Where networks run: cpu or cuda
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: Device,
    /// Threads to use; 0 takes all cores
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
    /// Folder with model files of your own, looked at before the embedded ones
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
}

impl EngineArgs {
    /// Opens the engine and the model store, and bounds the thread pool.
    pub fn loader(&self) -> Result<Loader> {
        self.open(&self.config())
    }

    /// Like [`EngineArgs::loader`] for so many photos: for a few, what starts soonest.
    pub fn loader_for(&self, photos: usize) -> Result<Loader> {
        self.open(&EngineConfig { soon: photos < SOON_DONE, ..self.config() })
    }

    fn open(&self, config: &EngineConfig) -> Result<Loader> {
        if self.threads > 0 {
            // Fails only if a pool stands already, with the same bound: the flags are parsed once.
            let _ = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build_global();
        }
        Ok(Loader::new(config, self.models.as_deref())?)
    }

    /// The same for what comes before a training on --device: an engine that knows no other device runs on the CPU if it is
    /// asked for by name.
    #[cfg(feature = "finetune")]
    pub fn before_training(&self) -> Self {
        let on_cpu = matches!(self.engine, Backend::Rten | Backend::Native);
        let device = if on_cpu { Device::Cpu } else { self.device };
        Self { device, ..self.clone() }
    }

    /// How the engine is opened for a folder.
    pub fn config(&self) -> EngineConfig {
        EngineConfig { backend: self.engine, device: self.device, threads: self.threads, soon: false }
    }

    /// Where models lie.
    pub fn store(&self) -> Store {
        Store::new(self.models.as_deref())
    }
}

/// How faces are found.
#[derive(clap::Args, Debug, Clone)]
pub struct FinderArgs {
    /// Detector: centerface (if absent), yunet, yunet-half, hog or mmod, a dlib .svm/.dat file, or several joined by
    /// commas, each for the photos in which those before it find nothing
    #[arg(long, value_name = "NAME")]
    detector: Option<String>,
    /// Fast: the same as --detector yunet-half, and --embedder mobilefacenet-straight where an embedder is chosen
    #[arg(long, conflicts_with = "detector")]
    fast: bool,
    /// Double the photo N times before HOG or MMOD looks at it, to find smaller faces
    #[arg(long, default_value_t = 0, value_name = "N")]
    upsample: u32,
    /// Take detections with at least this score (the default is the detector's own)
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    min_score: Option<f32>,
    /// Landmarks: auto, detector (its own five points), landmarks5, landmarks68, or a dlib .dat file
    #[arg(long, default_value = "auto", value_name = "NAME")]
    landmarks: String,
    /// Which faces of a photo to take: center, largest or all (center if absent; to look up in a gallery, all)
    #[arg(long, value_name = "WHICH")]
    select: Option<Select>,
}

impl FinderArgs {
    /// Whether every face is asked for.
    pub fn takes_all(&self) -> bool {
        self.select == Some(Select::All)
    }

    /// The same, with all faces taken if nothing else was asked for.
    pub fn or_all(&self) -> Self {
        Self { select: self.select.or(Some(Select::All)), ..self.clone() }
    }

    /// The detector's name.
    pub fn detector(&self) -> &str {
        match &self.detector {
            Some(name) => name,
            None if self.fast => FAST_DETECTOR,
            None => DEFAULT_DETECTOR,
        }
    }

    /// A finder that cuts out chips of `templates`.
    pub fn finder(&self, loader: &Loader, templates: Vec<(Template, u32)>) -> Result<Finder> {
        let options = DetectorOptions { upsample: self.upsample, min_score: self.min_score };
        let name = self.detector();
        let detector = loader.detector(name, &options)?;
        let landmarker = loader.landmarker(&self.landmarks, name, &templates)?;
        let models = loader.models();
        Ok(Finder {
            detector,
            landmarker,
            select: self.select.unwrap_or(Select::Center),
            limits: Limits::default(),
            templates,
            models,
        })
    }

    /// Loads the networks that [`FinderArgs::source`] and the embedder will ask for, all at once.
    pub fn preload(&self, input: &Path, loader: &Loader, embedder: &str) -> Result<()> {
        let detector = if Alignment::of_folder(input)?.is_some() { None } else { Some(self.detector()) };
        loader.preload(detector, embedder);
        Ok(())
    }

    /// The source for a folder: a chip reader where `align` made it, else a finder.
    pub fn source(&self, input: &Path, loader: &Loader, embedder: &dyn Embedder) -> Result<Box<dyn Source>> {
        let templates = embedder.templates().iter().map(|t| (t.clone(), t.size())).collect();
        Ok(match Alignment::of_folder(input)? {
            Some(alignment) => Box::new(ChipReader::new(alignment, templates)?),
            None => Box::new(self.finder(loader, templates)?),
        })
    }
}

fn adapter(path: PathBuf) -> bledsoe::Result<Arc<Adapter>> {
    Adapter::load(&path).map(Arc::new)
}

/// What is put behind the embedder.
#[derive(clap::Args, Debug, Clone)]
pub struct AdapterArgs {
    /// An adapter that `finetune` made, to be put behind the embedder that it was made for
    #[arg(long, value_name = "FILE", value_parser = clap::builder::PathBufValueParser::new().try_map(adapter))]
    adapter: Option<Arc<Adapter>>,
}

impl AdapterArgs {
    /// The adapter, if one was given.
    pub fn get(&self) -> Option<&Arc<Adapter>> {
        self.adapter.as_ref()
    }

    /// Makes sure that `embedder`, which something made earlier asks for, is one with this adapter, if one was given.
    pub fn check(&self, embedder: &str) -> Result<()> {
        match self.get() {
            Some(adapter) if Adapter::split(embedder).is_none_or(|(_, name)| name != adapter.name()) => {
                bail!("embeddings of {embedder} are needed, but with this adapter they are of {}", adapter.id())
            }
            _ => Ok(()),
        }
    }

    /// The loader, with the adapter.
    pub fn onto(&self, loader: Loader) -> Loader {
        loader.with_adapter(self.adapter.clone())
    }
}

/// Which embedder is used.
#[derive(clap::Args, Debug, Clone)]
pub struct EmbedderArgs {
    /// Embedder: mobilefacenet, mobilefacenet-straight, facenet, dlib, an ONNX file with its contract beside it, or
    /// several joined by + (mobilefacenet+dlib if absent)
    #[arg(long, value_name = "NAME")]
    embedder: Option<String>,
    /// All embedded models together: the same as --embedder mobilefacenet+facenet+dlib
    #[arg(long, conflicts_with_all = ["embedder", "fast"])]
    accurate: bool,
    #[command(flatten)]
    pub adapter: AdapterArgs,
}

impl EmbedderArgs {
    /// The embedder asked for, by name or by a preset, if one was; or by an adapter, which is behind it then.
    pub fn asked(&self, finder: &FinderArgs) -> Option<String> {
        let plain = self.plain(finder);
        match self.adapter.get() {
            Some(adapter) => Some(plain.map_or_else(|| adapter.id(), |plain| adapter.id_on(plain))),
            None => plain.map(str::to_owned),
        }
    }

    fn plain(&self, finder: &FinderArgs) -> Option<&str> {
        let preset = match (self.accurate, finder.fast) {
            (true, _) => Some(ACCURATE_EMBEDDER),
            (false, true) => Some(FAST_EMBEDDER),
            (false, false) => None,
        };
        self.embedder.as_deref().or(preset)
    }

    /// The embedder's name.
    pub fn name(&self, finder: &FinderArgs) -> String {
        self.asked(finder).unwrap_or_else(|| DEFAULT_EMBEDDER.to_owned())
    }
}

/// The photos of a folder, or a clear word that there are none.
pub fn scan(input: &Path) -> Result<Scan> {
    let scan = bledsoe::dataset::scan(input)?;
    if scan.items.is_empty() {
        bail!("{}: no photos there (JPEG, PNG, WebP, BMP, PGM/PPM, GIF or TIFF)", input.display());
    }
    Ok(scan)
}

/// Whether `input` is a table that `embed` wrote, rather than photos.
pub fn is_table(input: &Path) -> bool {
    input.is_file() && is_table_name(input)
}

/// Whether a file is called as a table is.
pub fn is_table_name(file: &Path) -> bool {
    file.extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet"))
}
