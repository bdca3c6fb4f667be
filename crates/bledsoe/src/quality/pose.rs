//! How a face is turned, by its landmarks.

use serde::{Deserialize, Serialize};

use crate::{
    geometry::Point,
    landmark::{Landmarks, Scheme},
};

/// How far the tip of the nose stands out of the plane of the eyes, as a share of the distance between them.
///
/// The yaw is the angle at which a nose of this length would stand where it is seen; it is a coarse guess.
const NOSE: f32 = 0.6;

/// How a face is turned, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pose {
    /// In the plane of the photo, clockwise, -180 to 180: the slope of the line through the eyes.
    pub roll: f32,
    /// To the side, -90 to 90; positive where the nose points to the photo's right.
    pub yaw: f32,
}

impl Pose {
    /// The pose of a face with these landmarks; `None` where they are missing or lie on one point.
    pub fn of(landmarks: &Landmarks) -> Option<Self> {
        let five = landmarks.reduced_to(Scheme::Arcface5);
        let landmarks = five.as_ref().unwrap_or(landmarks);
        let middle = |a: Point, b: Point| Point::new((a.x + b.x) / 2.0, (a.y + b.y) / 2.0);
        let (left, right, nose) = match (landmarks.scheme, landmarks.points.as_slice()) {
            (Scheme::Arcface5, &[left, right, nose, _, _]) => (left, right, nose),
            (Scheme::Dlib5, &[right_outer, right_inner, left_outer, left_inner, nose]) => {
                (middle(left_outer, left_inner), middle(right_outer, right_inner), nose)
            }
            _ => return None,
        };
        let (dx, dy) = (right.x - left.x, right.y - left.y);
        let between = dx.hypot(dy);
        if !(between > 1e-3 && between.is_finite()) {
            return None;
        }
        let center = middle(left, right);
        let aside = ((nose.x - center.x) * dx + (nose.y - center.y) * dy) / (between * between);
        Some(Self { roll: dy.atan2(dx).to_degrees(), yaw: (aside / NOSE).atan().to_degrees() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eyes 40 pixels apart, turned by `roll` degrees, with the nose `aside` of their distance off the middle.
    fn face(roll: f32, aside: f32) -> Landmarks {
        let (sin, cos) = roll.to_radians().sin_cos();
        let at = |x: f32, y: f32| Point::new(100.0 + cos * x - sin * y, 80.0 + sin * x + cos * y);
        let points = vec![at(-20.0, 0.0), at(20.0, 0.0), at(40.0 * aside, 25.0), at(-15.0, 45.0), at(15.0, 45.0)];
        Landmarks { scheme: Scheme::Arcface5, points }
    }

    #[test]
    fn roll_is_the_slope_of_the_eyes_and_yaw_is_where_the_nose_is() {
        for roll in [-170.0f32, -40.0, 0.0, 15.0, 90.0] {
            for (aside, yaw) in [(0.0, 0.0), (0.6, 45.0), (-0.6, -45.0)] {
                let pose = Pose::of(&face(roll, aside)).unwrap();
                assert!((pose.roll - roll).abs() < 0.1 && (pose.yaw - yaw).abs() < 0.1, "{pose:?} of {roll} {yaw}");
            }
        }
    }

    #[test]
    fn dlibs_points_give_the_same_pose() {
        let [left, right, nose, ..] = *face(20.0, 0.3).points.as_slice() else { panic!() };
        let aside = |p: Point, d: f32| Point::new(p.x + d, p.y);
        let points = vec![aside(right, 5.0), aside(right, -5.0), aside(left, -5.0), aside(left, 5.0), nose];
        let (a, b) =
            (Pose::of(&face(20.0, 0.3)).unwrap(), Pose::of(&Landmarks { scheme: Scheme::Dlib5, points }).unwrap());
        assert!((a.roll - b.roll).abs() < 1e-3 && (a.yaw - b.yaw).abs() < 1e-3);
    }

    #[test]
    fn no_points_no_pose() {
        for points in [vec![], vec![Point::new(1.0, 1.0); 5], vec![Point::new(f32::NAN, 1.0); 5]] {
            assert_eq!(Pose::of(&Landmarks { scheme: Scheme::Arcface5, points }), None);
        }
    }
}
