//! Aligning: from landmarks to a square [`FaceChip`] in which every face stands alike.
//!
//! A [`Template`] says where landmarks stand in the chip; [`Template::fit`] finds the map from the photo, [`warp`] cuts
//! the chip out.

mod chip;
mod similarity;
mod template;
mod warp;

pub use chip::FaceChip;
pub use similarity::{similarity, three_point};
pub use template::{Kind, Template};
pub use warp::warp;

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

    /// The map back, or `None` for one that flattens the plane.
    pub fn inverse(&self) -> Option<Self> {
        let [a, b, c, d, e, f] = self.m.map(f64::from);
        let det = a * e - b * d;
        if !det.is_finite() || det.abs() < 1e-12 {
            return None;
        }
        let (ia, ib, id, ie) = (e / det, -b / det, -d / det, a / det);
        Some(Self { m: [ia, ib, -(ia * c + ib * f), id, ie, -(id * c + ie * f)].map(|v| v as f32) })
    }

    /// First `self`, then `next`.
    pub fn then(&self, next: &Self) -> Self {
        let [a, b, c, d, e, f] = self.m;
        let [p, q, r, s, t, u] = next.m;
        Self { m: [p * a + q * d, p * b + q * e, p * c + q * f + r, s * a + t * d, s * b + t * e, s * c + t * f + u] }
    }
}
