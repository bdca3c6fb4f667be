//! One layer of a network, computed some rows at a time.

use super::{
    activation::Activation,
    arithmetic::{Arithmetic, LANES},
    convolution::Convolution,
    depthwise::Depthwise,
    map::{Map, Shape},
    pool::Pool,
    window::Window,
};

/// What a layer does with one map, or several.
pub(super) enum Layer<A: Arithmetic> {
    Convolution(Convolution<A>),
    Depthwise(Depthwise),
    Pool(Pool),
    /// The mean of all pixels.
    GlobalAverage,
    /// Each pixel so many times in both directions.
    Enlarge(usize),
    /// Each pixel becomes 2 x 2, of so many channels: the end of a transposed convolution.
    Spread(usize),
    Add,
    Concat,
    /// So many more channels, and rows and columns behind the others: zeros.
    Extend {
        channels: usize,
        sides: [usize; 2],
    },
    Activation(Activation),
    Sigmoid,
    /// Of the channels of each pixel.
    Softmax,
}

/// What there is to compute: rows of a layer's output.
pub(super) struct Rows<'a> {
    pub inputs: &'a [Map<'a>],
    /// The whole output's shape.
    pub shape: Shape,
    /// The first row, counted through all pictures.
    pub first: usize,
    /// Whole rows.
    pub out: &'a mut [f32],
}

impl<A: Arithmetic> Layer<A> {
    /// The shape of what it makes of `inputs`; `None` if they do not suit it.
    pub fn shape(&self, inputs: &[Shape]) -> Option<Shape> {
        let &first = inputs.first()?;
        let alike = |a: &Shape| (a.items, a.height, a.width) == (first.items, first.height, first.width);
        if !inputs.iter().all(alike) && !matches!(self, Self::Convolution(_)) {
            return None;
        }
        match self {
            Self::Convolution(convolution) => {
                let made = convolution.window.shape(first, convolution.outputs())?;
                (first.channels == convolution.inputs() && inputs.get(1).is_none_or(|&added| added == made))
                    .then_some(made)
            }
            Self::Depthwise(depthwise) => {
                (first.channels == depthwise.channels()).then(|| depthwise.window.shape(first, first.channels))?
            }
            Self::Pool(pool) => pool.window.shape(first, first.channels),
            Self::GlobalAverage => Some(Shape::new(first.items, [1, 1], first.channels)),
            Self::Enlarge(times) => {
                Some(Shape::new(first.items, [first.height * times, first.width * times], first.channels))
            }
            Self::Spread(channels) => Some(Shape::new(first.items, [first.height * 2, first.width * 2], *channels)),
            Self::Add => inputs.iter().all(|input| *input == first).then_some(first),
            Self::Concat => Some(first.with_channels(inputs.iter().map(|input| input.channels).sum())),
            Self::Extend { channels, sides: [height, width] } => {
                let sides = [first.height + height, first.width + width];
                Some(Shape::new(first.items, sides, first.channels + channels))
            }
            Self::Activation(activation) => activation.suits(first.channels).then_some(first),
            Self::Sigmoid | Self::Softmax => Some(first),
        }
    }

    /// The window through which it reads its first input; `None` for those that need more than a few rows of it.
    pub fn window(&self) -> Option<Window> {
        match self {
            Self::Convolution(convolution) => Some(convolution.window),
            Self::Depthwise(depthwise) => Some(depthwise.window),
            Self::Pool(pool) => Some(pool.window),
            Self::Add | Self::Concat | Self::Activation(_) | Self::Sigmoid | Self::Softmax => Some(Window::PIXEL),
            Self::GlobalAverage | Self::Enlarge(_) | Self::Spread(_) | Self::Extend { .. } => None,
        }
    }

    /// Computes `rows`; the inputs have shapes that [`Self::shape`] took.
    #[inline(always)]
    pub fn compute(&self, rows: Rows<'_>) {
        match self {
            Self::Convolution(convolution) => convolution.compute(rows),
            Self::Depthwise(depthwise) => depthwise.compute::<A>(rows),
            Self::Pool(pool) => pool.compute::<A>(rows),
            Self::GlobalAverage => global_average::<A>(rows),
            Self::Enlarge(times) => enlarge(rows, *times),
            Self::Spread(_) => spread(rows),
            Self::Add => add::<A>(rows),
            Self::Concat => concat(rows),
            Self::Extend { .. } => extend(rows),
            Self::Activation(activation) => activate::<A>(rows, activation),
            Self::Sigmoid => sigmoid(rows),
            Self::Softmax => softmax(rows),
        }
    }
}

impl<'a> Rows<'a> {
    /// The pixels, each with its place among all of the output.
    #[inline(always)]
    fn pixels(self) -> impl Iterator<Item = (usize, &'a mut [f32])> {
        let first = self.first * self.shape.width;
        self.out.chunks_exact_mut(self.shape.step).enumerate().map(move |(i, pixel)| (first + i, pixel))
    }
}

#[inline(always)]
fn activate<A: Arithmetic>(rows: Rows<'_>, activation: &Activation) {
    let input = rows.inputs[0];
    for (place, pixel) in rows.pixels() {
        let (from, to) = (input.pixel(place).as_chunks::<LANES>().0, pixel.as_chunks_mut::<LANES>().0);
        for (panel, (from, to)) in from.iter().zip(to).enumerate() {
            A::store(activation.of::<A>(panel, A::load(from)), to);
        }
    }
}

#[inline(always)]
fn add<A: Arithmetic>(rows: Rows<'_>) {
    let place = rows.first..rows.first + rows.out.len() / rows.shape.row();
    let [a, b] = [0, 1].map(|i| rows.inputs[i].rows(place.clone()).as_chunks::<LANES>().0);
    for ((a, b), out) in a.iter().zip(b).zip(rows.out.as_chunks_mut::<LANES>().0) {
        A::store(A::add(A::load(a), A::load(b)), out);
    }
}

#[inline(always)]
fn sigmoid(rows: Rows<'_>) {
    let (input, channels) = (rows.inputs[0], rows.shape.channels);
    for (place, pixel) in rows.pixels() {
        let (numbers, rest) = pixel.split_at_mut(channels);
        numbers.iter_mut().zip(input.pixel(place)).for_each(|(number, x)| *number = 1.0 / (1.0 + (-x).exp()));
        rest.fill(0.0);
    }
}

#[inline(always)]
fn softmax(rows: Rows<'_>) {
    let (input, channels) = (rows.inputs[0], rows.shape.channels);
    for (place, pixel) in rows.pixels() {
        let from = &input.pixel(place)[..channels];
        let most = from.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (shares, rest) = pixel.split_at_mut(channels);
        shares.iter_mut().zip(from).for_each(|(share, x)| *share = (x - most).exp());
        let all: f32 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= all);
        rest.fill(0.0);
    }
}

#[inline(always)]
fn concat(rows: Rows<'_>) {
    let inputs = rows.inputs;
    for (place, pixel) in rows.pixels() {
        let mut rest = pixel;
        for input in inputs {
            let (part, after) = rest.split_at_mut(input.shape.channels);
            part.copy_from_slice(&input.pixel(place)[..input.shape.channels]);
            rest = after;
        }
        rest.fill(0.0);
    }
}

#[inline(always)]
fn extend(rows: Rows<'_>) {
    let (input, shape) = (rows.inputs[0], rows.shape);
    for (i, row) in rows.out.chunks_exact_mut(shape.row()).enumerate() {
        let (item, y) = ((rows.first + i) / shape.height, (rows.first + i) % shape.height);
        for (x, to) in row.chunks_exact_mut(shape.step).enumerate() {
            to.fill(0.0);
            if y < input.shape.height && x < input.shape.width {
                let from = input.pixel((item * input.shape.height + y) * input.shape.width + x);
                to[..input.shape.channels].copy_from_slice(&from[..input.shape.channels]);
            }
        }
    }
}

#[inline(always)]
fn enlarge(rows: Rows<'_>, times: usize) {
    let (input, shape) = (rows.inputs[0], rows.shape);
    for (y, row) in rows.out.chunks_exact_mut(shape.row()).enumerate() {
        let y = (rows.first + y) / times;
        let from = input.rows(y..y + 1).chunks_exact(shape.step);
        for (from, to) in from.zip(row.chunks_exact_mut(shape.step * times)) {
            to.chunks_exact_mut(shape.step).for_each(|to| to.copy_from_slice(from));
        }
    }
}

#[inline(always)]
fn spread(rows: Rows<'_>) {
    let (input, shape) = (rows.inputs[0], rows.shape);
    for (y, row) in rows.out.chunks_exact_mut(shape.row()).enumerate() {
        let y = rows.first + y;
        for (x, to) in row.chunks_exact_mut(shape.step).enumerate() {
            let from = input.pixel(y / 2 * input.shape.width + x / 2);
            to.copy_from_slice(&from[(y % 2 * 2 + x % 2) * shape.step..][..shape.step]);
        }
    }
}

#[inline(always)]
fn global_average<A: Arithmetic>(rows: Rows<'_>) {
    let input = rows.inputs[0];
    let pixels = input.shape.height * input.shape.width;
    let share = A::splat(1.0 / pixels as f32);
    for (item, means) in rows.pixels() {
        for (panel, mean) in means.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let mut sum = A::splat(0.0);
            for pixel in 0..pixels {
                sum = A::add(sum, A::load(&input.pixel(item * pixels + pixel).as_chunks::<LANES>().0[panel]));
            }
            A::store(A::multiply_add(A::splat(0.0), sum, share), mean);
        }
    }
}
