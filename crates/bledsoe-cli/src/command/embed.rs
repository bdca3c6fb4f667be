//! `bledsoe embed`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use bledsoe::{embed::table, pipeline};
use serde_json::json;

use crate::{
    arguments::{EmbedderArgs, EngineArgs, FinderArgs, is_table, scan},
    console,
};

/// Turn every face into an embedding, in a Parquet table.
///
/// IN is a folder of photos or of chips that `align` made. Photos without a face are listed beside the table, in
/// OUT.skipped.csv, and in the table's metadata. With --adapter IN may also be a table without it: no photo is looked at
/// again.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe embed lfw --out faces.parquet --embedder facenet --resume")]
pub struct Args {
    /// Folder of photos or chips, or one photo; with --adapter also a table (.parquet)
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
    if is_table(&args.r#in) {
        return adapt(&args);
    }
    let scan = scan(&args.r#in)?;
    let loader = args.embedder.adapter.onto(args.engine.loader()?);
    let name = args.embedder.name(&args.finder);
    args.finder.preload(&args.r#in, &loader, &name)?;
    let embedder = loader.embedder(&name)?;
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

/// Puts the adapter behind the embeddings of a table.
fn adapt(args: &Args) -> Result<ExitCode> {
    let Some(adapter) = args.embedder.adapter.get() else {
        bail!("{}: a table has its embeddings already; --adapter puts an adapter behind them", args.r#in.display());
    };
    let (mut origin, mut rows) = table::read(&args.r#in)?;
    if let Some(asked) = args.embedder.asked(&args.finder).filter(|asked| *asked != adapter.id_on(&origin.model)) {
        bail!("{}: embeddings of {}, of which none of {asked} can be made", args.r#in.display(), origin.model);
    }
    adapter.apply_to_table(&mut origin, &mut rows)?;
    console::check_folder(&args.out)?;
    table::write(&args.out, &origin, &rows)?;
    if args.json {
        console::print_json(&json!({
            "out": args.out, "embedder": origin.model, "dim": origin.dim, "faces": rows.len(), "skipped": origin.skipped,
        }))?;
    } else {
        say!("{} embeddings of {} numbers by {} in {}", rows.len(), origin.dim, origin.model, args.out.display());
    }
    Ok(console::exit_code(&origin.skipped))
}
