//! Decoding: JPEG, PNG, WebP, BMP, PGM/PPM, GIF (first frame) and TIFF, told apart by content.

use std::{io::Cursor, panic::UnwindSafe, path::Path};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Rgb, RgbImage};
use serde::{Deserialize, Serialize};

use super::{
    Photo, Reduced, Reduction,
    jpeg::{self, JpegLayout},
};
use crate::{Error, Result};

/// Bounds that keep a hostile file from taking the machine's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Most pixels, width times height.
    pub max_pixels: u64,
    /// Most bytes of a file.
    pub max_bytes: u64,
}

impl Default for Limits {
    /// 128 megapixels, which a 12000x9000 phone photo is within, and 256 MB.
    fn default() -> Self {
        Self { max_pixels: 128_000_000, max_bytes: 256 << 20 }
    }
}

impl Limits {
    pub(super) fn check(&self, width: u32, height: u32) -> Result<()> {
        if u64::from(width) * u64::from(height) > self.max_pixels {
            let limit = self.max_pixels / 1_000_000;
            return Err(Error::photo(format!("{width}x{height} pixels, more than the limit of {limit} megapixels")));
        }
        Ok(())
    }

    pub(super) fn check_bytes(&self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Err(Error::photo("the file is empty"));
        }
        if bytes.len() as u64 > self.max_bytes {
            return Err(Error::photo(format!("{} bytes, more than the limit of {}", bytes.len(), self.max_bytes)));
        }
        Ok(())
    }

    /// Bytes that a decoder may take: 16-bit RGBA, and as much again for its own buffers.
    pub(super) fn memory(&self) -> u64 {
        self.max_pixels.saturating_mul(16)
    }
}

/// Transparent pixels are laid over mid-grey: black or white would make an edge that detectors see.
const BEHIND_ALPHA: f32 = 128.0;

impl Photo {
    /// Decodes the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Photo`] when it is not a photo or too large.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        Self::decode(&bytes, limits).map_err(|e| Error::Photo { path: path.to_owned(), reason: e.reason() })
    }

    /// Decodes a file's bytes: grey, palette, CMYK, alpha and 16 bits all become RGB of 8 bits; the EXIF orientation is
    /// applied.
    ///
    /// # Errors
    /// [`Error::Photo`] when the bytes are no photo, damaged or truncated, or exceed the limits.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self> {
        Ok(Self::decode_reduced(bytes, limits, Reduction::None)?.photo)
    }

    /// Like [`Self::decode`], but a JPEG is decoded straight to a smaller size, which takes a fraction of the time:
    /// only the lower frequencies of each block become pixels. Lossless JPEGs and all other formats are decoded whole.
    ///
    /// # Errors
    /// As for [`Self::decode`]; the limits are of the whole photo.
    pub fn decode_reduced(bytes: &[u8], limits: &Limits, reduction: Reduction) -> Result<Reduced> {
        guarded(|| decode(bytes, limits, reduction))
    }
}

/// What a file's header says, before its pixels take memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// Width and height in pixels, before the EXIF orientation is applied.
    pub size: (u32, u32),
    /// Whether it can be decoded reduced.
    pub reducible: bool,
    /// Whether decoding takes the whole photo's memory even when reduced.
    pub buffered: bool,
}

impl Header {
    /// The header of a file; an empty one for what has none that is readable: decoding it fails.
    pub fn of(bytes: &[u8]) -> Self {
        guarded(|| {
            let reader = reader(bytes)?;
            if reader.format() != Some(ImageFormat::Jpeg) {
                return Ok(Self {
                    size: reader.into_dimensions().map_err(explain)?,
                    reducible: false,
                    buffered: false,
                });
            }
            let frame = JpegLayout::frame(bytes).ok_or_else(|| Error::photo("no frame"))?;
            Ok(Self {
                size: (frame.width.into(), frame.height.into()),
                reducible: frame.has_frequencies(),
                buffered: frame.is_progressive(),
            })
        })
        .unwrap_or_default()
    }

    /// Pixels that memory is taken for while it is decoded.
    pub fn pixels(self, reduction: Reduction) -> u64 {
        let factor = if self.reducible && !self.buffered { reduction.factor() } else { 1 };
        let (width, height) = self.size;
        u64::from(width.div_ceil(factor)) * u64::from(height.div_ceil(factor))
    }
}

/// Runs `work` so that a decoder that panics on hostile bytes costs only this photo.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T> + UnwindSafe) -> Result<T> {
    std::panic::catch_unwind(work).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<&str>().copied().map(str::to_owned);
        let text = text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Error::photo(format!("damaged: its decoder gave up ({text})")))
    })
}

pub(super) fn reader(bytes: &[u8]) -> Result<ImageReader<Cursor<&[u8]>>> {
    ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| Error::photo(e.to_string()))
}

fn decode(bytes: &[u8], limits: &Limits, reduction: Reduction) -> Result<Reduced> {
    limits.check_bytes(bytes)?;
    let reader = reader(bytes)?;
    let format = reader
        .format()
        .ok_or_else(|| Error::photo("not a JPEG, PNG, WebP, BMP, PGM/PPM, GIF or TIFF by its content"))?;
    if format == ImageFormat::Jpeg {
        return jpeg::decode(bytes, limits, reduction);
    }
    let mut decoder = reader.into_decoder().map_err(explain)?;
    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    let mut bounds = image::Limits::default();
    bounds.max_alloc = Some(limits.memory());
    decoder.set_limits(bounds).map_err(explain)?;
    let orientation = decoder.orientation().map_err(explain)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(explain)?;
    image.apply_orientation(orientation);
    let rgb = if image.color().has_alpha() { over_grey(&image) } else { image.into_rgb8() };
    Ok(Reduced::whole(Photo::new(rgb.width(), rgb.height(), rgb.into_raw())?))
}

fn over_grey(image: &DynamicImage) -> RgbImage {
    let rgba = image.to_rgba8();
    RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, a] = rgba.get_pixel(x, y).0;
        let alpha = f32::from(a) / 255.0;
        Rgb([r, g, b].map(|v| (f32::from(v) * alpha + BEHIND_ALPHA * (1.0 - alpha)).round() as u8))
    })
}

pub(super) fn explain(error: ImageError) -> Error {
    Error::photo(match error {
        ImageError::Limits(e) => format!("needs more memory than the limits allow ({e})"),
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => "truncated".to_owned(),
        other => format!("damaged: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, Luma};

    fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// Left half red, right half blue, with a green top left corner.
    fn pattern() -> RgbImage {
        RgbImage::from_fn(32, 16, |x, y| match (x, y) {
            (0..8, 0..8) => Rgb([0, 255, 0]),
            (0..16, _) => Rgb([255, 0, 0]),
            _ => Rgb([0, 0, 255]),
        })
    }

    fn decode(bytes: &[u8]) -> Result<Photo> {
        Photo::decode(bytes, &Limits::default())
    }

    #[test]
    fn lossless_formats_come_back_exactly() {
        let image = DynamicImage::from(pattern());
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::Tiff, ImageFormat::WebP] {
            let photo = decode(&encode(&image, format)).unwrap();
            assert_eq!(photo.rgb(), pattern().as_raw().as_slice(), "{format:?}");
        }
    }

    #[test]
    fn grey_16_bit_and_alpha_become_rgb() {
        let grey = DynamicImage::from(image::GrayImage::from_pixel(4, 4, Luma([90])));
        assert_eq!(decode(&encode(&grey, ImageFormat::Png)).unwrap().rgb()[..3], [90, 90, 90]);
        let deep = DynamicImage::from(image::ImageBuffer::from_pixel(4, 4, Luma([0x8080u16])));
        assert_eq!(decode(&encode(&deep, ImageFormat::Png)).unwrap().rgb()[..3], [128, 128, 128]);
        let clear = DynamicImage::from(image::RgbaImage::from_pixel(4, 4, image::Rgba([255, 0, 0, 0])));
        assert_eq!(decode(&encode(&clear, ImageFormat::Png)).unwrap().rgb()[..3], [128, 128, 128]);
    }

    /// Mean and largest difference of a photo from Pillow's reading of the same file (tools/reference/photos.py).
    fn difference(name: &str) -> (f64, u8) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/photos");
        let open = |file: String| Photo::open(&folder.join(file), &Limits::default()).unwrap();
        let (ours, pillows) = (open(format!("{name}.jpg")), open(format!("{name}.ppm")));
        let differences: Vec<u8> = ours.rgb().iter().zip(pillows.rgb()).map(|(a, b)| a.abs_diff(*b)).collect();
        let sum: f64 = differences.iter().map(|&d| f64::from(d)).sum();
        (sum / differences.len() as f64, differences.into_iter().max().unwrap())
    }

    #[test]
    fn cmyk_and_ycck_have_the_colours_that_pillow_sees() {
        for name in ["cmyk", "ycck"] {
            let (mean, largest) = difference(name);
            assert!(mean == 0.0 && largest == 0, "{name}: {mean} {largest}");
        }
    }

    #[test]
    fn cmyk_without_adobes_marker_is_refused() {
        let mut cmyk = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/photos/cmyk.jpg")).unwrap();
        let at = cmyk.windows(5).position(|w| w == b"Adobe").unwrap();
        cmyk[at] = b'a';
        assert!(decode(&cmyk).unwrap_err().reason().contains("Adobe"));
    }

    /// An EXIF block that holds only the orientation.
    fn exif(orientation: u8) -> Vec<u8> {
        let mut block = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        block.extend([orientation, 0, 0, 0, 0, 0, 0]);
        block
    }

    /// The picture as a camera with this orientation stores it: the tag's transform undone.
    fn stored_as(upright: &DynamicImage, orientation: u8) -> DynamicImage {
        match orientation {
            2 => upright.fliph(),
            3 => upright.rotate180(),
            4 => upright.flipv(),
            5 => upright.rotate90().fliph(),
            6 => upright.rotate270(),
            7 => upright.rotate270().fliph(),
            8 => upright.rotate90(),
            _ => upright.clone(),
        }
    }

    #[test]
    fn exif_orientation_is_applied_in_png_webp_and_jpeg() {
        use image::{
            ImageEncoder,
            codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
        };
        let upright = DynamicImage::from(pattern());
        for orientation in 1..=8 {
            let stored = stored_as(&upright, orientation);
            let (mut png, mut webp, mut jpeg) = (Vec::new(), Vec::new(), Vec::new());
            let mut encoder = PngEncoder::new(&mut png);
            encoder.set_exif_metadata(exif(orientation)).unwrap();
            stored.write_with_encoder(encoder).unwrap();
            let mut encoder = WebPEncoder::new_lossless(&mut webp);
            encoder.set_exif_metadata(exif(orientation)).unwrap();
            stored.write_with_encoder(encoder).unwrap();
            let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
            encoder.set_exif_metadata(exif(orientation)).unwrap();
            stored.write_with_encoder(encoder).unwrap();
            for (bytes, tolerance) in [(png, 0), (webp, 0), (jpeg, 90)] {
                let photo = decode(&bytes).unwrap();
                assert_eq!((photo.width(), photo.height()), (32, 16), "orientation {orientation}");
                let pairs = photo.rgb().iter().zip(pattern().into_raw());
                let worst = pairs.map(|(a, b)| a.abs_diff(b)).max().unwrap();
                assert!(worst <= tolerance, "orientation {orientation}: {worst}");
            }
        }
    }

    #[test]
    fn exif_orientation_is_applied_in_tiff() {
        let stored = stored_as(&DynamicImage::from(pattern()), 6).to_rgb8();
        let mut bytes = b"II*\0".to_vec();
        bytes.extend((8 + stored.len() as u32).to_le_bytes());
        bytes.extend(stored.as_raw());
        let (width, height) = stored.dimensions();
        let length = stored.len() as u32;
        // Tag, type (3 short, 4 long), value: 16x32 pixels, 3x8 bits (beyond the directory), RGB, one strip.
        let end = 8 + length + 2 + 10 * 12 + 4;
        let entries: [(u16, u16, u32, u32); 10] = [
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 3, end),
            (259, 3, 1, 1),
            (262, 3, 1, 2),
            (273, 4, 1, 8),
            (274, 3, 1, 6),
            (277, 3, 1, 3),
            (278, 4, 1, height),
            (279, 4, 1, length),
        ];
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend([0, 0, 0, 0, 8, 0, 8, 0, 8, 0]);
        assert_eq!(decode(&bytes).unwrap().rgb(), pattern().as_raw().as_slice());
    }

    #[test]
    fn every_format_cut_in_half_is_an_error() {
        let mut image = pattern();
        // Noise, so that half the file is half the picture.
        let mut random = fastrand::Rng::with_seed(1);
        image.pixels_mut().for_each(|p| p.0 = [random.u8(..), random.u8(..), random.u8(..)]);
        for format in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::WebP,
            ImageFormat::Bmp,
            ImageFormat::Pnm,
            ImageFormat::Gif,
            ImageFormat::Tiff,
        ] {
            let file = encode(&DynamicImage::from(image.clone()), format);
            assert!(decode(&file).is_ok(), "{format:?}");
            assert!(decode(&file[..file.len() / 2]).is_err(), "{format:?}");
        }
    }

    #[test]
    fn a_decoder_that_panics_costs_only_its_photo() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let error = guarded(|| -> Result<()> { panic!("index 7") }).unwrap_err();
        std::panic::set_hook(hook);
        assert!(error.reason().contains("index 7"), "{error}");
    }

    #[test]
    fn pixels_are_read_from_the_header() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::Tiff] {
            let header = Header::of(&encode(&DynamicImage::from(pattern()), format));
            let jpeg = format == ImageFormat::Jpeg;
            assert_eq!(header, Header { size: (32, 16), reducible: jpeg, buffered: false }, "{format:?}");
            assert_eq!(header.pixels(Reduction::Quarter), if jpeg { 8 * 4 } else { 32 * 16 });
        }
        assert_eq!(Header::of(b"not a photo").pixels(Reduction::None), 0);
    }

    #[test]
    fn damaged_files_are_errors_that_say_why() {
        let jpeg = encode(&DynamicImage::from(pattern()), ImageFormat::Jpeg);
        let png = encode(&DynamicImage::from(pattern()), ImageFormat::Png);
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"hello, not a photo", "content"),
            (&jpeg[..jpeg.len() / 2], "truncated"),
            (&png[..png.len() / 2], ""),
        ] {
            let reason = decode(bytes).unwrap_err().reason();
            assert!(reason.contains(word), "{reason}");
        }
    }

    #[test]
    fn limits_hold_before_memory_is_taken() {
        let png = encode(&DynamicImage::from(pattern()), ImageFormat::Png);
        let few = Limits { max_pixels: 100, ..Limits::default() };
        assert!(Photo::decode(&png, &few).unwrap_err().reason().contains("megapixels"));
        let short = Limits { max_bytes: 10, ..Limits::default() };
        assert!(Photo::decode(&png, &short).unwrap_err().reason().contains("bytes"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at in 0usize..400, to: u8) {
            let _ = decode(&bytes);
            for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::Tiff] {
                let mut file = encode(&DynamicImage::from(pattern()), format);
                let at = at % file.len();
                file[at] = to;
                let _ = decode(&file);
            }
        }
    }
}
