//! CenterFace: a small network that finds faces with five points.
//!
//! Xu, Yan, Yuan, Cao and Ye, "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2020. For each cell
//! of 4 x 4 pixels the network says how surely a face has its middle there, how large it is, and where its points are.

use rayon::prelude::*;

use super::{
    Detection, Detector,
    look::{self, Look},
    overlap,
};
use crate::{
    Result,
    engine::{Session, Tensor},
    geometry::{Point, Rect},
    photo::Photo,
};

/// Longer sides are scaled down to this.
const LONGEST_SIDE: u32 = 1024;
/// Pixels of a cell's side.
const CELL: usize = 4;
/// Pixels to a call of the network: one photo of 1024 x 1024, 16 of 256 x 256.
const PIXELS_PER_CALL: usize = 1 << 20;

/// The CenterFace detector. Its detections have scores from 0 to 1 and five points.
///
/// Photos are padded with black at the right and bottom. A photo whose longer side exceeds 1024 pixels is scaled down
/// to that for the search, and boxes and points are mapped back: faces smaller than about 1/100 of such a photo's side
/// are not found. Small photos need no scaling up: all 400 tight 92 x 112 photos of ORL are found as they are.
pub struct CenterFace {
    session: Box<dyn Session>,
    min_score: f32,
    id: String,
}

impl CenterFace {
    /// The least score of a face, unless another is asked for.
    pub const MIN_SCORE: f32 = 0.5;

    /// A detector that runs `session`, which holds the model `centerface`. Faces score more than `min_score`, 0 to 1; 0.5
    /// if not given.
    pub fn new(session: Box<dyn Session>, min_score: Option<f32>) -> Self {
        let min_score = min_score.unwrap_or(Self::MIN_SCORE);
        let id = if min_score == Self::MIN_SCORE {
            "centerface".to_owned()
        } else {
            format!("centerface(min_score={min_score})")
        };
        Self { session, min_score, id }
    }

    /// The faces of one photo in the maps of its batch.
    fn decode(&self, maps: &Maps, index: usize, look: &Look<'_>) -> Vec<Detection> {
        let heat = maps.channel(0, index, 0);
        let candidates = heat
            .iter()
            .enumerate()
            .filter(|&(_, &score)| score > self.min_score)
            .filter_map(|(cell, &score)| maps.face(index, cell, score, look));
        overlap::strongest(candidates.collect())
    }
}

impl Detector for CenterFace {
    fn id(&self) -> &str {
        &self.id
    }

    fn longest_side(&self) -> Option<u32> {
        Some(LONGEST_SIDE)
    }

    fn detect_rest(&self, photos: &[&Photo]) -> Result<Vec<Vec<Detection>>> {
        let looks: Vec<Look<'_>> = photos.iter().map(|photo| Look::new(photo, LONGEST_SIDE)).collect();
        look::run(&*self.session, &looks, PIXELS_PER_CALL, |output, batch| {
            let Some((width, height)) = batch.first().map(|look| look.padded()) else { return Ok(Vec::new()) };
            let maps = Maps::new(output, batch.len(), width / CELL, height / CELL)?;
            Ok(batch.par_iter().enumerate().map(|(k, look)| self.decode(&maps, k, look)).collect())
        })
    }
}

/// The network's four outputs, of equal size: heat (1 channel), logarithm of height and width in cells (2), offset of
/// the middle in cells, y first (2), points as shares of the box, y first (10).
struct Maps {
    tensors: Vec<Tensor>,
    width: usize,
    cells: usize,
}

impl Maps {
    const CHANNELS: [usize; 4] = [1, 2, 2, 10];

    fn new(tensors: Vec<Tensor>, photos: usize, width: usize, height: usize) -> Result<Self> {
        let expected = Self::CHANNELS.map(|channels| vec![photos, channels, height, width]);
        look::check(&tensors, &expected, "centerface")?;
        Ok(Self { tensors, width, cells: width * height })
    }

    fn channel(&self, output: usize, photo: usize, channel: usize) -> &[f32] {
        let first = (photo * Self::CHANNELS[output] + channel) * self.cells;
        &self.tensors[output].data[first..first + self.cells]
    }

    /// The face with its middle in `cell`, or `None` where the network's numbers are no box.
    fn face(&self, photo: usize, cell: usize, score: f32, look: &Look<'_>) -> Option<Detection> {
        let at = |output, channel| self.channel(output, photo, channel)[cell];
        let side = CELL as f32;
        let (height, width) = (at(1, 0).exp() * side, at(1, 1).exp() * side);
        let middle_x = ((cell % self.width) as f32 + at(2, 1) + 0.5) * side;
        let middle_y = ((cell / self.width) as f32 + at(2, 0) + 0.5) * side;
        let (left, top) = (middle_x - width / 2.0, middle_y - height / 2.0);
        let points: [Point; 5] =
            std::array::from_fn(|i| look.back(left + at(3, 2 * i + 1) * width, top + at(3, 2 * i) * height));
        let (first, last) = (look.back(left, top), look.back(left + width, top + height));
        let finite = points.iter().chain([&first, &last]).all(|p| p.x.is_finite() && p.y.is_finite());
        let rect = Rect { left: first.x, top: first.y, right: last.x, bottom: last.y };
        finite.then_some(Detection { rect, score, points: Some(points) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A network that sees one face of 2 x 3 cells in the middle of its input, and remembers the shapes it was given.
    struct Fake(std::sync::Arc<Mutex<Vec<Vec<usize>>>>);

    impl Session for Fake {
        fn run(&self, input: Tensor) -> Result<Vec<Tensor>> {
            let [n, _, h, w] = input.shape[..] else { panic!() };
            let (h, w) = (h / 4, w / 4);
            let mut maps = Maps::CHANNELS.map(|c| Tensor { shape: vec![n, c, h, w], data: vec![0.0; n * c * h * w] });
            for photo in 0..n {
                let cell = h / 2 * w + w / 2;
                let mut put = |output: usize, channel: usize, value: f32| {
                    maps[output].data[(photo * Maps::CHANNELS[output] + channel) * h * w + cell] = value;
                };
                put(0, 0, 0.9);
                put(1, 0, 3f32.ln());
                put(1, 1, 2f32.ln());
                (0..10).for_each(|i| put(3, i, 0.5));
            }
            self.0.lock().unwrap().push(input.shape);
            Ok(maps.into())
        }
    }

    fn fake() -> (CenterFace, std::sync::Arc<Mutex<Vec<Vec<usize>>>>) {
        let shapes = std::sync::Arc::default();
        (CenterFace::new(Box::new(Fake(std::sync::Arc::clone(&shapes))), None), shapes)
    }

    fn black(width: u32, height: u32) -> Photo {
        Photo::new(width, height, vec![0; 3 * (width * height) as usize]).unwrap()
    }

    #[test]
    fn boxes_and_points_are_in_the_photos_pixels() {
        let (detector, _) = fake();
        // 4096 wide: the network sees 1024 x 512, its middle cell is (128, 64), a pixel there is 4 of the photo's.
        let photo = black(4096, 2048);
        let faces = detector.detect(&[&photo]).unwrap().remove(0);
        let middle = Point::new(128.5 * 16.0 - 0.5, 64.5 * 16.0 - 0.5);
        assert_eq!(faces.len(), 1);
        let center = faces[0].rect.center();
        assert!((center.x - middle.x).abs() < 0.01 && (center.y - middle.y).abs() < 0.01, "{center:?}");
        assert!((faces[0].rect.width() - 32.0).abs() < 0.01 && (faces[0].rect.height() - 48.0).abs() < 0.01);
        let point = faces[0].points.unwrap()[4];
        assert!((point.x - middle.x).abs() < 0.01 && (point.y - middle.y).abs() < 0.01, "{point:?}");
    }

    #[test]
    fn photos_of_one_padded_size_share_bounded_batches() {
        let (detector, shapes) = fake();
        let photos: Vec<Photo> = (0..20).map(|i| black(250, 230 + i)).chain([black(10, 3000)]).collect();
        let found = detector.detect(&photos.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(found.len(), 21);
        assert!(found.iter().all(|faces| faces.len() == 1));
        let mut shapes = shapes.lock().unwrap().clone();
        shapes.sort();
        assert_eq!(shapes, [[1, 3, 1024, 32], [4, 3, 256, 256], [16, 3, 256, 256]]);
    }

    #[test]
    fn settings_show_in_the_id_and_no_photos_are_no_work() {
        let (detector, shapes) = fake();
        assert_eq!(detector.id(), "centerface");
        assert!(detector.detect(&[]).unwrap().is_empty());
        assert!(shapes.lock().unwrap().is_empty());
        let strict = CenterFace::new(Box::new(Fake(shapes)), Some(0.95));
        assert_eq!(strict.id(), "centerface(min_score=0.95)");
        assert!(strict.detect(&[&black(64, 64)]).unwrap()[0].is_empty());
    }

    #[test]
    fn another_network_is_refused() {
        struct Empty;
        impl Session for Empty {
            fn run(&self, _: Tensor) -> Result<Vec<Tensor>> {
                Ok(Vec::new())
            }
        }
        let error = CenterFace::new(Box::new(Empty), None).detect(&[&black(9, 9)]).unwrap_err();
        assert!(error.to_string().contains("centerface"), "{error}");
    }
}
