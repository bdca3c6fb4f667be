//! `bledsoe forget`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;

use crate::{console, gallery::GalleryArgs};

/// Forget a person: the templates are overwritten in the file, not only unlinked. Prints a receipt of what was erased.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe forget staff.gallery \"Ada Lovelace\" --json > receipt.json")]
pub struct Args {
    /// The gallery
    gallery: PathBuf,
    /// The person
    name: String,
    /// Print the receipt as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    opening: GalleryArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let receipt = args.opening.open(&args.gallery)?.forget(&args.name)?;
    if args.json {
        console::print_json(&receipt)?;
    } else {
        say!("{}: {} is forgotten; {} templates erased, of:", receipt.store, receipt.name, receipt.templates.len());
        receipt.photos.iter().for_each(|origin| say!("  {} {}", origin.photo, origin.sha256));
    }
    Ok(ExitCode::SUCCESS)
}
