//! Convolutional detectors trained by max-margin object detection (King, "Max-Margin Object Detection", 2015).

use serde::{Deserialize, Serialize};

use super::{
    super::reader::Reader,
    layers::{Conv, Input, Kind, Network, Patch},
    resnet::conv_node,
};
use crate::{
    Error, Result,
    model::onnx::{self, Axis, Writer},
};

/// Under which key the details are in the network's metadata.
const KEY: &str = "dlib.mmod";
/// More windows, or larger ones, are of no real detector.
const MAX_WINDOWS: usize = 256;
const MAX_WINDOW: u32 = 4096;
/// A receptive field wider than this is of no real detector.
const MAX_REACH: usize = 4096;

/// What a detector needs besides its network. It travels in the metadata of the ONNX file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MmodDetails {
    /// Mean colour; the network is fed (pixel - mean) / 256, RGB.
    pub mean: [f32; 3],
    /// Pixels between the levels of the tiled image pyramid.
    pub padding: usize,
    /// Pixels around the tiled pyramid.
    pub outer_padding: usize,
    /// What each of the output's channels finds.
    pub windows: Vec<Window>,
    /// Two boxes are of one face when their intersection is more than this share of the smallest box around both.
    pub max_iou: f64,
    /// Or more than this share of one of them.
    pub max_covered: f64,
    /// Input pixels from one row or column of the output to the next.
    pub stride: usize,
    /// The input's row or column at the middle of what row or column 0 of the output sees.
    pub offset: usize,
    /// Row 0 of the output sees the input from this many rows above its first row (rows of padding) …
    pub above: usize,
    /// … down to this row.
    pub below: usize,
    /// The least side of an input that gives an output.
    pub least: usize,
}

/// A detection window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// What it finds; often empty.
    #[serde(default)]
    pub label: String,
}

impl MmodDetails {
    /// The details in the metadata of a network made by [`mmod_to_onnx`]; `name` is for error messages.
    ///
    /// # Errors
    /// [`Error::Model`] when there are none, or they are malformed.
    pub fn of_onnx(onnx: &[u8], name: &str) -> Result<Self> {
        let metadata = onnx::metadata(onnx, name)?;
        let text = metadata.get(KEY).ok_or_else(|| {
            Error::model(name, format!("no {KEY} in its metadata: not a detector that mmod_to_onnx has made"))
        })?;
        let details: Self =
            serde_json::from_str(text).map_err(|e| Error::model(name, format!("its metadata {KEY}: {e}")))?;
        details.check(name)?;
        Ok(details)
    }

    fn check(&self, name: &str) -> Result<()> {
        let fail = |reason: &str| Err(Error::model(name, format!("detector: {reason}")));
        if self.windows.is_empty() || self.windows.len() > MAX_WINDOWS {
            return fail("windows: expected 1 to 256");
        }
        if self.windows.iter().any(|w| ![w.width, w.height].iter().all(|n| (1..=MAX_WINDOW).contains(n))) {
            return fail("windows: expected sides of 1 to 4096 pixels");
        }
        if !(self.mean.iter().all(|m| m.is_finite())
            && (0.0..=1.0).contains(&self.max_iou)
            && (0.0..=1.0).contains(&self.max_covered))
        {
            return fail("mean must be finite, max_iou and max_covered 0 to 1");
        }
        if self.stride == 0 || self.least == 0 {
            return fail("stride and least must be positive");
        }
        let sizes = [self.padding, self.outer_padding, self.stride, self.offset, self.above, self.below, self.least];
        if sizes.iter().any(|&n| n > MAX_REACH) {
            return fail("a size of more than 4096 pixels");
        }
        Ok(())
    }
}

/// dlib's convolutional detector (`mmod_human_face_detector.dat` and its kin) as ONNX.
///
/// Input `input`, N x 3 x H x W f32, RGB as `(pixel - mean) / 256`; outputs `scores`, N x windows x h x w: 0 is dlib's
/// own threshold. [`MmodDetails::of_onnx`] reads back what else a detector needs. `name` is for error messages.
///
/// # Errors
/// [`Error::Model`] when the bytes are damaged or a network of another kind, or one with bounding box regression.
pub fn mmod_to_onnx(bytes: &[u8], name: &str) -> Result<Vec<u8>> {
    let mut reader = Reader::new(bytes, name);
    reader.int()?; // version of the loss layer's record
    match reader.string()?.as_str() {
        "loss_mmod_" => {}
        loss => return Err(reader.fail(format!("a network with {loss:?}, expected a detector's loss_mmod_"))),
    }
    let (windows, [max_iou, max_covered]) = options(&mut reader)?;
    let network = Network::read(&mut reader)?;
    let fail = |reason: &str| Error::model(name, reason);
    let Input { mean, pyramid: Some([padding, outer_padding]), .. } = network.input else {
        return Err(fail("a detector without an image pyramid"));
    };

    let convs = chain(network, name)?;
    let ([stride, offset, above, below], least) =
        geometry(&convs).ok_or_else(|| fail("convolutions that are not square, or reach out of all proportion"))?;
    if convs.last().is_none_or(|(conv, _)| conv.shape[0] != windows.len()) {
        return Err(fail("an output that does not fit the number of its windows"));
    }
    let count = windows.len();
    let details = MmodDetails {
        mean,
        padding,
        outer_padding,
        windows,
        max_iou,
        max_covered,
        stride,
        offset,
        above,
        below,
        least,
    };
    details.check(name)?;

    let metadata = serde_json::to_string(&details).map_err(|e| fail(&e.to_string()))?;
    let mut graph = Writer::with_capacity(bytes.len());
    nodes(&mut graph, &convs);
    onnx::input(&mut graph, "input", &[Axis::Free("N"), Axis::Fixed(3), Axis::Free("H"), Axis::Free("W")]);
    onnx::output(&mut graph, "scores", &[Axis::Free("N"), Axis::Fixed(count), Axis::Free("h"), Axis::Free("w")]);
    graph.bytes(2, b"mmod");
    Ok(onnx::model(&onnx::head(&[(KEY, &metadata)]), &graph.finish()))
}

/// The windows and the two thresholds of non-maximum suppression.
fn options(reader: &mut Reader<'_>) -> Result<(Vec<Window>, [f64; 2])> {
    let version = reader.int()?;
    if !(1..=4).contains(&version) {
        return Err(reader.fail(format!("detector options of version {version}, expected 1 to 4")));
    }
    let count = if version == 1 { 1 } else { reader.length()? };
    if count > MAX_WINDOWS {
        return Err(reader.fail(format!("{count} detection windows, expected at most {MAX_WINDOWS}")));
    }
    let mut windows = Vec::new();
    for _ in 0..count {
        let labelled = version > 1 && reader.int()? == 2;
        let mut side =
            || u32::try_from(reader.int()?).map_err(|_| reader.fail("a detection window of impossible size"));
        let (width, height) = (side()?, side()?);
        windows.push(Window { width, height, label: if labelled { reader.string()? } else { String::new() } });
    }
    for _ in 0..3 {
        reader.float()?; // losses and a threshold of training
    }
    let suppression = [reader.float()?, reader.float()?];
    for _ in 0..2 {
        reader.float()?; // which boxes training left out
    }
    if version >= 3 {
        reader.byte()?; // whether training took an image pyramid for granted
    }
    if version >= 4 {
        if reader.bool()? {
            return Err(reader.fail("a detector with bounding box regression, which is not known here"));
        }
        reader.float()?;
    }
    Ok((windows, suppression))
}

/// The convolutions, affine layers folded in, and whether a relu follows.
fn chain(network: Network, name: &str) -> Result<Vec<(Conv, bool)>> {
    let mut convs: Vec<(Conv, bool)> = Vec::new();
    let mut channels = 3;
    for layer in network.layers {
        let fits = match (layer.kind, convs.last_mut()) {
            (Kind::Conv(conv), _) if conv.shape[1] == channels => {
                channels = conv.shape[0];
                convs.push((conv, false));
                true
            }
            (Kind::Affine { scale, shift }, Some((conv, false))) => conv.fold(&scale, &shift),
            (Kind::Relu, Some((_, relu))) => !std::mem::replace(relu, true),
            _ => false,
        };
        if !fits || layer.tags > 0 {
            let reason =
                format!("after {} convolutions: not a chain of convolutions, affine layers and relus", convs.len());
            return Err(Error::model(name, reason));
        }
    }
    Ok(convs)
}

/// Stride, offset, rows above and below as in [`MmodDetails`], and the least side.
fn geometry(convs: &[(Conv, bool)]) -> Option<([usize; 4], usize)> {
    // Where row 0 of the output, and the edges of what it sees, lie in the input of the layers seen so far.
    let (mut stride, mut middle, mut top, mut bottom, mut least) = (1i64, 0i64, 0i64, 0i64, 1i64);
    for (conv, _) in convs.iter().rev() {
        let Patch { kernel: [kernel, k], stride: [step, s], padding: [padding, p] } = conv.patch;
        if kernel != k || step != s || padding != p {
            return None;
        }
        let [kernel, step, padding] = [kernel, step, padding].map(|n| n as i64);
        stride *= step;
        middle = middle * step - padding + kernel / 2;
        top = top * step - padding;
        bottom = bottom * step - padding + kernel - 1;
        least = ((least - 1) * step + kernel - 2 * padding).max(1);
        if [stride, middle.abs(), top.abs(), bottom.abs(), least].iter().any(|&n| n > MAX_REACH as i64) {
            return None;
        }
    }
    let sizes = [stride, middle, -top, bottom].map(usize::try_from);
    let [Ok(stride), Ok(offset), Ok(above), Ok(below)] = sizes else { return None };
    Some(([stride, offset, above, below], usize::try_from(least).ok()?))
}

fn nodes(graph: &mut Writer, convs: &[(Conv, bool)]) {
    let mut last = "input".to_owned();
    for (i, (conv, relu)) in convs.iter().enumerate() {
        let is_last = i + 1 == convs.len();
        let output = if is_last && !relu { "scores".to_owned() } else { format!("conv{i}") };
        conv_node(graph, conv, &last, &output);
        last = output;
        if *relu {
            let output = if is_last { "scores".to_owned() } else { format!("relu{i}") };
            onnx::node(graph, "Relu", &[&last], &output, &[]);
            last = output;
        }
    }
}
