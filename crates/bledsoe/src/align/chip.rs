//! The face chip.

use std::path::Path;

use super::Affine;
use crate::{Result, photo::Photo};

/// A square RGB crop of one face, and the map that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceChip {
    /// Side in pixels.
    pub size: u32,
    /// `3 * size * size` bytes, interleaved RGB, rows from the top.
    pub rgb: Vec<u8>,
    /// From the photo's pixels to the chip's.
    pub transform: Affine,
}

impl FaceChip {
    /// The mirrored chip.
    pub fn flipped(&self) -> Self {
        let row = 3 * self.size as usize;
        let rgb =
            self.rgb.chunks_exact(row).flat_map(|r| r.as_chunks::<3>().0.iter().rev().flatten().copied()).collect();
        let mirror = Affine { m: [-1.0, 0.0, self.size as f32 - 1.0, 0.0, 1.0, 0.0] };
        Self { size: self.size, rgb, transform: self.transform.then(&mirror) }
    }

    /// The chip as a photo.
    ///
    /// # Errors
    /// When `rgb` does not fit `size`.
    pub fn to_photo(&self) -> Result<Photo> {
        Photo::new(self.size, self.size, self.rgb.clone())
    }

    /// Writes the chip: JPEG of quality 95 for `.jpg`, else PNG.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the disk fails.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.to_photo()?.save(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Point;

    #[test]
    fn flipping_mirrors_pixels_and_map() {
        let chip = FaceChip {
            size: 2,
            rgb: vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
            transform: Affine { m: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] },
        };
        let flipped = chip.flipped();
        assert_eq!(flipped.rgb, [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]);
        assert_eq!(flipped.transform.apply(Point::new(0.0, 1.0)), Point::new(1.0, 1.0));
        assert_eq!(flipped.flipped(), chip);
    }
}
