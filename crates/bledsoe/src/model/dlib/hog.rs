//! dlib's HOG object detectors: `object_detector<scan_fhog_pyramid<pyramid_down<6>>>` as dlib saves it (`.svm`).

use super::reader::Reader;
use crate::Result;

/// Feature planes of a cell: 18 signed orientations, 9 unsigned ones, 4 of texture (Felzenszwalb et al. 2010).
pub const PLANES: usize = 31;

/// dlib computes other features for cells of one pixel.
const MIN_CELL: i64 = 2;
/// Bounds on what a file may ask for, far above what dlib trains.
const MAX_CELL: i64 = 256;
const MAX_WINDOW: i64 = 4096;
const MAX_PADDING: i64 = 64;

/// A HOG detector: sub-detectors, one for each pose, that share one feature pyramid.
#[derive(Debug, Clone, PartialEq)]
pub struct HogDetector {
    /// Side of a cell, in pixels.
    pub cell: usize,
    /// Cells around the window that a sub-detector sees and its box leaves out.
    pub padding: usize,
    /// Width and height of the window, in pixels of the pyramid's level; the filters see it in whole cells.
    pub window: (usize, usize),
    /// Width and height of the smallest level of the pyramid, in pixels.
    pub min_layer: (usize, usize),
    /// Most levels of the pyramid.
    pub max_levels: usize,
    /// Two boxes are of one face when their intersection is more than this share of the smallest box around both.
    pub max_iou: f64,
    /// Or more than this share of one of them.
    pub max_covered: f64,
    /// The sub-detectors.
    pub filters: Vec<HogFilter>,
}

/// A sub-detector: a linear classifier of a window's features.
#[derive(Debug, Clone, PartialEq)]
pub struct HogFilter {
    /// Weights: planes x rows x columns, where rows and columns are [`HogDetector::cells`].
    pub weights: Vec<f32>,
    /// A window is a face when its weighted sum is not below this; the score is what it is above.
    pub threshold: f64,
}

impl HogDetector {
    /// Width and height of a filter in cells, the padding included.
    pub fn cells(&self) -> (usize, usize) {
        let (width, height) = self.window;
        let padded = |pixels: usize| window_cells(pixels as i64, self.cell as i64) as usize + 2 * self.padding;
        (padded(width), padded(height))
    }

    /// Whether sizes are such as [`read`] gives: a detector put together by hand may be anything.
    pub(crate) fn is_consistent(&self) -> bool {
        let within = |value: usize, least: i64, most: i64| (least as usize..=most as usize).contains(&value);
        let (width, height) = self.window;
        within(self.cell, MIN_CELL, MAX_CELL)
            && within(self.padding, 0, MAX_PADDING)
            && within(width, 1, MAX_WINDOW)
            && within(height, 1, MAX_WINDOW)
            && self.filters.iter().all(|f| f.weights.len() == PLANES * self.cells().0 * self.cells().1)
    }
}

/// How many cells dlib gives to a window of so many pixels, centred on 0: it rounds its edges towards 0.
fn window_cells(pixels: i64, cell: i64) -> i64 {
    let first = -pixels / 2;
    let last = first + pixels - 1;
    (last - 1) / cell - (first - 1) / cell + 1
}

/// Reads a detector from a file's bytes; `name` is for error messages.
///
/// # Errors
/// [`crate::Error::Model`] when the bytes are not such a detector, or damaged.
pub fn read(bytes: &[u8], name: &str) -> Result<HogDetector> {
    let mut reader = Reader::new(bytes, name);
    match reader.int()? {
        2 => {}
        version => return Err(reader.fail(format!("a detector of version {version}, expected 2"))),
    }
    match reader.int()? {
        1 => {}
        version => return Err(reader.fail(format!("a HOG scanner of version {version}, expected 1"))),
    }
    if (reader.int()?, reader.int()?) != (0, 0) {
        return Err(reader.fail("holds the features of a photo: not a detector as dlib saves it"));
    }
    let cell = size(&mut reader, "the cell size", MIN_CELL, MAX_CELL)?;
    let padding = size(&mut reader, "the padding", 0, MAX_PADDING)?;
    let window = sizes(&mut reader, "the window's side")?;
    let max_levels = size(&mut reader, "the number of pyramid levels", 1, i64::MAX)?;
    let min_layer = sizes(&mut reader, "the smallest level's side")?;
    let _nuclear_norm = reader.float()?;
    let dimensions = reader.int()?;
    let max_iou = share(&mut reader, "the overlap")?;
    let max_covered = share(&mut reader, "the covered share")?;
    let count = reader.length()?;
    let mut detector =
        HogDetector { cell, padding, window, min_layer, max_levels, max_iou, max_covered, filters: Vec::new() };
    let (columns, rows) = detector.cells();
    let expected = PLANES * rows * columns;
    if i64::try_from(expected) != Ok(dimensions) {
        return Err(reader.fail(format!("{dimensions} weights, expected {PLANES} x {rows} x {columns}")));
    }
    for _ in 0..count {
        detector.filters.push(filter(&mut reader, expected)?);
    }
    if detector.filters.is_empty() {
        return Err(reader.fail("has no sub-detectors"));
    }
    // `dlib.simple_object_detector` appends a version and the upsampling that it was trained with.
    if reader.remaining() > 0 && (reader.int()? != 1 || reader.int()? < 0 || reader.remaining() > 0) {
        return Err(reader.fail("has more after its end"));
    }
    Ok(detector)
}

fn filter(reader: &mut Reader<'_>, expected: usize) -> Result<HogFilter> {
    let (rows, columns, mut weights) = reader.matrix()?;
    if columns != 1 || rows != expected + 1 {
        return Err(reader.fail(format!("a {rows}x{columns} filter, expected {}x1", expected + 1)));
    }
    if weights.iter().any(|w| !w.is_finite()) {
        return Err(reader.fail("a weight that is not a number"));
    }
    let threshold = weights.pop().map_or(0.0, f64::from);
    Ok(HogFilter { weights, threshold })
}

fn size(reader: &mut Reader<'_>, what: &str, least: i64, most: i64) -> Result<usize> {
    let value = reader.int()?;
    usize::try_from(value)
        .ok()
        .filter(|_| (least..=most).contains(&value))
        .ok_or_else(|| reader.fail(format!("{what} is {value}, expected {least} to {most}")))
}

fn sizes(reader: &mut Reader<'_>, what: &str) -> Result<(usize, usize)> {
    Ok((size(reader, what, 1, MAX_WINDOW)?, size(reader, what, 1, MAX_WINDOW)?))
}

fn share(reader: &mut Reader<'_>, what: &str) -> Result<f64> {
    let value = reader.float()?;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(reader.fail(format!("{what} is {value}, expected 0 to 1")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACES: &[u8] = include_bytes!("../../../../../models/hog.svm");

    #[test]
    fn reads_dlibs_face_detector() {
        let detector = read(FACES, "hog.svm").unwrap();
        assert_eq!((detector.cell, detector.window, detector.min_layer), (8, (80, 80), (64, 64)));
        assert_eq!(detector.filters.len(), 5);
        let (columns, rows) = detector.cells();
        assert!(detector.filters.iter().all(|f| f.weights.len() == PLANES * rows * columns));
    }

    #[test]
    fn damage_is_an_error_that_names_the_file() {
        for length in [0, 1, 10, 60, FACES.len() / 2, FACES.len() - 1] {
            assert!(read(&FACES[..length], "mine.svm").unwrap_err().to_string().contains("mine.svm"), "{length}");
        }
        let appended = [FACES, &[1, 1, 1, 0]].concat();
        assert_eq!(read(&appended, "x").unwrap(), read(FACES, "x").unwrap(), "a trained simple_object_detector");
        assert!(read(&[FACES, &[1, 1, 1, 0, 9]].concat(), "x").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_damage_makes_it_panic(at in 0usize..200, to: u8) {
            let mut bytes = FACES.to_vec();
            bytes[at] = to;
            let _ = read(&bytes, "x");
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = read(&bytes, "x");
        }
    }
}
