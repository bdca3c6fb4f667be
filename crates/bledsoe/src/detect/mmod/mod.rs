//! dlib's convolutional detector, slid over an image pyramid by the network itself.

mod pyramid;

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Detection, Detector, overlap::Overlap};
use crate::{
    Error, Result,
    engine::{Session, Tensor},
    model::dlib::network::MmodDetails,
    photo::Photo,
};
use pyramid::Tiling;

/// Each step makes the photo four times as large; more than this needs too much memory.
const MAX_UPSAMPLE: u32 = 4;
/// Pixels of the canvases in one run of the network: its first layers need about 100 bytes for each.
const MAX_PIXELS: usize = 1 << 21;

/// Finds faces as dlib's MMOD network does (`cnn_face_detection_model_v1`).
///
/// Its smallest face has the side of the detector's window (80 pixels for dlib's human faces), halved by each
/// upsampling. Scores are the distance from the margin: 0 is dlib's own threshold, sure faces have about 1.
///
/// The canvas with the whole pyramid takes about 45 bytes for each pixel of the photo, after upsampling. Large canvases
/// run through the network in strips that overlap by what it sees, so its own memory does not grow with the photo.
pub struct Mmod {
    id: String,
    session: Box<dyn Session>,
    details: MmodDetails,
    upsample: u32,
    min_score: f32,
}

impl Mmod {
    /// A detector called `id`, of a network made by [`crate::model::dlib::network::mmod_to_onnx`] and loaded into
    /// `session`, and of the details that travel with it. The photo is doubled `upsample` times first (0 to 4), to find
    /// smaller faces; faces scored below `min_score` (default 0) are left out.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `upsample` or `min_score` is out of range.
    pub fn new(
        session: Box<dyn Session>,
        details: MmodDetails,
        id: &str,
        upsample: u32,
        min_score: Option<f32>,
    ) -> Result<Self> {
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
        Ok(Self { id, session, details, upsample, min_score: min_score.unwrap_or(0.0) })
    }

    /// The faces of photos of one size, whose canvases fit into one run unless there is only one.
    fn faces(&self, photos: &[&Photo], tiling: &Tiling) -> Result<Vec<Vec<Detection>>> {
        let area = tiling.width * tiling.height;
        let mut canvases = vec![0.0; photos.len() * 3 * area];
        canvases
            .par_chunks_exact_mut(3 * area)
            .zip(photos)
            .for_each(|(canvas, photo)| tiling.fill(photo, self.upsample, self.details.mean, canvas));
        let mut found = vec![Vec::new(); photos.len()];
        if photos.len() * area <= MAX_PIXELS {
            let scores = self.scores(canvases, photos.len(), tiling.width, tiling.height)?;
            self.scan(&scores, 0..usize::MAX, 0, tiling, &mut found);
        } else {
            self.strips(&canvases, tiling, &mut found)?;
        }
        let overlap = Overlap { max_iou: self.details.max_iou, max_covered: self.details.max_covered };
        let suppress = |mut found: Vec<Detection>| {
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            let mut faces = overlap.suppress(found, |d| d.rect);
            for face in &mut faces {
                face.rect = pyramid::undoubled(face.rect, self.upsample);
            }
            faces
        };
        Ok(found.into_iter().map(suppress).collect())
    }

    /// Runs one canvas through the network in strips. Those rows of a strip's output are taken whose receptive field
    /// lies inside it, so that the result is that of the whole canvas.
    fn strips(&self, canvas: &[f32], tiling: &Tiling, found: &mut [Vec<Detection>]) -> Result<()> {
        let MmodDetails { stride, above, below, .. } = self.details;
        let (width, height) = (tiling.width, tiling.height);
        // At least a strip's overlap of new rows, or most work would be done twice.
        let rows = (MAX_PIXELS / width).max(2 * (above + below + stride)) / stride * stride;
        let mut next = 0;
        loop {
            // The strip begins on the network's grid, at the canvas's edge or above all that row `next` sees.
            let first = (next * stride).saturating_sub(above) / stride;
            let top = first * stride;
            let bottom = (top + rows).min(height);
            let mut strip = Vec::with_capacity(3 * width * (bottom - top));
            for plane in canvas.chunks_exact(width * height) {
                strip.extend_from_slice(&plane[top * width..bottom * width]);
            }
            let scores = self.scores(strip, 1, width, bottom - top)?;
            // Up to the last row that sees nothing below the strip.
            let end = if bottom == height { usize::MAX } else { (bottom - 1 - below) / stride + 1 };
            self.scan(&scores, next..end, first, tiling, found);
            if bottom == height {
                return Ok(());
            }
            next = end;
        }
    }

    fn scores(&self, data: Vec<f32>, photos: usize, width: usize, height: usize) -> Result<Tensor> {
        let output = self.session.run(Tensor { shape: vec![photos, 3, height, width], data })?;
        let windows = self.details.windows.len();
        output
            .into_iter()
            .next()
            .filter(
                |t| matches!(t.shape[..], [n, w, h, c] if n == photos && w == windows && n * w * h * c == t.data.len()),
            )
            .ok_or_else(|| Error::model(&self.id, format!("its network gives no score maps of {windows} windows")))
    }

    /// Adds the windows of those rows that are in `rows`, counted in the canvas; `first` is the row of the scores' row 0.
    fn scan(
        &self,
        scores: &Tensor,
        rows: std::ops::Range<usize>,
        first: usize,
        tiling: &Tiling,
        found: &mut [Vec<Detection>],
    ) {
        let (height, width) = (scores.shape[2], scores.shape[3]);
        let MmodDetails { windows, stride, offset, .. } = &self.details;
        let maps = scores.data.chunks_exact((height * width).max(1));
        for (i, map) in maps.enumerate() {
            let (photo, window) = (i / windows.len(), &windows[i % windows.len()]);
            for (row, values) in map.chunks_exact(width).enumerate().map(|(row, values)| (first + row, values)) {
                for (column, &score) in values.iter().enumerate().filter(|(_, score)| **score > self.min_score) {
                    if rows.contains(&row) {
                        let (x, y) = (column * stride + offset, row * stride + offset);
                        let rect = tiling.window(x, y, window.width, window.height);
                        found[photo].push(Detection { rect, score, points: None });
                    }
                }
            }
        }
    }
}

impl Detector for Mmod {
    fn id(&self) -> &str {
        &self.id
    }

    fn detect_rest(&self, photos: &[&Photo]) -> Result<Vec<Vec<Detection>>> {
        let mut of_size: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
        for (i, photo) in photos.iter().enumerate() {
            of_size.entry((photo.width(), photo.height())).or_default().push(i);
        }
        let mut faces = vec![Vec::new(); photos.len()];
        for ((width, height), indices) in of_size {
            let size = (width as usize, height as usize);
            let (width, height) = (0..self.upsample).fold(size, |(w, h), _| pyramid::doubled(w, h));
            let tiling = Tiling::new(width, height, self.details.padding, self.details.outer_padding);
            if tiling.width.min(tiling.height) < self.details.least {
                continue;
            }
            let batch = (MAX_PIXELS / (tiling.width * tiling.height)).max(1);
            for indices in indices.chunks(batch) {
                let batch: Vec<&Photo> = indices.iter().map(|&i| photos[i]).collect();
                for (&i, found) in indices.iter().zip(self.faces(&batch, &tiling)?) {
                    faces[i] = found;
                }
            }
        }
        Ok(faces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dlib::network::Window;

    /// Stride 8, sees 8 rows above and 16 below; its score is how much more light the middle of its window has than
    /// the edge rows of it, which is zero between the levels.
    struct Bright;

    const ABOVE: usize = 8;
    const BELOW: usize = 16;

    impl Session for Bright {
        fn run(&self, input: Tensor) -> Result<Vec<Tensor>> {
            let (n, height, width) = (input.shape[0], input.shape[2], input.shape[3]);
            let (rows, columns) = ((height - 9) / 8 + 1, (width - 9) / 8 + 1);
            let mut data = Vec::new();
            for plane in input.data.chunks_exact(3 * height * width).map(|c| &c[..height * width]) {
                // As a padded convolution: nothing outside the input.
                let at = |y: usize, x: usize| {
                    if y >= ABOVE && y - ABOVE < height { plane[(y - ABOVE) * width + x] } else { 0.0 }
                };
                for row in 0..rows {
                    for column in 0..columns {
                        let (y, x) = (8 * row + ABOVE, 8 * column + 4);
                        data.push(at(y + 4, x) - 0.1 * at(y - ABOVE, x) - 0.1 * at(y + BELOW, x));
                    }
                }
            }
            Ok(vec![Tensor { shape: vec![n, 1, rows, columns], data }])
        }
    }

    fn details() -> MmodDetails {
        MmodDetails {
            mean: [0.0; 3],
            padding: 10,
            outer_padding: 11,
            windows: vec![Window { width: 9, height: 9, label: String::new() }],
            max_iou: 0.1,
            max_covered: 0.9,
            stride: 8,
            offset: 4,
            above: ABOVE,
            below: BELOW,
            least: 9,
        }
    }

    fn detector(upsample: u32, min_score: f32) -> Mmod {
        Mmod::new(Box::new(Bright), details(), "test", upsample, Some(min_score)).unwrap()
    }

    /// Black, with a light square of 12 pixels around (x, y).
    fn photo(width: u32, height: u32, x: u32, y: u32) -> Photo {
        let pixel = |i: u32| (i % width).abs_diff(x) <= 6 && (i / width).abs_diff(y) <= 6;
        let rgb = (0..width * height).flat_map(|i| [if pixel(i) { 255 } else { 0 }; 3]).collect();
        Photo::new(width, height, rgb).unwrap()
    }

    #[test]
    fn finds_the_light_in_each_photo_of_a_mixed_batch() {
        let photos = [photo(90, 70, 40, 30), photo(120, 80, 100, 20), photo(90, 70, 20, 50), photo(5, 4, 2, 2)];
        let faces = detector(0, 0.7).detect(&photos.iter().collect::<Vec<_>>()).unwrap();
        for (faces, (x, y)) in faces.iter().zip([(40.0, 30.0), (100.0, 20.0), (20.0, 50.0)]) {
            let center = faces[0].rect.center();
            assert!((center.x - x).abs() <= 10.0 && (center.y - y).abs() <= 10.0, "{faces:?}");
        }
        assert_eq!(faces.len(), 4);
    }

    #[test]
    fn upsampling_leads_back_to_the_photo() {
        let faces = detector(1, 0.7).detect(&[&photo(90, 70, 40, 30)]).unwrap();
        let center = faces[0][0].rect.center();
        assert!((center.x - 40.0).abs() <= 8.0 && (center.y - 30.0).abs() <= 8.0, "{faces:?}");
    }

    #[test]
    fn strips_find_what_the_whole_finds() {
        let (width, height) = (1600, 1300);
        let rgb = (0..width * height).flat_map(|i: u32| [(i.wrapping_mul(2_654_435_761) >> 24) as u8; 3]).collect();
        let photo = Photo::new(width, height, rgb).unwrap();
        let (detector, tiling) = (detector(0, 0.6), Tiling::new(1600, 1300, 10, 11));
        assert!(tiling.width * tiling.height > MAX_PIXELS);
        let mut canvas = vec![0.0; 3 * tiling.width * tiling.height];
        tiling.fill(&photo, 0, [0.0; 3], &mut canvas);
        let (mut whole, mut strips) = ([Vec::new()], [Vec::new()]);
        let scores = detector.scores(canvas.clone(), 1, tiling.width, tiling.height).unwrap();
        detector.scan(&scores, 0..usize::MAX, 0, &tiling, &mut whole);
        detector.strips(&canvas, &tiling, &mut strips).unwrap();
        assert!(whole[0].len() > 1000);
        assert_eq!(whole, strips);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Mmod::new(Box::new(Bright), details(), "x", 9, None).is_err());
        assert!(Mmod::new(Box::new(Bright), details(), "x", 0, Some(f32::NAN)).is_err());
    }
}
