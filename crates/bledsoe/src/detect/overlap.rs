//! Non-maximum suppression: one box for each face.

use super::Detection;
use crate::geometry::Rect;

/// Boxes that overlap a better one more than this (intersection over union) are the same face.
const MAX_IOU: f32 = 0.3;

/// The best box of each face, best first.
pub fn strongest(mut found: Vec<Detection>) -> Vec<Detection> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut faces: Vec<Detection> = Vec::new();
    for one in found {
        if faces.iter().all(|face| face.rect.iou(&one.rect) < MAX_IOU) {
            faces.push(one);
        }
    }
    faces
}

/// When two boxes are of one face, by dlib's rule. Boxes cover whole pixels, their edges included, as dlib's do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap {
    /// Their intersection is more than this share of the smallest box around both.
    pub max_iou: f64,
    /// Or more than this share of one of them.
    pub max_covered: f64,
}

impl Overlap {
    /// Whether `a` and `b` are of one face.
    pub fn is_same(&self, a: &Rect, b: &Rect) -> bool {
        let left_top = (a.left.max(b.left), a.top.max(b.top));
        let right_bottom = (a.right.min(b.right), a.bottom.min(b.bottom));
        let common = pixels(left_top.0, left_top.1, right_bottom.0, right_bottom.1);
        let around = pixels(a.left.min(b.left), a.top.min(b.top), a.right.max(b.right), a.bottom.max(b.bottom));
        let of = |r: &Rect| common / pixels(r.left, r.top, r.right, r.bottom);
        common > 0.0 && (common / around > self.max_iou || of(a) > self.max_covered || of(b) > self.max_covered)
    }

    /// Keeps of `found`, best first, those whose box is of no face kept before.
    pub fn suppress<T>(&self, found: Vec<T>, rect: impl Fn(&T) -> Rect) -> Vec<T> {
        let mut kept: Vec<T> = Vec::new();
        for one in found {
            if !kept.iter().any(|k| self.is_same(&rect(k), &rect(&one))) {
                kept.push(one);
            }
        }
        kept
    }
}

/// Pixels of a box whose edges are included; none where it is turned inside out.
fn pixels(left: f32, top: f32, right: f32, bottom: f32) -> f64 {
    (f64::from(right) - f64::from(left) + 1.0).max(0.0) * (f64::from(bottom) - f64::from(top) + 1.0).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(left: f32, side: f32) -> Rect {
        Rect { left, top: 0.0, right: left + side - 1.0, bottom: side - 1.0 }
    }

    #[test]
    fn a_box_around_both_is_what_the_intersection_is_measured_by() {
        let (a, b) = (square(0.0, 10.0), square(5.0, 10.0));
        // 50 common pixels of 150 around both, half of each.
        assert!(Overlap { max_iou: 0.33, max_covered: 1.0 }.is_same(&a, &b));
        assert!(!Overlap { max_iou: 0.34, max_covered: 1.0 }.is_same(&a, &b));
        assert!(Overlap { max_iou: 1.0, max_covered: 0.49 }.is_same(&a, &b));
        assert!(!Overlap { max_iou: 0.0, max_covered: 0.0 }.is_same(&a, &square(10.0, 10.0)), "side by side");
    }

    #[test]
    fn the_first_of_each_face_stays() {
        let overlap = Overlap { max_iou: 0.3, max_covered: 1.0 };
        let found = vec![square(0.0, 10.0), square(2.0, 10.0), square(30.0, 10.0), square(31.0, 10.0)];
        assert_eq!(overlap.suppress(found, |r| *r), [square(0.0, 10.0), square(30.0, 10.0)]);
    }
}
