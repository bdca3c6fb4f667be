//! `bledsoe calibrate`

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::Result;
use bledsoe::embed::Embedding;
use serde_json::json;

use crate::{
    arguments::{AdapterArgs, EngineArgs, FinderArgs},
    console,
    gallery::{GalleryArgs, shown},
    portraits::{Inputs, Stages},
};

/// Fit a gallery's error rates and probabilities to your own photos.
///
/// The folder has one folder per person. Photos of people enrolled, other than those they were enrolled by, tell how
/// alike faces of one person are; those of others tell what strangers are like where the gallery is used: the first
/// photo of each. They replace what was shown before. The gallery keeps the strangers' embeddings, not their names or
/// photos.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe calibrate staff.gallery --with visitors/")]
pub struct Args {
    /// The gallery
    gallery: PathBuf,
    /// Folder of photos or chips with one folder per person, or a table that `embed` wrote; without it, what was shown
    /// before is kept and all is fitted anew
    #[arg(long, value_name = "DIR")]
    with: Option<PathBuf>,
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
    let mut gallery = args.opening.open(&args.gallery)?;
    args.adapter.check(&gallery.store().model().id)?;
    let Some(with) = &args.with else {
        let calibration = gallery.fit_anew()?;
        return tell(&args, &calibration, &[]);
    };
    let embedder = gallery.store().model().id.clone();
    let inputs = Inputs::open(std::slice::from_ref(with), &embedder)?;
    let loader = args.adapter.onto(args.engine.loader_for(inputs.photos())?);
    let stages = Stages::open(&inputs, &args.finder, &loader, &embedder)?;
    let (mut strangers, mut mates): (BTreeMap<String, Embedding>, Vec<(String, Embedding)>) = Default::default();
    let skipped = console::with_progress(inputs.len(), console::NOT_KEPT, |monitor| {
        inputs.work_through(stages.as_ref(), &embedder, monitor, |faces| {
            for found in faces {
                let row = found.portrait.row;
                // A photo in no folder is of a person of its own.
                let name = row.person.unwrap_or_else(|| row.path.clone());
                match gallery.store().person(&name)? {
                    None => {
                        strangers.entry(name).or_insert(found.embedding);
                    }
                    Some(person) => {
                        let templates = gallery.store().templates(person.id)?;
                        if !templates.iter().any(|known| known.template.origin.sha256 == row.sha256) {
                            mates.push((name, found.embedding));
                        }
                    }
                }
            }
            Ok(())
        })
    })?;
    console::tell_skipped(&skipped, None);
    let strangers: Vec<Embedding> = strangers.into_values().collect();
    let calibration = gallery.calibrate(&strangers, &mates)?;
    tell(&args, &calibration, &skipped)
}

fn tell(
    args: &Args,
    calibration: &bledsoe::gallery::CalibrationSummary,
    skipped: &[bledsoe::dataset::Skipped],
) -> Result<ExitCode> {
    if args.json {
        console::print_json(
            &json!({ "gallery": shown(&args.gallery), "calibration": calibration, "skipped": skipped }),
        )?;
    } else {
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
    }
    Ok(console::exit_code(skipped))
}
