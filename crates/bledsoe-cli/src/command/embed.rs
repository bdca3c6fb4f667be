//! `bledsoe embed`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use bledsoe::pipeline;
use serde_json::json;

use crate::{
    arguments::{EmbedderArgs, EngineArgs, FinderArgs, scan},
    console,
};

/// Turn every face into an embedding, in a Parquet table.
///
/// IN is a folder of photos or of chips that `align` made. Photos without a face are listed beside the table, in
/// OUT.skipped.csv, and in the table's metadata.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe embed lfw --out faces.parquet --embedder facenet --resume")]
pub struct Args {
    /// Folder of photos or chips, or one photo
    r#in: PathBuf,
    /// The table to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    embedder: EmbedderArgs,
    /// Go on with a run that was stopped; the table is the same as that of an undisturbed run
    #[arg(long)]
    resume: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    finder: FinderArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let scan = scan(&args.r#in)?;
    let loader = args.engine.loader()?;
    let name = args.embedder.name(&args.finder);
    args.finder.preload(&args.r#in, &loader, name)?;
    let embedder = loader.embedder(name)?;
    let source = args.finder.source(&args.r#in, &loader, embedder.as_ref())?;
    let summary = console::with_progress(scan.items.len(), console::RESUMABLE, |monitor| {
        pipeline::embed::embed(
            &scan,
            source.as_ref(),
            embedder.as_ref(),
            loader.engine(),
            &args.out,
            args.resume,
            monitor,
        )
    })?;
    let list = args.out.with_added_extension("skipped.csv");
    console::write_skipped(&list, &summary.skipped)?;
    console::tell_skipped(&summary.skipped, Some(&list));
    if args.json {
        console::print_json(&json!({
            "out": args.out, "embedder": embedder.id(), "dim": embedder.dim(), "engine": loader.engine(), "summary": summary,
        }))?;
    } else {
        say!(
            "{} photos, {} embeddings of {} numbers by {} in {}, {} skipped\nengine: {}",
            summary.counts.photos,
            summary.counts.faces,
            embedder.dim(),
            embedder.id(),
            args.out.display(),
            summary.skipped.len(),
            loader.engine()
        );
    }
    Ok(console::exit_code(&summary.skipped))
}
