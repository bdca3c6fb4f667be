//! The layers of a dlib file.
//!
//! A network is nested: each layer's record holds first its version, then the record of the layer that feeds it, then
//! its own parameters. So a file begins with the versions of all layers, outermost first, and goes on with the input
//! and the layers' parameters, innermost first. Tags and skips have a version (1) but no parameters.

use super::super::reader::{DlibTensor, Reader};
use crate::Result;

/// Kernels, strides and paddings beyond this are of no real network.
const MAX_WINDOW: i64 = 1024;

/// A network as its file tells it.
#[derive(Debug)]
pub struct Network {
    /// What feeds the first layer.
    pub input: Input,
    /// From the input to the output.
    pub layers: Vec<Layer>,
}

/// The layer that turns photos into tensors: (pixel - mean) / 256, RGB.
#[derive(Debug)]
pub struct Input {
    /// Mean colour.
    pub mean: [f32; 3],
    /// Rows and columns, where the network takes one size only.
    pub size: Option<[usize; 2]>,
    /// Pixels between the levels of an image pyramid and around it, where the network takes one.
    pub pyramid: Option<[usize; 2]>,
}

/// A layer, and how many tags and skips lie between it and the layer that feeds it.
#[derive(Debug)]
pub struct Layer {
    /// What it computes.
    pub kind: Kind,
    /// Tags and skips.
    pub tags: usize,
}

/// What a layer computes.
#[derive(Debug)]
pub enum Kind {
    /// A convolution.
    Conv(Conv),
    /// x * scale + shift for each channel: an affine layer, or batch normalisation after training.
    Affine {
        /// One for each channel.
        scale: Vec<f32>,
        /// One for each channel.
        shift: Vec<f32>,
    },
    /// Negative values to zero.
    Relu,
    /// The largest value of each window.
    MaxPool(Patch),
    /// The mean of each window; a kernel of zero takes all.
    AveragePool(Patch),
    /// Adds the output of an earlier layer.
    AddPrevious,
    /// A matrix product.
    Dense {
        /// Inputs and outputs.
        shape: [usize; 2],
        /// Row-major.
        weights: Vec<f32>,
        /// One for each output, or none.
        bias: Vec<f32>,
    },
}

impl Kind {
    /// For error messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv(_) => "a convolution",
            Self::Affine { .. } => "an affine layer",
            Self::Relu => "a relu",
            Self::MaxPool(_) => "a max pool",
            Self::AveragePool(_) => "an average pool",
            Self::AddPrevious => "an addition",
            Self::Dense { .. } => "a fully connected layer",
        }
    }
}

/// How a window slides: rows first, then columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patch {
    /// Its size.
    pub kernel: [usize; 2],
    /// Its step.
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub padding: [usize; 2],
}

impl Patch {
    /// Rows or columns that come out of `length` of them, or `None` where the window does not fit.
    pub fn output(&self, axis: usize, length: usize) -> Option<usize> {
        Some((length + 2 * self.padding[axis]).checked_sub(self.kernel[axis])? / self.stride[axis] + 1)
    }
}

/// A convolution.
#[derive(Debug)]
pub struct Conv {
    /// How its window slides.
    pub patch: Patch,
    /// Filters, channels, rows, columns.
    pub shape: [usize; 4],
    /// Row-major.
    pub weights: Vec<f32>,
    /// One for each filter.
    pub bias: Vec<f32>,
}

impl Conv {
    /// Folds an affine layer after it into it; false when their sizes differ.
    pub fn fold(&mut self, scale: &[f32], shift: &[f32]) -> bool {
        let filters = self.shape[0];
        if scale.len() != filters || shift.len() != filters {
            return false;
        }
        let each = self.weights.len() / filters;
        for (filter, &scale) in self.weights.chunks_exact_mut(each).zip(scale) {
            filter.iter_mut().for_each(|w| *w *= scale);
        }
        for ((bias, &scale), &shift) in self.bias.iter_mut().zip(scale).zip(shift) {
            *bias = *bias * scale + shift;
        }
        true
    }
}

impl Network {
    /// Reads a network whose loss layer has been read, to the end of the file.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (versions, name_length) = versions(reader)?;
        let input = Input::read(reader, name_length)?;
        // The version of the innermost layer, which holds the input, tells something else than those of the others.
        let (first, others) = versions.split_last().ok_or_else(|| reader.fail("a network of no layers"))?;
        let mut layers = vec![Layer { kind: Kind::read(reader)?, tags: 0 }];
        skip_state(reader)?;
        if *first == 3 {
            reader.int()?; // samples that a photo expands to
        }
        let mut tags = 0;
        for version in others.iter().rev() {
            match version {
                1 => tags += 1,
                2 => {
                    layers.push(Layer { kind: Kind::read(reader)?, tags });
                    skip_state(reader)?;
                    tags = 0;
                }
                _ => return Err(reader.fail(format!("a layer of version {version}, expected 1 or 2"))),
            }
        }
        if reader.remaining() > 0 {
            let reason =
                format!("{} bytes after the last layer: not a dlib network of a known kind", reader.remaining());
            return Err(reader.fail(reason));
        }
        Ok(Self { input, layers })
    }
}

/// The versions of all layers, outermost first, and the length of the input layer's name, which follows them: no
/// version is as large as it.
fn versions(reader: &mut Reader<'_>) -> Result<(Vec<i64>, usize)> {
    let mut versions = Vec::new();
    loop {
        match reader.int()? {
            version @ 1..=3 => versions.push(version),
            length @ 4..=64 => return Ok((versions, length as usize)),
            _ => return Err(reader.fail("damaged, or not a dlib network")),
        }
    }
}

/// What a layer keeps of its last run: three truth values and three tensors.
fn skip_state(reader: &mut Reader<'_>) -> Result<()> {
    for _ in 0..3 {
        reader.bool()?;
    }
    for _ in 0..3 {
        reader.tensor()?;
    }
    Ok(())
}

impl Input {
    fn read(reader: &mut Reader<'_>, name_length: usize) -> Result<Self> {
        let name = String::from_utf8_lossy(reader.take(name_length)?).into_owned();
        let pair = |reader: &mut Reader<'_>| {
            Ok([small(reader, "a size of the input")?, small(reader, "a size of the input")?])
        };
        let mut mean = [0.0; 3];
        let known = ["input_rgb_image", "input_rgb_image_sized", "input_rgb_image_pyramid", "input_rgb_image_pyramid2"];
        if !known.contains(&name.as_str()) {
            return Err(reader.fail(format!("its input is {name:?}, expected one of {}", known.join(", "))));
        }
        for value in &mut mean {
            *value = reader.float()? as f32;
        }
        if !mean.iter().all(|m| m.is_finite()) {
            return Err(reader.fail("the mean colour of its input is not a number"));
        }
        let size = if name == "input_rgb_image_sized" { Some(pair(reader)?) } else { None };
        let pyramid = match name.as_str() {
            "input_rgb_image_pyramid" => Some([10, 11]),
            "input_rgb_image_pyramid2" => Some(pair(reader)?),
            _ => None,
        };
        Ok(Self { mean, size, pyramid })
    }
}

impl Kind {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.string()?.as_str() {
            name @ ("con_4" | "con_5") => conv(reader, name == "con_5"),
            name @ ("affine_" | "affine_2") => affine(reader, name == "affine_2"),
            "bn_con2" => batch_norm(reader),
            "relu_" => Ok(Self::Relu),
            "max_pool_2" => Ok(Self::MaxPool(patch(reader)?)),
            "avg_pool_2" => Ok(Self::AveragePool(patch(reader)?)),
            "add_prev_" => Ok(Self::AddPrevious),
            name @ ("fc_2" | "fc_3") => dense(reader, name == "fc_3"),
            name => Err(reader.fail(format!("a layer {name:?}, which is not known here"))),
        }
    }
}

fn conv(reader: &mut Reader<'_>, may_lack_bias: bool) -> Result<Kind> {
    let params = reader.tensor()?;
    reader.int()?; // filters, also the first length of their shape
    let patch = patch(reader)?;
    let (shape, bias_shape) = (alias(reader)?, alias(reader)?);
    learning_rates(reader)?;
    let has_bias = !may_lack_bias || reader.bool()?;
    let size = product(&shape).filter(|&n| n > 0 && n <= params.values.len());
    let size = size.ok_or_else(|| reader.fail("filters of a convolution that do not fit its parameters"))?;
    if shape[2..] != patch.kernel || patch.kernel.contains(&0) {
        return Err(reader.fail("filters of a convolution that are not of its kernel's size"));
    }
    let (weights, rest) = params.values.split_at(size);
    let bias = if has_bias { rest.to_vec() } else { vec![0.0; shape[0]] };
    if bias.len() != shape[0] || has_bias && product(&bias_shape) != Some(shape[0]) {
        return Err(reader.fail("biases of a convolution that do not fit its filters"));
    }
    Ok(Kind::Conv(Conv { patch, shape, weights: weights.to_vec(), bias }))
}

fn affine(reader: &mut Reader<'_>, may_be_off: bool) -> Result<Kind> {
    let params = reader.tensor()?;
    let (gamma, beta) = (alias(reader)?, alias(reader)?);
    let mode = reader.int()?;
    if may_be_off && reader.bool()? {
        return Err(reader.fail("an affine layer that is switched off, which is not known here"));
    }
    let [scale, shift] = scale_and_shift(reader, &params, &gamma, &beta)?;
    if mode != 0 {
        return Err(reader.fail("an affine layer for single values, expected one for channels"));
    }
    Ok(Kind::Affine { scale, shift })
}

/// Batch normalisation by the means and variances that training gathered.
fn batch_norm(reader: &mut Reader<'_>) -> Result<Kind> {
    let params = reader.tensor()?;
    let (gamma, beta) = (alias(reader)?, alias(reader)?);
    let _of_last_batch = (reader.tensor()?, reader.tensor()?);
    let (means, variances) = (reader.tensor()?, reader.tensor()?);
    for _ in 0..2 {
        reader.int()?; // updates, and over how many the statistics run
    }
    learning_rates(reader)?;
    let eps = reader.float()?;
    let [mut scale, mut shift] = scale_and_shift(reader, &params, &gamma, &beta)?;
    if means.values.len() != scale.len() || variances.values.len() != scale.len() {
        return Err(reader.fail("statistics of a batch normalisation that do not fit its channels"));
    }
    let statistics = means.values.iter().zip(&variances.values);
    for ((scale, shift), (&mean, &variance)) in scale.iter_mut().zip(&mut shift).zip(statistics) {
        let factor = f64::from(*scale) / (f64::from(variance) + eps).sqrt();
        (*scale, *shift) = (factor as f32, (f64::from(*shift) - factor * f64::from(mean)) as f32);
    }
    Ok(Kind::Affine { scale, shift })
}

fn scale_and_shift(
    reader: &Reader<'_>,
    params: &DlibTensor,
    gamma: &[usize; 4],
    beta: &[usize; 4],
) -> Result<[Vec<f32>; 2]> {
    let channels = product(gamma).filter(|&n| product(beta) == Some(n) && params.values.len() / 2 == n);
    let channels = channels.ok_or_else(|| reader.fail("scales and shifts that do not fit their parameters"))?;
    let (scale, shift) = params.values.split_at(channels);
    Ok([scale.to_vec(), shift.to_vec()])
}

fn dense(reader: &mut Reader<'_>, may_lack_bias: bool) -> Result<Kind> {
    for _ in 0..2 {
        reader.int()?; // outputs and inputs, also in the shape of the weights
    }
    let params = reader.tensor()?;
    let ([inputs, outputs, ..], _) = (alias(reader)?, alias(reader)?);
    let mut has_bias = reader.int()? == 0;
    learning_rates(reader)?;
    if may_lack_bias {
        has_bias &= reader.bool()?;
    }
    let size = inputs.checked_mul(outputs).filter(|&n| n > 0 && n <= params.values.len());
    let size = size.ok_or_else(|| reader.fail("weights of a fully connected layer that do not fit its parameters"))?;
    let (weights, rest) = params.values.split_at(size);
    if has_bias && rest.len() != outputs {
        return Err(reader.fail("biases of a fully connected layer that do not fit its outputs"));
    }
    let bias = if has_bias { rest.to_vec() } else { Vec::new() };
    Ok(Kind::Dense { shape: [inputs, outputs], weights: weights.to_vec(), bias })
}

/// Four factors that training uses.
fn learning_rates(reader: &mut Reader<'_>) -> Result<()> {
    (0..4).try_for_each(|_| reader.float().map(drop))
}

fn patch(reader: &mut Reader<'_>) -> Result<Patch> {
    let mut pair = |what| Ok([small(reader, what)?, small(reader, what)?]);
    let patch = Patch { kernel: pair("a kernel")?, stride: pair("a stride")?, padding: pair("a padding")? };
    if patch.stride.contains(&0) {
        return Err(reader.fail("a stride of zero"));
    }
    Ok(patch)
}

fn small(reader: &mut Reader<'_>, what: &str) -> Result<usize> {
    match reader.int()? {
        value @ 0..=MAX_WINDOW => Ok(value as usize),
        value => Err(reader.fail(format!("{what} of {value}, expected 0 to {MAX_WINDOW}"))),
    }
}

/// The shape of a part of a layer's parameters.
fn alias(reader: &mut Reader<'_>) -> Result<[usize; 4]> {
    match reader.int()? {
        1 => {}
        version => return Err(reader.fail(format!("a part of a tensor of version {version}, expected 1"))),
    }
    let mut shape = [0; 4];
    for length in &mut shape {
        *length = usize::try_from(reader.int()?).map_err(|_| reader.fail("a tensor of negative size"))?;
    }
    Ok(shape)
}

fn product(shape: &[usize; 4]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n))
}
