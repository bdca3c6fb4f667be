//! `bledsoe benchmark detection`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use bledsoe::{
    benchmark::{
        boxes,
        detection::{self, DetectionResult, Scores},
    },
    evaluate::detection::Settings,
    pipeline::DetectorOptions,
};
use serde_json::json;

use super::BootstrapArgs;
use crate::{arguments::EngineArgs, console};

/// Measure a detector on photos with true boxes: recall and average precision, by the size of faces.
///
/// FILE.json is a list: [{"image": "a.jpg", "faces": [{"box": [left, top, width, height], "ignore": false}]}].
/// dlib's annotations as JSON are read as well. Recall and precision are given at the detector's own least score (or
/// --min-score), the average precision over all scores from --curve-score. Intervals are 95 %, photos resampled; faces in
/// photos that cannot be read count as missed.
///
/// Detectors draw boxes differently: some of the chin and forehead, some of the whole head. The mean overlap tells how
/// alike the boxes of detector and file are; where it is small, a lower --iou is fairer.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bledsoe benchmark detection --root photos --boxes boxes.json --detector hog --upsample 1"
)]
pub struct Args {
    /// Folder of the photos
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// True boxes of the photos to test on
    #[arg(long, value_name = "FILE.json")]
    boxes: PathBuf,
    /// Detector: centerface, yunet, yunet-half, hog or mmod, or a dlib .svm/.dat file
    #[arg(long, default_value = bledsoe::pipeline::DEFAULT_DETECTOR, value_name = "NAME")]
    detector: String,
    /// Double the photo N times before HOG or MMOD looks at it, to find smaller faces
    #[arg(long, default_value_t = 0, value_name = "N")]
    upsample: u32,
    /// Recall and precision are of detections with at least this score (the default is the detector's own)
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    min_score: Option<f32>,
    /// The precision-recall curve takes detections with at least this score (the default depends on the detector)
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    curve_score: Option<f32>,
    /// Least intersection over union of a detection and its face
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    iou: f64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bootstrap: BootstrapArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let truth = boxes::read(&args.boxes)?;
    let scores = Scores::of(&args.detector)?;
    let min_score = args.min_score.unwrap_or(scores.own);
    let curve_score = args.curve_score.unwrap_or(scores.lowest).min(min_score);
    let loader = args.engine.loader()?;
    let options = DetectorOptions { upsample: args.upsample, min_score: Some(curve_score) };
    let detector = loader.detector(&args.detector, &options)?;
    let settings = Settings { min_iou: args.iou, min_score: f64::from(min_score) };
    let bootstrap = args.bootstrap.into();
    let result = console::with_progress(truth.len(), console::NOT_KEPT, |monitor| {
        detection::run(&args.root, &truth, detector.as_ref(), &settings, &bootstrap, monitor)
    })?;
    console::tell_skipped(&result.skipped, None);
    if args.json {
        let mut json = serde_json::to_value(&result)?;
        json["settings"] = json!({
            "root": args.root, "boxes": args.boxes, "detector": detector.id(), "upsample": args.upsample,
            "min_iou": args.iou, "min_score": min_score, "curve_score": curve_score, "bootstrap": bootstrap,
            "models": loader.models(), "engine": loader.engine(), "bledsoe": env!("CARGO_PKG_VERSION"),
        });
        console::print_json(&json)?;
    } else {
        say!("{}; engine {}", args.detector, loader.engine());
        tell(&result, curve_score);
    }
    Ok(console::exit_code(&result.skipped))
}

fn tell(result: &DetectionResult, curve_score: f32) {
    let figures = &result.figures;
    let Settings { min_iou, min_score } = figures.settings;
    say!("{} photos, {} faces, {} to be ignored, IoU ≥ {min_iou}", figures.photos, figures.faces, figures.ignored);
    let with = |value: Option<f64>, interval: Option<[f64; 2]>| match (value, interval) {
        (Some(value), Some([low, high])) => format!("{value:.4} ({low:.4} to {high:.4})"),
        (Some(value), None) => format!("{value:.4}"),
        (None, _) => "-".to_owned(),
    };
    let intervals = &figures.intervals;
    say!(
        "average precision {} from score {curve_score}",
        with(Some(figures.average_precision), intervals.average_precision)
    );
    say!("recall            {} at score ≥ {min_score}", with(Some(figures.recall), intervals.recall));
    say!(
        "precision         {}, {} false alarms, mean overlap {}",
        with(figures.precision, intervals.precision),
        figures.false_alarms,
        with(figures.mean_iou, None)
    );
    say!("{:<10} {:>6}  {:<26} average precision", "side", "faces", "recall");
    for size in &figures.by_size {
        say!(
            "{:<10} {:>6}  {:<26} {}",
            size.size,
            size.faces,
            with(size.recall, size.intervals.recall),
            with(size.average_precision, size.intervals.average_precision)
        );
    }
}
