//! `bledsoe reject`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use bledsoe::gallery::Face;
use serde_json::json;

use crate::{
    arguments::{AdapterArgs, EngineArgs, FinderArgs},
    console,
    gallery::{GalleryArgs, shown},
    portraits::{Inputs, Stages},
};

/// Tell a gallery that a face is not the person it was taken for: it, and faces as like it, are not named so again.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe reject staff.gallery \"Ada Lovelace\" door.jpg")]
pub struct Args {
    /// The gallery
    gallery: PathBuf,
    /// The person whom the face is not of
    name: String,
    /// Photos with the face
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    opening: GalleryArgs,
    #[command(flatten)]
    adapter: AdapterArgs,
    #[command(flatten)]
    finder: FinderArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if args.finder.takes_all() {
        bail!("reject takes one face of a photo: use --select center or largest");
    }
    let mut gallery = args.opening.open(&args.gallery)?;
    let embedder = gallery.store().model().id.clone();
    args.adapter.check(&embedder)?;
    let inputs = Inputs::open(&args.photos, &embedder)?;
    let loader = args.adapter.onto(args.engine.loader_for(inputs.photos())?);
    let stages = Stages::open(&inputs, &args.finder, &loader, &embedder)?;
    let (faces, skipped) = inputs.faces(stages.as_ref(), &embedder, console::NOT_KEPT)?;
    console::tell_skipped(&skipped, None);
    let rejected: Vec<Face> = faces.into_iter().map(Face::from).collect();
    if rejected.is_empty() {
        bail!("no face was found: nothing was changed");
    }
    gallery.reject(&args.name, &rejected)?;
    if args.json {
        console::print_json(
            &json!({ "gallery": shown(&args.gallery), "not": args.name, "faces": rejected.len(), "skipped": skipped }),
        )?;
    } else {
        say!("{} faces will not be taken for {} again", rejected.len(), args.name);
    }
    Ok(console::exit_code(&skipped))
}
