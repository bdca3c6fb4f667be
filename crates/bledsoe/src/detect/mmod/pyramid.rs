//! dlib's tiled image pyramid: all levels of a photo in one canvas, so that a network sees them in one run.

use crate::{geometry::Rect, photo::Photo};

/// A level is 5/6 of the one before.
const SHRINK: f64 = 5.0 / 6.0;
/// Where a level's pixel centres stand in the one before, in its pixels.
const SHIFT: f64 = 0.3;
/// The same for a photo before and after doubling, right and down.
const DOUBLE_SHIFT: (f64, f64) = (1.25, 0.75);
/// The pyramid ends before levels of fewer rows.
const LEAST_ROWS: usize = 5;

/// Where a level lies in the canvas.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Level {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

/// How the levels of photos of one size lie in a canvas.
#[derive(Debug, PartialEq)]
pub struct Tiling {
    /// Of the canvas, in pixels.
    pub width: usize,
    /// Of the canvas, in pixels.
    pub height: usize,
    /// From the largest to the smallest.
    levels: Vec<Level>,
}

impl Tiling {
    /// For photos of `width` x `height` pixels, with `padding` pixels between the levels and `outer` around them.
    ///
    /// The levels stand one above the other until what is left fits beside them; from there they go up again, along
    /// the right edge, as long as they do not touch the first. In photos narrower than 60 pixels they may lie over each
    /// other, in dlib as here.
    pub fn new(width: usize, height: usize, padding: usize, outer: usize) -> Self {
        let sizes = sizes(width, height);
        // dlib counts in unsigned numbers that wrap around, which decides where tiny photos turn.
        let n = |value: usize| value as u64;
        let total = sizes.iter().fold(0u64, |sum, s| sum.wrapping_add(n(s.1 + padding))).wrapping_sub(2 * n(padding));
        let (mut column, mut above) = (0u64, 0u64);
        for (w, h) in &sizes {
            let beside = n(*w) <= n(width).wrapping_sub(above).wrapping_sub(n(padding));
            let half = column.wrapping_sub(n(height)).wrapping_mul(2) >= total.wrapping_sub(n(height));
            if beside && half && column > 0 {
                break;
            }
            column += n(h + padding);
            above = n(*w);
        }
        let bottom = (column as usize).saturating_sub(padding) + outer;
        let mut levels: Vec<Level> = Vec::with_capacity(sizes.len());
        let mut sizes = sizes.into_iter().peekable();
        let mut y = outer;
        while let Some((width, height)) = sizes.next_if(|_| y < bottom) {
            levels.push(Level { left: outer, top: y, width, height });
            y += height + padding;
        }
        // The row below the next level.
        let mut end = y.saturating_sub(padding);
        for (w, h) in sizes {
            let (left, top) = ((outer + width).checked_sub(w), end.checked_sub(h));
            let (Some(left), Some(top)) = (left, top) else { break };
            if top < outer + height {
                break;
            }
            levels.push(Level { left, top, width: w, height: h });
            let Some(next) = top.checked_sub(padding) else { break };
            end = next;
        }
        Self { width: width + 2 * outer, height: bottom + outer, levels }
    }

    /// The canvas of a photo, after doubling it `upsample` times: planes of `(pixel - mean) / 256`, zero between the
    /// levels.
    pub fn fill(&self, photo: &Photo, upsample: u32, mean: [f32; 3], canvas: &mut [f32]) {
        let Some(first) = self.levels.first() else { return };
        let (width, height) = (photo.width() as usize, photo.height() as usize);
        let area = self.width * self.height;
        for (channel, (plane, mean)) in canvas.chunks_exact_mut(area).zip(mean).enumerate() {
            let pixels = photo.rgb().iter().skip(channel).step_by(3);
            let mut image: Vec<f32> = pixels.map(|&v| (f32::from(v) - mean) / 256.0).collect();
            let (mut w, mut h) = (width, height);
            for _ in 0..upsample {
                let (to_w, to_h) = doubled(w, h);
                let mut larger = vec![0.0; to_w * to_h];
                resize((&image, w), (w, h), (&mut larger, to_w), (to_w, to_h));
                (image, w, h) = (larger, to_w, to_h);
            }
            for (row, from) in image.chunks_exact(w).enumerate() {
                let at = (first.top + row) * self.width + first.left;
                plane[at..at + w].copy_from_slice(from);
            }
            let mut above = *first;
            for &level in &self.levels[1..] {
                let mut smaller = vec![0.0; level.width * level.height];
                let from = &plane[above.top * self.width + above.left..];
                let size = (level.width, level.height);
                resize((from, self.width), (above.width, above.height), (&mut smaller, level.width), size);
                for (row, from) in smaller.chunks_exact(level.width).enumerate() {
                    let at = (level.top + row) * self.width + level.left;
                    plane[at..at + level.width].copy_from_slice(from);
                }
                above = level;
            }
        }
    }

    /// A window of `width` x `height` pixels around (x, y) of the canvas, in the pixels of the photo that the first
    /// level shows; whole pixels, the edges included.
    pub fn window(&self, x: usize, y: usize, width: u32, height: u32) -> Rect {
        let (number, level) = self.nearest(x, y);
        let up = |center: usize, from: usize, half: f64| {
            let edge = center as f64 + half - from as f64;
            (0..number).fold(edge, |x, _| x / SHRINK + SHIFT)
        };
        let (w, h) = (f64::from(width - 1) / 2.0, f64::from(height - 1) / 2.0);
        Rect {
            left: round(up(x, level.left, -w)),
            top: round(up(y, level.top, -h)),
            right: round(up(x, level.left, w)),
            bottom: round(up(y, level.top, h)),
        }
    }

    /// The level that holds the point, or is nearest to it.
    fn nearest(&self, x: usize, y: usize) -> (usize, Level) {
        let gap = |p: usize, from: usize, length: usize| p.max(from).min(from + length - 1).abs_diff(p);
        let distance = |level: &Level| {
            let (dx, dy) = (gap(x, level.left, level.width), gap(y, level.top, level.height));
            dx * dx + dy * dy
        };
        let nearest = self.levels.iter().copied().enumerate().min_by_key(|(_, level)| distance(level));
        nearest.unwrap_or((0, Level { left: 0, top: 0, width: self.width, height: self.height }))
    }
}

/// Width and height of each level.
fn sizes(width: usize, height: usize) -> Vec<(usize, usize)> {
    let smaller = |n: usize| (SHRINK * n as f64).floor() as usize;
    let next = |&(w, h): &(usize, usize)| Some((smaller(w), smaller(h))).filter(|&(w, h)| w > 0 && h >= LEAST_ROWS);
    std::iter::successors(Some((width, height)), next).collect()
}

/// Width and height of a photo after doubling, which dlib pads by a pixel or two.
pub fn doubled(width: usize, height: usize) -> (usize, usize) {
    (2 * width + 2, 2 * height + 1)
}

/// A box of a photo doubled `times` times, in the pixels of the photo.
pub fn undoubled(rect: Rect, times: u32) -> Rect {
    let down = |x: f32, shift: f64| round((0..times).fold(f64::from(x), |x, _| x / 2.0 - shift));
    let (right, below) = DOUBLE_SHIFT;
    Rect {
        left: down(rect.left, right),
        top: down(rect.top, below),
        right: down(rect.right, right),
        bottom: down(rect.bottom, below),
    }
}

fn round(x: f64) -> f32 {
    (x + 0.5).floor() as f32
}

/// Bilinear, so that the corners' pixel centres fall together. Images are given with the length of their rows.
fn resize(from: (&[f32], usize), from_size: (usize, usize), to: (&mut [f32], usize), to_size: (usize, usize)) {
    let ((from, from_row), (to, to_row)) = (from, to);
    let step = |from: usize, to: usize| (from - 1) as f32 / (to - 1).max(1) as f32;
    let place = |i: usize, step: f32, length: usize| {
        let x = i as f32 * step;
        let first = (x as usize).min(length - 1);
        (first, (first + 1).min(length - 1), x - first as f32)
    };
    let (across, down) = (step(from_size.0, to_size.0), step(from_size.1, to_size.1));
    let columns: Vec<_> = (0..to_size.0).map(|x| place(x, across, from_size.0)).collect();
    for (y, out) in to.chunks_mut(to_row).take(to_size.1).enumerate() {
        let (top, bottom, low) = place(y, down, from_size.1);
        let (top, bottom) = (&from[top * from_row..][..from_size.0], &from[bottom * from_row..][..from_size.0]);
        for (value, &(left, right, far)) in out.iter_mut().zip(&columns) {
            let upper = (1.0 - far) * top[left] + far * top[right];
            let lower = (1.0 - far) * bottom[left] + far * bottom[right];
            *value = (1.0 - low) * upper + low * lower;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Levels of narrower photos may lie over each other.
    const APART: usize = 60;

    proptest! {
        #[test]
        fn levels_lie_in_the_canvas_and_apart(width in APART..700, height in 1usize..700) {
            let tiling = Tiling::new(width, height, 10, 11);
            prop_assert_eq!(tiling.levels[0], Level { left: 11, top: 11, width, height });
            for (i, a) in tiling.levels.iter().enumerate() {
                prop_assert!(a.left + a.width <= tiling.width && a.top + a.height <= tiling.height, "{:?}", tiling);
                for b in &tiling.levels[i + 1..] {
                    let beside = a.left + a.width <= b.left || b.left + b.width <= a.left;
                    let stacked = a.top + a.height <= b.top || b.top + b.height <= a.top;
                    prop_assert!(beside || stacked, "{:?}", tiling);
                }
            }
        }

        #[test]
        fn any_size_fills_its_canvas(width in 1u32..90, height in 1u32..80, upsample in 0u32..3) {
            let photo = Photo::new(width, height, vec![200; 3 * (width * height) as usize]).unwrap();
            let (w, h) = (0..upsample).fold((width as usize, height as usize), |(w, h), _| doubled(w, h));
            let tiling = Tiling::new(w, h, 10, 11);
            let mut canvas = vec![0.0; 3 * tiling.width * tiling.height];
            tiling.fill(&photo, upsample, [72.0; 3], &mut canvas);
            let filled = canvas.iter().filter(|&&v| (v - 0.5).abs() < 1e-6).count();
            prop_assert!(canvas.iter().all(|&v| v == 0.0 || (v - 0.5).abs() < 1e-6));
            if w < APART {
                return Ok(());
            }
            prop_assert_eq!(filled, 3 * tiling.levels.iter().map(|l| l.width * l.height).sum::<usize>());
        }
    }

    #[test]
    fn a_window_of_the_second_level_is_larger_in_the_photo() {
        let tiling = Tiling::new(250, 250, 10, 11);
        let rect = tiling.window(11 + 100, 11 + 100, 81, 81);
        assert_eq!(rect, Rect { left: 60.0, top: 60.0, right: 140.0, bottom: 140.0 });
        let second = tiling.levels[1];
        let rect = tiling.window(second.left + 100, second.top + 100, 81, 81);
        // 60 * 1.2 + 0.3 and 140 * 1.2 + 0.3, rounded.
        assert_eq!(rect, Rect { left: 72.0, top: 72.0, right: 168.0, bottom: 168.0 });
    }
}
