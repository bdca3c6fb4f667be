//! A detector against true boxes.

use std::path::Path;

use serde::Serialize;

use super::{boxes::Annotations, photos};
use crate::{
    Error, Result,
    dataset::Skipped,
    detect::{CenterFace, Detector, YuNet},
    evaluate::{
        Bootstrap,
        detection::{self, DetectionFigures, Found, PhotoBoxes, Settings, Truth},
    },
    photo::Photo,
    pipeline::Monitor,
};

/// Scores of a detector that matter to its benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// The least score that it takes by itself: recall and precision are given there.
    pub own: f32,
    /// The least score that its precision-recall curve reaches down to: below it nearly all is noise.
    pub lowest: f32,
}

impl Scores {
    /// Those of the detector called `name`: of the registry, or a dlib file.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a detector whose scores are not known here.
    pub fn of(name: &str) -> Result<Self> {
        let margin = ["hog", "mmod", "mmod-f32"].contains(&name) || name.ends_with(".svm") || name.ends_with(".dat");
        match name {
            "centerface" => Ok(Self { own: CenterFace::MIN_SCORE, lowest: 0.05 }),
            "yunet" | "yunet-half" => Ok(Self { own: YuNet::MIN_SCORE, lowest: 0.05 }),
            // Distances from the margin of a support vector machine.
            _ if margin => Ok(Self { own: 0.0, lowest: -1.0 }),
            _ => Err(Error::Invalid(format!("detector {name}: its scores are not known, so there is no curve of it"))),
        }
    }
}

/// What a detector reached, and the photos that could not be read: their faces count as missed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DetectionResult {
    /// The figures.
    #[serde(flatten)]
    pub figures: DetectionFigures,
    /// Photos that could not be read.
    pub skipped: Vec<Skipped>,
}

/// Runs `detector`, which takes faces down to the lowest score of its curve, over the photos of `truth` below `root`.
///
/// # Errors
/// [`Error::Invalid`] when there is no face to be found, [`Error::Interrupted`], [`Error::Engine`].
pub fn run(
    root: &Path,
    truth: &Annotations,
    detector: &dyn Detector,
    settings: &Settings,
    bootstrap: &Bootstrap,
    monitor: &Monitor<'_>,
) -> Result<DetectionResult> {
    let truths = |faces: &super::boxes::AnnotatedFace| Truth { rect: faces.rect, ignore: faces.ignore };
    let mut boxes: Vec<PhotoBoxes> =
        truth.values().map(|faces| PhotoBoxes { truths: faces.iter().map(truths).collect(), found: None }).collect();
    let skipped = photos::visit(root, truth.keys(), monitor, |batch| {
        let readable: Vec<&Photo> = batch.iter().map(|(_, photo)| photo).collect();
        let mut count = 0;
        for ((place, _), found) in batch.iter().zip(detector.detect(&readable)?) {
            let found: Vec<Found> =
                found.iter().map(|face| Found { rect: face.rect, score: f64::from(face.score) }).collect();
            count += found.iter().filter(|face| face.score >= settings.min_score).count();
            boxes[*place].found = Some(found);
        }
        Ok(count)
    })?;
    Ok(DetectionResult { figures: detection::detection(&boxes, settings, bootstrap)?, skipped })
}
