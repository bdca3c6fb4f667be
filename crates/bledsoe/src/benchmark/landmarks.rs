//! A landmarker against true points.
//!
//! Points are compared in the scheme of the landmarker or of the file, whichever is coarser: 68 points give dlib's five
//! (outer and inner eye corners, the point below the nose) and ArcFace's five (eye centres as the mean of the six points
//! around each eye, nose tip, mouth corners): see [`Landmarks::reduced_to`]. The two schemes of five do not compare.
//! An eye's centre is defined a little differently by each detector's maker; such a constant shift is part of the error.

use std::{path::Path, str::FromStr};

use rayon::prelude::*;
use serde::Serialize;

use super::{
    boxes::{AnnotatedFace, Annotations},
    photos,
};
use crate::{
    Error, Result,
    dataset::Skipped,
    detect::{Detection, Detector},
    evaluate::{
        Bootstrap,
        detection::{Found, Match, Truth, matches},
        landmarks::{self, LandmarkFigures, distance, normalised_error},
    },
    geometry::Rect,
    landmark::{Landmarker, Landmarks, Scheme},
    photo::Photo,
    pipeline::Monitor,
};

/// The length that errors are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Length {
    /// Between the outer eye corners, as 300-W has it; where the file has only eye centres, between these.
    #[default]
    Eyes,
    /// The square root of the true box's area: also good for faces in profile (Bulat and Tzimiropoulos, "How far are we
    /// from solving the 2D & 3D Face Alignment problem?", ICCV 2017).
    Box,
}

impl FromStr for Length {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "eyes" => Ok(Self::Eyes),
            "box" => Ok(Self::Box),
            _ => Err(Error::Invalid(format!("length {s:?}: expected eyes or box"))),
        }
    }
}

impl Length {
    fn of(self, face: &AnnotatedFace, truth: &Landmarks) -> f64 {
        let between = |a: usize, b: usize| match (truth.points.get(a), truth.points.get(b)) {
            (Some(a), Some(b)) => distance(a, b),
            _ => 0.0,
        };
        match (self, truth.scheme) {
            (Self::Box, _) => f64::from(face.rect.width() * face.rect.height()).sqrt(),
            (Self::Eyes, Scheme::Ibug68) => between(36, 45),
            (Self::Eyes, Scheme::Dlib5) => between(0, 2),
            (Self::Eyes, Scheme::Arcface5) => between(0, 1),
        }
    }
}

/// Which boxes the landmarker is given.
#[derive(Clone, Copy)]
pub enum Boxes<'a> {
    /// The true ones, their edges on the outermost pixels' centres as dlib's predictors expect.
    Truth,
    /// Those of a detector that match a true one with at least this intersection over union; a face without is a failure.
    Found(&'a dyn Detector, f64),
}

/// What a landmarker reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LandmarkResult {
    /// The figures; faces in photos that could not be read are failures.
    #[serde(flatten)]
    pub figures: LandmarkFigures,
    /// The scheme that points were compared in; `None` if no face was found.
    pub scheme: Option<Scheme>,
    /// Photos that could not be read.
    pub skipped: Vec<Skipped>,
}

/// Runs `landmarker` over the faces of `truth` that have points and are not to be ignored, in the photos below `root`.
///
/// # Errors
/// [`Error::Mismatch`] when the landmarker's points do not compare with the file's, [`Error::Invalid`] when the file has
/// none or a face of no length, [`Error::Interrupted`], [`Error::Engine`].
pub fn run(
    root: &Path,
    truth: &Annotations,
    landmarker: &dyn Landmarker,
    boxes: Boxes<'_>,
    length: Length,
    bootstrap: &Bootstrap,
    monitor: &Monitor<'_>,
) -> Result<LandmarkResult> {
    let truth: Vec<(&String, &Vec<AnnotatedFace>)> =
        truth.iter().filter(|(_, faces)| faces.iter().any(|face| counted(face).is_some())).collect();
    if let Some((name, _)) = truth
        .iter()
        .find(|(_, faces)| faces.iter().any(|face| counted(face).is_some_and(|points| length.of(face, points) <= 0.0)))
    {
        return Err(Error::Invalid(format!(
            "{name}: a face whose eyes are at one place: no length to divide errors by"
        )));
    }
    let missed = |faces: &Vec<AnnotatedFace>| faces.iter().filter_map(counted).map(|_| None).collect();
    let mut errors: Vec<Vec<Option<f64>>> = truth.iter().map(|(_, faces)| missed(faces)).collect();
    let mut scheme = None;
    let skipped = photos::visit(root, truth.iter().map(|(name, _)| *name), monitor, |batch| {
        let given = given(batch, &truth, boxes)?;
        let measured: Vec<Vec<Option<Measured>>> = batch
            .par_iter()
            .zip(given)
            .map(|((place, photo), given)| {
                let faces = truth[*place].1.iter().zip(given);
                let counted = faces.filter_map(|(face, given)| Some((face, counted(face)?, given)));
                let measure = |(face, points, given): (&AnnotatedFace, &Landmarks, Option<Detection>)| {
                    let Some(detection) = given else { return Ok(None) };
                    let found = landmarker.landmarks(photo, &detection)?;
                    compare(&found, points, length.of(face, points)).map(Some)
                };
                counted.map(measure).collect()
            })
            .collect::<Result<_>>()?;
        let mut count = 0;
        for ((place, _), measured) in batch.iter().zip(measured) {
            count += measured.iter().flatten().count();
            scheme = scheme.or(measured.iter().flatten().next().map(|m| m.scheme));
            errors[*place] = measured.iter().map(|face| face.as_ref().and_then(|m| m.error)).collect();
        }
        Ok(count)
    })?;
    Ok(LandmarkResult { figures: landmarks::landmarks(&errors, bootstrap)?, scheme, skipped })
}

/// The true points of a face that counts.
fn counted(face: &AnnotatedFace) -> Option<&Landmarks> {
    face.landmarks.as_ref().filter(|_| !face.ignore)
}

/// For each face of each photo of a batch the box that the landmarker is given.
fn given(
    batch: &[(usize, Photo)],
    truth: &[(&String, &Vec<AnnotatedFace>)],
    boxes: Boxes<'_>,
) -> Result<Vec<Vec<Option<Detection>>>> {
    let Boxes::Found(detector, min_iou) = boxes else {
        let inside = |rect: &Rect| Rect {
            left: rect.left + 0.5,
            top: rect.top + 0.5,
            right: rect.right - 0.5,
            bottom: rect.bottom - 0.5,
        };
        let own = |face: &AnnotatedFace| Some(Detection { rect: inside(&face.rect), score: 1.0, points: None });
        return Ok(batch.iter().map(|(place, _)| truth[*place].1.iter().map(own).collect()).collect());
    };
    let readable: Vec<&Photo> = batch.iter().map(|(_, photo)| photo).collect();
    let detected = detector.detect(&readable)?;
    let matched = batch.iter().zip(detected).map(|((place, _), detected)| {
        let faces = truth[*place].1;
        // Faces to be ignored may be matched too: their box is then no other face's.
        let truths: Vec<Truth> = faces.iter().map(|face| Truth { rect: face.rect, ignore: false }).collect();
        let found: Vec<Found> = detected.iter().map(|d| Found { rect: d.rect, score: f64::from(d.score) }).collect();
        let mut given = vec![None; faces.len()];
        for (detection, is) in detected.into_iter().zip(matches(&truths, &found, min_iou)) {
            if let Match::Face(face, _) = is {
                given[face] = Some(detection);
            }
        }
        given
    });
    Ok(matched.collect())
}

struct Measured {
    error: Option<f64>,
    scheme: Scheme,
}

fn compare(found: &Landmarks, truth: &Landmarks, length: f64) -> Result<Measured> {
    let reduced;
    let (a, b) = if found.scheme == truth.scheme {
        (found, truth)
    } else if let Some(coarser) = truth.reduced_to(found.scheme) {
        reduced = coarser;
        (found, &reduced)
    } else if let Some(coarser) = found.reduced_to(truth.scheme) {
        reduced = coarser;
        (&reduced, truth)
    } else {
        return Err(Error::Mismatch(
            "the landmarker's five points are others than the file's five (eye corners, or eye centres and mouth): take \
             another landmarker, or a file with 68 points"
                .into(),
        ));
    };
    Ok(Measured { error: normalised_error(&a.points, &b.points, length), scheme: a.scheme })
}
