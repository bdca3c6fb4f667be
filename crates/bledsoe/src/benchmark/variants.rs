//! A face on another day: more pairs of one person where there are few photos.

use crate::{Result, geometry::Point, landmark::Landmarks, photo::Photo};

/// Blurring reaches this share of the face's spread to each side: about what a face 40 pixels wide looks like, enlarged.
const BLUR: f32 = 0.15;

/// The photo as it is, darker, blurred and in warmer light, and with landmarks a little turned, shifted and enlarged.
///
/// All is in proportion to the face, not to a chip: else templates that show more or less around the face would be favoured.
/// Not mirrored: flip averaging would be.
///
/// # Errors
/// Never for a photo of its own size.
pub(super) fn variants(photo: &Photo, landmarks: &Landmarks) -> Result<Vec<(Photo, Landmarks)>> {
    let (width, height) = (photo.width(), photo.height());
    let shaded = |factors: [f32; 3]| {
        let shade = |(&v, f): (&u8, &f32)| (f32::from(v) * f).min(255.0) as u8;
        Photo::new(width, height, photo.rgb().iter().zip(factors.iter().cycle()).map(shade).collect())
    };
    let (center, spread) = place(&landmarks.points);
    let reach = ((BLUR * spread).round() as usize).max(1);
    let blurred = Photo::new(width, height, blurred(photo.rgb(), width as usize, height as usize, reach))?;
    let (sin, cos) = (8f32.to_radians().sin() * 0.95, 8f32.to_radians().cos() * 0.95);
    let turn = |p: &Point| {
        let (x, y) = (p.x - center.x, p.y - center.y);
        let (right, down) = (center.x + 0.07 * spread, center.y - 0.07 * spread);
        Point::new(right + cos * x - sin * y, down + sin * x + cos * y)
    };
    let turned = Landmarks { scheme: landmarks.scheme, points: landmarks.points.iter().map(turn).collect() };
    Ok(vec![
        (photo.clone(), landmarks.clone()),
        (shaded([0.5; 3])?, landmarks.clone()),
        (blurred, landmarks.clone()),
        (shaded([1.15, 1.0, 0.75])?, landmarks.clone()),
        (photo.clone(), turned),
    ])
}

/// The mean of points, and their root mean square distance from it.
fn place(points: &[Point]) -> (Point, f32) {
    let n = points.len().max(1) as f32;
    let center = Point::new(points.iter().map(|p| p.x).sum::<f32>() / n, points.iter().map(|p| p.y).sum::<f32>() / n);
    let squares = points.iter().map(|p| (p.x - center.x).powi(2) + (p.y - center.y).powi(2));
    (center, (squares.sum::<f32>() / n).sqrt())
}

/// The mean of the pixels up to `reach` away, across and down.
fn blurred(rgb: &[u8], width: usize, height: usize, reach: usize) -> Vec<u8> {
    let pass = |rgb: &[u8], step: usize, length: usize| -> Vec<u8> {
        let mean = |i: usize| {
            let at = i / step % length;
            let (from, to) = (at.saturating_sub(reach), (at + reach).min(length - 1));
            let first = i - step * at;
            let sum: usize = (from..=to).map(|k| usize::from(rgb[first + step * k])).sum();
            (sum / (to - from + 1)) as u8
        };
        (0..rgb.len()).map(mean).collect()
    };
    pass(&pass(rgb, 3, width), 3 * width, height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landmark::Scheme;

    #[test]
    fn variants_are_the_same_face_on_another_day() {
        let (width, height) = (60u32, 50u32);
        let rgb = (0..width * height).flat_map(|i| [(i % width * 4) as u8, (i / width * 4) as u8, 100]).collect();
        let photo = Photo::new(width, height, rgb).unwrap();
        let points = [[20.0, 20.0], [40.0, 20.0], [30.0, 30.0], [22.0, 40.0], [38.0, 40.0]];
        let landmarks =
            Landmarks { scheme: Scheme::Arcface5, points: points.iter().map(|p| Point::new(p[0], p[1])).collect() };
        let variants = variants(&photo, &landmarks).unwrap();
        assert_eq!((variants.len(), &variants[0]), (5, &(photo, landmarks.clone())));
        let pixel = |variant: usize, x: usize, y: usize| -> [u8; 3] {
            std::array::from_fn(|c| variants[variant].0.rgb()[3 * (y * 60 + x) + c])
        };
        assert_eq!(pixel(1, 20, 10), [40, 20, 50]);
        // A ramp stays a ramp inside; the spread of 12.7 makes a reach of 2.
        assert_eq!(pixel(2, 20, 10), [80, 40, 100]);
        assert_eq!(pixel(2, 0, 10), [4, 40, 100]);
        assert_eq!(pixel(2, 20, 0), [80, 4, 100]);
        assert_eq!(pixel(3, 20, 10), [92, 40, 75]);
        let (center, spread) = place(&landmarks.points);
        let (moved, smaller) = place(&variants[4].1.points);
        assert!((smaller / spread - 0.95).abs() < 1e-4);
        assert!((moved.x - center.x - 0.07 * spread).abs() < 1e-3 && (moved.y - center.y + 0.07 * spread).abs() < 1e-3);
    }
}
