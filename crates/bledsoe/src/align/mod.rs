//! Aligning: from landmarks to a square [`FaceChip`] in which every face stands alike.

use serde::{Deserialize, Serialize};

use crate::geometry::Point;

/// An affine map `x' = a x + b y + c`, `y' = d x + e y + f`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Affine {
    /// `[a, b, c, d, e, f]`.
    pub m: [f32; 6],
}

impl Affine {
    /// Where `p` goes.
    pub fn apply(&self, p: Point) -> Point {
        let [a, b, c, d, e, f] = self.m;
        Point::new(a * p.x + b * p.y + c, d * p.x + e * p.y + f)
    }
}

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
