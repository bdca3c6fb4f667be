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
