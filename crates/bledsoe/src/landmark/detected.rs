//! The five points that a detector found itself.

use super::{Landmarker, Landmarks, Scheme};
use crate::{Error, Result, detect::Detection, photo::Photo};

/// Takes the points of the detection.
#[derive(Debug, Clone, Copy)]
pub struct DetectedPoints;

impl Landmarker for DetectedPoints {
    fn id(&self) -> &str {
        "detector"
    }

    fn landmarks(&self, _photo: &Photo, detection: &Detection) -> Result<Landmarks> {
        self.guess(detection)
    }

    fn guess(&self, detection: &Detection) -> Result<Landmarks> {
        let points = detection.points.ok_or_else(|| {
            Error::Mismatch("the detector finds no points: use --landmarks landmarks5, or --detector centerface".into())
        })?;
        Ok(Landmarks { scheme: Scheme::Arcface5, points: points.to_vec() })
    }
}
