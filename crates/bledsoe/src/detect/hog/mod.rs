//! dlib's HOG detector: a linear classifier of gradient histograms, slid over an image pyramid.
//!
//! The features are those of Felzenszwalb, Girshick, McAllester and Ramanan (PAMI 2010); the detector is trained by
//! max-margin object detection (King 2015). Rounding is dlib's everywhere, so that boxes come out the same.

mod features;
mod filter;
mod gradient;
mod image;
mod pyramid;
mod resample;
mod screen;

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
    /// [`Error::Invalid`] when `upsample` or `min_score` is out of range, [`Error::Model`] when a filter of `model` is
    /// not as large as its window.
    pub fn new(model: HogDetector, id: &str, upsample: u32, min_score: Option<f32>) -> Result<Self> {
        if upsample > MAX_UPSAMPLE {
            return Err(Error::Invalid(format!("upsample {upsample}: expected 0 to {MAX_UPSAMPLE}")));
        }
        if min_score.is_some_and(|s| !s.is_finite()) {
            return Err(Error::Invalid("the least score of a face must be a number".to_owned()));
        }
        if !model.is_consistent() {
            return Err(Error::model(id, "its cells, window and filters do not fit together"));
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
}

impl Detector for Hog {
    fn id(&self) -> &str {
        &self.id
    }

    fn glance(&self, photo: &Photo) -> Vec<Detection> {
        let mut image = Image::from(photo);
        for _ in 0..self.upsample {
            let (width, height) = pyramid::doubled(image.width(), image.height());
            image = resample::resized(&image, width, height);
        }
        let mut found = Vec::new();
        let levels = pyramid::levels(&self.model, image.width(), image.height());
        for level in 0..levels {
            if level > 0 {
                let (width, height) = pyramid::smaller(image.width(), image.height());
                image = resample::resized(&image, width, height);
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

    fn detect_rest(&self, photos: &[&Photo]) -> Result<Vec<Vec<Detection>>> {
        Ok(vec![Vec::new(); photos.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dlib::hog::{HogFilter, PLANES};

    fn model(cell: usize, window: (usize, usize), padding: usize, filters: usize) -> HogDetector {
        let mut model = HogDetector {
            cell,
            padding,
            window,
            min_layer: (1, 1),
            max_levels: 1000,
            max_iou: 0.5,
            max_covered: 1.0,
            filters: Vec::new(),
        };
        let (columns, rows) = model.cells();
        let filter = HogFilter { weights: vec![0.01; PLANES * columns * rows], threshold: 0.0 };
        model.filters = vec![filter; filters];
        model
    }

    #[test]
    fn the_id_tells_what_is_not_default() {
        let id = |upsample, score| Hog::new(model(8, (80, 80), 0, 1), "hog", upsample, score).unwrap().id().to_owned();
        assert_eq!(id(0, None), "hog");
        assert_eq!(id(1, Some(0.0)), "hog upsample 1");
        assert_eq!(id(2, Some(-0.25)), "hog upsample 2 min-score -0.25");
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let new = |upsample, score| Hog::new(model(8, (80, 80), 0, 1), "hog", upsample, score);
        assert!(new(5, None).unwrap_err().to_string().contains("upsample 5"));
        assert!(new(0, Some(f32::NAN)).is_err());
        let mut short = model(8, (80, 80), 0, 2);
        short.filters[1].weights.pop();
        assert!(Hog::new(short, "hog", 0, None).is_err());
    }

    #[test]
    fn each_photo_gets_its_own_faces_best_first() {
        let hog = Hog::new(model(8, (40, 40), 0, 7), "hog", 0, Some(0.1)).unwrap();
        let checked = |side: u32, square: u32| {
            let rgb = (0..side * side).flat_map(|i| [((i % side / square + i / side / square) % 2 * 200) as u8; 3]);
            Photo::new(side, side, rgb.collect()).unwrap()
        };
        let (flat, busy) = (Photo::new(90, 90, vec![0; 90 * 90 * 3]).unwrap(), checked(100, 5));
        let found = hog.detect(&[&flat, &busy, &flat]).unwrap();
        assert!(found[0].is_empty() && found[2].is_empty());
        assert!(!found[1].is_empty());
        assert!(found[1].is_sorted_by(|a, b| a.score >= b.score));
        assert_eq!(hog.detect(&[&busy]).unwrap()[0], found[1]);
    }

    proptest::proptest! {
        #[test]
        fn no_photo_and_no_window_makes_it_panic(
            (width, height) in (1u32..70, 1u32..70),
            seed: u8,
            cell in 2usize..12,
            window in (1usize..50, 1usize..50),
            padding in 0usize..3,
            filters in 1usize..7,
            upsample in 0u32..2,
        ) {
            let rgb = (0..width * height * 3).map(|i| (i * u32::from(seed)).to_le_bytes()[1]).collect();
            let photo = Photo::new(width, height, rgb).unwrap();
            let hog = Hog::new(model(cell, window, padding, filters), "hog", upsample, Some(-1.0)).unwrap();
            for face in &hog.detect(&[&photo]).unwrap()[0] {
                proptest::prop_assert!(face.rect.left <= face.rect.right && face.rect.top <= face.rect.bottom);
                proptest::prop_assert!(face.score >= -1.0);
            }
        }
    }
}
