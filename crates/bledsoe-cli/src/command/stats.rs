//! `bledsoe stats`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use serde_json::json;

use crate::{
    console,
    gallery::{GalleryArgs, shown},
};

/// Tell how large a gallery is, and what its decisions rest on.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe stats staff.gallery")]
pub struct Args {
    /// The gallery
    gallery: PathBuf,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    opening: GalleryArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let gallery = args.opening.open(&args.gallery)?;
    let (size, calibration, model) = (gallery.size()?, gallery.calibration()?, gallery.store().model());
    if args.json {
        console::print_json(
            &json!({ "gallery": shown(&args.gallery), "model": model, "size": size, "calibration": calibration }),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("{}", gallery.store().describe());
    say!(
        "{} people, {} templates of {} ({} numbers), {:.1} MB",
        size.people,
        size.templates,
        model.id,
        model.dim,
        size.bytes as f64 / 1e6
    );
    say!(
        "calibrated by {} synthetic strangers, {} people enrolled, {} strangers and {} mates of your own",
        calibration.synthetic,
        calibration.enrolled,
        calibration.met,
        calibration.mates
    );
    for (rate, threshold) in calibration.thresholds.iter().rev() {
        say!("  --fpir {rate:<6} is a score of {threshold:.3}");
    }
    if calibration.thresholds.is_empty() {
        say!("  too few strangers are known to promise a rate: see `bledsoe calibrate --help`");
    }
    Ok(ExitCode::SUCCESS)
}
