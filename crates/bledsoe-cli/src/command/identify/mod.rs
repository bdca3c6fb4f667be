//! `bledsoe identify`

mod classifier;
mod gallery;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};

use crate::{
    arguments::{AdapterArgs, EngineArgs, FinderArgs},
    gallery::{GalleryArgs, RuleArgs},
};

/// Say who is in photos, or that it is nobody known: by a gallery, or by a trained classifier.
///
/// With a gallery, all faces of a photo are looked up together, and no person is found twice in one. Who is named
/// follows from the share of strangers that may be (--fpir); the probability is that the name is right.
///
/// With --model, one face of each photo is classified (for group photos give --select all). It is called unknown when
/// nobody is probable enough, or when it is too unlike the most probable person. The probability is among the people
/// trained on.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  bledsoe identify staff.gallery party.jpg\n  bledsoe identify staff.gallery photos/ --fpir 0.001 --annotate seen/\n  bledsoe identify --model lfw.bledsoe party.jpg --select all"
)]
pub struct Args {
    /// The gallery, then photos, folders of photos or chips, or tables that `embed` wrote; with --model, only the
    /// latter
    #[arg(required = true, value_name = "GALLERY | PHOTO")]
    inputs: Vec<PathBuf>,
    /// A classifier that `train` made, instead of a gallery
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// With --model: least probability that names a person (the classifier's own if absent)
    #[arg(long, value_name = "P", requires = "model")]
    min_probability: Option<f32>,
    #[command(flatten)]
    rule: RuleArgs,
    /// Write a copy of each photo, with boxes and names drawn, into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    annotate: Option<PathBuf>,
    /// Write the names into a file beside each photo (PHOTO.xmp) for photo managers: XMP regions of the Metadata
    /// Working Group
    #[arg(long, conflicts_with = "model")]
    xmp: bool,
    /// Write a table of the faces as CSV
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    csv: Option<PathBuf>,
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
    match (&args.model, args.inputs.as_slice()) {
        (Some(model), photos) => classifier::run(&args, model, photos),
        (None, [gallery, photos @ ..]) if !photos.is_empty() => gallery::run(&args, gallery, photos),
        _ => bail!("identify takes a gallery and photos, or --model and photos"),
    }
}
