//! A photo decoded smaller than it is.

use image::metadata::Orientation;

use super::Photo;
use crate::{Error, Result, geometry::Point};

/// How many times smaller than it is a photo is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reduction {
    /// Not at all.
    None,
    /// One pixel for 2 x 2.
    Half,
    /// One pixel for 4 x 4.
    Quarter,
    /// One pixel for 8 x 8.
    Eighth,
}

impl Reduction {
    /// All of them, the strongest first.
    pub const ALL: [Self; 4] = [Self::Eighth, Self::Quarter, Self::Half, Self::None];

    /// Pixels of the whole photo for one, along a side: 1, 2, 4 or 8.
    pub const fn factor(self) -> u32 {
        match self {
            Self::None => 1,
            Self::Half => 2,
            Self::Quarter => 4,
            Self::Eighth => 8,
        }
    }

    /// The strongest that leaves no fewer than one pixel for `step` of the whole photo, along a side.
    pub fn within(step: f32) -> Self {
        Self::ALL.into_iter().find(|reduction| reduction.factor() as f32 <= step).unwrap_or(Self::None)
    }
}

/// An upright photo, perhaps smaller than it was taken, and where its pixels are in the whole one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduced {
    /// The pixels.
    pub photo: Photo,
    reduction: Reduction,
    /// Width and height of the whole photo.
    size: (u32, u32),
    /// How far the first column and row reach beyond the whole photo, in its pixels. The last pixels of a row stand for
    /// fewer than `factor` where the width is no multiple of it, and orientation may bring them to the front.
    beyond: (u32, u32),
}

impl Reduced {
    /// A photo that is as it was taken.
    pub fn whole(photo: Photo) -> Self {
        let size = (photo.width(), photo.height());
        Self { photo, reduction: Reduction::None, size, beyond: (0, 0) }
    }

    /// An upright photo made of a stored one of `stored` width and height, reduced and brought upright by `orientation`.
    pub(super) fn new(
        photo: Photo,
        reduction: Reduction,
        stored: (u32, u32),
        orientation: Orientation,
    ) -> Result<Self> {
        use Orientation::{
            FlipHorizontal, FlipVertical, Rotate90, Rotate90FlipH, Rotate180, Rotate270, Rotate270FlipH,
        };
        let on_its_side = matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH);
        let size = if on_its_side { (stored.1, stored.0) } else { stored };
        let factor = reduction.factor();
        if (photo.width(), photo.height()) != (size.0.div_ceil(factor), size.1.div_ceil(factor)) {
            return Err(Error::photo(format!("damaged: {photo:?} is not {size:?} reduced by {factor}")));
        }
        let columns = photo.width() * factor - size.0;
        let rows = photo.height() * factor - size.1;
        let from_the_right = matches!(orientation, FlipHorizontal | Rotate180 | Rotate90 | Rotate270FlipH);
        let from_below = matches!(orientation, FlipVertical | Rotate180 | Rotate270 | Rotate270FlipH);
        let beyond = (if from_the_right { columns } else { 0 }, if from_below { rows } else { 0 });
        Ok(Self { photo, reduction, size, beyond })
    }

    /// How much smaller it is than the whole photo.
    pub fn reduction(&self) -> Reduction {
        self.reduction
    }

    /// Width and height of the whole photo.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Where a point of this photo is in the whole one: `(x + 0.5) * factor - 0.5`, less what the first column reaches
    /// beyond the whole photo.
    pub fn in_whole(&self, point: Point) -> Point {
        if self.reduction == Reduction::None {
            return point;
        }
        let factor = self.reduction.factor() as f32;
        let whole = |at: f32, beyond: u32| (at + 0.5) * factor - 0.5 - beyond as f32;
        Point::new(whole(point.x, self.beyond.0), whole(point.y, self.beyond.1))
    }

    /// Where a point of the whole photo is in this one: the inverse of [`Self::in_whole`].
    pub fn in_reduced(&self, point: Point) -> Point {
        if self.reduction == Reduction::None {
            return point;
        }
        let factor = self.reduction.factor() as f32;
        let reduced = |at: f32, beyond: u32| (at + 0.5 + beyond as f32) / factor - 0.5;
        Point::new(reduced(point.x, self.beyond.0), reduced(point.y, self.beyond.1))
    }
}

#[cfg(test)]
mod tests {
    use image::{ImageEncoder, codecs::jpeg::JpegEncoder};

    use super::*;
    use crate::photo::Limits;

    /// A JPEG that grows brighter to the right and more so downwards, with an EXIF orientation.
    fn slope(width: u32, height: u32, orientation: u8) -> Vec<u8> {
        let mut exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let grey = image::GrayImage::from_fn(width, height, |x, y| image::Luma([(2 * x + 3 * y) as u8]));
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 100);
        encoder.set_exif_metadata(exif).unwrap();
        grey.write_with_encoder(encoder).unwrap();
        bytes
    }

    /// The photo's brightness at a point, bilinear.
    fn at(photo: &Photo, point: Point) -> f32 {
        let (left, top) = (point.x.floor(), point.y.floor());
        let value = |x: f32, y: f32| f32::from(photo.rgb()[3 * (y as usize * photo.width() as usize + x as usize)]);
        let across = |y: f32| value(left, y) + (point.x - left) * (value(left + 1.0, y) - value(left, y));
        across(top) + (point.y - top) * (across(top + 1.0) - across(top))
    }

    #[test]
    fn each_pixel_is_where_it_says_however_the_photo_was_turned() {
        for (width, height) in [(48, 32), (45, 31), (41, 33), (47, 39)] {
            for orientation in 1..=8 {
                let bytes = slope(width, height, orientation);
                let whole = Photo::decode(&bytes, &Limits::default()).unwrap();
                for reduction in [Reduction::Half, Reduction::Quarter, Reduction::Eighth] {
                    let reduced = Photo::decode_reduced(&bytes, &Limits::default(), reduction).unwrap();
                    assert_eq!(reduced.size(), (whole.width(), whole.height()));
                    let (columns, rows) = (reduced.photo.width(), reduced.photo.height());
                    // Not the outermost pixels: they may stand for fewer.
                    let inner =
                        (1..rows - 1).flat_map(|y| (1..columns - 1).map(move |x| Point::new(x as f32, y as f32)));
                    let differences: Vec<f32> =
                        inner.map(|p| at(&reduced.photo, p) - at(&whole, reduced.in_whole(p))).collect();
                    let mean = differences.iter().sum::<f32>() / differences.len() as f32;
                    assert!(mean.abs() < 1.0, "{width}x{height} turned {orientation}, {reduction:?}: off by {mean}");
                }
            }
        }
    }

    #[test]
    fn there_and_back() {
        let bytes = slope(45, 31, 3);
        for reduction in Reduction::ALL {
            let reduced = Photo::decode_reduced(&bytes, &Limits::default(), reduction).unwrap();
            let back = reduced.in_reduced(reduced.in_whole(Point::new(3.25, 1.5)));
            assert!((back.x - 3.25).abs() < 1e-4 && (back.y - 1.5).abs() < 1e-4, "{back:?}");
        }
    }

    #[test]
    fn other_formats_are_decoded_whole() {
        let mut png = std::io::Cursor::new(Vec::new());
        image::GrayImage::new(40, 30).write_to(&mut png, image::ImageFormat::Png).unwrap();
        let reduced = Photo::decode_reduced(&png.into_inner(), &Limits::default(), Reduction::Quarter).unwrap();
        assert_eq!((reduced.reduction(), reduced.photo.width()), (Reduction::None, 40));
    }

    #[test]
    fn the_strongest_that_keeps_the_step() {
        for (step, expected) in [
            (0.3, Reduction::None),
            (1.99, Reduction::None),
            (2.0, Reduction::Half),
            (7.9, Reduction::Quarter),
            (f32::INFINITY, Reduction::Eighth),
            (f32::NAN, Reduction::None),
        ] {
            assert_eq!(Reduction::within(step), expected, "{step}");
        }
    }
}
