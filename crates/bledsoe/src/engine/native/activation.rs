//! What becomes of a layer's sums.

use super::arithmetic::{Arithmetic, LANES};

/// A function of each number.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Activation {
    /// None.
    Linear,
    /// Negative numbers become zero.
    Relu,
    /// Negative numbers are scaled, in each channel by a slope of its own.
    PRelu(Vec<[f32; LANES]>),
}

impl Activation {
    /// One slope for each channel.
    pub fn prelu(slopes: &[f32]) -> Self {
        Self::PRelu(panels(slopes))
    }

    /// Whether it has what so many channels need.
    pub fn suits(&self, channels: usize) -> bool {
        !matches!(self, Self::PRelu(slopes) if slopes.len() != channels.div_ceil(LANES))
    }

    /// Of sixteen channels, those of a panel.
    #[inline(always)]
    pub fn of<A: Arithmetic>(&self, panel: usize, lanes: A::Lanes) -> A::Lanes {
        let zero = A::splat(0.0);
        match self {
            Self::Linear => lanes,
            Self::Relu => A::max(lanes, zero),
            Self::PRelu(slopes) => A::multiply_add(A::max(lanes, zero), A::min(lanes, zero), A::load(&slopes[panel])),
        }
    }
}

/// A number for each channel, in panels.
pub(super) fn panels(numbers: &[f32]) -> Vec<[f32; LANES]> {
    let panel = |numbers: &[f32]| std::array::from_fn(|i| numbers.get(i).copied().unwrap_or(0.0));
    numbers.chunks(LANES).map(panel).collect()
}
