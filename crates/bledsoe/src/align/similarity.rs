//! Fitting maps to points.

use super::Affine;
use crate::{Error, Result, geometry::Point};

/// The similarity (rotation, uniform scale, shift; no reflection) that brings `from` nearest to `to` in the sense of
/// least squares: Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991.
///
/// # Errors
/// [`Error::Invalid`] when the lists differ in length or `from` is one point.
pub fn similarity(from: &[Point], to: &[Point]) -> Result<Affine> {
    if from.len() != to.len() || from.len() < 2 {
        return Err(Error::Invalid(format!("{} landmarks cannot be fitted to {}", from.len(), to.len())));
    }
    let mean = |points: &[Point]| {
        let n = points.len() as f64;
        (points.iter().map(|p| f64::from(p.x)).sum::<f64>() / n, points.iter().map(|p| f64::from(p.y)).sum::<f64>() / n)
    };
    let ((fx, fy), (tx, ty)) = (mean(from), mean(to));
    // In the plane the optimal rotation and scale are one complex division, Umeyama's SVD in closed form.
    let (mut re, mut im, mut spread) = (0.0, 0.0, 0.0);
    for (p, q) in from.iter().zip(to) {
        let (px, py) = (f64::from(p.x) - fx, f64::from(p.y) - fy);
        let (qx, qy) = (f64::from(q.x) - tx, f64::from(q.y) - ty);
        re += px * qx + py * qy;
        im += px * qy - py * qx;
        spread += px * px + py * py;
    }
    let (a, b) = (re / spread, im / spread);
    if !(spread > 1e-9 && a.is_finite() && b.is_finite() && a.hypot(b) > 1e-9) {
        return Err(Error::Invalid("the landmarks lie on one point: no face can be aligned by them".into()));
    }
    Ok(Affine { m: [a, -b, tx - a * fx + b * fy, b, a, ty - b * fx - a * fy].map(|v| v as f32) })
}

/// The affine map that brings three points exactly onto three others.
///
/// # Errors
/// [`Error::Invalid`] when the points of `from` lie on one line.
pub fn three_point(from: &[Point; 3], to: &[Point; 3]) -> Result<Affine> {
    let basis = |p: &[Point; 3]| Affine {
        m: [p[1].x - p[0].x, p[2].x - p[0].x, p[0].x, p[1].y - p[0].y, p[2].y - p[0].y, p[0].y],
    };
    let inverse = basis(from)
        .inverse()
        .ok_or_else(|| Error::Invalid("the three landmarks lie on one line: no face can be aligned by them".into()))?;
    Ok(inverse.then(&basis(to)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(a: Point, b: Point, tolerance: f32) -> bool {
        (a.x - b.x).abs() < tolerance && (a.y - b.y).abs() < tolerance
    }

    fn points(n: usize) -> impl Strategy<Value = Vec<Point>> {
        prop::collection::vec((0f32..300.0, 0f32..300.0).prop_map(|(x, y)| Point::new(x, y)), n)
    }

    proptest! {
        #[test]
        fn recovers_a_similarity(p in points(5), angle in -3.1f32..3.1, scale in 0.1f32..5.0, x in -99f32..99.0, y in -99f32..99.0) {
            prop_assume!(p.iter().any(|q| (q.x - p[0].x).hypot(q.y - p[0].y) > 20.0));
            let (a, b) = (scale * angle.cos(), scale * angle.sin());
            let truth = Affine { m: [a, -b, x, b, a, y] };
            let to: Vec<Point> = p.iter().map(|&q| truth.apply(q)).collect();
            let found = similarity(&p, &to).unwrap();
            for &q in &p {
                prop_assert!(near(found.apply(q), truth.apply(q), 0.05));
            }
        }

        #[test]
        fn three_points_are_met_exactly_and_the_inverse_leads_back(p in points(3), q in points(3)) {
            let area = |p: &[Point]| (p[1].x - p[0].x) * (p[2].y - p[0].y) - (p[2].x - p[0].x) * (p[1].y - p[0].y);
            prop_assume!(area(&p).abs() > 500.0 && area(&q).abs() > 500.0);
            let (p, q): ([Point; 3], [Point; 3]) = (p.try_into().unwrap(), q.try_into().unwrap());
            let map = three_point(&p, &q).unwrap();
            let back = map.inverse().unwrap();
            for i in 0..3 {
                prop_assert!(near(map.apply(p[i]), q[i], 0.5));
                prop_assert!(near(back.apply(q[i]), p[i], 0.5));
            }
        }
    }

    #[test]
    fn a_mirrored_face_is_not_reflected() {
        let from = [Point::new(0.0, 0.0), Point::new(10.0, 0.0), Point::new(5.0, 8.0)];
        let to = [Point::new(10.0, 0.0), Point::new(0.0, 0.0), Point::new(5.0, 8.0)];
        let [a, b, _, d, e, _] = similarity(&from, &to).unwrap().m;
        assert!(a * e - b * d > 0.0);
    }

    #[test]
    fn degenerate_points_are_an_error() {
        let one = [Point::new(3.0, 4.0); 5];
        assert!(similarity(&one, &one).is_err());
        let line = [Point::new(0.0, 0.0), Point::new(1.0, 1.0), Point::new(2.0, 2.0)];
        assert!(three_point(&line, &line).is_err());
        assert!(similarity(&line, &one).is_err());
        assert!(similarity(&[Point::new(f32::NAN, 0.0); 2], &line[..2]).is_err());
    }
}
