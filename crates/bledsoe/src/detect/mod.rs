//! Finding faces: a [`Detector`] turns photos into boxes.

mod cascade;
mod centerface;
mod hog;
mod look;
mod mmod;
mod overlap;
mod select;
mod yunet;

pub use cascade::Cascade;
pub use centerface::CenterFace;
pub use hog::Hog;
pub use mmod::Mmod;
pub use select::Select;
pub use yunet::YuNet;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    geometry::{Point, Rect},
    photo::Photo,
};

/// A face found in a photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// The box, in the photo's pixels.
    pub rect: Rect,
    /// The detector's own score; higher is surer. Scores of different detectors do not compare.
    pub score: f32,
    /// Left eye, right eye, nose, left and right mouth corner (left as seen in the photo),
    /// from detectors that find them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<[Point; 5]>,
}

impl Detection {
    /// The detection in another photo of the same scene, where `place` says where each point of this one is. Edges stay
    /// edges: `place` only scales and shifts.
    #[must_use]
    pub fn moved(&self, place: impl Fn(Point) -> Point) -> Self {
        let (first, last) =
            (place(Point::new(self.rect.left, self.rect.top)), place(Point::new(self.rect.right, self.rect.bottom)));
        let rect = Rect { left: first.x, top: first.y, right: last.x, bottom: last.y };
        Self { rect, score: self.score, points: self.points.map(|points| points.map(place)) }
    }
}

/// Finds faces: at a glance, photo by photo, or in a batch, for which a detector uses all cores by itself.
pub trait Detector: Send + Sync {
    /// The detector's id and settings, as written into results.
    fn id(&self) -> &str;

    /// The longer side, in pixels, that larger photos are scaled down to before they are searched; `None` for a detector
    /// that looks at each photo as it is. A photo may be given to it decoded at about this size.
    fn longest_side(&self) -> Option<u32> {
        None
    }

    /// The faces that show without a batch, best score first, found on one thread; none from a detector that works on
    /// batches only.
    fn glance(&self, _photo: &Photo) -> Vec<Detection> {
        Vec::new()
    }

    /// The faces of photos in which [`Detector::glance`] finds none, as [`Detector::detect`] gives them.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    fn detect_rest(&self, photos: &[&Photo]) -> Result<Vec<Vec<Detection>>>;

    /// The faces of each photo, best score first. A photo without faces gives an empty list.
    ///
    /// # Errors
    /// When the engine fails; never for the content of a photo.
    fn detect(&self, photos: &[&Photo]) -> Result<Vec<Vec<Detection>>> {
        let mut found: Vec<Vec<Detection>> = photos.par_iter().map(|photo| self.glance(photo)).collect();
        complete(&mut found, photos, |rest| self.detect_rest(rest))?;
        Ok(found)
    }
}

/// Fills in what `detect` finds in the photos in which nothing is found so far.
fn complete(
    found: &mut [Vec<Detection>],
    photos: &[&Photo],
    detect: impl FnOnce(&[&Photo]) -> Result<Vec<Vec<Detection>>>,
) -> Result<()> {
    let open: Vec<usize> = (0..photos.len()).filter(|&i| found[i].is_empty()).collect();
    let rest: Vec<&Photo> = open.iter().map(|&i| photos[i]).collect();
    for (i, faces) in open.into_iter().zip(detect(&rest)?) {
        found[i] = faces;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_detection_keeps_its_score() {
        let face = Detection {
            rect: Rect { left: 1.0, top: 2.0, right: 5.0, bottom: 8.0 },
            score: 0.7,
            points: Some([Point::new(3.0, 4.0); 5]),
        };
        let moved = face.moved(|p| Point::new(2.0 * p.x + 1.0, 3.0 * p.y));
        assert_eq!(moved.rect, Rect { left: 3.0, top: 6.0, right: 11.0, bottom: 24.0 });
        assert_eq!((moved.score, moved.points), (0.7, Some([Point::new(7.0, 12.0); 5])));
    }
}
