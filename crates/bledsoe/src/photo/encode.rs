//! Writing photos: PNG or JPEG.

use std::{io::Cursor, path::Path};

use image::{
    ExtendedColorType, ImageEncoder,
    codecs::{jpeg::JpegEncoder, png::PngEncoder},
};

use super::Photo;
use crate::{Error, Result, whole_file};

impl Photo {
    /// The photo as a JPEG of `quality` 1 to 100.
    ///
    /// # Errors
    /// [`Error::Photo`] when a side exceeds JPEG's 65,535 pixels.
    pub fn to_jpeg(&self, quality: u8) -> Result<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        JpegEncoder::new_with_quality(&mut bytes, quality)
            .write_image(&self.rgb, self.width, self.height, ExtendedColorType::Rgb8)
            .map_err(|e| Error::photo(e.to_string()))?;
        Ok(bytes.into_inner())
    }

    /// The photo as a PNG.
    ///
    /// # Errors
    /// [`Error::Photo`] when the encoder fails.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        PngEncoder::new(&mut bytes)
            .write_image(&self.rgb, self.width, self.height, ExtendedColorType::Rgb8)
            .map_err(|e| Error::photo(e.to_string()))?;
        Ok(bytes.into_inner())
    }

    /// Writes the photo to `path`, whole or not at all: JPEG of quality 95 for `.jpg`, else PNG.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk fails.
    pub fn save(&self, path: &Path) -> Result<()> {
        let jpeg = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("jpg") || e.eq_ignore_ascii_case("jpeg"));
        let bytes = if jpeg { self.to_jpeg(95)? } else { self.to_png()? };
        whole_file::write(path, &bytes)
    }
}
