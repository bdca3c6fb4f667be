//! Landmarks found against their true places: normalised mean error, failure rate, area under the error curve.
//!
//! As in the 300-W challenge (Sagonas et al., "300 Faces In-The-Wild Challenge: database and results", Image and Vision
//! Computing 47, 2016): a face's error is the mean distance of its points from the true ones, divided by a length of the
//! face (there between the outer eye corners). A face whose points were not found has an endless error.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Bootstrap, photos::intervals};
use crate::{Error, Result, geometry::Point};

/// The errors that failure rate and area are given at, with their keys in results. 0.08 and 0.1 are customary.
pub const LIMITS: [(&str, f64); 2] = [("0.08", 0.08), ("0.1", 0.1)];

/// Points of the error curve.
const CURVE: usize = 50;

/// A point of the cumulative error curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// An error.
    pub error: f64,
    /// Share of faces with at most that error.
    pub share: f64,
}

/// 95 % intervals of the figures of the same names; `None` where the figure is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Intervals {
    /// Of the mean error.
    pub nme: Option<[f64; 2]>,
    /// Of the failure rates.
    pub failure_rate: BTreeMap<String, Option<[f64; 2]>>,
    /// Of the areas.
    pub auc: BTreeMap<String, Option<[f64; 2]>>,
}

/// The figures of a landmarker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LandmarkFigures {
    /// Photos with a face.
    pub photos: usize,
    /// Faces with true landmarks.
    pub faces: usize,
    /// Faces whose landmarks were not found.
    pub failures: usize,
    /// Normalised mean error: the mean over faces found; `None` if there is none.
    pub nme: Option<f64>,
    /// Share of faces with a larger error, or not found, by the limit (`0.08`).
    pub failure_rate: BTreeMap<String, f64>,
    /// Area under the cumulative error curve up to the limit, divided by the limit: 1 is perfect. Faces not found count.
    pub auc: BTreeMap<String, f64>,
    /// 95 % intervals, photos resampled.
    pub intervals: Intervals,
    /// The cumulative error curve, in steps of 0.002 up to 0.1.
    pub curve: Vec<CurvePoint>,
}

/// The mean distance of `found` from `truth`, point by point, divided by `length`. `None` when the two differ in number,
/// are empty, or the length is not positive.
pub fn normalised_error(found: &[Point], truth: &[Point], length: f64) -> Option<f64> {
    if found.len() != truth.len() || found.is_empty() || !(length > 0.0 && length.is_finite()) {
        return None;
    }
    let sum: f64 = found.iter().zip(truth).map(|(a, b)| distance(a, b)).sum();
    Some(sum / found.len() as f64 / length).filter(|error| error.is_finite())
}

/// The distance of two points in pixels.
pub fn distance(a: &Point, b: &Point) -> f64 {
    (f64::from(a.x) - f64::from(b.x)).hypot(f64::from(a.y) - f64::from(b.y))
}

/// The figures of a landmarker: for each photo the error of each of its faces, `None` where no landmarks were found.
///
/// # Errors
/// [`Error::Invalid`] when there is no face.
pub fn landmarks(photos: &[Vec<Option<f64>>], bootstrap: &Bootstrap) -> Result<LandmarkFigures> {
    let once = vec![1; photos.len()];
    let Some(figures) = Figures::of(photos, &once) else {
        return Err(Error::Invalid("no face with true landmarks".into()));
    };
    let drawn = intervals(photos.len(), bootstrap, |times| match Figures::of(photos, times) {
        Some(figures) => figures.list().to_vec(),
        None => vec![None; Figures::COUNT],
    });
    let interval = |figure: usize| drawn.get(figure).copied().flatten();
    let by_limit = |first: usize| {
        LIMITS.iter().enumerate().map(move |(i, (key, _))| ((*key).to_owned(), interval(first + i))).collect()
    };
    let named = |values: &[f64]| LIMITS.iter().zip(values).map(|((key, _), v)| ((*key).to_owned(), *v)).collect();
    let all: Vec<Option<f64>> = photos.iter().flatten().copied().collect();
    let within = |limit: f64| all.iter().flatten().filter(|error| **error <= limit).count() as f64 / all.len() as f64;
    let curve = (0..=CURVE).map(|step| {
        let error = step as f64 / (10 * CURVE) as f64;
        CurvePoint { error, share: within(error) }
    });
    Ok(LandmarkFigures {
        photos: photos.iter().filter(|faces| !faces.is_empty()).count(),
        faces: all.len(),
        failures: all.iter().filter(|error| error.is_none()).count(),
        nme: figures.nme,
        failure_rate: named(&figures.failure_rate),
        auc: named(&figures.auc),
        intervals: Intervals { nme: interval(0), failure_rate: by_limit(1), auc: by_limit(1 + LIMITS.len()) },
        curve: curve.collect(),
    })
}

struct Figures {
    nme: Option<f64>,
    failure_rate: [f64; LIMITS.len()],
    auc: [f64; LIMITS.len()],
}

impl Figures {
    const COUNT: usize = 1 + 2 * LIMITS.len();

    /// If photo `i` were there `times[i]` times; `None` without faces.
    fn of(photos: &[Vec<Option<f64>>], times: &[u32]) -> Option<Self> {
        let (mut faces, mut found, mut sum) = (0.0, 0.0, 0.0);
        let mut failed = [0.0; LIMITS.len()];
        let mut area = [0.0; LIMITS.len()];
        for (photo, &n) in photos.iter().zip(times) {
            let n = f64::from(n);
            for error in photo {
                faces += n;
                if let Some(error) = error {
                    found += n;
                    sum += n * error;
                }
                for (i, (_, limit)) in LIMITS.iter().enumerate() {
                    match error {
                        // The curve is a staircase: each face adds what is left of the limit above its error.
                        Some(error) if error <= limit => area[i] += n * (1.0 - error / limit),
                        _ => failed[i] += n,
                    }
                }
            }
        }
        let share = |part: f64| part / faces;
        let nme = (found > 0.0).then(|| sum / found);
        (faces > 0.0).then(|| Self { nme, failure_rate: failed.map(share), auc: area.map(share) })
    }

    fn list(&self) -> [Option<f64>; Self::COUNT] {
        let mut list = [self.nme; Self::COUNT];
        for (place, value) in list.iter_mut().skip(1).zip(self.failure_rate.iter().chain(&self.auc)) {
            *place = Some(*value);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_mean_distances_over_the_length() {
        let truth = [Point::new(0.0, 0.0), Point::new(10.0, 0.0)];
        let found = [Point::new(3.0, 4.0), Point::new(10.0, 1.0)];
        assert_eq!(normalised_error(&found, &truth, 10.0), Some(0.3));
        assert_eq!(normalised_error(&found[..1], &truth, 10.0), None);
        assert_eq!(normalised_error(&[], &[], 10.0), None);
        assert_eq!(normalised_error(&found, &truth, 0.0), None);
        assert_eq!(normalised_error(&[Point::new(f32::NAN, 0.0); 2], &truth, 1.0), None);
    }

    #[test]
    fn figures_by_hand() {
        let photos = [vec![Some(0.02), Some(0.09)], vec![], vec![None, Some(0.06)]];
        let figures = landmarks(&photos, &Bootstrap { replicates: 100, seed: 3 }).unwrap();
        assert_eq!((figures.photos, figures.faces, figures.failures), (2, 4, 1));
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(figures.nme.unwrap(), 0.17 / 3.0);
        near(figures.failure_rate["0.08"], 0.5);
        near(figures.failure_rate["0.1"], 0.25);
        near(figures.auc["0.08"], (0.75 + 0.25) / 4.0);
        near(figures.auc["0.1"], (0.8 + 0.1 + 0.4) / 4.0);
        assert_eq!(figures.curve.last(), Some(&CurvePoint { error: 0.1, share: 0.75 }));
        let [low, high] = figures.intervals.nme.unwrap();
        assert!(low < high && low >= 0.055 - 1e-12 && high <= 0.06 + 1e-12, "{low} {high}");
    }

    #[test]
    fn no_face_is_an_error_and_none_found_a_failure() {
        assert!(landmarks(&[vec![]], &Bootstrap::default()).is_err());
        let figures = landmarks(&[vec![None]], &Bootstrap::default()).unwrap();
        assert_eq!((figures.nme, figures.failure_rate["0.1"], figures.auc["0.1"]), (None, 1.0, 0.0));
        assert_eq!(figures.intervals.nme, None);
    }
}
