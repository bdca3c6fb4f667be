//! The operators that can be learnt through: what each computes, in candle's tensors, so that candle derives it.
//!
//! Meanings are those of the ONNX operator reference. Tensors have their first two axes exchanged: see [`super`].

use candle_core::{Result as CandleResult, Tensor, bail};

use super::window::{Window, padded};
use crate::model::graph::{Graph, Node};

/// An operator with its settings.
pub(super) enum Operator {
    Convolution {
        window: Window,
        groups: usize,
    },
    /// `alpha A W + beta b`, W transposed or not.
    Gemm {
        alpha: f64,
        beta: f64,
        transposed: bool,
    },
    MatMul,
    /// By the means and variances of training, which stay.
    BatchNormalization {
        epsilon: f64,
    },
    Relu,
    PRelu,
    Clip {
        least: f64,
        most: f64,
    },
    Add,
    Subtract,
    Multiply,
    Divide,
    Concat {
        axis: i64,
    },
    MaxPool(Window),
    AveragePool(Window),
    GlobalAveragePool,
    Flatten,
    Reshape(Vec<i64>),
    /// Before and after each axis.
    Pad {
        before: Vec<usize>,
        after: Vec<usize>,
        fill: f64,
    },
    /// What gives what it takes, when nothing is learnt.
    Identity,
}

/// What an operator takes.
pub(super) enum Operand {
    /// Of faces: axes 0 and 1 are exchanged.
    Faces(Tensor),
    /// Of the file, as it stands there.
    Constant(Tensor),
    /// Left out.
    Absent,
}

impl Operator {
    /// The operator of a node; the reason if it is not known here.
    pub fn read(graph: &Graph<'_>, node: &Node<'_>) -> Result<Self, String> {
        let input = |place: usize| node.inputs.get(place).filter(|name| !name.is_empty());
        let constant = |place: usize| input(place).map(|name| graph.constant(name).ok_or("a setting is not constant"));
        let ints = |place: usize| match constant(place) {
            Some(constant) => constant?.ints().map(Some).ok_or_else(|| "integers of 64 bits were expected".to_owned()),
            None => Ok(None),
        };
        let number = |place: usize, name: &str, absent: f64| match constant(place) {
            Some(constant) => match constant?.floats().as_deref() {
                Some(&[value]) => Ok(f64::from(value)),
                _ => Err("one number of 32 bits was expected".to_owned()),
            },
            None => Ok(node.float(name).map_or(absent, f64::from)),
        };
        let flag = |name: &str| node.int(name).is_some_and(|value| value != 0);
        Ok(match node.operator.as_str() {
            "Conv" => {
                let Some(&[_, _, height, width]) = constant(1).transpose()?.map(|weight| weight.shape.as_slice())
                else {
                    return Err("a convolution over two axes was expected, with constant weights".into());
                };
                let groups = node.int("group").unwrap_or(1);
                let groups = usize::try_from(groups).map_err(|_| format!("group is {groups}"))?;
                Self::Convolution { window: Window::of(node, [height, width])?, groups }
            }
            "Gemm" if flag("transA") => return Err("transA is not known here".into()),
            "Gemm" => Self::Gemm {
                alpha: node.float("alpha").map_or(1.0, f64::from),
                beta: node.float("beta").map_or(1.0, f64::from),
                transposed: flag("transB"),
            },
            "MatMul" => Self::MatMul,
            "BatchNormalization" if flag("training_mode") => return Err("training_mode is not known here".into()),
            "BatchNormalization" => Self::BatchNormalization { epsilon: node.float("epsilon").map_or(1e-5, f64::from) },
            "Relu" => Self::Relu,
            "PRelu" => Self::PRelu,
            "Clip" => Self::Clip { least: number(1, "min", f64::MIN)?, most: number(2, "max", f64::MAX)? },
            "Add" => Self::Add,
            "Sub" => Self::Subtract,
            "Mul" => Self::Multiply,
            "Div" => Self::Divide,
            "Concat" => Self::Concat { axis: node.int("axis").ok_or("axis is missing")? },
            "MaxPool" => Self::MaxPool(Window::of_pool(node)?),
            "AveragePool" => {
                let window = Window::of_pool(node)?;
                if !window.is_unpadded() && !flag("count_include_pad") {
                    return Err("pads that do not count are not known here".into());
                }
                Self::AveragePool(window)
            }
            "GlobalAveragePool" => Self::GlobalAveragePool,
            "Flatten" if node.int("axis").is_some_and(|axis| axis != 1) => {
                return Err("only axis 1 is known here".into());
            }
            "Flatten" => Self::Flatten,
            "Reshape" => Self::Reshape(ints(1)?.ok_or("the shape is missing")?),
            "Pad" => {
                if node.text("mode").is_some_and(|mode| mode != "constant") {
                    return Err("only the mode constant is known here".into());
                }
                let pads = ints(1)?.or_else(|| node.ints("pads")).ok_or("pads are missing")?;
                let pads: Option<Vec<usize>> = pads.into_iter().map(|pad| usize::try_from(pad).ok()).collect();
                let pads = pads.ok_or("pads that cut off are not known here")?;
                let (before, after) = pads.split_at(pads.len() / 2);
                Self::Pad { before: before.to_vec(), after: after.to_vec(), fill: number(2, "value", 0.0)? }
            }
            "Identity" | "Dropout" => Self::Identity,
            _ => return Err("this operator is not known here".into()),
        })
    }

    /// Which of its constants are learnt, by their places among what it takes. A single number is a setting.
    pub fn learns(&self, place: usize, constant: &[usize]) -> bool {
        match self {
            Self::Convolution { .. } | Self::Gemm { .. } | Self::BatchNormalization { .. } => matches!(place, 1 | 2),
            Self::MatMul | Self::PRelu => place == 1,
            Self::Add | Self::Subtract | Self::Multiply | Self::Divide => constant.iter().product::<usize>() > 1,
            _ => false,
        }
    }

    /// What it gives: of faces.
    pub fn compute(&self, inputs: &[Operand]) -> CandleResult<Tensor> {
        let faces = |place: usize| match inputs.get(place) {
            Some(Operand::Faces(tensor)) => Ok(tensor),
            _ => bail!("input {place} does not come from the faces"),
        };
        let constant = |place: usize| match inputs.get(place) {
            Some(Operand::Constant(tensor)) => Ok(tensor),
            _ => bail!("input {place} is not a constant"),
        };
        let optional = |place: usize| match inputs.get(place) {
            None | Some(Operand::Absent) => Ok(None),
            Some(_) => constant(place).map(Some),
        };
        match self {
            Self::Convolution { window, groups } => convolution(faces(0)?, constant(1)?, optional(2)?, window, *groups),
            Self::Gemm { alpha, beta, transposed } => {
                let weight = constant(1)?;
                let weight = if *transposed { weight.clone() } else { weight.t()? };
                let product = weight.matmul(faces(0)?)?.affine(*alpha, 0.0)?;
                match optional(2)? {
                    Some(bias) => product.broadcast_add(&exchanged(bias, 2)?.affine(*beta, 0.0)?),
                    None => Ok(product),
                }
            }
            Self::MatMul => constant(1)?.t()?.matmul(faces(0)?),
            Self::BatchNormalization { epsilon } => {
                let input = faces(0)?;
                let column = |place: usize| along_channels(constant(place)?, input.rank());
                let scale = (column(1)? / (column(4)? + *epsilon)?.sqrt()?)?;
                input.broadcast_sub(&column(3)?)?.broadcast_mul(&scale)?.broadcast_add(&column(2)?)
            }
            Self::Relu => faces(0)?.relu(),
            Self::PRelu => {
                let input = faces(0)?;
                let slope = exchanged(constant(1)?, input.rank())?;
                input.relu()? - input.neg()?.relu()?.broadcast_mul(&slope)?
            }
            Self::Clip { least, most } => faces(0)?.clamp(*least, *most),
            Self::Add => both(inputs, Tensor::broadcast_add),
            Self::Subtract => both(inputs, Tensor::broadcast_sub),
            Self::Multiply => both(inputs, Tensor::broadcast_mul),
            Self::Divide => both(inputs, Tensor::broadcast_div),
            Self::Concat { axis } => {
                let parts = (0..inputs.len()).map(faces).collect::<CandleResult<Vec<_>>>()?;
                let rank = parts.first().map_or(0, |part| part.rank());
                let axis = if *axis < 0 { *axis + rank as i64 } else { *axis };
                Tensor::cat(&parts, usize::try_from(axis).map(exchange).unwrap_or(usize::MAX))
            }
            Self::MaxPool(window) => {
                let mut places = window.slide(faces(0)?, f64::from(f32::MIN))?.into_iter();
                let Some(first) = places.next() else { bail!("a pool over nothing") };
                places.try_fold(first, |most, place| most.maximum(&place))
            }
            Self::AveragePool(window) => {
                let places = window.slide(faces(0)?, 0.0)?;
                sum(&places)?.affine(1.0 / places.len() as f64, 0.0)
            }
            Self::GlobalAveragePool => faces(0)?.mean_keepdim(3)?.mean_keepdim(2),
            Self::Flatten => flat(faces(0)?),
            Self::Reshape(shape) => reshaped(faces(0)?, shape),
            Self::Pad { before, after, fill } => {
                let input = faces(0)?;
                if before.len() != input.rank() || after.len() != input.rank() {
                    bail!("pads for {} axes, {} are there", before.len(), input.rank());
                }
                let pads = before.iter().zip(after).enumerate();
                pads.clone().try_fold(input.clone(), |tensor, (axis, (&before, &after))| {
                    padded(&tensor, exchange(axis), before, after, *fill)
                })
            }
            Self::Identity => faces(0).cloned(),
        }
    }
}

/// The place of an axis once the first two are exchanged.
fn exchange(axis: usize) -> usize {
    match axis {
        0 => 1,
        1 => 0,
        other => other,
    }
}

/// A constant that ONNX would spread over tensors of that rank, last axis to last, for tensors with axes exchanged.
fn exchanged(constant: &Tensor, rank: usize) -> CandleResult<Tensor> {
    let Some(missing) = rank.checked_sub(constant.rank()).filter(|_| rank >= 2) else {
        bail!("a constant of {:?} for a tensor of {rank} axes", constant.shape());
    };
    let shape = [vec![1; missing], constant.dims().to_vec()].concat();
    constant.reshape(shape)?.transpose(0, 1)
}

/// One number a channel.
fn along_channels(constant: &Tensor, rank: usize) -> CandleResult<Tensor> {
    let mut shape = vec![1; rank];
    shape[0] = constant.elem_count();
    constant.reshape(shape)
}

fn both(inputs: &[Operand], of: impl Fn(&Tensor, &Tensor) -> CandleResult<Tensor>) -> CandleResult<Tensor> {
    match inputs {
        [Operand::Faces(a), Operand::Faces(b)] => of(a, b),
        [Operand::Faces(a), Operand::Constant(b)] => of(a, &exchanged(b, a.rank())?),
        [Operand::Constant(a), Operand::Faces(b)] => of(&exchanged(a, b.rank())?, b),
        _ => bail!("two inputs were expected, one of them from the faces"),
    }
}

fn sum(tensors: &[Tensor]) -> CandleResult<Tensor> {
    let Some((first, rest)) = tensors.split_first() else { bail!("a sum of nothing") };
    rest.iter().try_fold(first.clone(), |sum, tensor| sum + tensor)
}

/// Channels x faces, all that is of a face in one axis, in the order in which ONNX has it.
pub(super) fn flat(tensor: &Tensor) -> CandleResult<Tensor> {
    match tensor.dims() {
        [_, _] => Ok(tensor.clone()),
        [channels, faces, rest @ ..] if rest.iter().all(|&n| n == 1) => tensor.reshape((*channels, *faces)),
        [_, faces, ..] => tensor.transpose(0, 1)?.contiguous()?.reshape((*faces, ()))?.t(),
        _ => bail!("a tensor of one axis"),
    }
}

fn reshaped(tensor: &Tensor, shape: &[i64]) -> CandleResult<Tensor> {
    let plain = tensor.transpose(0, 1)?.contiguous()?;
    // 0 is the length as it was, -1 what is left.
    let mut lengths: Vec<usize> = Vec::with_capacity(shape.len());
    for (axis, &length) in shape.iter().enumerate() {
        lengths.push(match length {
            0 => plain.dim(axis)?,
            -1 => 1,
            other => usize::try_from(other).map_err(candle_core::Error::wrap)?,
        });
    }
    if let Some(free) = shape.iter().position(|&length| length == -1) {
        lengths[free] = plain.elem_count() / lengths.iter().product::<usize>().max(1);
    }
    if lengths.first() != plain.dims().first() || lengths.len() < 2 {
        bail!("a reshape to {shape:?} mixes the numbers of several faces");
    }
    plain.reshape(lengths)?.transpose(0, 1)
}

/// As one matrix product: the weights times what lies under the kernel. A channel that is alone in its group is but
/// multiplied, place by place.
fn convolution(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    window: &Window,
    groups: usize,
) -> CandleResult<Tensor> {
    let (made, taken) = (weight.dim(0)?, weight.dim(1)?);
    if groups == 0 || made % groups != 0 || input.dim(0)? != taken * groups {
        bail!("weights of {:?} in {groups} groups for {} channels", weight.shape(), input.dim(0)?);
    }
    let output = if taken == 1 && made == groups {
        let by_place = weight.flatten_from(1)?;
        let places = window.slide(input, 0.0)?.into_iter().enumerate();
        let weighed =
            places.map(|(place, under)| under.broadcast_mul(&along_channels(&by_place.narrow(1, place, 1)?, 4)?));
        sum(&weighed.collect::<CandleResult<Vec<_>>>()?)?
    } else {
        let group = |group: usize| {
            let places = window.slide(&input.narrow(0, group * taken, taken)?, 0.0)?;
            let under = if let [only] = places.as_slice() { only.contiguous()? } else { Tensor::cat(&places, 0)? };
            let (_, faces, height, width) = under.dims4()?;
            let weight = weight.narrow(0, group * (made / groups), made / groups)?;
            let weight = weight.permute((0, 2, 3, 1))?.contiguous()?.flatten_from(1)?;
            weight.matmul(&under.reshape(((), faces * height * width))?)?.reshape(((), faces, height, width))
        };
        let parts = (0..groups).map(group).collect::<CandleResult<Vec<_>>>()?;
        if let [only] = parts.as_slice() { only.clone() } else { Tensor::cat(&parts, 0)? }
    };
    match bias {
        Some(bias) => output.broadcast_add(&along_channels(bias, 4)?),
        None => Ok(output),
    }
}
