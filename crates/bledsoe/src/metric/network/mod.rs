//! The end of a network, in a form that can be learnt: ONNX nodes as candle's operations, their weights as variables.
//!
//! In: what the front of the network gives of faces. Out: unit vectors. Tensors of faces are channels x faces x height x
//! width, ONNX's with the first two axes exchanged: so a convolution is one product of two matrices as they lie in memory,
//! the weights and the pictures.

mod operator;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Device, Result as CandleResult, Tensor, Var};

use self::operator::{Operand, Operator, flat};
use super::{Examples, candle, loss::unit_rows, training::Learner};
use crate::{
    Error, Result,
    embed::Features,
    model::graph::{End, Graph},
};

/// New numbers of a network's constants, by name.
pub type Weights = BTreeMap<String, Vec<f32>>;

/// The end of a network.
pub(super) struct Network {
    tensor: String,
    output: String,
    steps: Vec<Step>,
    variables: BTreeMap<String, Var>,
    constants: BTreeMap<String, Tensor>,
}

struct Step {
    operator: Operator,
    /// How messages call it.
    label: String,
    inputs: Vec<String>,
    output: String,
}

impl Network {
    /// The end of `graph`, in numbers of `kind`.
    ///
    /// # Errors
    /// [`Error::Model`] naming the node and the operator that cannot be learnt through.
    pub(super) fn new(graph: &Graph<'_>, end: &End<'_, '_>, kind: DType, device: &Device) -> Result<Self> {
        let mut network = Self {
            tensor: end.tensor.clone(),
            output: graph.output().to_owned(),
            steps: Vec::new(),
            variables: BTreeMap::new(),
            constants: BTreeMap::new(),
        };
        let mut made = BTreeSet::from([end.tensor.as_str()]);
        for node in &end.nodes {
            let label = format!("{} ({})", node.label(), node.operator);
            let refused = |reason: &str| {
                Error::model(graph.name(), format!("layers cannot be learnt through its node {label}: {reason}"))
            };
            let operator = Operator::read(graph, node).map_err(|reason| refused(&reason))?;
            for (place, name) in node.inputs.iter().enumerate() {
                if name.is_empty() || made.contains(name.as_str()) {
                    continue;
                }
                let Some(constant) = graph.constant(name) else {
                    return Err(refused(&format!("its input {name} does not come from the faces, and is no constant")));
                };
                let shape = constant.shape.as_slice();
                match (constant.floats(), constant.ints()) {
                    (Some(values), _) => {
                        let tensor = Tensor::from_vec(values, shape, device).and_then(|tensor| tensor.to_dtype(kind));
                        let learnt = end.constants.contains(name.as_str()) && operator.learns(place, shape);
                        network.keep(name, tensor.map_err(candle)?, learnt).map_err(candle)?;
                    }
                    // A setting, which the operator has read.
                    (None, Some(_)) => {}
                    (None, None) => return Err(refused(&format!("its input {name} is not of f32 or i64"))),
                }
            }
            let output = node.outputs.first().map_or("", String::as_str);
            made.insert(output);
            network.steps.push(Step { operator, label, inputs: node.inputs.clone(), output: output.to_owned() });
        }
        Ok(network)
    }

    fn keep(&mut self, name: &str, tensor: Tensor, learnt: bool) -> CandleResult<()> {
        if learnt {
            self.variables.insert(name.to_owned(), Var::from_tensor(&tensor)?);
        } else {
            self.constants.insert(name.to_owned(), tensor);
        }
        Ok(())
    }

    /// Unit vectors, row by row, of `input`, which is channels x faces x …
    pub(super) fn forward(&self, input: Tensor) -> CandleResult<Tensor> {
        let mut tensors = BTreeMap::from([(self.tensor.as_str(), input)]);
        for step in &self.steps {
            let operand = |name: &String| match (tensors.get(name.as_str()), self.variables.get(name)) {
                (Some(tensor), _) => Operand::Faces(tensor.clone()),
                (None, Some(variable)) => Operand::Constant(variable.as_tensor().clone()),
                (None, None) => {
                    self.constants.get(name).map_or(Operand::Absent, |tensor| Operand::Constant(tensor.clone()))
                }
            };
            let inputs: Vec<Operand> = step.inputs.iter().map(operand).collect();
            let output = step.operator.compute(&inputs).map_err(|error| error.context(step.label.clone()))?;
            tensors.insert(&step.output, output);
        }
        match tensors.remove(self.output.as_str()) {
            Some(output) => unit_rows(&flat(&output)?.t()?.contiguous()?),
            None => candle_core::bail!("the network's output {} is none of its nodes'", self.output),
        }
    }

    /// What is learnt, as it is now.
    fn weights(&self) -> CandleResult<Weights> {
        let numbers = |variable: &Var| {
            variable.as_tensor().to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()
        };
        self.variables.iter().map(|(name, variable)| Ok((name.clone(), numbers(variable)?))).collect()
    }
}

/// The end of a network, learning from what its front gave.
pub(super) struct Unfrozen<'a> {
    pub network: Network,
    pub features: &'a Features,
    pub device: Device,
}

impl Learner for Unfrozen<'_> {
    type Learnt = Weights;

    fn variables(&self) -> Vec<Var> {
        self.network.variables.values().cloned().collect()
    }

    /// A face of which there are two pictures, as it is and mirrored, has the direction of both vectors' sum.
    fn vectors(&self, examples: &Examples, rows: &[usize]) -> CandleResult<Tensor> {
        let faces: Vec<usize> = rows.iter().map(|&row| examples.source(row)).collect();
        let (shape, values) = self.features.channels_first(&faces);
        let vectors = self.network.forward(Tensor::from_vec(values, shape, &self.device)?)?;
        match self.features.views() {
            1 => Ok(vectors),
            views => unit_rows(&vectors.reshape((rows.len(), views, ()))?.sum(1)?),
        }
    }

    fn learnt(&self) -> CandleResult<Weights> {
        self.network.weights()
    }
}

#[cfg(test)]
mod tests;
