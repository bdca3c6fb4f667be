//! What the commands that learn begin with: photos of one face each, or a table, and their embeddings.

use std::path::Path;

use anyhow::{Result, bail};
use bledsoe::{
    dataset::Scan,
    embed::{
        Embedder,
        table::{self, FaceRow, Origin},
    },
    pipeline::{self, Loader, Monitor, Source},
};

use crate::{
    arguments::{EmbedderArgs, EngineArgs, FinderArgs, is_table, scan},
    console,
};

const IF_STOPPED: &str = "finished work is kept: run the same again to go on";

/// How embeddings come about: the arguments that the commands that learn share.
#[derive(clap::Args)]
pub struct EmbeddingArgs {
    #[command(flatten)]
    pub embedder: EmbedderArgs,
    #[command(flatten)]
    pub finder: FinderArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// Photos or chips, and the stages that turn them into embeddings.
pub struct Photos {
    pub scan: Scan,
    pub loader: Loader,
    pub embedder: Box<dyn Embedder>,
    pub source: Box<dyn Source>,
}

impl EmbeddingArgs {
    /// The photos or chips of the folder `input`.
    pub fn photos(&self, input: &Path) -> Result<Photos> {
        if self.finder.takes_all() {
            bail!("one face of each photo is learnt from: use --select center or largest");
        }
        let scan = scan(input)?;
        let loader = self.embedder.adapter.onto(self.engine.loader()?);
        let embedder = loader.embedder(&self.embedder.name(&self.finder))?;
        let source = self.finder.source(input, &loader, embedder.as_ref())?;
        Ok(Photos { scan, loader, embedder, source })
    }

    /// The table `input`, unless it is of another embedder than was asked for.
    pub fn table(&self, input: &Path) -> Result<(Origin, Vec<FaceRow>)> {
        let (origin, rows) = table::read(input)?;
        if let Some(asked) = self.embedder.asked(&self.finder).filter(|asked| *asked != origin.model) {
            bail!("{} holds embeddings of {}, not of {asked}", input.display(), origin.model);
        }
        Ok((origin, rows))
    }

    /// The embeddings of what `input` names. Those of photos are kept in `out`: for `another` run, and for one that was
    /// stopped to go on.
    pub fn embeddings(&self, input: &Path, out: &Path, another: &str) -> Result<(Origin, Vec<FaceRow>)> {
        if is_table(input) {
            return self.table(input);
        }
        let photos = self.photos(input)?;
        let Photos { scan, loader, embedder, source } = &photos;
        photos.work(|monitor| {
            pipeline::embed::embed(scan, source.as_ref(), embedder.as_ref(), loader.engine(), out, true, monitor)
        })?;
        eprintln!("engine: {}", loader.engine());
        let (kept, input) = (out.display(), input.display());
        eprintln!("the embeddings are kept in {kept}: give it instead of {input} for another {another}");
        Ok(table::read(out)?)
    }
}

impl Photos {
    /// Does `work` on them with a progress bar; what is finished is kept when it is stopped.
    pub fn work<T>(&self, work: impl FnOnce(&Monitor<'_>) -> bledsoe::Result<T>) -> Result<T> {
        console::with_progress(self.scan.items.len(), IF_STOPPED, work)
    }
}
