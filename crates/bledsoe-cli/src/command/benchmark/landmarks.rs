//! `bledsoe benchmark landmarks`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use bledsoe::{
    benchmark::{
        boxes,
        landmarks::{self, Boxes, LandmarkResult, Length},
    },
    detect::Detector,
    pipeline::DetectorOptions,
};
use serde_json::json;

use super::BootstrapArgs;
use crate::{arguments::EngineArgs, console};

/// Measure a landmarker on photos with true points: normalised mean error, failure rate, area under the error curve.
///
/// FILE.json is a list: [{"image": "a.jpg", "faces": [{"box": [left, top, width, height], "points": [[x, y], …]}]}] with 5
/// points (eye centres, nose tip, mouth corners) or the 68 of 300-W. dlib's annotations as JSON are read as well. Errors
/// are mean point distances divided by the distance of the outer eye corners, as in the 300-W challenge, or with
/// --length box by the square root of the box's area. Where a landmarker gives other points than the file, 68 points are
/// reduced to the five. Intervals are 95 %, photos resampled.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bledsoe benchmark landmarks --root photos --boxes boxes.json --landmarks landmarks5"
)]
pub struct Args {
    /// Folder of the photos
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// True boxes and points of the photos to test on
    #[arg(long, value_name = "FILE.json")]
    boxes: PathBuf,
    /// Landmarks: detector (its own five points), landmarks5, landmarks68, or a dlib .dat file
    #[arg(long, default_value = "detector", value_name = "NAME")]
    landmarks: String,
    /// Find the landmarks in this detector's boxes rather than the true ones; centerface or yunet for their own points
    #[arg(long, value_name = "NAME")]
    detector: Option<String>,
    /// Double the photo N times before HOG or MMOD looks at it, to find smaller faces
    #[arg(long, default_value_t = 0, value_name = "N")]
    upsample: u32,
    /// Take detections with at least this score (the default is the detector's own)
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    min_score: Option<f32>,
    /// Least intersection over union of a detection and its face
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    iou: f64,
    /// What errors are divided by: eyes or box
    #[arg(long, default_value = "eyes", value_name = "LENGTH")]
    length: Length,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bootstrap: BootstrapArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if !(args.iou > 0.0 && args.iou <= 1.0) {
        bail!("--iou {}: expected above 0 and at most 1, such as 0.5", args.iou);
    }
    let truth = boxes::read(&args.boxes)?;
    let loader = args.engine.loader()?;
    let own_points = args.landmarks == "detector";
    let detector_name = args.detector.as_deref().or(own_points.then_some(bledsoe::pipeline::DEFAULT_DETECTOR));
    let options = DetectorOptions { upsample: args.upsample, min_score: args.min_score };
    let detector = detector_name.map(|name| loader.detector(name, &options)).transpose()?;
    let landmarker = loader.landmarker(&args.landmarks, detector_name.unwrap_or_default(), &[])?;
    let on = detector.as_deref().map_or(Boxes::Truth, |detector| Boxes::Found(detector, args.iou));
    let bootstrap = args.bootstrap.into();
    let result = console::with_progress(truth.len(), console::NOT_KEPT, |monitor| {
        landmarks::run(&args.root, &truth, landmarker.as_ref(), on, args.length, &bootstrap, monitor)
    })?;
    console::tell_skipped(&result.skipped, None);
    let detector = detector.as_deref().map(Detector::id);
    if args.json {
        let mut json = serde_json::to_value(&result)?;
        json["settings"] = json!({
            "root": args.root, "boxes": args.boxes, "landmarks": landmarker.id(), "detector": detector,
            "min_iou": detector.map(|_| args.iou), "length": args.length, "bootstrap": bootstrap,
            "models": loader.models(), "engine": loader.engine(), "bledsoe": env!("CARGO_PKG_VERSION"),
        });
        console::print_json(&json)?;
    } else {
        let on = detector.map_or("the true boxes".to_owned(), |detector| format!("the boxes of {detector}"));
        say!("{} in {on}; engine {}", landmarker.id(), loader.engine());
        tell(&result, args.length);
    }
    Ok(console::exit_code(&result.skipped))
}

fn tell(result: &LandmarkResult, length: Length) {
    let figures = &result.figures;
    let points = result.scheme.map_or("no points".to_owned(), |scheme| format!("{} points", scheme.len()));
    say!("{} photos, {} faces, {} without landmarks; {points}", figures.photos, figures.faces, figures.failures);
    let with = |value: f64, interval: Option<[f64; 2]>| match interval {
        Some([low, high]) => format!("{value:.4} ({low:.4} to {high:.4})"),
        None => format!("{value:.4}"),
    };
    let by = match length {
        Length::Eyes => "the distance of the eyes",
        Length::Box => "the side of the box",
    };
    match figures.nme {
        Some(nme) => say!("mean error       {} of {by}", with(nme, figures.intervals.nme)),
        None => say!("mean error       - (no face found)"),
    }
    for (limit, rate) in &figures.failure_rate {
        let interval = figures.intervals.failure_rate.get(limit).copied().flatten();
        say!("failures > {limit:<5} {}", with(*rate, interval));
    }
    for (limit, area) in &figures.auc {
        say!("AUC to {limit:<9} {}", with(*area, figures.intervals.auc.get(limit).copied().flatten()));
    }
}
