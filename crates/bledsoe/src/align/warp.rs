//! Cutting a chip out of a photo.

use super::{Affine, FaceChip};
use crate::{geometry::Point, photo::Photo, processor::for_each_processor};

/// Most samples a chip's pixel takes along one side; a face 8 times the chip's size is the largest sampled in full.
const MAX_SAMPLES: i32 = 8;
/// Pixels that are worked on at once.
const LANES: usize = 16;

/// The chip of `size` pixels that `transform` maps the photo to: bilinear, black outside the photo.
///
/// Where the photo shrinks, each pixel of the chip is the mean of a grid of samples over the area that it covers, so
/// that large faces do not alias. At scales near 1 the result is that of OpenCV's `warpAffine`, within rounding.
pub fn warp(photo: &Photo, transform: &Affine, size: u32) -> FaceChip {
    let side = size as usize;
    let mut chip = FaceChip { size, rgb: vec![0; 3 * side * side], transform: *transform };
    // A map that flattens the plane shows nothing of the photo.
    let Some(back) = transform.inverse() else { return chip };
    let [a, b, _, d, e, _] = back.m;
    let reach = a.hypot(d).max(b.hypot(e));
    // 1.5: shrinking by less does not visibly alias under the bilinear filter.
    let samples = if reach <= 1.5 { 1 } else { (reach.ceil() as i32).min(MAX_SAMPLES) };
    let offsets: Vec<f32> = (0..samples).map(|i| (i as f32 + 0.5) / samples as f32 - 0.5).collect();
    let share = 1.0 / (samples * samples) as f32;
    let add = if is_inside(photo, &back, size) { add_inside } else { add_anywhere };
    let mut sums = vec![[0.0; 3]; side];
    for (y, row) in chip.rgb.chunks_exact_mut(3 * side).enumerate() {
        sums.fill([0.0; 3]);
        for (oy, ox) in offsets.iter().flat_map(|oy| offsets.iter().map(move |ox| (oy, ox))) {
            add(&mut sums, photo, &back, Point::new(*ox, y as f32 + oy));
        }
        for (pixel, sum) in row.as_chunks_mut().0.iter_mut().zip(&sums) {
            *pixel = sum.map(|s| (s * share + 0.5) as u8);
        }
    }
    chip
}

/// Whether all samples of a chip and all their neighbours are pixels of the photo.
fn is_inside(photo: &Photo, back: &Affine, size: u32) -> bool {
    let (low, high) = (-0.5, size as f32 - 0.5);
    // The last pixel has no right neighbour; a hundredth is for what rounding adds.
    let (right, bottom) = (photo.width() as f32 - 1.01, photo.height() as f32 - 1.01);
    [(low, low), (high, low), (low, high), (high, high)].into_iter().all(|(x, y)| {
        let corner = back.apply(Point::new(x, y));
        (0.01..right).contains(&corner.x) && (0.01..bottom).contains(&corner.y)
    })
}

for_each_processor! {
    /// Adds a row of samples of the photo, the first at `start` of the chip, where all their neighbours are in the photo.
    fn add_inside(sums: &mut [[f32; 3]], photo: &Photo, back: &Affine, start: Point) = add_blocks
}

#[inline(always)]
fn add_blocks(sums: &mut [[f32; 3]], photo: &Photo, back: &Affine, start: Point) {
    let (rgb, pitch) = (photo.rgb(), 3 * photo.width() as usize);
    let [a, b, c, d, e, f] = back.m;
    for (block, sums) in sums.chunks_mut(LANES).enumerate() {
        // How far to the right of and below a pixel, and where its channels begin.
        let (mut right, mut below, mut places) = ([0.0; LANES], [0.0; LANES], [0; LANES]);
        for i in 0..LANES {
            let (u, v) = ((block * LANES + i) as f32 + start.x, start.y);
            let (x, y) = (a * u + b * v + c, d * u + e * v + f);
            let (left, top) = (x as i32, y as i32);
            (right[i], below[i]) = (x - left as f32, y - top as f32);
            places[i] = top.max(0) as usize * pitch + 3 * left.max(0) as usize;
        }
        // Of this pixel and its right, lower and lower right neighbours: the channels as bytes of a number.
        let mut corners = [[0; LANES]; 4];
        for (i, &place) in places[..sums.len()].iter().enumerate() {
            for (corner, further) in corners.iter_mut().zip([0, 3, pitch, pitch + 3]) {
                corner[i] = packed(rgb, place + further);
            }
        }
        for channel in 0..3 {
            let mut values = [0.0; LANES];
            for i in 0..LANES {
                let value = |corner: usize| (corners[corner][i] >> (8 * channel) & 255) as i32 as f32;
                let (left, above) = (1.0 - right[i], 1.0 - below[i]);
                values[i] = left * above * value(0)
                    + right[i] * above * value(1)
                    + left * below[i] * value(2)
                    + right[i] * below[i] * value(3);
            }
            for (sum, value) in sums.iter_mut().zip(values) {
                sum[channel] += value;
            }
        }
    }
}

/// Three bytes as a number, the first the lowest.
#[inline(always)]
fn packed(rgb: &[u8], at: usize) -> u32 {
    match rgb.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(four) => u32::from_le_bytes(*four),
        // The photo's last pixel has no fourth.
        None => rgb.get(at..).map_or(0, |rest| rest.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte))),
    }
}

/// Adds a row of samples of the photo, the first at `start` of the chip.
fn add_anywhere(sums: &mut [[f32; 3]], photo: &Photo, back: &Affine, start: Point) {
    for (x, sum) in sums.iter_mut().enumerate() {
        let Point { x, y } = back.apply(Point::new(x as f32 + start.x, start.y));
        for (sum, value) in sum.iter_mut().zip(sample(photo, x, y)) {
            *sum += value;
        }
    }
}

/// The photo's value at (x, y), bilinear between pixel centres, black outside.
fn sample(photo: &Photo, x: f32, y: f32) -> [f32; 3] {
    let mut sum = [0.0; 3];
    let (left, top) = (x.floor(), y.floor());
    let (fx, fy) = (x - left, y - top);
    // Also keeps NaN and far-away coordinates out of the conversions below.
    if !(left >= -1.0 && top >= -1.0 && left < photo.width() as f32 && top < photo.height() as f32) {
        return sum;
    }
    let (left, top) = (left as i32, top as i32);
    let (width, height) = (photo.width() as i32, photo.height() as i32);
    for (dy, wy) in [(0, 1.0 - fy), (1, fy)] {
        for (dx, wx) in [(0, 1.0 - fx), (1, fx)] {
            let (px, py) = (left + dx, top + dy);
            if (0..width).contains(&px) && (0..height).contains(&py) {
                let at = 3 * (py as usize * width as usize + px as usize);
                let weight = wx * wy;
                for (s, &value) in sum.iter_mut().zip(&photo.rgb()[at..at + 3]) {
                    *s += weight * f32::from(value);
                }
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: u32, height: u32) -> Photo {
        let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 7])).collect();
        Photo::new(width, height, rgb).unwrap()
    }

    #[test]
    fn the_identity_copies() {
        let photo = gradient(20, 20);
        let chip = warp(&photo, &Affine { m: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] }, 20);
        assert_eq!(chip.rgb, photo.rgb());
    }

    #[test]
    fn shifts_are_exact_and_the_outside_is_black() {
        let chip = warp(&gradient(20, 20), &Affine { m: [1.0, 0.0, 5.0, 0.0, 1.0, -3.0] }, 20);
        assert_eq!(chip.rgb[..3], [0, 0, 0]);
        let at = 3 * (2 * 20 + 9);
        assert_eq!(chip.rgb[at..at + 3], [4, 5, 7]);
    }

    #[test]
    fn shrinking_averages() {
        // A checkerboard of single pixels is grey from afar; plain bilinear sampling would keep its extremes.
        let rgb =
            (0..200u32 * 200).flat_map(|i| [if (i % 200 + i / 200).is_multiple_of(2) { 255 } else { 0 }; 3]).collect();
        let photo = Photo::new(200, 200, rgb).unwrap();
        let chip = warp(&photo, &Affine { m: [0.25, 0.0, -0.375, 0.0, 0.25, -0.375] }, 50);
        let middle = &chip.rgb[3 * (25 * 50 + 10)..3 * (25 * 50 + 40)];
        assert!(middle.iter().all(|&v| (120..136).contains(&v)), "{middle:?}");
    }

    #[test]
    fn inside_and_at_the_border_it_is_one_picture() {
        // The same photo with a black frame: every chip of it has its neighbours.
        let photo = gradient(40, 30);
        let mut framed = vec![0; 3 * 80 * 70];
        for (y, row) in photo.rgb().chunks_exact(3 * 40).enumerate() {
            framed[3 * ((y + 20) * 80 + 20)..][..3 * 40].copy_from_slice(row);
        }
        let framed = Photo::new(80, 70, framed).unwrap();
        for (turn, scale, x) in [(0.3f32, 0.9f32, 4.0f32), (0.0, 1.0, 0.4), (-0.5, 0.5, -2.0), (0.1, 1.3, -6.3)] {
            let (cos, sin) = (scale * turn.cos(), scale * turn.sin());
            let map = Affine { m: [cos, -sin, x, sin, cos, 1.5] };
            let shifted = Affine { m: [1.0, 0.0, -20.0, 0.0, 1.0, -20.0] }.then(&map);
            let (one, other) = (warp(&photo, &map, 24), warp(&framed, &shifted, 24));
            let most = one.rgb.iter().zip(&other.rgb).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(most <= Some(1), "{turn} {scale}: {most:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_map_makes_it_panic(m: [f32; 6]) {
            let chip = warp(&gradient(9, 5), &Affine { m }, 6);
            proptest::prop_assert_eq!(chip.rgb.len(), 3 * 36);
        }
    }
}
