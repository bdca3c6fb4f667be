//! Support vector machines with probabilities.
//!
//! [`Pairs`] trains one machine for every two people (one-vs-one), as LIBSVM and scikit-learn's `SVC` do, and agrees
//! with them; its size grows with the square of the number of people. [`Rest`] trains one machine a person against the
//! rest, linear only, whose size grows with their number: it takes over above [`MAX_PAIRED`] people.
//!
//! Written here because no maintained crate reaches this: `linfa-svm` has no multi-class machine and `smartcore`'s keeps
//! a dense kernel matrix of all samples.

mod coupling;
mod pairs;
mod platt;
mod rest;
mod smo;

use serde::{Deserialize, Serialize};

pub use coupling::couple;
pub use pairs::{PairDecisions, Pairs};
pub use platt::Sigmoid;
pub use rest::Rest;
pub use smo::{MatrixProblem, Problem, Solution};

/// Most people for whom the linear machine compares pairs: 256 are 32,640 pairs, 67 MB at 512 numbers each.
pub const MAX_PAIRED: usize = 256;
/// Most people for whom the RBF machine can be trained.
pub const MAX_RBF: usize = 1000;
/// Optimality tolerance, as LIBSVM's.
pub const TOLERANCE: f64 = 1e-3;

/// The inner product in which the machine is linear.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Kernel {
    /// `x'y`.
    Linear,
    /// `exp(-gamma |x - y|^2)`.
    Rbf {
        /// Above zero.
        gamma: f64,
    },
}

impl Kernel {
    /// The kernel's value from the inner product of two vectors and their squared lengths.
    #[inline]
    pub fn of(self, product: f32, square_a: f32, square_b: f32) -> f32 {
        match self {
            Self::Linear => product,
            Self::Rbf { gamma } => {
                let distance = (f64::from(square_a) + f64::from(square_b) - 2.0 * f64::from(product)).max(0.0);
                (-gamma * distance).exp() as f32
            }
        }
    }
}
