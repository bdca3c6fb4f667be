//! Random variation of chips, fresh in every pass over the training photos.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Error, Result,
    align::{Affine, FaceChip, warp},
};

/// Brightness shifts by up to this share of white, up or down.
const BRIGHTNESS: f32 = 0.2;
/// Contrast is multiplied by up to this much more or less than 1.
const CONTRAST: f32 = 0.4;
/// The least share of a side that a crop keeps.
const CROP: f32 = 0.92;

/// What is varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Augmentation {
    /// Mirror half of the chips.
    pub flip: bool,
    /// Shift the brightness by up to 20 % of white.
    pub brightness: bool,
    /// Scale the contrast about the chip's mean by 0.6 to 1.4.
    pub contrast: bool,
    /// Keep a random square of 92 to 100 % of the side, scaled back to the chip's size.
    pub crop: bool,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self { flip: true, brightness: true, contrast: true, crop: true }
    }
}

impl Augmentation {
    /// Nothing is varied.
    pub const NONE: Self = Self { flip: false, brightness: false, contrast: false, crop: false };

    /// Whether nothing is varied.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

impl FromStr for Augmentation {
    type Err = Error;

    /// Names joined by commas, or `none`.
    fn from_str(s: &str) -> Result<Self> {
        let mut chosen = Self::NONE;
        if s == "none" {
            return Ok(chosen);
        }
        for name in s.split(',').map(str::trim) {
            match name {
                "flip" => chosen.flip = true,
                "brightness" => chosen.brightness = true,
                "contrast" => chosen.contrast = true,
                "crop" => chosen.crop = true,
                _ => {
                    let known = "flip, brightness, contrast, crop (joined by commas), or none";
                    return Err(Error::Invalid(format!("augment {name:?}: expected {known}")));
                }
            }
        }
        Ok(chosen)
    }
}

impl fmt::Display for Augmentation {
    /// As it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switches =
            [("flip", self.flip), ("brightness", self.brightness), ("contrast", self.contrast), ("crop", self.crop)];
        let names: Vec<&str> = switches.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect();
        f.write_str(if names.is_empty() { "none".to_owned() } else { names.join(",") }.as_str())
    }
}

/// The numbers that decide one variation. All chips of a face share them.
#[derive(Debug, Clone)]
pub struct Draw(fastrand::Rng);

impl Draw {
    /// Fixed by the seed, the pass, and the photo's SHA-256, and so independent of the order of photos.
    pub fn new(seed: u64, epoch: u32, sha256: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update(seed.to_le_bytes());
        digest.update(epoch.to_le_bytes());
        digest.update(sha256);
        let bytes: [u8; 32] = digest.finalize().into();
        let mut seed = [0; 8];
        seed.copy_from_slice(&bytes[..8]);
        Self(fastrand::Rng::with_seed(u64::from_le_bytes(seed)))
    }
}

/// The chip, varied.
///
/// # Errors
/// [`Error::Invalid`] when the chip's bytes do not fit its size.
pub fn augment(chip: &FaceChip, augmentation: &Augmentation, draw: &Draw) -> Result<FaceChip> {
    let mut rng = draw.0.clone();
    // Drawn whether used or not: what one switch does not depend on the others.
    let (flip, keep) = (rng.bool(), CROP + (1.0 - CROP) * rng.f32());
    let (x, y) = (rng.f32(), rng.f32());
    let brightness = 255.0 * BRIGHTNESS * (2.0 * rng.f32() - 1.0);
    let contrast = 1.0 + CONTRAST * (2.0 * rng.f32() - 1.0);

    let mut varied = if augmentation.crop {
        // Between the centres of the outermost pixels, so that nothing from outside the chip shows.
        let (scale, room) = (1.0 / keep, (chip.size as f32 - 1.0) * (1.0 - keep));
        let map = Affine { m: [scale, 0.0, -room * x * scale, 0.0, scale, -room * y * scale] };
        let cropped = warp(&chip.to_photo()?, &map, chip.size);
        FaceChip { transform: chip.transform.then(&map), ..cropped }
    } else {
        chip.clone()
    };
    if augmentation.flip && flip {
        varied = varied.flipped();
    }
    if augmentation.brightness || augmentation.contrast {
        let contrast = if augmentation.contrast { contrast } else { 1.0 };
        let brightness = if augmentation.brightness { brightness } else { 0.0 };
        let mean = varied.rgb.iter().map(|&v| f64::from(v)).sum::<f64>() / varied.rgb.len().max(1) as f64;
        let table: Vec<u8> = (0..=255u8)
            .map(|v| {
                ((f32::from(v) - mean as f32) * contrast + mean as f32 + brightness).round().clamp(0.0, 255.0) as u8
            })
            .collect();
        for value in &mut varied.rgb {
            *value = table[usize::from(*value)];
        }
    }
    Ok(varied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chip() -> FaceChip {
        let rgb = (0..40 * 40).flat_map(|i| [(i % 40 * 5) as u8, (i / 40 * 5) as u8, 100]).collect();
        FaceChip { size: 40, rgb, transform: Affine { m: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] } }
    }

    #[test]
    fn names_are_read() {
        assert_eq!("flip,brightness, contrast,crop".parse::<Augmentation>().unwrap(), Augmentation::default());
        assert!("none".parse::<Augmentation>().unwrap().is_none());
        assert!("flip".parse::<Augmentation>().unwrap().flip);
        assert!("flap".parse::<Augmentation>().unwrap_err().to_string().contains("brightness"));
        assert!("".parse::<Augmentation>().is_err());
        for written in ["none", "flip", "flip,brightness,contrast,crop", "crop"] {
            assert_eq!(written.parse::<Augmentation>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn passes_differ_and_repeat() {
        let all = Augmentation::default();
        let vary = |epoch| augment(&chip(), &all, &Draw::new(7, epoch, "ab")).unwrap();
        assert_eq!(vary(0), vary(0));
        assert_ne!(vary(0).rgb, vary(1).rgb);
        assert_eq!(augment(&chip(), &Augmentation::NONE, &Draw::new(7, 0, "ab")).unwrap(), chip());
    }

    #[test]
    fn crops_stay_inside_and_know_where_they_are() {
        let only = Augmentation { crop: true, ..Augmentation::NONE };
        for epoch in 0..50 {
            let varied = augment(&chip(), &only, &Draw::new(1, epoch, "ab")).unwrap();
            // Blue is 100 everywhere inside; black would show at the edge.
            assert!(varied.rgb.chunks_exact(3).all(|p| p[2] >= 99), "pass {epoch}");
            // Red grows by 5 a pixel: the middle of the crop shows the value that its transform promises.
            let back = varied.transform.inverse().unwrap().apply(crate::geometry::Point::new(20.0, 20.0));
            let red = f32::from(varied.rgb[3 * (20 * 40 + 20)]);
            assert!((red - 5.0 * back.x).abs() < 4.0, "{red} {back:?}");
        }
    }
}
