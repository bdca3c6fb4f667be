//! Bilinear resampling with dlib's rounding.

use super::image::Image;
use crate::processor::for_each_processor;

/// Columns of the result that are worked on at once.
const GROUP: usize = 16;
/// Source pixels that they are among: more than 16 steps of 6/5 reach over.
pub const WINDOW: usize = 32;

/// `image` resampled so that the corners' pixel centres fall together: to 5/6 of its width, or to more than its width.
/// Values are cut to whole ones, not rounded, as dlib does for colour.
pub fn resized(image: &Image, width: usize, height: usize) -> Image {
    let mut result = Image::new(width, height);
    if width == 0 {
        return result;
    }
    let columns = Columns::new(image.width(), width);
    let step = (image.height() - 1) as f64 / (height - 1).max(1) as f64;
    let (mut upper, mut lower) = (Spread::new(width), Spread::new(width));
    let mut y = -step;
    for planes in result.rows_mut() {
        y += step;
        let top = (y as usize).min(image.height() - 1);
        let below = y - top as f64;
        if lower.row == Some(top) {
            std::mem::swap(&mut upper, &mut lower);
        }
        upper.fill(image, top, &columns);
        lower.fill(image, (top + 1).min(image.height() - 1), &columns);
        let (above, below) = ((1.0 - below) as f32, below as f32);
        for (plane, out) in planes.into_iter().enumerate() {
            blend(out, &upper.planes[plane], &lower.planes[plane], &columns.right_share, (above, below));
        }
    }
    result
}

for_each_processor! {
    fn blend(out: &mut [u8], upper: &Sides, lower: &Sides, right_share: &[f32], share: (f32, f32)) = blend_row
}

#[inline(always)]
fn blend_row(out: &mut [u8], upper: &Sides, lower: &Sides, right_share: &[f32], (above, below): (f32, f32)) {
    let n = out.len();
    let (tl, tr) = (&upper.left.as_flattened()[..n], &upper.right.as_flattened()[..n]);
    let (bl, br) = (&lower.left.as_flattened()[..n], &lower.right.as_flattened()[..n]);
    let right_share = &right_share[..n];
    for i in 0..n {
        let right = right_share[i];
        let left = 1.0 - right;
        let value = above * left * f32::from(tl[i])
            + above * right * f32::from(tr[i])
            + below * left * f32::from(bl[i])
            + below * right * f32::from(br[i]);
        // SAFETY: a mean of bytes is no less than 0 and hardly more than 255. Checking it takes as long as the mean.
        out[i] = unsafe { value.to_int_unchecked::<i32>() } as u8;
    }
}

/// For each column of the result the source columns on its left and right, and how much the latter counts, 0 to 1.
struct Columns {
    groups: Vec<Group>,
    right_share: Vec<f32>,
}

/// Where the neighbours of [`GROUP`] columns are in a window of the source.
struct Group {
    first: usize,
    left: [u8; GROUP],
    right: [u8; GROUP],
}

impl Columns {
    /// dlib adds up the positions of four columns at once in f32; what it rounds away shows in the pixels.
    fn new(from: usize, to: usize) -> Self {
        let step = (from - 1) as f64 / (to - 1).max(1) as f64;
        let mut x: [f32; 4] = std::array::from_fn(|lane| (-4.0 * step + lane as f64 * step) as f32);
        let mut positions = Vec::with_capacity(to + 3);
        while positions.len() < to {
            x = x.map(|x| x + (4.0 * step) as f32);
            if x[3] as usize + 1 >= from {
                break;
            }
            positions.extend(x);
        }
        let rest = positions.len()..to;
        positions.extend(rest.map(|column| (column as f64 * step) as f32));
        positions.truncate(to);
        let last = from - 1;
        let left: Vec<usize> = positions.iter().map(|&x| (x as usize).min(last)).collect();
        let group = |left: &[usize]| {
            let first = left[0];
            let within = |column: usize| (column.min(last) - first).min(WINDOW - 1) as u8;
            let mut group = Group { first, left: [0; GROUP], right: [0; GROUP] };
            for (i, &column) in left.iter().enumerate() {
                (group.left[i], group.right[i]) = (within(column), within(column + 1));
            }
            group
        };
        Self {
            groups: left.chunks(GROUP).map(group).collect(),
            right_share: positions.iter().zip(&left).map(|(&x, &l)| x - l as f32).collect(),
        }
    }
}

/// A source row, spread to the columns of the result.
struct Spread {
    row: Option<usize>,
    planes: [Sides; 3],
}

/// The left and the right neighbours of each column of the result.
#[derive(Clone)]
struct Sides {
    left: Vec<[u8; GROUP]>,
    right: Vec<[u8; GROUP]>,
}

impl Spread {
    fn new(width: usize) -> Self {
        let side = || vec![[0; GROUP]; width.div_ceil(GROUP)];
        Self { row: None, planes: std::array::from_fn(|_| Sides { left: side(), right: side() }) }
    }

    fn fill(&mut self, image: &Image, y: usize, columns: &Columns) {
        if self.row == Some(y) {
            return;
        }
        self.row = Some(y);
        for (plane, sides) in self.planes.iter_mut().enumerate() {
            spread(image.onwards(y, plane), &columns.groups, sides);
        }
    }
}

/// Picks each group's neighbours out of the source row.
fn spread(source: &[u8], groups: &[Group], sides: &mut Sides) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("ssse3") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { spread_ssse3(source, groups, sides) };
    }
    for (group, (left, right)) in groups.iter().zip(sides.left.iter_mut().zip(&mut sides.right)) {
        let window = &source[group.first..][..WINDOW];
        *left = group.left.map(|i| window[usize::from(i)]);
        *right = group.right.map(|i| window[usize::from(i)]);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "ssse3")]
fn spread_ssse3(source: &[u8], groups: &[Group], sides: &mut Sides) {
    use std::arch::x86_64::{__m128i, _mm_add_epi8, _mm_loadu_si128, _mm_or_si128, _mm_set1_epi8, _mm_shuffle_epi8};
    use std::arch::x86_64::{_mm_storeu_si128, _mm_sub_epi8};
    // SAFETY: 16 bytes are there.
    let load = |bytes: &[u8; GROUP]| unsafe { _mm_loadu_si128(bytes.as_ptr().cast::<__m128i>()) };
    for (group, (left, right)) in groups.iter().zip(sides.left.iter_mut().zip(&mut sides.right)) {
        let Some(window) = source[group.first..].first_chunk::<WINDOW>() else { return };
        let halves = window.as_chunks::<GROUP>().0;
        let (low, high) = (load(&halves[0]), load(&halves[1]));
        for (index, out) in [(&group.left, left), (&group.right, right)] {
            let index = load(index);
            // A shuffle gives zero for an index with its highest bit set: 16 to 31 in the lower half, 0 to 15 in the upper.
            let from_low = _mm_shuffle_epi8(low, _mm_add_epi8(index, _mm_set1_epi8(0x70)));
            let from_high = _mm_shuffle_epi8(high, _mm_sub_epi8(index, _mm_set1_epi8(16)));
            // SAFETY: there is room for 16 bytes.
            unsafe { _mm_storeu_si128(out.as_mut_ptr().cast::<__m128i>(), _mm_or_si128(from_low, from_high)) };
        }
    }
}
