//! 95 % intervals by resampling people.

use serde::Serialize;

/// How intervals are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bootstrap {
    /// How often people are drawn anew; 0 gives intervals as narrow as the figure.
    pub replicates: usize,
    /// The same seed draws the same people.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { replicates: 1000, seed: 0 }
    }
}
