//! What a file says of its photo besides the pixels: the shape it is stored in, and its XMP packet.

use image::{ImageDecoder, ImageFormat, metadata::Orientation};
use libjpeg_turbo_rs::Decoder;

use super::{Limits, decode, jpeg};
use crate::{
    Error, Result,
    geometry::{Point, Rect},
};

/// The shape in which a file stores a photo. Cameras store it as the sensor lay, and leave it to the reader to turn it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Width in pixels, before the photo is turned upright.
    pub width: u32,
    /// Height in pixels, before the photo is turned upright.
    pub height: u32,
    /// How to turn it upright: 1 (it is) to 8, as EXIF numbers them.
    pub orientation: Turn,
}

/// An EXIF orientation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn(u8);

impl Turn {
    /// The photo is stored upright.
    pub const NONE: Self = Self(1);

    /// The orientation that EXIF numbers 1 to 8; none for other numbers.
    pub fn from_exif(number: u8) -> Option<Self> {
        (1..=8).contains(&number).then_some(Self(number))
    }

    /// EXIF's number, 1 to 8.
    pub fn to_exif(self) -> u8 {
        self.0
    }

    /// Whether width and height change places.
    pub fn swaps_sides(self) -> bool {
        self.0 >= 5
    }

    /// What undoes it.
    fn inverse(self) -> Self {
        match self.0 {
            6 => Self(8),
            8 => Self(6),
            _ => self,
        }
    }

    /// Where a point of a picture of `width` x `height` pixels is in the turned picture.
    fn apply(self, (width, height): (u32, u32), Point { x, y }: Point) -> Point {
        let from_right = width as f32 - 1.0 - x;
        let from_below = height as f32 - 1.0 - y;
        let (x, y) = match self.0 {
            2 => (from_right, y),
            3 => (from_right, from_below),
            4 => (x, from_below),
            5 => (y, x),
            6 => (from_below, x),
            7 => (from_below, from_right),
            8 => (y, from_right),
            _ => (x, y),
        };
        Point::new(x, y)
    }

    fn apply_to_rect(self, size: (u32, u32), rect: Rect) -> Rect {
        let a = self.apply(size, Point::new(rect.left, rect.top));
        let b = self.apply(size, Point::new(rect.right, rect.bottom));
        Rect { left: a.x.min(b.x), top: a.y.min(b.y), right: a.x.max(b.x), bottom: a.y.max(b.y) }
    }
}

impl Stored {
    /// Width and height of the upright photo.
    pub fn upright_size(&self) -> (u32, u32) {
        if self.orientation.swaps_sides() { (self.height, self.width) } else { (self.width, self.height) }
    }

    /// Where a rectangle of the stored photo is in the upright one, both in pixels.
    pub fn to_upright(&self, rect: Rect) -> Rect {
        self.orientation.apply_to_rect((self.width, self.height), rect)
    }

    /// Where a rectangle of the upright photo is in the stored one: the inverse of [`Self::to_upright`].
    pub fn from_upright(&self, rect: Rect) -> Rect {
        self.orientation.inverse().apply_to_rect(self.upright_size(), rect)
    }
}

/// What a file says of its photo besides the pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The shape it is stored in.
    pub stored: Stored,
    /// Its XMP packet, as it is in the file; what a JPEG holds in extended XMP is appended.
    pub xmp: Option<Vec<u8>>,
}

impl Metadata {
    /// Reads the header of a photo's file; its pixels are not decoded.
    ///
    /// # Errors
    /// [`Error::Photo`] when the bytes are no photo, their header is damaged, or they exceed the limits.
    pub fn of(bytes: &[u8], limits: &Limits) -> Result<Self> {
        decode::guarded(|| {
            limits.check_bytes(bytes)?;
            let reader = decode::reader(bytes)?;
            let (size, orientation, xmp) = if reader.format() == Some(ImageFormat::Jpeg) {
                let decoder = Decoder::new_with_limits(bytes, jpeg::bounds(limits)).map_err(jpeg::explain)?;
                let header = decoder.header();
                let size = (u32::from(header.width), u32::from(header.height));
                (size, jpeg::orientation(&decoder), decoder.xmp_data().map(<[u8]>::to_vec))
            } else {
                let mut decoder = reader.into_decoder().map_err(decode::explain)?;
                let orientation = decoder.orientation().map_err(decode::explain)?;
                (decoder.dimensions(), orientation, decoder.xmp_metadata().map_err(decode::explain)?)
            };
            limits.check(size.0, size.1)?;
            if size.0 == 0 || size.1 == 0 {
                return Err(Error::photo("damaged: it has no pixels"));
            }
            let orientation = Turn(Orientation::to_exif(orientation));
            Ok(Self { stored: Stored { width: size.0, height: size.1, orientation }, xmp })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, GrayImage, Luma};

    /// One bright pixel in a dark picture, turned by the decoder: where it goes is where we say it goes.
    #[test]
    fn rectangles_turn_as_the_decoder_turns_pixels() {
        for number in 1..=8 {
            let stored = Stored { width: 7, height: 4, orientation: Turn::from_exif(number).unwrap() };
            for (x, y) in [(0, 0), (6, 0), (2, 1), (5, 3)] {
                let mut picture = GrayImage::new(7, 4);
                picture.put_pixel(x, y, Luma([255]));
                let mut picture = DynamicImage::from(picture);
                picture.apply_orientation(Orientation::from_exif(number).unwrap());
                assert_eq!(stored.upright_size(), (picture.width(), picture.height()));
                let (x, y) = (x as f32, y as f32);
                let pixel = Rect { left: x - 0.5, top: y - 0.5, right: x + 0.5, bottom: y + 0.5 };
                let upright = stored.to_upright(pixel);
                let center = upright.center();
                let value = picture.to_luma8().get_pixel(center.x as u32, center.y as u32).0;
                assert_eq!(value, [255], "orientation {number}, ({x}, {y})");
                assert_eq!((upright.width(), upright.height()), (1.0, 1.0));
                assert_eq!(stored.from_upright(upright), pixel);
            }
        }
        assert_eq!((Turn::from_exif(0), Turn::from_exif(9)), (None, None));
    }

    #[test]
    fn what_is_no_photo_is_refused() {
        let limits = Limits { max_bytes: 100, ..Limits::default() };
        for bytes in [&b""[..], b"no photo", b"\xff\xd8\xff", &[0; 101]] {
            assert!(matches!(Metadata::of(bytes, &limits), Err(Error::Photo { .. })));
        }
    }
}
