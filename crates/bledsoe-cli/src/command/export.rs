//! `bledsoe export`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use serde_json::json;

use crate::{
    arguments::is_table_name,
    console,
    gallery::{GalleryArgs, shown},
};

/// Write a gallery's people and templates to a file: JSON with everything, or a Parquet table of the embeddings.
///
/// The file is not encrypted, even where the gallery is.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  bledsoe export staff.gallery staff.json\n  bledsoe export staff.gallery staff.parquet"
)]
pub struct Args {
    /// The gallery
    gallery: PathBuf,
    /// The file: its name ends in .json or .parquet
    out: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    opening: GalleryArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    console::check_folder(&args.out)?;
    let gallery = args.opening.open(&args.gallery)?;
    let size = gallery.size()?;
    if is_table_name(&args.out) {
        gallery.export_table(&args.out)?
    } else {
        gallery.export_json(&args.out)?
    }
    if args.json {
        console::print_json(&json!({ "gallery": shown(&args.gallery), "out": args.out, "size": size }))?;
    } else {
        say!("{} people and {} templates in {}", size.people, size.templates, args.out.display());
    }
    Ok(ExitCode::SUCCESS)
}
