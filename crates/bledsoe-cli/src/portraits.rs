//! The faces of whatever was named: photos, folders of photos or chips, tables of embeddings.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bledsoe::{
    dataset::{Scan, Skipped},
    embed::{Adapter, Embedder, Embedding, table},
    gallery::{Face, store::Origin},
    pipeline::{Counts, Encoded, Loader, Monitor, Portrait, Source, chunks, portraits},
    quality::{Bar, Fault},
};

use crate::{
    arguments::{EmbedderArgs, FinderArgs, is_table, scan},
    console,
};

/// Rows of a table that are handed over at a time.
const ROWS: usize = 256;

/// A face, and the file that it is of.
pub struct Found {
    /// The photo, as the user would name it.
    pub path: PathBuf,
    /// Its path below a folder of results, where those of other inputs are not in the way.
    pub relative: PathBuf,
    /// The face.
    pub portrait: Portrait,
    /// Its embedding.
    pub embedding: Embedding,
}

impl Found {
    /// What is wrong with the picture.
    pub fn faults(&self) -> Vec<Fault> {
        Bar::default().faults(self.portrait.row.detection.rect.width(), self.portrait.sharpness, self.portrait.pose)
    }
}

impl From<Found> for Face {
    /// The face as a gallery keeps it, with where it came from.
    fn from(found: Found) -> Self {
        let Found { path, portrait, embedding, .. } = found;
        let origin = Origin {
            photo: path.display().to_string(),
            sha256: portrait.row.sha256,
            rect: Some(portrait.row.detection.rect),
            sharpness: portrait.sharpness,
            pose: portrait.pose,
        };
        Self { embedding, origin }
    }
}

enum Input {
    Photos(Scan),
    Table(Vec<table::FaceRow>, Vec<Skipped>),
}

/// What was named, looked at but not worked through.
pub struct Inputs {
    inputs: Vec<(PathBuf, Input)>,
}

impl Inputs {
    /// Looks at the files and folders; tables must be of `embedder`.
    pub fn open(paths: &[PathBuf], embedder: &str) -> Result<Self> {
        let open = |path: &PathBuf| -> Result<(PathBuf, Input)> {
            if !is_table(path) {
                return Ok((path.clone(), Input::Photos(scan(path)?)));
            }
            let (origin, rows) = table::read(path)?;
            if origin.model != embedder {
                let how = match Adapter::split(embedder) {
                    Some((base, _)) if base == origin.model => {
                        "; `bledsoe embed TABLE --adapter FILE` makes them of these"
                    }
                    _ => "",
                };
                bail!("{}: embeddings of {}, but those of {embedder} are needed{how}", path.display(), origin.model);
            }
            Ok((path.clone(), Input::Table(rows, origin.skipped)))
        };
        Ok(Self { inputs: paths.iter().map(open).collect::<Result<_>>()? })
    }

    /// Photos, and rows of tables.
    pub fn len(&self) -> usize {
        let len = |input: &Input| match input {
            Input::Photos(scan) => scan.items.len(),
            Input::Table(rows, _) => rows.len(),
        };
        self.inputs.iter().map(|(_, input)| len(input)).sum()
    }

    /// Photos, for which networks are needed.
    pub fn photos(&self) -> usize {
        self.inputs.iter().map(|(_, input)| if let Input::Photos(scan) = input { scan.items.len() } else { 0 }).sum()
    }
}

/// Networks that turn photos into faces.
pub struct Stages {
    embedder: Box<dyn Embedder>,
    sources: Vec<Option<Box<dyn Source>>>,
}

impl Stages {
    /// Opens what `inputs` need; nothing where all are tables.
    pub fn open(inputs: &Inputs, finder: &FinderArgs, loader: &Loader, embedder: &str) -> Result<Option<Self>> {
        if inputs.photos() == 0 {
            return Ok(None);
        }
        for (path, input) in &inputs.inputs {
            if matches!(input, Input::Photos(_)) {
                finder.preload(path, loader, embedder)?;
            }
        }
        let embedder = loader.embedder(embedder)?;
        let source = |(path, input): &(PathBuf, Input)| match input {
            Input::Photos(_) => finder.source(path, loader, embedder.as_ref()).map(Some),
            Input::Table(..) => Ok(None),
        };
        let sources = inputs.inputs.iter().map(source).collect::<Result<_>>()?;
        Ok(Some(Self { embedder, sources }))
    }
}

impl Inputs {
    /// All faces, and the photos without one, with a progress bar; `if_stopped` is as for [`console::with_progress`].
    pub fn faces(
        self,
        stages: Option<&Stages>,
        embedder: &str,
        if_stopped: &str,
    ) -> Result<(Vec<Found>, Vec<Skipped>)> {
        let mut faces = Vec::new();
        let skipped = console::with_progress(self.len(), if_stopped, |monitor| {
            self.work_through(stages, embedder, monitor, |found| {
                faces.extend(found);
                Ok(())
            })
        })?;
        Ok((faces, skipped))
    }

    /// Hands the faces over, some hundred photos at a time, whole photos together; and gives the photos without one.
    pub fn work_through(
        self,
        stages: Option<&Stages>,
        embedder: &str,
        monitor: &Monitor<'_>,
        mut take: impl FnMut(Vec<Found>) -> bledsoe::Result<()>,
    ) -> bledsoe::Result<Vec<Skipped>> {
        let mut skipped = Vec::new();
        let mut counts = Counts::default();
        let single = self.inputs.len() == 1;
        let found = |path: &Path, folder: bool, portrait: Portrait| {
            let embedding = Embedding::new(embedder, portrait.row.vector.clone())?;
            let relative = PathBuf::from(&portrait.row.path);
            let (path, relative) = match (folder, path.file_name()) {
                (true, Some(name)) if !single => (path.join(&relative), Path::new(name).join(&relative)),
                (true, _) => (path.join(&relative), relative),
                (false, _) => (path.to_owned(), relative),
            };
            Ok(Found { path, relative, portrait, embedding })
        };
        for (i, (path, input)) in self.inputs.into_iter().enumerate() {
            match input {
                Input::Photos(scan) => {
                    let Some((source, embedder)) = stages.and_then(|s| Some((s.sources[i].as_ref()?, &s.embedder)))
                    else {
                        continue;
                    };
                    let folder = path.is_dir();
                    skipped.extend(scan.skipped.clone());
                    for range in chunks(&scan.items) {
                        monitor.check()?;
                        counts.photos += range.len();
                        let processed = source.process(Encoded::read_all(&scan.items[range]))?;
                        let (faces, failed) = portraits(processed, embedder.as_ref())?;
                        counts.faces += faces.len();
                        skipped.extend(failed);
                        counts.skipped = skipped.len();
                        take(
                            faces.into_iter().map(|face| found(&path, folder, face)).collect::<bledsoe::Result<_>>()?,
                        )?;
                        (monitor.progress)(counts);
                    }
                }
                Input::Table(rows, failed) => {
                    skipped.extend(failed);
                    let mut rest = rows.into_iter().peekable();
                    while rest.peek().is_some() {
                        monitor.check()?;
                        let mut faces: Vec<Found> = Vec::new();
                        // A photo's faces stay together.
                        while let Some(row) = rest.next_if(|row| {
                            faces.len() < ROWS || faces.last().is_some_and(|last| last.portrait.row.path == row.path)
                        }) {
                            faces.push(found(Path::new(""), true, row.into())?);
                        }
                        counts.photos += faces.len();
                        counts.faces += faces.len();
                        take(faces)?;
                        (monitor.progress)(counts);
                    }
                }
            }
        }
        Ok(skipped)
    }
}

/// The embedder of what was named: the tables' own, or the one asked for.
pub fn embedder_of(inputs: &[PathBuf], asked: &EmbedderArgs, finder: &FinderArgs) -> Result<String> {
    match inputs.iter().find(|input| is_table(input)) {
        Some(table) => embedder_given(&table::origin(table)?.model, asked, finder),
        None => Ok(asked.name(finder)),
    }
}

/// The embedder that a table's or gallery's embeddings are of, unless another one was asked for.
pub fn embedder_given(given: &str, asked: &EmbedderArgs, finder: &FinderArgs) -> Result<String> {
    if let Some(other) = asked.asked(finder).filter(|asked| asked != given) {
        let how = if asked.adapter.get().is_some() { "leave --adapter out" } else { "leave --embedder out" };
        bail!("the embeddings are of {given}, not of {other}: {how}");
    }
    Ok(given.to_owned())
}
