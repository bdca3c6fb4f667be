//! `bledsoe reject`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use bledsoe::gallery::{Face, store::Origin};
use serde_json::json;

use crate::{
    arguments::{EngineArgs, FinderArgs},
    console,
    gallery::{GalleryArgs, shown},
    portraits::{Found, Inputs, Stages},
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
    let inputs = Inputs::open(&args.photos, &embedder)?;
    let loader = args.engine.loader_for(inputs.photos())?;
    let stages = Stages::open(&inputs, &args.finder, &loader, &embedder)?;
    let mut faces: Vec<Found> = Vec::new();
    let skipped = console::with_progress(inputs.len(), console::NOT_KEPT, |monitor| {
        inputs.work_through(stages.as_ref(), &embedder, monitor, |found| {
            faces.extend(found);
            Ok(())
        })
    })?;
    console::tell_skipped(&skipped, None);
    let rejected: Vec<Face> = faces
        .into_iter()
        .map(|found| {
            let row = found.portrait.row;
            let (photo, rect) = (found.path.display().to_string(), Some(row.detection.rect));
            let origin = Origin {
                photo,
                sha256: row.sha256,
                rect,
                sharpness: found.portrait.sharpness,
                pose: found.portrait.pose,
            };
            Face { embedding: found.embedding, origin }
        })
        .collect();
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
