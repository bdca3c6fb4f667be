//! A photo: RGB, 8 bits, upright; decoding it from a file, and writing chips.

mod colour;
mod decode;
mod encode;
mod jpeg;
mod metadata;
mod planes;
mod reduced;

pub(crate) use colour::luma;
pub(crate) use decode::Header;
pub use decode::Limits;
pub use metadata::{Metadata, Stored, Turn};
pub use reduced::{Reduced, Reduction};

use crate::{Error, Result};

/// An upright RGB photo, rows from the top, 3 bytes a pixel, no padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Photo {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Photo {
    /// A photo of `width` x `height` pixels from its interleaved RGB bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a side is zero or `rgb` is not `3 * width * height` long.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self> {
        if width == 0 || height == 0 || rgb.len() != 3 * width as usize * height as usize {
            return Err(Error::Invalid(format!("{} bytes are not a {width}x{height} RGB photo", rgb.len())));
        }
        Ok(Self { width, height, rgb })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels, interleaved RGB, rows from the top.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

impl std::fmt::Debug for Photo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Photo({}x{})", self.width, self.height)
    }
}
