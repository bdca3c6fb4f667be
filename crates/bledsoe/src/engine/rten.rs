//! rten: pure Rust, compiled in.

use std::sync::Arc;

use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value};
use rten_tensor::{AsView, Layout};

use super::{Session, Tensor};
use crate::{Error, Result};

pub(super) const NAME: &str = "rten 0.27 (built in), f32";

/// Threads for all networks: one pool of all, and one of each alone.
pub(super) struct Runtime {
    threads: Arc<Threads>,
}

struct Threads {
    together: Arc<ThreadPool>,
    alone: Vec<Arc<ThreadPool>>,
}

impl Runtime {
    pub(super) fn new(threads: usize) -> Self {
        let pool = |n| Arc::new(ThreadPool::with_num_threads(n));
        Self { threads: Arc::new(Threads { together: pool(threads), alone: (0..threads).map(|_| pool(1)).collect() }) }
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
    threads: Arc<Threads>,
}

impl Network {
    fn fail(&self, reason: impl ToString) -> Error {
        Error::engine("rten", format!("{}: {}", self.name, reason.to_string()))
    }

    fn run_on(&self, pool: &Arc<ThreadPool>, input: Tensor) -> Result<Vec<Tensor>> {
        let value = Value::from_shape(input.shape.as_slice(), input.data).map_err(|e| self.fail(e))?;
        let mut options = RunOptions::default();
        options.thread_pool = Some(Arc::clone(pool));
        let outputs =
            self.model.run(vec![(self.input, value.into())], &self.outputs, Some(options)).map_err(|e| self.fail(e))?;
        outputs
            .into_iter()
            .map(|value| {
                let tensor = value.into_tensor::<f32>().ok_or_else(|| self.fail("an output is not f32"))?;
                Ok(Tensor { shape: tensor.shape().to_vec(), data: tensor.to_vec() })
            })
            .collect()
    }
}

impl Session for Network {
    /// Each thread takes its part of the batch: many layers are too small for two threads to share them.
    fn run(&self, input: Tensor) -> Result<Vec<Tensor>> {
        let parts = match <[Tensor; 1]>::try_from(split(input, self.threads.alone.len())) {
            Ok([whole]) => return self.run_on(&self.threads.together, whole),
            Err(parts) => parts,
        };
        let done: Vec<Result<Vec<Tensor>>> = std::thread::scope(|scope| {
            let run = |(part, pool)| scope.spawn(move || self.run_on(pool, part));
            let running: Vec<_> = parts.into_iter().zip(&self.threads.alone).map(run).collect();
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(self.fail("panicked")))).collect()
        });
        join(done.into_iter().collect::<Result<_>>()?).ok_or_else(|| self.fail("parts of a batch gave unlike outputs"))
    }
}

/// Cuts a batch into at most `n` parts of about one length.
fn split(batch: Tensor, n: usize) -> Vec<Tensor> {
    let items = batch.shape.first().copied().unwrap_or(0);
    if items < 2 || n < 2 || batch.data.is_empty() {
        return vec![batch];
    }
    let (item, length) = (batch.data.len() / items, items.div_ceil(n));
    let part = |data: &[f32]| {
        let mut shape = batch.shape.clone();
        shape[0] = data.len() / item;
        Tensor { shape, data: data.to_vec() }
    };
    batch.data.chunks(item * length).map(part).collect()
}

/// Joins each output of the parts along the first axis; `None` where their other axes differ.
fn join(parts: Vec<Vec<Tensor>>) -> Option<Vec<Tensor>> {
    let mut parts = parts.into_iter();
    let mut joined = parts.next()?;
    for part in parts {
        if part.len() != joined.len() {
            return None;
        }
        for (whole, tensor) in joined.iter_mut().zip(part) {
            let (items, rest) = tensor.shape.split_first()?;
            if whole.shape.get(1..) != Some(rest) {
                return None;
            }
            whole.shape[0] += items;
            whole.data.extend(tensor.data);
        }
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn parts_joined_are_the_whole(items in 0usize..20, item in 0usize..4, n in 1usize..6) {
            let batch = Tensor { shape: vec![items, item, 1], data: (0..items * item).map(|i| i as f32).collect() };
            let parts = split(batch.clone(), n);
            proptest::prop_assert!(parts.len() <= n);
            proptest::prop_assert_eq!(join(parts.into_iter().map(|part| vec![part]).collect()), Some(vec![batch]));
        }
    }

    #[test]
    fn unlike_parts_are_not_joined() {
        let tensor = |shape: &[usize]| vec![Tensor { shape: shape.to_vec(), data: vec![0.0; shape.iter().product()] }];
        assert!(join(vec![tensor(&[1, 2]), tensor(&[1, 3])]).is_none());
        assert!(join(vec![tensor(&[1, 2]), Vec::new()]).is_none());
    }
}
