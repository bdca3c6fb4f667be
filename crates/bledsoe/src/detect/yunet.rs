//! YuNet: a very small network that finds faces with five points.
//!
//! Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023. Cells of 8, 16 and 32 pixels say each how
//! surely a face has its middle there, how large it is, and where its points are.

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
const LONGEST_SIDE: u32 = 1280;
/// Larger photos are not halved: they show smaller faces, and may be halved already where they were decoded.
const HALVED_SIDE: u32 = 640;
/// Photos are not halved below this longer side.
const LEAST_SIDE: u32 = 128;
/// What is larger than this when it is looked at is looked at from afar as well: the network learnt faces of 10 to 300
/// pixels in photos of 640, and is unsure of larger ones.
const NEAR_SIDE: u32 = 512;
/// How many times smaller a photo is from afar.
const AFAR: u32 = 4;
/// Pixels to a call of the network: 16 photos of 128 x 128. More leave the processor's caches.
const PIXELS_PER_CALL: usize = 1 << 18;
/// Pixels of a cell's side, one for each of the network's outputs.
const CELLS: [usize; 3] = [8, 16, 32];
/// Numbers of a cell: two logits, middle, logarithm of the size, five points.
const CHANNELS: usize = 16;

/// The YuNet detector. Its detections have scores from 0 to 1 and five points.
///
/// A photo whose longer side exceeds 1280 pixels is scaled down to that for the search, and boxes and points are mapped
/// back: faces smaller than about 1/125 of such a photo's side are not found. Where that leaves more than 512 pixels, the
/// photo is looked at once more at a quarter of them, for its largest faces.
pub struct YuNet {
    session: Box<dyn Session>,
    name: String,
    is_halved: bool,
    min_score: f32,
    id: String,
}

impl YuNet {
    /// The least score of a face, unless another is asked for.
    pub const MIN_SCORE: f32 = 0.6;

    /// A detector called `name` that runs `session`, which holds the network of the model `yunet`. Faces score more than
    /// `min_score`, 0 to 1; 0.6 if not given. `is_halved`: photos of up to 640 pixels are looked at in half their
    /// size, as long as 128 pixels are left; a quarter of the work, for faces from 20 pixels on instead of 10.
    pub fn new(session: Box<dyn Session>, name: &str, is_halved: bool, min_score: Option<f32>) -> Self {
        let min_score = min_score.unwrap_or(Self::MIN_SCORE);
        let id = if min_score == Self::MIN_SCORE { name.to_owned() } else { format!("{name}(min_score={min_score})") };
        Self { session, name: name.to_owned(), is_halved, min_score, id }
    }

    /// The longer side at which a photo is looked at.
    fn side(&self, photo: &Photo) -> u32 {
        let longest = photo.width().max(photo.height());
        match longest {
            LEAST_SIDE..=HALVED_SIDE if self.is_halved => (longest / 2).max(LEAST_SIDE),
            _ => longest.min(LONGEST_SIDE),
        }
    }

    /// The faces of one look in the outputs for its batch, several for a face.
    fn candidates(&self, levels: &[Level], index: usize, look: &Look<'_>) -> Vec<Detection> {
        levels.iter().flat_map(|level| level.faces(index, look, self.min_score)).collect()
    }
}

impl Detector for YuNet {
    fn id(&self) -> &str {
        &self.id
    }

    fn longest_side(&self) -> Option<u32> {
        Some(LONGEST_SIDE)
    }

    fn detect_rest(&self, photos: &[&Photo]) -> Result<Vec<Vec<Detection>>> {
        let large: Vec<usize> = (0..photos.len()).filter(|&i| self.side(photos[i]) > NEAR_SIDE).collect();
        let near = photos.iter().map(|photo| Look::new(photo, self.side(photo)));
        let afar = large.iter().map(|&i| Look::new(photos[i], self.side(photos[i]) / AFAR));
        let looks: Vec<Look<'_>> = near.chain(afar).collect();
        let mut found = look::run(&*self.session, &looks, PIXELS_PER_CALL, |output, batch| {
            let Some((width, height)) = batch.first().map(|look| look.padded()) else { return Ok(Vec::new()) };
            let levels = Level::all(output, &self.name, batch.len(), width, height)?;
            Ok(batch.par_iter().enumerate().map(|(k, look)| self.candidates(&levels, k, look)).collect::<Vec<_>>())
        })?;
        for (afar, i) in found.split_off(photos.len()).into_iter().zip(large) {
            found[i].extend(afar);
        }
        Ok(found.into_iter().map(overlap::strongest).collect())
    }
}

/// One output of the network.
struct Level {
    /// Pixels of a cell's side.
    side: f32,
    /// Cells in a row.
    width: usize,
    /// Cells of a photo.
    cells: usize,
    data: Vec<f32>,
}

impl Level {
    fn all(tensors: Vec<Tensor>, name: &str, photos: usize, width: usize, height: usize) -> Result<Vec<Self>> {
        let expected = CELLS.map(|side| vec![photos, CHANNELS, height / side, width / side]);
        look::check(&tensors, &expected, name)?;
        let level = |(tensor, side): (Tensor, usize)| {
            let (width, height) = (width / side, height / side);
            Self { side: side as f32, width, cells: width * height, data: tensor.data }
        };
        Ok(tensors.into_iter().zip(CELLS).map(level).collect())
    }

    fn channel(&self, photo: usize, channel: usize) -> &[f32] {
        &self.data[(photo * CHANNELS + channel) * self.cells..][..self.cells]
    }

    fn faces(&self, photo: usize, look: &Look<'_>, min_score: f32) -> impl Iterator<Item = Detection> {
        let scores = self.channel(photo, 0).iter().zip(self.channel(photo, 1)).map(|(face, middle)| {
            let odds = |logit: &f32| 1.0 / (1.0 + (-logit).exp());
            (odds(face) * odds(middle)).sqrt()
        });
        scores
            .enumerate()
            .filter(move |&(_, score)| score > min_score)
            .filter_map(move |(cell, score)| self.face(photo, cell, score, look))
    }

    /// The face that `cell` tells of, or `None` where the network's numbers are no box.
    fn face(&self, photo: usize, cell: usize, score: f32, look: &Look<'_>) -> Option<Detection> {
        let at = |channel| self.channel(photo, channel)[cell];
        let (column, row) = ((cell % self.width) as f32, (cell / self.width) as f32);
        let place = |channel| ((column + at(channel)) * self.side, (row + at(channel + 1)) * self.side);
        let (x, y) = place(2);
        let (width, height) = (at(4).exp() * self.side, at(5).exp() * self.side);
        let points: [Point; 5] = std::array::from_fn(|i| {
            let (x, y) = place(6 + 2 * i);
            look.back(x, y)
        });
        let first = look.back(x - width / 2.0, y - height / 2.0);
        let last = look.back(x + width / 2.0, y + height / 2.0);
        let finite = points.iter().chain([&first, &last]).all(|p| p.x.is_finite() && p.y.is_finite());
        let rect = Rect { left: first.x, top: first.y, right: last.x, bottom: last.y };
        finite.then_some(Detection { rect, score, points: Some(points) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// The network's inputs so far.
    type Inputs = Arc<Mutex<Vec<Vec<usize>>>>;

    /// A network that sees a face of 2 x 3 cells of 16 pixels, with its middle at the middle of its input.
    struct Fake(Inputs);

    impl Session for Fake {
        fn run(&self, input: Tensor) -> Result<Vec<Tensor>> {
            let [n, _, h, w] = input.shape[..] else { panic!() };
            let mut levels = CELLS.map(|side| {
                let shape = vec![n, CHANNELS, h / side, w / side];
                // A logit of -9 is no face.
                let data = (0..shape.iter().product())
                    .map(|i| if i / (h / side * (w / side)) % CHANNELS < 2 { -9.0 } else { 0.0 });
                Tensor { data: data.collect(), shape }
            });
            let (h, w) = (h / 16, w / 16);
            for photo in 0..n {
                let mut put = |channel: usize, value: f32| {
                    levels[1].data[(photo * CHANNELS + channel) * h * w + h / 2 * w + w / 2] = value;
                };
                put(0, 9.0);
                put(1, 2.0);
                put(4, 2f32.ln());
                put(5, 3f32.ln());
                (6..16).for_each(|channel| put(channel, 0.5));
            }
            self.0.lock().unwrap().push(input.shape);
            Ok(levels.into())
        }
    }

    fn fake(is_halved: bool, min_score: Option<f32>) -> (YuNet, Inputs) {
        let inputs = Inputs::default();
        (YuNet::new(Box::new(Fake(Arc::clone(&inputs))), "yunet", is_halved, min_score), inputs)
    }

    fn black(width: u32, height: u32) -> Photo {
        Photo::new(width, height, vec![0; 3 * (width * height) as usize]).unwrap()
    }

    #[test]
    fn boxes_and_points_are_in_the_photos_pixels() {
        let (detector, _) = fake(true, None);
        // Halved: a pixel of the network's input is two of the photo's.
        let faces = detector.detect(&[&black(512, 256)]).unwrap().remove(0);
        assert_eq!(faces.len(), 1);
        let (face, middle) = (&faces[0], Point::new(256.0 - 0.5, 128.0 - 0.5));
        let center = face.rect.center();
        assert!((center.x - middle.x).abs() < 0.01 && (center.y - middle.y).abs() < 0.01, "{center:?}");
        assert!((face.rect.width() - 64.0).abs() < 0.01 && (face.rect.height() - 96.0).abs() < 0.01);
        let point = face.points.unwrap()[3];
        assert!((point.x - middle.x - 16.0).abs() < 0.01 && (point.y - middle.y - 16.0).abs() < 0.01, "{point:?}");
        // The mean of both odds: nearly 1, and 0.88.
        assert!((face.score - 0.938).abs() < 0.001, "{}", face.score);
    }

    #[test]
    fn large_photos_are_looked_at_from_afar_too() {
        let (detector, inputs) = fake(false, None);
        // From afar the same face is four times as large: two boxes.
        assert_eq!(detector.detect(&[&black(2560, 1280)]).unwrap()[0].len(), 2);
        let mut seen = inputs.lock().unwrap().clone();
        seen.sort();
        assert_eq!(seen, [[1, 3, 160, 320], [1, 3, 640, 1280]]);
    }

    #[test]
    fn only_photos_of_middling_size_are_halved() {
        let (detector, inputs) = fake(true, None);
        let photos = [black(640, 500), black(250, 250), black(92, 112), black(641, 500)];
        let found = detector.detect(&photos.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(found.len(), 4);
        let mut seen = inputs.lock().unwrap().clone();
        seen.sort();
        // Sides are padded; the last one is looked at from afar as well.
        assert_eq!(seen, [[1, 3, 128, 96], [1, 3, 128, 128], [1, 3, 128, 160], [1, 3, 256, 320], [1, 3, 512, 672]]);
    }

    #[test]
    fn calls_hold_a_bounded_number_of_pixels() {
        let (detector, inputs) = fake(true, Some(0.95));
        assert_eq!(detector.id(), "yunet(min_score=0.95)");
        let photos: Vec<Photo> = (0..40).map(|_| black(250, 250)).collect();
        let found = detector.detect(&photos.iter().collect::<Vec<_>>()).unwrap();
        assert!(found.iter().all(Vec::is_empty), "all score 0.94");
        let mut seen: Vec<usize> = inputs.lock().unwrap().iter().map(|shape| shape[0]).collect();
        seen.sort_unstable();
        assert_eq!(seen, [8, 16, 16]);
        assert!(detector.detect(&[]).unwrap().is_empty());
    }

    #[test]
    fn another_network_is_refused() {
        struct Empty;
        impl Session for Empty {
            fn run(&self, _: Tensor) -> Result<Vec<Tensor>> {
                Ok(Vec::new())
            }
        }
        let error = YuNet::new(Box::new(Empty), "yunet", false, None).detect(&[&black(9, 9)]).unwrap_err();
        assert!(error.to_string().contains("yunet"), "{error}");
    }
}
