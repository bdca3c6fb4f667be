//! What a machine can do at most: multiply-adds of f32, and reading memory, by small loops without a network.

use std::{hint::black_box, time::Instant};

use rayon::prelude::*;
use serde::Serialize;

/// Runs of each loop; the fastest counts, as every disturbance slows it.
const REPEATS: usize = 7;
/// Floating-point operations of one run, on each thread.
const OPERATIONS: u64 = 2_000_000_000;
/// Memory that is read, in bytes: more than the caches of nearly all machines.
const MEMORY: usize = 512 << 20;
/// Independent sums: enough to hide a multiply-add's latency of four cycles in two units, few enough for 16 registers.
const SUMS: usize = 12;

/// A machine's peaks, on as many threads as rayon's pool has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Peak {
    /// Threads that worked.
    pub threads: usize,
    /// The instructions that the multiply-adds were made with.
    pub instructions: &'static str,
    /// Billions of f32 operations in a second (a multiply-add is two), all threads together.
    pub gflops: f64,
    /// Billions of bytes read from memory in a second, all threads together.
    pub gigabytes_per_second: f64,
}

/// Measures the peaks; takes a second or two.
pub fn peak() -> Peak {
    let threads = rayon::current_num_threads();
    let kernel = kernel();
    let rounds = OPERATIONS / kernel.operations;
    let arithmetic = fastest(|| {
        rayon::broadcast(|_| black_box((kernel.run)(black_box(rounds))));
    });
    let memory = vec![1u64; MEMORY / 8];
    let sum = |part: &[u64]| part.iter().fold(0u64, |sum, &value| sum.wrapping_add(value));
    let reading = fastest(|| {
        black_box(memory.par_chunks(memory.len().div_ceil(threads)).map(sum).reduce(|| 0, u64::wrapping_add));
    });
    Peak {
        threads,
        instructions: kernel.instructions,
        gflops: (threads as u64 * rounds * kernel.operations) as f64 / arithmetic / 1e9,
        gigabytes_per_second: MEMORY as f64 / reading / 1e9,
    }
}

/// Seconds of the fastest of several runs.
fn fastest(work: impl Fn()) -> f64 {
    let seconds = || {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..REPEATS).map(|_| seconds()).fold(f64::INFINITY, f64::min)
}

/// A loop of multiply-adds.
struct Kernel {
    instructions: &'static str,
    /// Floating-point operations of one round.
    operations: u64,
    /// Does that many rounds. The result only keeps the compiler from leaving them out.
    run: fn(u64) -> f32,
}

impl Kernel {
    fn of(instructions: &'static str, lanes: usize, run: fn(u64) -> f32) -> Self {
        Self { instructions, operations: (2 * SUMS * lanes) as u64, run }
    }
}

/// The fastest loop that this processor runs.
fn kernel() -> Kernel {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f") {
            // SAFETY: the processor has AVX-512F.
            return Kernel::of("AVX-512", 16, |rounds| unsafe { x86::avx512(rounds) });
        }
        if has!("avx2") && has!("fma") {
            // SAFETY: the processor has AVX2 and FMA.
            return Kernel::of("AVX2 with FMA", 8, |rounds| unsafe { x86::avx2(rounds) });
        }
    }
    Kernel::of("portable", LANES, portable)
}

/// Numbers to a register of SSE2 and Neon.
const LANES: usize = 4;

/// Multiply-adds that the compiler turns into the vectors that every processor of its kind has: fused where those are
/// sure to have it.
fn portable(rounds: u64) -> f32 {
    let (factor, shift) = black_box((0.999f32, 0.001f32));
    let mut sums: [[f32; LANES]; SUMS] = black_box(std::array::from_fn(|i| [i as f32; LANES]));
    for _ in 0..rounds {
        for value in sums.as_flattened_mut() {
            *value = if cfg!(target_feature = "fma") || cfg!(target_arch = "aarch64") {
                value.mul_add(factor, shift)
            } else {
                *value * factor + shift
            };
        }
    }
    sums.as_flattened().iter().sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::{
        arch::x86_64::{
            _mm256_add_ps, _mm256_cvtss_f32, _mm256_fmadd_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm512_add_ps,
            _mm512_cvtss_f32, _mm512_fmadd_ps, _mm512_set1_ps, _mm512_setzero_ps,
        },
        hint::black_box,
    };

    use super::SUMS;

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512(rounds: u64) -> f32 {
        let (factor, shift) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
        let mut sums = [_mm512_setzero_ps(); SUMS];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = _mm512_set1_ps(black_box(i as f32));
        }
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, factor, shift);
            }
        }
        _mm512_cvtss_f32(sums.iter().fold(_mm512_setzero_ps(), |a, &b| _mm512_add_ps(a, b)))
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2(rounds: u64) -> f32 {
        let (factor, shift) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(0.001)));
        let mut sums = [_mm256_setzero_ps(); SUMS];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = _mm256_set1_ps(black_box(i as f32));
        }
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, factor, shift);
            }
        }
        _mm256_cvtss_f32(sums.iter().fold(_mm256_setzero_ps(), |a, &b| _mm256_add_ps(a, b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loop_computes_the_same_multiply_adds() {
        // x -> 0.999 x + 0.001 draws every sum towards 1; after 100 rounds each is 1 + 0.999^100 (i - 1).
        let kept = 0.999f64.powi(100);
        let sum: f64 = (0..SUMS).map(|i| 1.0 + kept * (i as f64 - 1.0)).sum();
        let kernel = kernel();
        // The wide loops give one lane, the portable one all of them.
        let lanes = if kernel.instructions == "portable" { LANES as f64 } else { 1.0 };
        assert!((f64::from((kernel.run)(100)) - lanes * sum).abs() < 1e-3 * sum, "{}", kernel.instructions);
        assert!((f64::from(portable(100)) - LANES as f64 * sum).abs() < 1e-3 * sum);
    }
}
