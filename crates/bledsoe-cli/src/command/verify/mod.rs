//! `bledsoe verify`

mod gallery;
mod photos;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};

use crate::{
    arguments::{EmbedderArgs, EngineArgs, FinderArgs},
    gallery::GalleryArgs,
};

/// Tell whether two photos show the same person, or whether a photo shows a person enrolled (1:1 verification).
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  bledsoe verify passport.jpg selfie.jpg\n  bledsoe verify staff.gallery \"Ada Lovelace\" door.jpg --far 0.001"
)]
pub struct Args {
    /// Two photos; or a gallery, the name of somebody enrolled, and a photo
    #[arg(required = true, num_args = 2..=3, value_name = "A B | GALLERY NAME PHOTO")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    embedder: EmbedderArgs,
    /// Least similarity of the same person (of two photos, the embedder's measured threshold if absent)
    #[arg(long, value_name = "SIMILARITY", allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// With a gallery: share of strangers that may be taken for the person (false accept rate), 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.001, conflicts_with = "threshold")]
    far: f64,
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
        bail!("verify looks at one face of each photo: use --select center or largest");
    }
    match args.inputs.as_slice() {
        [a, b] => photos::run(&args, a, b),
        [gallery, name, photo] => gallery::run(&args, gallery, &name.to_string_lossy(), photo),
        _ => bail!("verify takes two photos, or a gallery, a name and a photo"),
    }
}
