//! A photo as planes of numbers, resized.

use super::Photo;
use crate::processor::for_each_processor;

/// The source pixels that one pixel of the result is a weighted mean of.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// For each of `to` pixels its share of `from` pixels: bilinear when growing; when shrinking, the triangle grows with
/// the step, so that every source pixel counts.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let step = from as f32 / to as f32;
    let reach = step.max(1.0);
    let tap = |i: usize| {
        let center = (i as f32 + 0.5) * step - 0.5;
        let first = ((center - reach).floor() as isize + 1).clamp(0, from as isize - 1) as usize;
        let last = ((center + reach).ceil() as isize - 1).clamp(first as isize, from as isize - 1) as usize;
        // At the borders the triangle is cut off; the rest is weighted up to one.
        let weight = |x: usize| (1.0 - (x as f32 - center).abs() / reach).max(0.0);
        let sum: f32 = (first..=last).map(weight).sum();
        let weights = (first..=last).map(|x| if sum > 0.0 { weight(x) / sum } else { 1.0 / (last - first + 1) as f32 });
        Taps { first, weights: weights.collect() }
    };
    (0..to).map(tap).collect()
}

for_each_processor! {
    /// Adds a row, weighted, to sums.
    fn add_row(sums: &mut [f32], row: &[u8], weight: f32) = add_weighted
}

#[inline(always)]
fn add_weighted(sums: &mut [f32], row: &[u8], weight: f32) {
    for (sum, &value) in sums.iter_mut().zip(row) {
        *sum += weight * f32::from(value);
    }
}

impl Photo {
    /// The photo shrunk so that its longer side is at most `side` pixels; as it is if it is no larger.
    pub(crate) fn thumbnail(&self, side: u32) -> Self {
        let longer = self.width.max(self.height);
        if longer <= side.max(1) {
            return self.clone();
        }
        let shrunk = |own: u32| (u64::from(own) * u64::from(side.max(1))).div_ceil(u64::from(longer)) as u32;
        let (width, height) = (shrunk(self.width), shrunk(self.height));
        let plane = width as usize * height as usize;
        let mut planes = vec![0.0; 3 * plane];
        self.write_planes(width as usize, height as usize, width as usize, &mut planes);
        let rgb = (0..plane).flat_map(|at| [0, 1, 2].map(|channel| (planes[channel * plane + at] + 0.5) as u8));
        Self { width, height, rgb: rgb.collect() }
    }

    /// Writes the photo, resized to `width` x `height` pixels, into the upper left of three planes (red, green, blue;
    /// values 0 to 255) of `stride` columns each. The rest of `planes` stays as it is.
    ///
    /// `planes` holds three planes of equal length, each of at least `height` rows; `width <= stride`.
    pub(crate) fn write_planes(&self, width: usize, height: usize, stride: usize, planes: &mut [f32]) {
        let (own_width, own_height) = (self.width as usize, self.height as usize);
        let rows = self.rgb.chunks_exact(3 * own_width);
        let plane = planes.len() / 3;
        if (width, height) == (own_width, own_height) {
            for (y, row) in rows.enumerate() {
                for (x, pixel) in row.as_chunks::<3>().0.iter().enumerate() {
                    for (channel, &value) in pixel.iter().enumerate() {
                        planes[channel * plane + y * stride + x] = f32::from(value);
                    }
                }
            }
            return;
        }
        let across = taps(own_width, width);
        let mut mixed = vec![0.0f32; 3 * own_width];
        for (y, down) in taps(own_height, height).iter().enumerate() {
            mixed.fill(0.0);
            for (row, weight) in rows.clone().skip(down.first).zip(&down.weights) {
                add_row(&mut mixed, row, *weight);
            }
            for (x, tap) in across.iter().enumerate() {
                let mut sums = [0.0f32; 3];
                for (pixel, weight) in mixed.as_chunks::<3>().0[tap.first..].iter().zip(&tap.weights) {
                    for (sum, value) in sums.iter_mut().zip(pixel) {
                        *sum += weight * value;
                    }
                }
                for (channel, sum) in sums.into_iter().enumerate() {
                    planes[channel * plane + y * stride + x] = sum;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Red is x, green is y, blue is 9.
    fn ramp(width: u32, height: u32) -> Photo {
        let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 9])).collect();
        Photo::new(width, height, rgb).unwrap()
    }

    #[test]
    fn its_own_size_is_copied_into_the_upper_left() {
        let mut planes = vec![-1.0; 3 * 5 * 4];
        ramp(3, 2).write_planes(3, 2, 5, &mut planes);
        assert_eq!(planes[..10], [0.0, 1.0, 2.0, -1.0, -1.0, 0.0, 1.0, 2.0, -1.0, -1.0]);
        assert_eq!(planes[20..25], [0.0, 0.0, 0.0, -1.0, -1.0]);
        assert_eq!(planes[40..43], [9.0, 9.0, 9.0]);
    }

    #[test]
    fn halving_means_over_neighbours() {
        let mut planes = vec![0.0; 3 * 50 * 20];
        ramp(100, 40).write_planes(50, 20, 50, &mut planes);
        // The middle of result pixel i lies between source pixels 2 i and 2 i + 1.
        assert!((planes[10 * 50 + 17] - 34.5).abs() < 1e-3, "{}", planes[10 * 50 + 17]);
        assert!((planes[1000 + 10 * 50 + 17] - 20.5).abs() < 1e-3);
        assert!((planes[2000 + 10 * 50 + 17] - 9.0).abs() < 1e-3);
    }

    proptest! {
        #[test]
        fn a_plain_photo_stays_plain(w in 1u32..40, h in 1u32..40, to_w in 1usize..90, to_h in 1usize..90) {
            let photo = Photo::new(w, h, vec![77; 3 * (w * h) as usize]).unwrap();
            let mut planes = vec![0.0; 3 * to_w * to_h];
            photo.write_planes(to_w, to_h, to_w, &mut planes);
            prop_assert!(planes.iter().all(|v| (v - 77.0).abs() < 0.01));
        }
    }
}
