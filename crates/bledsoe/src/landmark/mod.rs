//! Landmarks: named points of a face, found inside a box.

mod detected;
mod regression;

pub use detected::DetectedPoints;
pub use regression::RegressionTrees;

use serde::{Deserialize, Serialize};

use crate::{Result, detect::Detection, geometry::Point, photo::Photo};

/// Which points a set of landmarks holds, and in which order. Left and right are as seen in the photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Left eye centre, right eye centre, nose tip, left mouth corner, right mouth corner (MTCNN, ArcFace).
    Arcface5,
    /// dlib's five: right eye outer, right eye inner, left eye outer, left eye inner corner, nose base,
    /// where "right" is the eye at the photo's right side.
    Dlib5,
    /// The 68 points of iBUG 300-W, numbered from 0.
    Ibug68,
}

impl Scheme {
    /// How many points.
    pub const fn len(self) -> usize {
        match self {
            Self::Arcface5 | Self::Dlib5 => 5,
            Self::Ibug68 => 68,
        }
    }

    /// Never: every scheme has points.
    pub const fn is_empty(self) -> bool {
        false
    }
}

/// Points of one face in a photo's pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Landmarks {
    /// The order and meaning of `points`.
    pub scheme: Scheme,
    /// `scheme.len()` points.
    pub points: Vec<Point>,
}

impl Landmarks {
    /// Landmarks of a coarser scheme, where these hold them: 68 points give both schemes of five.
    pub fn reduced_to(&self, scheme: Scheme) -> Option<Self> {
        let p = &self.points;
        if self.scheme != Scheme::Ibug68 || p.len() != Scheme::Ibug68.len() {
            return None;
        }
        let mean = |range: std::ops::Range<usize>| {
            let n = range.len() as f32;
            let sum = range.fold((0.0, 0.0), |(x, y), i| (x + p[i].x, y + p[i].y));
            Point::new(sum.0 / n, sum.1 / n)
        };
        let points = match scheme {
            Scheme::Arcface5 => vec![mean(36..42), mean(42..48), p[30], p[48], p[54]],
            Scheme::Dlib5 => vec![p[45], p[42], p[36], p[39], p[33]],
            Scheme::Ibug68 => return None,
        };
        Some(Self { scheme, points })
    }
}

/// Finds the landmarks of faces already detected.
pub trait Landmarker: Send + Sync {
    /// The predictor's id, as written into results.
    fn id(&self) -> &str;

    /// The landmarks of the face in `detection`.
    ///
    /// # Errors
    /// When the detection lacks what the landmarker needs.
    fn landmarks(&self, photo: &Photo, detection: &Detection) -> Result<Landmarks>;

    /// Where they are about, by the detection alone: as large as the face, but perhaps not turned as it is.
    ///
    /// # Errors
    /// As [`Self::landmarks`].
    fn guess(&self, detection: &Detection) -> Result<Landmarks>;
}
