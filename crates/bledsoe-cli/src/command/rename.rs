//! `bledsoe rename`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use serde_json::json;

use crate::{
    console,
    gallery::{GalleryArgs, shown},
};

/// Give a person enrolled another name.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe rename staff.gallery \"Ada Byron\" \"Ada Lovelace\"")]
pub struct Args {
    /// The gallery
    gallery: PathBuf,
    /// The person
    name: String,
    /// The new name
    new: String,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    opening: GalleryArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.opening.open(&args.gallery)?.rename(&args.name, &args.new)?;
    if args.json {
        console::print_json(&json!({ "gallery": shown(&args.gallery), "from": args.name, "to": args.new }))?;
    } else {
        say!("{} is now called {}", args.name, args.new);
    }
    Ok(ExitCode::SUCCESS)
}
