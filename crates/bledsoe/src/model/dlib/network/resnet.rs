//! The residual network of dlib's face descriptors.

use super::{
    super::reader::Reader,
    layers::{Conv, Kind, Layer, Network, Patch},
};
use crate::{
    Error, Result,
    model::onnx::{self, Attribute, Axis, Writer},
};

/// The mean colour of dlib's image inputs.
const MEAN: [f32; 3] = [122.782, 117.001, 104.298];

/// dlib's face descriptor network (`dlib_face_recognition_resnet_model_v1.dat` and its kin) as ONNX.
///
/// Input `input`, N x 3 x 150 x 150 f32, RGB as `(pixel - (122.782, 117.001, 104.298)) / 256`. Output `embedding`,
/// N x 128, as dlib gives it, not of unit length (1.3 to 1.5). `name` is for error messages.
///
/// # Errors
/// [`Error::Model`] when the bytes are damaged or a network of another kind.
pub fn resnet_to_onnx(bytes: &[u8], name: &str) -> Result<Vec<u8>> {
    let mut reader = Reader::new(bytes, name);
    reader.int()?; // version of the loss layer's record
    match reader.string()?.as_str() {
        "loss_metric_2" => (0..2).try_for_each(|_| reader.float().map(drop))?, // margin and distance, for training
        "loss_metric_" => {}
        loss => return Err(reader.fail(format!("a network with {loss:?}, expected a face descriptor's loss_metric_"))),
    }
    let network = Network::read(&mut reader)?;
    let fail = |reason: &str| Error::model(name, reason);
    let [rows, columns] = network.input.size.ok_or_else(|| fail("a face descriptor network with free input size"))?;
    if network.input.mean != MEAN {
        return Err(fail("its mean colour is not dlib's (122.782, 117.001, 104.298)"));
    }
    let mut builder = Builder::new(name, network.layers, [3, rows, columns]);
    builder.stem()?;
    while builder.block()? {}
    builder.head([rows, columns])
}

/// A tensor of the graph and its shape without the batch: channels, rows, columns.
#[derive(Debug, Clone)]
struct Value {
    name: String,
    shape: [usize; 3],
}

/// Turns the layers, one after the other, into nodes.
struct Builder<'a> {
    name: &'a str,
    layers: std::iter::Peekable<std::vec::IntoIter<Layer>>,
    graph: Writer,
    nodes: usize,
    last: Value,
}

impl<'a> Builder<'a> {
    fn new(name: &'a str, layers: Vec<Layer>, shape: [usize; 3]) -> Self {
        let bytes = layers.len() * 512;
        Self {
            name,
            layers: layers.into_iter().peekable(),
            graph: Writer::with_capacity(bytes),
            nodes: 0,
            last: Value { name: "input".to_owned(), shape },
        }
    }

    fn fail(&self, reason: impl Into<String>) -> Error {
        Error::model(self.name, reason)
    }

    fn other(&self, found: Option<&Layer>, expected: &str) -> Error {
        let found = found.map_or("the end", |l| l.kind.name());
        self.fail(format!("after {} nodes: {found} where a dlib face descriptor has {expected}", self.nodes))
    }

    /// The next layer's kind, with `tags` tags and skips before it.
    fn next(&mut self, tags: usize, expected: &str) -> Result<Kind> {
        match self.layers.next() {
            Some(layer) if layer.tags == tags => Ok(layer.kind),
            other => Err(self.other(other.as_ref(), expected)),
        }
    }

    fn output_name(&mut self, kind: &str) -> String {
        self.nodes += 1;
        format!("{kind}{}", self.nodes)
    }

    /// Convolution and affine layer as one node.
    fn conv(&mut self, tags: usize) -> Result<()> {
        let Kind::Conv(mut conv) = self.next(tags, "a convolution")? else {
            return Err(self.fail(format!("after {} nodes: expected a convolution", self.nodes)));
        };
        let Kind::Affine { scale, shift } = self.next(0, "an affine layer")? else {
            return Err(self.fail(format!("after {} nodes: expected an affine layer", self.nodes)));
        };
        if conv.shape[1] != self.last.shape[0] || !conv.fold(&scale, &shift) {
            return Err(
                self.fail(format!("after {} nodes: a convolution that does not fit its neighbours", self.nodes))
            );
        }
        let shape = self.slide(&conv.patch, conv.shape[0])?;
        let output = self.output_name("conv");
        conv_node(&mut self.graph, &conv, &self.last.name, &output);
        self.last = Value { name: output, shape };
        Ok(())
    }

    /// The shape after a window has slid over the last tensor.
    fn slide(&self, patch: &Patch, channels: usize) -> Result<[usize; 3]> {
        let [_, rows, columns] = self.last.shape;
        let size = patch.output(0, rows).zip(patch.output(1, columns));
        let (rows, columns) = size.ok_or_else(|| self.fail("a window larger than what it slides over"))?;
        Ok([channels, rows, columns])
    }

    fn relu(&mut self) -> Result<()> {
        match self.next(0, "a relu")? {
            Kind::Relu => {
                let output = self.output_name("relu");
                onnx::node(&mut self.graph, "Relu", &[&self.last.name], &output, &[]);
                self.last.name = output;
                Ok(())
            }
            other => Err(self.fail(format!("after {} nodes: {}, expected a relu", self.nodes, other.name()))),
        }
    }

    fn pool(&mut self, operator: &str, patch: &Patch) -> Result<()> {
        let shape = self.slide(patch, self.last.shape[0])?;
        if patch.padding != [0, 0] || patch.kernel.contains(&0) {
            return Err(self.fail("a pool with padding, which dlib's face descriptors have not"));
        }
        let output = self.output_name("pool");
        let attributes = [
            ("kernel_shape", Attribute::Ints(&patch.kernel.map(|n| n as i64))),
            ("strides", Attribute::Ints(&patch.stride.map(|n| n as i64))),
        ];
        onnx::node(&mut self.graph, operator, &[&self.last.name], &output, &attributes);
        self.last = Value { name: output, shape };
        Ok(())
    }

    /// Convolution, affine layer, relu and max pool.
    fn stem(&mut self) -> Result<()> {
        self.conv(0)?;
        self.relu()?;
        match self.next(0, "a max pool")? {
            Kind::MaxPool(patch) => self.pool("MaxPool", &patch),
            other => Err(self.fail(format!("{} after the first relu, expected a max pool", other.name()))),
        }
    }

    /// A residual block: two convolutions, to which the block's input is added, averaged over windows if the block
    /// makes the image smaller. False, and nothing done, where the blocks end.
    fn block(&mut self) -> Result<bool> {
        if !matches!(self.layers.peek(), Some(Layer { kind: Kind::Conv(_), .. })) {
            return Ok(false);
        }
        let input = self.last.clone();
        self.conv(1)?;
        self.relu()?;
        self.conv(0)?;
        let main = self.last.clone();
        let skip = match self.layers.next() {
            Some(Layer { kind: Kind::AddPrevious, tags: 0 }) => input,
            // One tag keeps the convolutions' output, one skip leads back to the block's input.
            Some(Layer { kind: Kind::AveragePool(patch), tags: 2 }) => {
                self.last = input;
                self.pool("AveragePool", &patch)?;
                if !matches!(self.next(0, "an addition")?, Kind::AddPrevious) {
                    return Err(self.fail("an average pool that is not followed by an addition"));
                }
                self.last.clone()
            }
            other => return Err(self.other(other.as_ref(), "an addition or an average pool")),
        };
        // dlib adds tensors of different sizes as if the smaller went on in zeros.
        let shape: [usize; 3] = std::array::from_fn(|i| main.shape[i].max(skip.shape[i]));
        let (main, skip) = (self.padded(main, shape), self.padded(skip, shape));
        let output = self.output_name("add");
        onnx::node(&mut self.graph, "Add", &[&main, &skip], &output, &[]);
        self.last = Value { name: output, shape };
        self.relu()?;
        Ok(true)
    }

    fn padded(&mut self, value: Value, shape: [usize; 3]) -> String {
        if value.shape == shape {
            return value.name;
        }
        let output = self.output_name("pad");
        let pads = format!("{output}.pads");
        let [c, h, w]: [i64; 3] = std::array::from_fn(|i| (shape[i] - value.shape[i]) as i64);
        onnx::int_initializer(&mut self.graph, &pads, &[0, 0, 0, 0, 0, c, h, w]);
        onnx::node(&mut self.graph, "Pad", &[&value.name, &pads], &output, &[]);
        output
    }

    /// The mean over the image and the last matrix, then the file's end.
    fn head(mut self, [rows, columns]: [usize; 2]) -> Result<Vec<u8>> {
        match self.next(0, "an average pool")? {
            Kind::AveragePool(patch) if patch.kernel == [0, 0] => {}
            other => return Err(self.fail(format!("{} after the blocks, expected an average over all", other.name()))),
        }
        let Kind::Dense { shape: [inputs, outputs], weights, bias } = self.next(0, "a fully connected layer")? else {
            return Err(self.fail("no fully connected layer at the end"));
        };
        if inputs != self.last.shape[0] || self.layers.peek().is_some() {
            return Err(self.other(None, "a fully connected layer that fits, and nothing after it"));
        }
        let graph = &mut self.graph;
        onnx::node(graph, "GlobalAveragePool", &[&self.last.name], "mean", &[]);
        onnx::node(graph, "Flatten", &["mean"], "flat", &[("axis", Attribute::Int(1))]);
        onnx::initializer(graph, "dense.weight", &[inputs, outputs], &weights);
        let mut operands = vec!["flat", "dense.weight"];
        if !bias.is_empty() {
            onnx::initializer(graph, "dense.bias", &[outputs], &bias);
            operands.push("dense.bias");
        }
        onnx::node(graph, "Gemm", &operands, "embedding", &[]);
        onnx::input(graph, "input", &[Axis::Free("N"), Axis::Fixed(3), Axis::Fixed(rows), Axis::Fixed(columns)]);
        onnx::output(graph, "embedding", &[Axis::Free("N"), Axis::Fixed(outputs)]);
        graph.bytes(2, b"dlib");
        Ok(onnx::model(&onnx::head(&[]), &self.graph.finish()))
    }
}

/// Appends a convolution with its weights.
pub(super) fn conv_node(graph: &mut Writer, conv: &Conv, input: &str, output: &str) {
    let (weight, bias) = (format!("{output}.weight"), format!("{output}.bias"));
    onnx::initializer(graph, &weight, &conv.shape, &conv.weights);
    onnx::initializer(graph, &bias, &[conv.shape[0]], &conv.bias);
    let [kernel, stride, [top, left]] =
        [conv.patch.kernel, conv.patch.stride, conv.patch.padding].map(|pair| pair.map(|n| n as i64));
    let attributes = [
        ("kernel_shape", Attribute::Ints(&kernel)),
        ("strides", Attribute::Ints(&stride)),
        ("pads", Attribute::Ints(&[top, left, top, left])),
    ];
    onnx::node(graph, "Conv", &[input, &weight, &bias], output, &attributes);
}
