//! bledsoe's own kernels, compiled in: the layers that networks for faces are made of.
//!
//! A map keeps a pixel's channels together, so that sixteen of them fill a register whatever the picture's size, also
//! where each channel is convolved by itself, at which general engines are slow. Any other convolution is a product of
//! matrices whose sums stay in registers until what follows them (bias, sum, activation) is done too. Embedders multiply
//! in bf16 where the processor can; sums are f32 always.

mod activation;
#[cfg(target_arch = "x86_64")]
mod amx;
mod arithmetic;
mod convolution;
mod depthwise;
mod field;
mod instructions;
mod layer;
mod map;
mod network;
mod plan;
mod pool;
mod reading;
mod run;
#[cfg(test)]
mod tests;
mod tiles;
mod window;

use std::sync::Arc;

use instructions::Instructions;

use super::{Precision, Session};
use crate::{Error, Result, model::graph::Graph};

/// The threads of all networks.
pub(super) struct Runtime {
    threads: Arc<rayon::ThreadPool>,
}

impl Runtime {
    pub(super) fn new(threads: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|e| Error::engine("native", format!("cannot start {threads} threads: {e}")))?;
        Ok(Self { threads: Arc::new(pool) })
    }

    /// Whether there are kernels for this processor's own instructions: what plain loops are worth elsewhere was not
    /// measured.
    pub(super) fn suits_processor() -> bool {
        Instructions::best(Precision::Full) != Instructions::Plain
    }

    /// The instructions and threads, for people.
    pub(super) fn describe(&self) -> String {
        let (embedders, detectors) =
            (Instructions::best(Precision::Fast).name(), Instructions::best(Precision::Full).name());
        let instructions =
            if embedders == detectors { embedders.to_owned() } else { format!("{detectors}, embedders {embedders}") };
        format!("bledsoe's own kernels (built in), {instructions}, {} threads", self.threads.current_num_threads())
    }

    /// Loads a network.
    ///
    /// # Errors
    /// [`Error::Model`] when it is damaged; [`Error::Engine`] when it has what there is no layer for.
    pub(super) fn load(&self, name: &str, onnx: &[u8], precision: Precision) -> Result<Box<dyn Session>> {
        let graph = Graph::read(onnx, name)?;
        Instructions::best(precision)
            .load(name, &graph, &self.threads)
            .map_err(|reason| Error::engine("native", format!("{name}: {reason}")))
    }
}
