//! Fingerprints of pictures: near alike for the same picture re-encoded, resized or cropped a little.

use serde::{Deserialize, Serialize};

use crate::{
    align::{Affine, Template, warp},
    geometry::Point,
    landmark::Landmarks,
    photo::{Photo, luma},
};

/// Columns and rows of a whole picture's hash.
const HASH_SIDE: usize = 16;

/// Pictures flatter than this (mean difference of neighbouring cells, of 255) have no hash: it would be noise.
const LEAST_CONTRAST: f32 = 1.0;

/// The difference hash of a whole picture: 256 bits, one for each pair of neighbours in a row of 17 x 16 cells: is the
/// left one darker? (N. Krawetz, "Kind of like that", 2013.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureHash([u64; 4]);

impl PictureHash {
    /// Hashes of one picture are at most this far apart.
    pub const SAME: f32 = 0.08;

    /// The hash, or `None` for a picture without contrast.
    pub fn of(photo: &Photo) -> Option<Self> {
        let (columns, rows) = (HASH_SIDE + 1, HASH_SIDE);
        let mut planes = vec![0.0; 3 * columns * rows];
        photo.write_planes(columns, rows, columns, &mut planes);
        let (red, rest) = planes.split_at(columns * rows);
        let (green, blue) = rest.split_at(columns * rows);
        let grey: Vec<f32> = red.iter().zip(green).zip(blue).map(|((r, g), b)| luma(*r, *g, *b)).collect();
        let (mut bits, mut contrast) = ([0u64; 4], 0.0);
        for (y, row) in grey.chunks_exact(columns).enumerate() {
            for (x, pair) in row.windows(2).enumerate() {
                let at = y * HASH_SIDE + x;
                bits[at / 64] |= u64::from(pair[0] < pair[1]) << (at % 64);
                contrast += (pair[0] - pair[1]).abs();
            }
        }
        (contrast / (HASH_SIDE * HASH_SIDE) as f32 >= LEAST_CONTRAST).then_some(Self(bits))
    }

    /// The share of bits that differ, 0 to 1; about 0.5 for unrelated pictures.
    pub fn distance(&self, other: &Self) -> f32 {
        let differing: u32 = self.0.iter().zip(&other.0).map(|(a, b)| (a ^ b).count_ones()).sum();
        differing as f32 / 256.0
    }
}

/// Columns and rows of a fingerprint.
const SIDE: usize = 24;

/// How much of a fingerprint's side a chip's side takes: the rest is what surrounds the face.
const FACE_SHARE: f32 = 0.45;

/// Fewest cells that two fingerprints must have in common: a quarter.
const LEAST_COMMON: usize = SIDE * SIDE / 4;

/// A small grey picture of a face with its surroundings, laid by the face's landmarks: cropping, resizing and rotating
/// the photo do not move it. 0 marks a cell outside the photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(Box<[u8]>);

impl Fingerprint {
    /// The fingerprint by `landmarks` brought to the places of `template`; `None` where they do not fit it.
    pub fn of(photo: &Photo, landmarks: &Landmarks, template: &Template) -> Option<Self> {
        let inner = SIDE as f32 * FACE_SHARE;
        let shift = (SIDE as f32 - 1.0) / 2.0 * (1.0 - FACE_SHARE);
        let fit = template.fit(landmarks, SIDE as u32).ok()?;
        let scale = inner / SIDE as f32;
        let map = fit.then(&Affine { m: [scale, 0.0, shift, 0.0, scale, shift] });
        let back = map.inverse()?;
        let picture = warp(photo, &map, SIDE as u32);
        let (width, height) = (photo.width() as f32, photo.height() as f32);
        // Half of what a cell covers: one that reaches over the edge is mixed with the black outside.
        let (reach_x, reach_y) = ((back.m[0].abs() + back.m[1].abs()) / 2.0, (back.m[3].abs() + back.m[4].abs()) / 2.0);
        let mut cells = Vec::with_capacity(SIDE * SIDE);
        for (at, pixel) in picture.rgb.as_chunks::<3>().0.iter().enumerate() {
            let place = back.apply(Point::new((at % SIDE) as f32, (at / SIDE) as f32));
            let inside = place.x >= reach_x
                && place.y >= reach_y
                && place.x <= width - 1.0 - reach_x
                && place.y <= height - 1.0 - reach_y;
            let [r, g, b] = pixel.map(f32::from);
            cells.push(if inside { luma(r, g, b).round().clamp(1.0, 255.0) as u8 } else { 0 });
        }
        Some(Self(cells.into()))
    }

    /// The correlation of the cells that both have, -1 to 1; 0 where they share too few or one is flat.
    pub fn agreement(&self, other: &Self) -> f32 {
        let (mut n, mut a, mut b, mut aa, mut bb, mut ab) = (0usize, 0u64, 0u64, 0u64, 0u64, 0u64);
        for (&x, &y) in self.0.iter().zip(&other.0) {
            if x > 0 && y > 0 {
                let (x, y) = (u64::from(x), u64::from(y));
                n += 1;
                a += x;
                b += y;
                aa += x * x;
                bb += y * y;
                ab += x * y;
            }
        }
        if n < LEAST_COMMON {
            return 0.0;
        }
        let n = n as f64;
        let (a, b) = (a as f64 / n, b as f64 / n);
        let (va, vb) = (aa as f64 / n - a * a, bb as f64 / n - b * b);
        if va < 1.0 || vb < 1.0 {
            return 0.0;
        }
        ((ab as f64 / n - a * b) / (va * vb).sqrt()) as f32
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{landmark::Scheme, model::Registry};

    /// A picture of waves, other ones for each seed, seen through a window: `scale` pixels a unit, from `left`, `top`.
    pub(crate) fn picture(seed: u64, scale: f32, left: f32, top: f32, width: u32, height: u32) -> Photo {
        let mut random = fastrand::Rng::with_seed(seed);
        let waves: Vec<[f32; 4]> = (0..12)
            .map(|_| [random.f32() * 0.12, random.f32() * 0.12 - 0.06, random.f32() * 6.3, random.f32()])
            .collect();
        let grey = |x: f32, y: f32| -> f32 {
            waves.iter().map(|[a, b, phase, height]| height * (a * x + b * y + phase).sin()).sum()
        };
        let rgb = (0..height).flat_map(|y| {
            let grey = &grey;
            (0..width).flat_map(move |x| {
                let value = 128.0 + 20.0 * grey(left + x as f32 / scale, top + y as f32 / scale);
                [value.clamp(0.0, 255.0) as u8; 3]
            })
        });
        Photo::new(width, height, rgb.collect()).unwrap()
    }

    /// Points of a face in the middle of a picture of 250 units, seen through the same window.
    fn landmarks(scale: f32, left: f32, top: f32) -> Landmarks {
        let points = [[105.0, 110.0], [145.0, 110.0], [125.0, 132.0], [108.0, 155.0], [142.0, 155.0]];
        let points = points.iter().map(|[x, y]| Point::new((x - left) * scale, (y - top) * scale));
        Landmarks { scheme: Scheme::Arcface5, points: points.collect() }
    }

    fn fingerprint(seed: u64, scale: f32, left: f32, top: f32, side: u32) -> Fingerprint {
        let template = Registry::embedded().unwrap().template("arcface").unwrap();
        Fingerprint::of(&picture(seed, scale, left, top, side, side), &landmarks(scale, left, top), template).unwrap()
    }

    #[test]
    fn resizing_and_cropping_do_not_change_a_fingerprint() {
        let whole = fingerprint(1, 1.0, 0.0, 0.0, 250);
        for (scale, left, top, side) in [(0.6, 0.0, 0.0, 150), (1.0, 12.0, 7.0, 230), (2.0, 5.0, 9.0, 460)] {
            let other = fingerprint(1, scale, left, top, side);
            assert!(whole.agreement(&other) > 0.99, "{} at {scale}, {left}", whole.agreement(&other));
        }
        for seed in 2..30 {
            assert!(whole.agreement(&fingerprint(seed, 1.0, 0.0, 0.0, 250)) < 0.9);
        }
    }

    #[test]
    fn hashes_of_resized_pictures_are_near_and_of_others_far() {
        let whole = PictureHash::of(&picture(1, 1.0, 0.0, 0.0, 250, 250)).unwrap();
        let small = PictureHash::of(&picture(1, 0.4, 0.0, 0.0, 100, 100)).unwrap();
        assert!(whole.distance(&small) < 0.05);
        assert_eq!(whole.distance(&whole), 0.0);
        for seed in 2..30 {
            let other = PictureHash::of(&picture(seed, 1.0, 0.0, 0.0, 250, 250)).unwrap();
            assert!(whole.distance(&other) > 0.15, "{}", whole.distance(&other));
        }
        assert_eq!(PictureHash::of(&Photo::new(50, 40, vec![77; 6000]).unwrap()), None);
    }

    #[test]
    fn flat_or_disjoint_fingerprints_do_not_agree() {
        let flat = Fingerprint(vec![9; SIDE * SIDE].into());
        let outside = Fingerprint(vec![0; SIDE * SIDE].into());
        for other in [&flat, &outside] {
            assert_eq!(fingerprint(1, 1.0, 0.0, 0.0, 250).agreement(other), 0.0);
        }
    }
}
