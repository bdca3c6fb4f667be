//! The instructions that layers are compiled for.

use std::sync::Arc;

#[cfg(target_arch = "x86_64")]
use super::arithmetic::x86::{Amx, Avx2, Avx512, Avx512Bf16};
use super::{
    arithmetic::{Arithmetic, Plain},
    network::Network,
};
use crate::{
    engine::{Precision, Session},
    model::graph::Graph,
};

/// A kind of processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Amx,
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Plain,
}

impl Instructions {
    /// All that this processor has, the fastest of most first. No other may be loaded for.
    pub fn available() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if Amx::is_available() {
                all.push(Self::Amx);
            }
            if Avx512Bf16::is_available() {
                all.push(Self::Avx512Bf16);
            }
            if Avx512::is_available() {
                all.push(Self::Avx512);
            }
            if Avx2::is_available() {
                all.push(Self::Avx2);
            }
        }
        all.push(Self::Plain);
        all
    }

    /// The fastest that computes exactly enough.
    pub fn best(precision: Precision) -> Self {
        let is_exact = |instructions: &Self| precision == Precision::Fast || !instructions.is_narrow();
        let suits = |instructions: &Self| is_exact(instructions) && !instructions.is_slow();
        Self::available().into_iter().find(suits).unwrap_or(Self::Plain)
    }

    /// A Xeon with AMX multiplied bf16 by AVX-512 more slowly than f32; its system may not lend tiles.
    fn is_slow(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self == Self::Avx512Bf16 && super::amx::has_instructions();
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Whether products are of bf16.
    pub fn is_narrow(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return matches!(self, Self::Amx | Self::Avx512Bf16);
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => "bf16 (AMX)",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => "bf16",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            Self::Plain => "plain loops",
        }
    }

    /// Loads a network; the processor must have the instructions. The error says what there is no layer for.
    pub fn load(
        self,
        name: &str,
        graph: &Graph<'_>,
        threads: &Arc<rayon::ThreadPool>,
    ) -> Result<Box<dyn Session>, String> {
        fn boxed<A: Arithmetic>(
            name: &str,
            graph: &Graph<'_>,
            threads: &Arc<rayon::ThreadPool>,
        ) -> Result<Box<dyn Session>, String> {
            Ok(Box::new(Network::<A>::new(name, graph, Arc::clone(threads))?))
        }
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => boxed::<Amx>(name, graph, threads),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => boxed::<Avx512Bf16>(name, graph, threads),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => boxed::<Avx512>(name, graph, threads),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => boxed::<Avx2>(name, graph, threads),
            Self::Plain => boxed::<Plain>(name, graph, threads),
        }
    }
}
