//! `bledsoe merge`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use serde_json::json;

use crate::{
    console,
    gallery::{GalleryArgs, shown},
};

/// Make two people of a gallery one, who turned out to be the same.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe merge staff.gallery \"A. Lovelace\" \"Ada Lovelace\"")]
pub struct Args {
    /// The gallery
    gallery: PathBuf,
    /// The person who will be no more
    name: String,
    /// The person who gets the templates and labels
    into: String,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    opening: GalleryArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let mut gallery = args.opening.open(&args.gallery)?;
    gallery.merge(&args.name, &args.into)?;
    let templates = gallery.store().person(&args.into)?.map_or(0, |person| person.templates);
    if args.json {
        console::print_json(
            &json!({ "gallery": shown(&args.gallery), "from": args.name, "into": args.into, "templates": templates }),
        )?;
    } else {
        say!("{} is now part of {}, who has {templates} templates", args.name, args.into);
    }
    Ok(ExitCode::SUCCESS)
}
