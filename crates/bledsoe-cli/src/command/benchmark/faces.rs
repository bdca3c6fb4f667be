//! The faces that a protocol is run on: of a folder, or of a table that `embed` made.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use anyhow::Result;
use bledsoe::{
    benchmark::Faces,
    report::benchmark::{Failure, Model, Picture},
};
use serde_json::{Value, json};

use crate::{
    arguments::{EmbedderArgs, EngineArgs, FinderArgs, scan},
    console,
};

/// Side of the report's pictures, in pixels.
const PICTURE: u32 = 200;

/// Where embeddings come from.
#[derive(clap::Args, Debug, Clone)]
pub struct FacesArgs {
    /// Take the embeddings from this table (`bledsoe embed` made it of the same folder) instead of computing them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["embedder", "accurate", "adapter"])]
    embeddings: Option<PathBuf>,
    #[command(flatten)]
    embedder: EmbedderArgs,
    #[command(flatten)]
    finder: FinderArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

/// The faces, and what made them.
pub struct Loaded {
    pub faces: Faces,
    pub settings: Value,
    /// SHA-256 of every model file, by id.
    models: BTreeMap<String, String>,
    images: PathBuf,
}

impl FacesArgs {
    /// The faces of the photos below `images`: all, or those `wanted`.
    pub fn load(&self, images: &Path, wanted: Option<&HashSet<&str>>) -> Result<Loaded> {
        let (faces, engine, models) = match &self.embeddings {
            Some(table) => (Faces::of_table(table)?, None, BTreeMap::new()),
            None => {
                let scan = scan(images)?;
                let loader = self.embedder.adapter.onto(self.engine.loader()?);
                let embedder = loader.embedder(&self.embedder.name(&self.finder))?;
                let source = self.finder.source(images, &loader, embedder.as_ref())?;
                let total = wanted.map_or(scan.items.len(), HashSet::len);
                let faces = console::with_progress(total, console::EMBED_FIRST, |monitor| {
                    Faces::of_photos(&scan, wanted, source.as_ref(), embedder.as_ref(), monitor)
                })?;
                (faces, Some(loader.engine().to_owned()), loader.models())
            }
        };
        let settings = json!({
            "version": env!("CARGO_PKG_VERSION"), "images": images, "embedder": faces.model, "engine": engine,
            "models": models, "faces": faces.settings,
        });
        Ok(Loaded { faces, settings, models, images: images.to_owned() })
    }
}

impl Loaded {
    /// The photo at `path`, for the report.
    pub fn picture(&self, path: &str) -> Result<Picture> {
        let file = self.images.join(path);
        let photo = match self.faces.by_path.get(path) {
            Some(face) => face.picture(&file, PICTURE)?,
            None => bledsoe::photo::Photo::open(&file, &bledsoe::photo::Limits::default())?,
        };
        Ok(Picture { caption: path.to_owned(), photo })
    }

    /// Photos without a face, for the report.
    pub fn failures(&self) -> Vec<Failure> {
        let failure = |s: &bledsoe::dataset::Skipped| Failure { path: s.path.clone(), reason: s.reason.clone() };
        self.faces.skipped.iter().map(failure).collect()
    }

    /// The model files, for the report.
    pub fn model_files(&self) -> Vec<Model> {
        let role = |id: &str| if id == self.faces.model { "embedder" } else { "detector or landmarks" };
        self.models
            .iter()
            .map(|(id, sha256)| Model { role: role(id).into(), id: id.clone(), sha256: sha256.clone() })
            .collect()
    }
}

/// The command that was typed, to be repeated.
pub fn command_line() -> String {
    let word = |word: String| if word.contains([' ', '\'', '"', '$', '*']) { format!("'{word}'") } else { word };
    let rest: Vec<String> = std::env::args().skip(1).map(word).collect();
    format!("bledsoe {}", rest.join(" "))
}
