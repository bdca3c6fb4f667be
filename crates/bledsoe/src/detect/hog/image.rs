//! A level of the pyramid, and bilinear resampling with dlib's rounding.

use crate::photo::Photo;

/// An image of 8 bits; each row is its red, its green and its blue plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl From<&Photo> for Image {
    fn from(photo: &Photo) -> Self {
        let (width, height) = (photo.width() as usize, photo.height() as usize);
        let mut data = vec![0; 3 * width * height];
        for (planes, pixels) in data.chunks_exact_mut(3 * width).zip(photo.rgb().chunks_exact(3 * width)) {
            let (red, rest) = planes.split_at_mut(width);
            let (green, blue) = rest.split_at_mut(width);
            for (((r, g), b), pixel) in red.iter_mut().zip(green).zip(blue).zip(pixels.as_chunks::<3>().0) {
                [*r, *g, *b] = *pixel;
            }
        }
        Self { width, height, data }
    }
}

impl Image {
    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The three planes of a row.
    pub fn row(&self, y: usize) -> [&[u8]; 3] {
        let row = &self.data[3 * self.width * y..][..3 * self.width];
        let (red, rest) = row.split_at(self.width);
        let (green, blue) = rest.split_at(self.width);
        [red, green, blue]
    }

    /// Resampled so that the corners' pixel centres fall together. Values are cut to whole ones, not rounded, as dlib
    /// does for colour.
    pub fn resized(&self, width: usize, height: usize) -> Self {
        let mut data = vec![0; 3 * width * height];
        if data.is_empty() {
            return Self { width, height, data };
        }
        let columns = Columns::new(self.width, width);
        let step = (self.height - 1) as f64 / (height - 1).max(1) as f64;
        let (mut upper, mut lower) = (Spread::new(3 * width), Spread::new(3 * width));
        let mut y = -step;
        for row in data.chunks_exact_mut(3 * width) {
            y += step;
            let top = (y as usize).min(self.height - 1);
            let below = y - top as f64;
            if lower.row == Some(top) {
                std::mem::swap(&mut upper, &mut lower);
            }
            upper.fill(self, top, &columns);
            lower.fill(self, (top + 1).min(self.height - 1), &columns);
            let (above, below) = ((1.0 - below) as f32, below as f32);
            for plane in 0..3 {
                let part = plane * width..(plane + 1) * width;
                blend(
                    &mut row[part.clone()],
                    [&upper.left[part.clone()], &upper.right[part.clone()]],
                    [&lower.left[part.clone()], &lower.right[part]],
                    &columns.right_share,
                    (above, below),
                );
            }
        }
        Self { width, height, data }
    }
}

fn blend(out: &mut [u8], upper: [&[f32]; 2], lower: [&[f32]; 2], right_share: &[f32], (above, below): (f32, f32)) {
    let n = out.len();
    let ([tl, tr], [bl, br]) = (upper.map(|v| &v[..n]), lower.map(|v| &v[..n]));
    let right_share = &right_share[..n];
    for i in 0..n {
        let right = right_share[i];
        let left = 1.0 - right;
        let value = above * left * tl[i] + above * right * tr[i] + below * left * bl[i] + below * right * br[i];
        out[i] = value as u8;
    }
}

/// For each column of the result, the source column on its left and how much the next one counts, 0 to 1.
struct Columns {
    left: Vec<usize>,
    right: Vec<usize>,
    right_share: Vec<f32>,
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
        Self {
            right: left.iter().map(|&l| (l + 1).min(last)).collect(),
            right_share: positions.iter().zip(&left).map(|(&x, &l)| x - l as f32).collect(),
            left,
        }
    }
}

/// A source row, spread to the columns of the result.
struct Spread {
    row: Option<usize>,
    left: Vec<f32>,
    right: Vec<f32>,
}

impl Spread {
    fn new(length: usize) -> Self {
        Self { row: None, left: vec![0.0; length], right: vec![0.0; length] }
    }

    fn fill(&mut self, image: &Image, y: usize, columns: &Columns) {
        if self.row == Some(y) {
            return;
        }
        self.row = Some(y);
        let width = columns.left.len();
        let planes = self.left.chunks_exact_mut(width).zip(self.right.chunks_exact_mut(width));
        for (plane, (left, right)) in image.row(y).into_iter().zip(planes) {
            let sources = columns.left.iter().zip(&columns.right);
            for ((l, r), (&a, &b)) in left.iter_mut().zip(right).zip(sources) {
                (*l, *r) = (f32::from(plane[a]), f32::from(plane[b]));
            }
        }
    }
}
