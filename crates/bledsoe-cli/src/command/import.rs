//! `bledsoe import`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use bledsoe::gallery::Exported;
use serde_json::json;

use crate::{
    arguments::is_table,
    console,
    gallery::{GalleryArgs, shown},
};

/// Enroll everybody of a file that `export` or `embed` wrote.
///
/// The gallery is made if it is not there. People of the same name become one. Nothing is refused for being poor: that
/// was for whoever made the file.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  bledsoe import copy.gallery staff.json\n  bledsoe import staff.gallery faces.parquet"
)]
pub struct Args {
    /// The gallery
    gallery: PathBuf,
    /// The file: JSON or Parquet
    file: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    opening: GalleryArgs,
}

/// What a stopped run keeps.
const KEPT: &str =
    "who was enrolled so far is kept, and would be enrolled twice: forget them, or begin with a new gallery";

pub fn run(args: Args) -> Result<ExitCode> {
    let exported =
        if is_table(&args.file) { Exported::read_table(&args.file)? } else { Exported::read_json(&args.file)? };
    if exported.people.is_empty() {
        bail!("{}: nobody is named in it", args.file.display());
    }
    let mut gallery = match args.opening.find(&args.gallery)? {
        Some(gallery) => gallery,
        None => args.opening.create(&args.gallery, &exported.model)?,
    };
    let people = exported.people.len();
    console::with_progress_of("people", people, KEPT, |monitor| {
        gallery.import(exported, |done| {
            (monitor.progress)(bledsoe::pipeline::Counts { photos: done, ..Default::default() });
            monitor.check().is_ok()
        })
    })?;
    let size = gallery.size()?;
    if args.json {
        console::print_json(&json!({ "gallery": shown(&args.gallery), "imported": people, "size": size }))?;
    } else {
        say!(
            "{people} people imported; {} now holds {}, with {} templates",
            shown(&args.gallery),
            size.people,
            size.templates
        );
    }
    Ok(ExitCode::SUCCESS)
}
