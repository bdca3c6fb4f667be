//! What lies under the places of a kernel while it slides over a picture: what convolutions and pools are made of.
//!
//! Tensors are channels x faces x height x width: see [`super`].

use candle_core::{Result as CandleResult, Tensor, bail};

use crate::model::graph::Node;

/// Where a kernel goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    /// Height and width, as are those below.
    pub kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    /// Top, left, bottom, right.
    pads: [usize; 4],
}

impl Window {
    /// A node's, with a kernel of that size; the reason if it has one that is not known here.
    pub fn of(node: &Node<'_>, kernel: [usize; 2]) -> Result<Self, String> {
        if node.text("auto_pad").is_some_and(|pad| !matches!(pad.as_str(), "NOTSET" | "VALID")) {
            return Err("auto_pad is not known here".into());
        }
        if node.int("ceil_mode").is_some_and(|mode| mode != 0) {
            return Err("ceil_mode is not known here".into());
        }
        Ok(Self {
            kernel,
            strides: lengths(node, "strides", 1)?,
            dilations: lengths(node, "dilations", 1)?,
            pads: lengths(node, "pads", 0)?,
        })
    }

    /// A pool's, whose kernel is in an attribute.
    pub fn of_pool(node: &Node<'_>) -> Result<Self, String> {
        Self::of(node, lengths(node, "kernel_shape", 0)?)
    }

    /// Whether nothing is put around the picture.
    pub fn is_unpadded(&self) -> bool {
        self.pads == [0; 4]
    }

    /// For each place of the kernel, row by row, what lies under it wherever the kernel goes: as many tensors, each
    /// channels x faces x new height x new width. Around the picture is `fill`.
    pub fn slide(&self, picture: &Tensor, fill: f64) -> CandleResult<Vec<Tensor>> {
        let [top, left, bottom, right] = self.pads;
        let picture = padded(&padded(picture, 2, top, bottom, fill)?, 3, left, right, fill)?;
        let steps = |axis: usize| -> CandleResult<usize> {
            let reach = self.dilations[axis] * self.kernel[axis].saturating_sub(1) + 1;
            match picture.dim(2 + axis)?.checked_sub(reach) {
                Some(rest) if self.strides[axis] > 0 => Ok(rest / self.strides[axis] + 1),
                _ => bail!("a kernel of {:?} does not fit into {:?}", self.kernel, picture.shape()),
            }
        };
        let [rows, columns] = [steps(0)?, steps(1)?];
        let mut places = Vec::with_capacity(self.kernel[0] * self.kernel[1]);
        for row in 0..self.kernel[0] {
            let band = every(&picture, 2, row * self.dilations[0], self.strides[0], rows)?;
            for column in 0..self.kernel[1] {
                places.push(every(&band, 3, column * self.dilations[1], self.strides[1], columns)?);
            }
        }
        Ok(places)
    }
}

/// `tensor` with `fill` before and after it along an axis.
pub(super) fn padded(tensor: &Tensor, axis: usize, before: usize, after: usize, fill: f64) -> CandleResult<Tensor> {
    if before + after == 0 {
        return Ok(tensor.clone());
    }
    let side = |length: usize| {
        let mut shape = tensor.dims().to_vec();
        shape[axis] = length;
        Tensor::zeros(shape, tensor.dtype(), tensor.device())? + fill
    };
    Tensor::cat(&[&side(before)?, tensor, &side(after)?], axis)
}

/// Of an axis, `count` indices from `start`, `stride` apart.
fn every(tensor: &Tensor, axis: usize, start: usize, stride: usize, count: usize) -> CandleResult<Tensor> {
    if stride == 1 {
        return tensor.narrow(axis, start, count);
    }
    let indices: Vec<u32> = (0..count).map(|i| (start + i * stride) as u32).collect();
    tensor.contiguous()?.index_select(&Tensor::from_vec(indices, count, tensor.device())?, axis)
}

/// A list attribute of so many lengths; `absent` each where there is none.
fn lengths<const N: usize>(node: &Node<'_>, name: &str, absent: usize) -> Result<[usize; N], String> {
    let Some(values) = node.ints(name) else { return Ok([absent; N]) };
    let values: Option<Vec<usize>> = values.into_iter().map(|value| usize::try_from(value).ok()).collect();
    values.and_then(|values| values.try_into().ok()).ok_or_else(|| format!("{name}: {N} lengths were expected"))
}
