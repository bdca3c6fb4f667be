//! JPEG, whole or reduced, with the pixels that libjpeg-turbo gives.

mod layout;

pub(super) use layout::JpegLayout;

use image::{DynamicImage, RgbImage, metadata::Orientation};
use libjpeg_turbo_rs::{DecodeLimits, Decoder, JpegError, PixelFormat, ScalingFactor};

use super::{Limits, Reduced, Reduction};
use crate::{Error, Result};

/// Most passes over a progressive picture: encoders make about ten, and each costs the time of a whole picture.
const MAX_SCANS: usize = 100;

/// Decodes a JPEG; the orientation of its EXIF block is applied.
pub(super) fn decode(bytes: &[u8], limits: &Limits, reduction: Reduction) -> Result<Reduced> {
    let layout = JpegLayout::of(bytes);
    if !layout.ends {
        return Err(Error::photo("truncated: the JPEG has no end"));
    }
    let frame = layout.frame.ok_or_else(|| Error::photo("damaged: the JPEG has no frame"))?;
    let cmyk = frame.components == 4;
    if cmyk && !layout.adobe {
        // Whether its ink values are inverted cannot be told.
        return Err(Error::photo("a CMYK JPEG without Adobe's marker: its colours cannot be told, save it as RGB"));
    }
    let size = (u32::from(frame.width), u32::from(frame.height));
    limits.check(size.0, size.1)?;
    let reduction = if frame.has_frequencies() { reduction } else { Reduction::None };

    let mut decoder = Decoder::new_with_limits(bytes, bounds(limits)).map_err(explain)?;
    let orientation = orientation(&decoder);
    decoder.set_output_format(if cmyk { PixelFormat::Cmyk } else { PixelFormat::Rgb });
    decoder.set_scale(ScalingFactor::try_new(1, reduction.factor()).map_err(explain)?);
    let image = decoder.decode_image().map_err(explain)?;
    let rgb = if cmyk { inks_to_rgb(&image.data) } else { image.data };
    let stored = u32::try_from(image.width).ok().zip(u32::try_from(image.height).ok());
    let rgb = stored.and_then(|(width, height)| RgbImage::from_raw(width, height, rgb));
    let mut image = DynamicImage::from(rgb.ok_or_else(|| Error::photo("damaged: pixels are missing"))?);
    image.apply_orientation(orientation);
    let (width, height) = (image.width(), image.height());
    let photo = super::Photo::new(width, height, image.into_rgb8().into_raw())?;
    Reduced::new(photo, reduction, size, orientation)
}

/// What keeps a hostile file from taking the machine.
pub(super) fn bounds(limits: &Limits) -> DecodeLimits {
    DecodeLimits {
        max_pixels: limits.max_pixels,
        max_scans: MAX_SCANS,
        max_memory: Some(limits.memory()),
        ..DecodeLimits::default()
    }
}

/// The orientation of the EXIF block; upright where there is none.
pub(super) fn orientation(decoder: &Decoder<'_>) -> Orientation {
    decoder.exif_data().and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// Adobe stores how much of the paper each ink leaves bare, 0 to 255; what light is left is the product.
fn inks_to_rgb(cmyk: &[u8]) -> Vec<u8> {
    let bare = cmyk.as_chunks::<4>().0.iter();
    bare.flat_map(|&[c, m, y, k]| [c, m, y].map(|ink| ((u16::from(ink) * u16::from(k) + 127) / 255) as u8)).collect()
}

pub(super) fn explain(error: JpegError) -> Error {
    Error::photo(match error {
        JpegError::UnexpectedEof => "truncated".to_owned(),
        JpegError::LimitExceeded { .. } | JpegError::AllocationFailed { .. } => {
            format!("needs more memory than the limits allow ({error})")
        }
        other => format!("damaged: {other}"),
    })
}
