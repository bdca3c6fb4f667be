//! Decoding: JPEG, PNG, WebP, BMP, PGM/PPM, GIF (first frame) and TIFF, told apart by content.

use std::{io::Cursor, path::Path};

use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Rgb, RgbImage};
use serde::{Deserialize, Serialize};

use super::Photo;
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
    /// 100 megapixels, 256 MB.
    fn default() -> Self {
        Self { max_pixels: 100_000_000, max_bytes: 256 << 20 }
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
        if bytes.is_empty() {
            return Err(Error::photo("the file is empty"));
        }
        if bytes.len() as u64 > limits.max_bytes {
            return Err(Error::photo(format!("{} bytes, more than the limit of {}", bytes.len(), limits.max_bytes)));
        }
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| Error::photo(e.to_string()))?;
        let format = reader.format().ok_or_else(|| {
            Error::photo("not a JPEG, PNG, WebP, BMP, PGM/PPM, GIF or TIFF by its content")
        })?;
        if format == image::ImageFormat::Jpeg && !ends(bytes) {
            return Err(Error::photo("truncated: the JPEG has no end"));
        }
        let mut decoder = reader.into_decoder().map_err(explain)?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > limits.max_pixels {
            let limit = limits.max_pixels / 1_000_000;
            return Err(Error::photo(format!("{width}x{height} pixels, more than the limit of {limit} megapixels")));
        }
        let mut bounds = image::Limits::default();
        // 16-bit RGBA, and as much again for the decoder's own buffers.
        bounds.max_alloc = Some(limits.max_pixels.saturating_mul(16));
        decoder.set_limits(bounds).map_err(explain)?;
        let orientation = decoder.orientation().map_err(explain)?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(explain)?;
        image.apply_orientation(orientation);
        let rgb = if image.color().has_alpha() { over_grey(&image) } else { image.into_rgb8() };
        Self::new(rgb.width(), rgb.height(), rgb.into_raw())
    }
}

/// Whether a JPEG has its end marker; decoders fill in what a truncated one lacks.
fn ends(bytes: &[u8]) -> bool {
    bytes.windows(2).rev().any(|pair| pair == [0xff, 0xd9])
}

fn over_grey(image: &DynamicImage) -> RgbImage {
    let rgba = image.to_rgba8();
    RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, a] = rgba.get_pixel(x, y).0;
        let alpha = f32::from(a) / 255.0;
        Rgb([r, g, b].map(|v| (f32::from(v) * alpha + BEHIND_ALPHA * (1.0 - alpha)).round() as u8))
    })
}

fn explain(error: ImageError) -> Error {
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
