//! Shape predictors: ensembles of regression trees that move a mean shape onto a face (Kazemi and Sullivan, "One
//! millisecond face alignment with an ensemble of regression trees", 2014).
//!
//! Two formats are read: dlib's own `.dat` ([`read_dat`]) and a compact one ([`read_compact`]), half its size and equal
//! to the last bit, made by `tools/convert/landmarks5.py`. The compact one is a safetensors file:
//!
//! | tensor | type and shape | what |
//! |---|---|---|
//! | `initial` | F32 \[points, 2\] | the mean shape; the box reaches from 0 to 1 |
//! | `anchors` | U8 \[stages, pixels\] | the landmark that each sampled pixel is nearest to |
//! | `offsets` | F32 \[stages, pixels, 2\] | the pixel's place relative to its landmark |
//! | `thresholds` | I8 \[stages, trees, splits\] | rounded down, which changes nothing for whole pixel values |
//! | `pairs` | U8 \[bytes\], packed U16 \[stages, trees, splits, 2\] | the two pixels that each split compares |
//! | `leaves` | U8 \[bytes\], packed F32 \[stages, trees, splits + 1, points, 2\] | what each leaf adds to the shape |
//!
//! Packed is: the lowest bytes of all values, then the next bytes, and so on; all of it zlib-compressed.

use std::io::Read;

use flate2::read::ZlibDecoder;
use safetensors::{Dtype, SafeTensors};

use super::reader::Reader;
use crate::{Error, Result, landmark::Scheme};

/// The deepest tree that is read; dlib's own models have depth 4.
const MAX_DEPTH: u32 = 16;

/// A trained predictor. Every index in it is within bounds, and every number finite.
#[derive(Debug, Clone, PartialEq)]
pub struct ShapePredictor {
    scheme: Scheme,
    /// Every tree has 2^depth leaves and one split less.
    pub(crate) depth: u32,
    /// The mean shape: x, y of each landmark; the box reaches from 0 to 1.
    pub(crate) initial: Vec<f32>,
    pub(crate) stages: Vec<Stage>,
}

/// One stage of the cascade: pixels are sampled once, then every tree adds one of its leaves to the shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stage {
    pub(crate) pixels: Vec<Pixel>,
    /// Tree by tree, from the root down, level by level.
    pub(crate) splits: Vec<Split>,
    /// Tree by tree, leaf by leaf: x, y of each landmark.
    pub(crate) leaves: Vec<f32>,
}

/// A pixel to sample, at a place relative to a landmark of the mean shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pixel {
    pub(crate) anchor: u16,
    pub(crate) offset: [f32; 2],
}

/// Goes left if the first pixel is brighter than the second by more than the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) pair: [u16; 2],
    pub(crate) threshold: i16,
}

impl ShapePredictor {
    /// Which landmarks it finds.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Checks what the formats do not guarantee.
    fn checked(initial: Vec<f32>, depth: u32, stages: Vec<Stage>, name: &str) -> Result<Self> {
        let fail = |reason: &str| Err(Error::model(name, reason));
        let scheme = match initial.len() {
            10 => Scheme::Dlib5,
            136 => Scheme::Ibug68,
            n => return fail(&format!("finds {} landmarks; only predictors of 5 and of 68 are supported", n / 2)),
        };
        if !(1..=MAX_DEPTH).contains(&depth) {
            return fail(&format!("trees of depth {depth}, expected 1 to {MAX_DEPTH}"));
        }
        for Stage { pixels, splits, leaves } in &stages {
            let (trees, rest) = (leaves.len() / (initial.len() << depth), leaves.len() % (initial.len() << depth));
            if rest != 0 || splits.len() != trees * ((1 << depth) - 1) {
                return fail("damaged: the number of leaves does not fit that of splits");
            }
            if pixels.iter().any(|p| usize::from(p.anchor) >= scheme.len()) {
                return fail("damaged: a sampled pixel is tied to a landmark that does not exist");
            }
            if splits.iter().any(|s| s.pair.iter().any(|&i| usize::from(i) >= pixels.len())) {
                return fail("damaged: a split compares pixels that are not sampled");
            }
            if !pixels.iter().flat_map(|p| &p.offset).chain(leaves).chain(&initial).all(|v| v.is_finite()) {
                return fail("damaged: not all numbers are finite");
            }
        }
        Ok(Self { scheme, depth, initial, stages })
    }
}

/// Reads dlib's `shape_predictor` file (version 1) of 5 or 68 landmarks; `name` is for error messages.
///
/// # Errors
/// [`Error::Model`] naming the file, when it is damaged, no shape predictor, or one of other landmarks.
pub fn read_dat(bytes: &[u8], name: &str) -> Result<ShapePredictor> {
    let mut reader = Reader::new(bytes, name);
    match reader.int()? {
        1 => {}
        version => return Err(reader.fail(format!("a shape predictor of version {version}, expected 1"))),
    }
    let (.., initial) = reader.matrix()?;
    let mut depth = None;
    let forests = list(&mut reader, |r| forest(r, initial.len(), &mut depth))?;
    let anchors = list(&mut reader, |r| list(r, index))?;
    let offsets = list(&mut reader, |r| list(r, |r| Ok([r.float()? as f32, r.float()? as f32])))?;
    if reader.remaining() != 0 {
        return Err(reader.fail(format!("{} bytes too many", reader.remaining())));
    }
    let lengths = |lists: &[usize]| lists.iter().all(|&n| n == forests.len());
    if !lengths(&[anchors.len(), offsets.len()]) || anchors.iter().zip(&offsets).any(|(a, o)| a.len() != o.len()) {
        return Err(reader.fail("damaged: its stages differ in number"));
    }
    let stages = (forests.into_iter().zip(anchors).zip(offsets))
        .map(|(((splits, leaves), anchors), offsets)| {
            let pixels = anchors.into_iter().zip(offsets).map(|(anchor, offset)| Pixel { anchor, offset }).collect();
            Stage { pixels, splits, leaves }
        })
        .collect();
    ShapePredictor::checked(initial, depth.unwrap_or_default(), stages, name)
}

/// A length and that many things.
fn list<'a, T>(reader: &mut Reader<'a>, mut read: impl FnMut(&mut Reader<'a>) -> Result<T>) -> Result<Vec<T>> {
    (0..reader.length()?).map(|_| read(reader)).collect()
}

fn index(reader: &mut Reader<'_>) -> Result<u16> {
    let index = reader.int()?;
    u16::try_from(index).map_err(|_| reader.fail(format!("damaged: an index of {index}")))
}

/// The splits and the leaves of one stage's trees. All trees of a file must be of one depth, as dlib trains them.
fn forest(reader: &mut Reader<'_>, coordinates: usize, depth: &mut Option<u32>) -> Result<(Vec<Split>, Vec<f32>)> {
    let (mut splits, mut leaves) = (Vec::new(), Vec::new());
    for _ in 0..reader.length()? {
        let tree = list(reader, split)?;
        for _ in 0..reader.length()? {
            let (.., leaf) = reader.matrix()?;
            if leaf.len() != coordinates {
                return Err(reader.fail("damaged: a leaf does not fit the mean shape"));
            }
            leaves.extend(leaf);
        }
        let leaf_count = tree.len() + 1;
        if !leaf_count.is_power_of_two() || *depth.get_or_insert(leaf_count.ilog2()) != leaf_count.ilog2() {
            return Err(reader.fail(format!("a tree of {} splits; all must be full and alike", tree.len())));
        }
        splits.extend(tree);
    }
    Ok((splits, leaves))
}

fn split(reader: &mut Reader<'_>) -> Result<Split> {
    let pair = [index(reader)?, index(reader)?];
    let threshold = reader.float()?;
    if threshold.is_nan() {
        return Err(reader.fail("damaged: a threshold that is no number"));
    }
    // Pixels are whole numbers from 0 to 255, and so d > threshold exactly if d > the threshold rounded down.
    Ok(Split { pair, threshold: threshold.floor().clamp(-256.0, 255.0) as i16 })
}

/// Reads the compact format; `name` is for error messages.
///
/// # Errors
/// [`Error::Model`] naming the file and the tensor at fault.
pub fn read_compact(bytes: &[u8], name: &str) -> Result<ShapePredictor> {
    let fail = |reason: String| Error::model(name, reason);
    let file = SafeTensors::deserialize(bytes).map_err(|e| fail(format!("not a safetensors file: {e}")))?;
    let tensor = |part: &str, dtype: Dtype, rank: usize| {
        let tensor = file.tensor(part).map_err(|_| fail(format!("no {part} in it: not a compact shape predictor")))?;
        if tensor.dtype() != dtype || tensor.shape().len() != rank || tensor.shape().contains(&0) {
            return Err(fail(format!("{part}: expected {dtype:?} of {rank} axes, none of length 0")));
        }
        Ok((tensor.data(), tensor.shape().to_vec()))
    };
    let initial = floats(tensor("initial", Dtype::F32, 2)?.0);
    let (anchors, shape) = tensor("anchors", Dtype::U8, 2)?;
    let (offsets, offsets_shape) = tensor("offsets", Dtype::F32, 3)?;
    let (thresholds, thresholds_shape) = tensor("thresholds", Dtype::I8, 3)?;
    let &[stages, pixels] = shape.as_slice() else { return Err(fail("anchors: expected 2 axes".into())) };
    let (trees, splits) = (thresholds_shape[1], thresholds_shape[2]);
    if offsets_shape != [stages, pixels, 2] || thresholds_shape[0] != stages || !(splits + 1).is_power_of_two() {
        return Err(fail("anchors, offsets and thresholds do not fit each other".into()));
    }
    let packed = |part: &str, expected: usize| {
        let bytes = unpacked(tensor(part, Dtype::U8, 1)?.0, expected);
        bytes.ok_or_else(|| fail(format!("{part}: damaged, or not {expected} bytes")))
    };
    let pairs = packed("pairs", thresholds.len() * 4)?;
    let leaf_values = thresholds.len() / splits * (splits + 1) * initial.len();
    let leaves = floats(&interleaved::<4>(&packed("leaves", leaf_values * 4)?));
    let pairs: Vec<u16> = interleaved::<2>(&pairs).as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect();

    let pixel = |(&anchor, offset): (&u8, &[f32; 2])| Pixel { anchor: anchor.into(), offset: *offset };
    let split = |(&threshold, &pair): (&u8, &[u16; 2])| Split { pair, threshold: (threshold as i8).into() };
    let (offsets, pairs) = (floats(offsets), pairs.as_chunks::<2>().0);
    let all_pixels: Vec<Pixel> = anchors.iter().zip(offsets.as_chunks::<2>().0).map(pixel).collect();
    let all_splits: Vec<Split> = thresholds.iter().zip(pairs).map(split).collect();
    let stages = (all_pixels.chunks(pixels))
        .zip(all_splits.chunks(trees * splits))
        .zip(leaves.chunks(leaf_values / stages))
        .map(|((pixels, splits), leaves)| Stage {
            pixels: pixels.to_vec(),
            splits: splits.to_vec(),
            leaves: leaves.to_vec(),
        })
        .collect();
    ShapePredictor::checked(initial, (splits + 1).ilog2(), stages, name)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// The zlib-compressed bytes, if there are exactly `expected`.
fn unpacked(compressed: &[u8], expected: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    ZlibDecoder::new(compressed).take(expected as u64 + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() == expected).then_some(bytes)
}

/// Values of N bytes each, from all their first bytes, then all their second bytes, and so on.
fn interleaved<const N: usize>(planes: &[u8]) -> Vec<u8> {
    let count = planes.len() / N;
    (0..count).flat_map(|i| (0..N).map(move |k| planes[k * count + i])).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::ZlibEncoder};
    use proptest::prelude::*;
    use safetensors::tensor::TensorView;

    use super::*;

    fn int(out: &mut Vec<u8>, value: i64) {
        let bytes = value.unsigned_abs().to_le_bytes();
        let length = bytes.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
        out.push(length as u8 | if value < 0 { 0x80 } else { 0 });
        out.extend_from_slice(&bytes[..length]);
    }

    /// A column of values, each a multiple of 1/8.
    fn column(out: &mut Vec<u8>, values: &[f32]) {
        int(out, -(values.len() as i64));
        int(out, -1);
        for value in values {
            int(out, (value * 8.0) as i64);
            int(out, -3);
        }
    }

    const INITIAL: [f32; 10] = [0.25, 0.5, 0.5, 0.5, 0.75, 0.5, 0.5, 0.25, 0.5, 0.75];

    /// One stage of one tree that compares pixel 0 with pixel `second`.
    fn dat(initial: &[f32], second: i64) -> Vec<u8> {
        let mut out = Vec::new();
        int(&mut out, 1);
        column(&mut out, initial);
        for value in [1, 1, 1, 0, second, -27, -3, 2] {
            int(&mut out, value);
        }
        column(&mut out, &vec![0.125; initial.len()]);
        column(&mut out, &vec![-0.5; initial.len()]);
        for value in [1, 2, 0, 4] {
            int(&mut out, value);
        }
        for value in [1, 2, 1, -3, -1, -3, 0, 0, 2, -3] {
            int(&mut out, value);
        }
        out
    }

    fn packed(values: &[u8], width: usize) -> Vec<u8> {
        let planes: Vec<u8> = (0..width).flat_map(|k| values.iter().skip(k).step_by(width).copied()).collect();
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&planes).unwrap();
        encoder.finish().unwrap()
    }

    /// The predictor of `dat(&INITIAL, second)` in the compact format.
    fn compact(second: u8) -> Vec<u8> {
        let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let leaves = packed(&bytes(&[[0.125; 10], [-0.5; 10]].concat()), 4);
        let pairs = packed(&[0, 0, second, 0], 2);
        let (initial, offsets) = (bytes(&INITIAL), bytes(&[0.125, -0.125, 0.0, 0.25]));
        let tensors: [(&str, Dtype, Vec<usize>, &[u8]); 6] = [
            ("initial", Dtype::F32, vec![5, 2], &initial),
            ("anchors", Dtype::U8, vec![1, 2], &[0, 4]),
            ("offsets", Dtype::F32, vec![1, 2, 2], &offsets),
            ("thresholds", Dtype::I8, vec![1, 1, 1], &[-4i8 as u8]),
            ("pairs", Dtype::U8, vec![pairs.len()], &pairs),
            ("leaves", Dtype::U8, vec![leaves.len()], &leaves),
        ];
        let views = tensors.map(|(name, dtype, shape, data)| (name, TensorView::new(dtype, shape, data).unwrap()));
        safetensors::serialize(views, None).unwrap()
    }

    #[test]
    fn both_formats_hold_the_same() {
        let predictor = read_dat(&dat(&INITIAL, 1), "x").unwrap();
        assert_eq!(predictor.scheme(), Scheme::Dlib5);
        assert_eq!(predictor.stages[0].splits, [Split { pair: [0, 1], threshold: -4 }]);
        assert_eq!(predictor.stages[0].pixels[1], Pixel { anchor: 4, offset: [0.0, 0.25] });
        assert_eq!(read_compact(&compact(1), "x").unwrap(), predictor);
    }

    #[test]
    fn what_does_not_fit_is_an_error_naming_the_file() {
        let error = read_dat(&dat(&INITIAL[..6], 1), "three.dat").unwrap_err().to_string();
        assert!(error.contains("three.dat") && error.contains("3 landmarks"), "{error}");
        assert!(read_dat(&dat(&INITIAL, 2), "x").unwrap_err().to_string().contains("not sampled"));
        assert!(read_compact(&compact(2), "x").unwrap_err().to_string().contains("not sampled"));
    }

    #[test]
    fn a_truncated_file_is_an_error() {
        let (dat, compact) = (dat(&INITIAL, 1), compact(1));
        assert!((0..dat.len()).all(|n| read_dat(&dat[..n], "x").is_err()));
        assert!((0..compact.len()).all(|n| read_compact(&compact[..n], "x").is_err()));
        assert!(read_dat(&[&dat[..], &[0]].concat(), "x").is_err());
    }

    proptest! {
        #[test]
        fn damage_makes_no_panic(at in any::<prop::sample::Index>(), value: u8) {
            let (mut dat, mut compact) = (dat(&INITIAL, 1), compact(1));
            let (i, j) = (at.index(dat.len()), at.index(compact.len()));
            (dat[i], compact[j]) = (value, value);
            let _ = (read_dat(&dat, "x"), read_compact(&compact, "x"));
        }
    }
}
