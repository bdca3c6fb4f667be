//! dlib's HOG detector: a linear classifier of gradient histograms, slid over an image pyramid.
//!
//! The features are those of Felzenszwalb, Girshick, McAllester and Ramanan (PAMI 2010); the detector is trained by
//! max-margin object detection (King 2015). Rounding is dlib's everywhere, so that boxes come out the same.

mod features;
mod filter;
mod image;
mod pyramid;

use rayon::prelude::*;

use super::{Detection, Detector, overlap::Overlap};
use crate::{Error, Result, model::dlib::hog::HogDetector, photo::Photo};
use features::Features;
use filter::Bank;
use image::Image;

/// Each step makes the photo four times as large; more than this needs too much memory.
const MAX_UPSAMPLE: u32 = 4;

/// Finds faces as dlib's HOG detector does.
///
/// Its smallest face has the side of the detector's window (80 pixels for dlib's frontal faces), halved by each
/// upsampling. Scores are the distance from the classifier's margin: 0 is dlib's own threshold.
#[derive(Debug)]
pub struct Hog {
    id: String,
    model: HogDetector,
    bank: Bank,
    upsample: u32,
    min_score: f64,
}

impl Hog {
    /// A detector called `id`. The photo is doubled `upsample` times first (0 to 4), to find smaller faces; faces
    /// scored below `min_score` (default 0) are left out.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `upsample` or `min_score` is out of range.
    pub fn new(model: HogDetector, id: &str, upsample: u32, min_score: Option<f32>) -> Result<Self> {
        if upsample > MAX_UPSAMPLE {
            return Err(Error::Invalid(format!("upsample {upsample}: expected 0 to {MAX_UPSAMPLE}")));
        }
        if min_score.is_some_and(|s| !s.is_finite()) {
            return Err(Error::Invalid("the least score of a face must be a number".to_owned()));
        }
        let mut id = id.to_owned();
        if upsample > 0 {
            id += &format!(" upsample {upsample}");
        }
        if let Some(score) = min_score.filter(|&s| s != 0.0) {
            id += &format!(" min-score {score}");
        }
        let bank = Bank::new(&model);
        Ok(Self { id, model, bank, upsample, min_score: f64::from(min_score.unwrap_or(0.0)) })
    }

    fn faces(&self, photo: &Photo) -> Vec<Detection> {
        let mut image = Image::from(photo);
        for _ in 0..self.upsample {
            let (width, height) = pyramid::doubled(image.width(), image.height());
            image = image.resized(width, height);
        }
        let mut found = Vec::new();
        let levels = pyramid::levels(&self.model, image.width(), image.height());
        for level in 0..levels {
            if level > 0 {
                let (width, height) = pyramid::smaller(image.width(), image.height());
                image = image.resized(width, height);
            }
            let features = Features::new(&image, self.model.cell, self.model.cells());
            self.bank.scan(&features, self.min_score, |row, column, score| {
                found.push(Detection { rect: pyramid::window(&self.model, row, column, level), score, points: None });
            });
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        let overlap = Overlap { max_iou: self.model.max_iou, max_covered: self.model.max_covered };
        let mut faces = overlap.suppress(found, |d| d.rect);
        for face in &mut faces {
            face.rect = pyramid::undoubled(face.rect, self.upsample);
        }
        faces
    }
}

impl Detector for Hog {
    fn id(&self) -> &str {
        &self.id
    }

    fn detect(&self, photos: &[&Photo]) -> Result<Vec<Vec<Detection>>> {
        Ok(photos.par_iter().map(|photo| self.faces(photo)).collect())
    }
}
