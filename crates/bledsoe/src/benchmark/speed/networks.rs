//! Each network by itself: how long a run of it takes, and what it computes in that time.

use std::time::Instant;

use serde::Serialize;

use super::{Timing, Unit};
use crate::{
    Result,
    engine::{Engine, EngineConfig, Precision},
    model::{Contract, Format, Store, Task, arithmetic},
    pipeline::detector_precision,
};

/// Chips to a run of an embedder, unless others are asked for: as many as `benches/rivals/facenet.py` gives the rivals.
pub const CHIPS: usize = 32;
/// Photos to a run of a detector that takes any size, and their side in pixels: a call of CenterFace holds a megapixel.
const PHOTOS: usize = 16;
const SIDE: usize = 256;

/// How fast a network runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NetworkSpeed {
    /// The model's id.
    pub id: String,
    /// Lengths of its input: N x C x H x W.
    pub shape: [usize; 4],
    /// Multiply-adds for one of the N, in millions; a multiply-add is two operations.
    pub million_multiply_adds: f64,
    /// How long an input takes, in a run of N: the network alone, without filling its input or averaging with the
    /// mirror image.
    pub timing: Timing,
    /// Billions of operations in a second, by the median.
    pub gflops: Option<f64>,
}

/// Times the network of `contract` on noise, an embedder with each number of `chips` at once; nothing if it is no
/// network that embeds or detects. One run of each is not counted.
///
/// # Errors
/// [`crate::Error::Model`], [`crate::Error::Engine`].
pub fn run(
    contract: &Contract,
    store: &Store,
    config: &EngineConfig,
    repeats: usize,
    chips: &[usize],
) -> Result<Vec<NetworkSpeed>> {
    let network = matches!(contract.format, Format::Pack | Format::Onnx | Format::ResnetDat | Format::MmodDat);
    let (counts, precision) = match contract.task {
        // As the pipeline loads them.
        Task::Embed if network => (chips, Precision::Fast),
        Task::Detect if network => (&[PHOTOS][..], detector_precision(&contract.id)),
        _ => return Ok(Vec::new()),
    };
    let side = contract.input.as_ref().map(|input| input.size as usize).filter(|&side| side > 0).unwrap_or(SIDE);
    let onnx = store.onnx(&contract.id)?;
    let multiply_adds = arithmetic::multiply_adds(&onnx, &contract.id, &[1, 3, side, side])?;
    let session = Engine::open(config)?.load(&contract.id, onnx, precision)?;
    let mut random = fastrand::Rng::with_seed(0);
    let mut speeds = Vec::with_capacity(counts.len());
    for &count in counts {
        let shape = [count, 3, side, side];
        let data: Vec<f32> = (0..shape.iter().product()).map(|_| random.f32() * 2.0 - 1.0).collect();
        let mut seconds = Vec::with_capacity(repeats);
        for number in 0..=repeats {
            let mut start = Instant::now();
            session.fill_and_run(&shape, &mut |input| {
                input.copy_from_slice(&data);
                start = Instant::now();
            })?;
            if number > 0 {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
        let timing = Timing::new(&contract.id, Unit::Input, count, seconds);
        let gflops = timing.per_second.map(|rate| rate * 2.0 * multiply_adds as f64 / 1e9);
        let million_multiply_adds = multiply_adds as f64 / 1e6;
        speeds.push(NetworkSpeed { id: contract.id.clone(), shape, million_multiply_adds, timing, gflops });
    }
    Ok(speeds)
}
