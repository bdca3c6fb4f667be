//! A network on a GPU. Its inputs and outputs lie in pinned memory, which stays where it is, so that the GPU reads it by
//! itself, at the full speed of the bus and without a copy in between.

use std::sync::{Mutex, PoisonError};

use ::ort::{
    Result as OrtResult,
    memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType},
    session::IoBinding,
    value::Tensor as Value,
};

use super::{super::Tensor, Network, Session};
use crate::Result;

/// Inputs kept for later runs: the batches of a folder have few shapes, and pinning memory takes longer than a run.
const KEPT: usize = 4;
/// How many times what a processor is given at once.
const APPETITE: usize = 8;

/// A loaded network and its pinned memory.
///
/// It is run with 1, 2, 4, 8 … inputs at once only, the last of them left from earlier runs or 0: cuDNN prepares itself
/// for each number anew, for longer than hundreds of inputs take, and every chunk of a folder has another number of faces.
pub(super) struct GpuNetwork {
    network: Network,
    free: Mutex<Vec<Value<f32>>>,
}

impl GpuNetwork {
    pub(super) fn new(network: Network) -> Self {
        Self { network, free: Mutex::default() }
    }

    /// An input of `shape`; its values may be those of an earlier run.
    fn take(&self, shape: &[usize]) -> OrtResult<Value<f32>> {
        let shape: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        match free.iter().position(|input| **input.shape() == *shape) {
            Some(place) => Ok(free.remove(place)),
            None => Value::new(&Allocator::new(&self.network.session(), memory(MemoryType::CPUInput)?)?, shape),
        }
    }

    fn give_back(&self, input: Value<f32>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() == KEPT {
            free.remove(0);
        }
        free.push(input);
    }

    /// A run of the network from `input` to outputs in pinned memory.
    fn binding(&self, session: &::ort::session::Session, input: &Value<f32>) -> OrtResult<IoBinding> {
        let mut binding = session.create_binding()?;
        binding.bind_input(&*self.network.input, input)?;
        for output in session.outputs() {
            binding.bind_output_to_device(output.name(), &memory(MemoryType::CPUOutput)?)?;
        }
        Ok(binding)
    }
}

impl Session for GpuNetwork {
    fn run(&self, input: Tensor) -> Result<Vec<Tensor>> {
        self.fill_and_run(&input.shape, &mut |pinned| pinned.copy_from_slice(&input.data))
    }

    fn fill_and_run(&self, shape: &[usize], fill: &mut dyn FnMut(&mut [f32])) -> Result<Vec<Tensor>> {
        let fail = |e: ::ort::Error| self.network.fail(e);
        let padded = padded(shape);
        let mut input = self.take(&padded).map_err(fail)?;
        fill(&mut input.try_extract_tensor_mut::<f32>().map_err(fail)?.1[..shape.iter().product()]);
        let mut tensors = {
            let mut session = self.network.session();
            let binding = self.binding(&session, &input).map_err(fail)?;
            let outputs = session.run_binding(&binding).map_err(fail)?;
            binding.synchronize_outputs().map_err(fail)?;
            self.network.tensors(&outputs)?
        };
        self.give_back(input);
        if let (Some(&inputs), Some(&most)) = (shape.first(), padded.first()) {
            tensors.iter_mut().for_each(|tensor| cut(tensor, inputs, most));
        }
        Ok(tensors)
    }

    fn appetite(&self) -> usize {
        APPETITE
    }
}

/// `shape` with the next power of two of inputs.
fn padded(shape: &[usize]) -> Vec<usize> {
    let mut padded = shape.to_vec();
    if let Some(inputs) = padded.first_mut().filter(|inputs| **inputs > 0) {
        *inputs = inputs.next_power_of_two();
    }
    padded
}

/// Leaves an output of `padded` inputs what belongs to the first `inputs` of them.
fn cut(output: &mut Tensor, inputs: usize, padded: usize) {
    if output.shape.first() == Some(&padded) {
        output.data.truncate(output.data.len() / padded.max(1) * inputs);
        output.shape[0] = inputs;
    }
}

fn memory(kind: MemoryType) -> OrtResult<MemoryInfo<'static>> {
    Ok(MemoryInfo::new(AllocationDevice::CUDA_PINNED, 0, AllocatorType::Device, kind)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_inputs_are_powers_of_two() {
        let inputs = [0, 1, 2, 3, 100, 128, 129].map(|n| padded(&[n, 3, 8, 8])[0]);
        assert_eq!(inputs, [0, 1, 2, 4, 128, 128, 256]);
        assert_eq!(padded(&[5, 3, 7]), [8, 3, 7]);
        assert!(padded(&[]).is_empty());
    }

    #[test]
    fn what_was_added_is_cut_off() {
        let mut output = Tensor { shape: vec![4, 2], data: (0..8u8).map(f32::from).collect() };
        cut(&mut output, 3, 4);
        assert_eq!(output, Tensor { shape: vec![3, 2], data: (0..6u8).map(f32::from).collect() });
        cut(&mut output, 3, 4);
        assert_eq!(output.shape, [3, 2], "of another length: not an input's each");
    }
}
