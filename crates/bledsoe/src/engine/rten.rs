//! rten: pure Rust, compiled in.

use std::sync::Arc;

use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value};
use rten_tensor::{AsView, Layout};

use super::{Session, Tensor};
use crate::{Error, Result};

pub(super) const NAME: &str = "rten 0.27 (built in), f32";

/// The thread pool that all networks share.
pub(super) struct Runtime {
    threads: Arc<ThreadPool>,
}

impl Runtime {
    pub(super) fn new(threads: usize) -> Self {
        Self { threads: Arc::new(ThreadPool::with_num_threads(threads)) }
    }

    pub(super) fn load(&self, name: &str, onnx: Vec<u8>) -> Result<Network> {
        let fail = |e: String| Error::engine("rten", format!("cannot load {name}: {e}"));
        let mut options = ModelOptions::with_all_ops();
        options.prepack_weights(true);
        let model = options.load(onnx).map_err(|e| fail(e.to_string()))?;
        let input = *model.input_ids().first().ok_or_else(|| fail("the network has no input".into()))?;
        Ok(Network {
            name: name.to_owned(),
            input,
            outputs: model.output_ids().to_vec(),
            model,
            threads: Arc::clone(&self.threads),
        })
    }
}

/// A loaded network.
pub(super) struct Network {
    name: String,
    model: Model,
    input: NodeId,
    outputs: Vec<NodeId>,
    threads: Arc<ThreadPool>,
}

impl Session for Network {
    fn run(&self, input: Tensor) -> Result<Vec<Tensor>> {
        let fail = |e: String| Error::engine("rten", format!("{}: {e}", self.name));
        let value = Value::from_shape(input.shape.as_slice(), input.data).map_err(|e| fail(e.to_string()))?;
        let mut options = RunOptions::default();
        options.thread_pool = Some(Arc::clone(&self.threads));
        let outputs = self
            .model
            .run(vec![(self.input, value.into())], &self.outputs, Some(options))
            .map_err(|e| fail(e.to_string()))?;
        outputs
            .into_iter()
            .map(|value| {
                let tensor = value.into_tensor::<f32>().ok_or_else(|| fail("an output is not f32".into()))?;
                Ok(Tensor { shape: tensor.shape().to_vec(), data: tensor.to_vec() })
            })
            .collect()
    }
}
