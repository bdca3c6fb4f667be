//! Search: the nearest of many vectors, by inner product.
//!
//! In: unit vectors, all of one length; each gets a row number. Out: for each probe, its `k` nearest [`Neighbour`]s.
//! Vectors are plain numbers here: whose they are, and by which model, is known to the caller.
//!
//! - [`Exact`] multiplies a probe with every row. One probe costs one reading of memory, so it pays to store few bytes
//!   a vector: see [`Storage`].
//! - [`Cells`] read only those rows that lie near the probe, three in ten, and of many rows only their principal
//!   components. They may miss some, and building them takes seconds. `docs/benchmarks.md` has the figures: below [`INDEX_PAYS`] rows, `Exact` is fast enough.
//!
//! Both give the same answer each time on the same machine, however many threads take part; equals are ordered by row.
//!
//! ```
//! use bledsoe::search::{Exact, Index, Storage};
//!
//! # fn main() -> bledsoe::Result<()> {
//! let (ada, grace) = ([1.0, 0.0, 0.0], [0.0, 0.6, 0.8]);
//! let mut index = Exact::new(3, Storage::Int4F16)?;
//! let rows = index.add(&[&ada, &grace])?;
//!
//! let probe = [0.0, 0.8, 0.6];
//! let nearest = index.nearest(&[&probe], 1)?.remove(0);
//! assert_eq!(nearest[0].row, rows[1]);
//! assert!((nearest[0].similarity - 0.96).abs() < 1e-3);
//!
//! index.remove(&[rows[1]])?;
//! assert_eq!(index.nearest(&[&probe], 1)?[0][0].row, rows[0]);
//! # Ok(())
//! # }
//! ```

mod cells;
mod components;
mod copies;
mod exact;
mod file;
mod half_bytes;
mod kernel;
#[cfg(test)]
mod testing;
mod top;
mod vectors;

use std::cmp::Ordering;

pub use cells::{Cells, CellsOptions};
pub use copies::Storage;
pub use exact::Exact;
pub(crate) use file::Layout;

use crate::{Error, Result};

/// From this many rows on, an index that may miss some is worth building: below, [`Exact`] answers in a millisecond or
/// two.
pub const INDEX_PAYS: usize = 100_000;

/// A row and how near it is.
#[derive(Debug, Clone, Copy)]
pub struct Neighbour {
    /// As [`Index::add`] numbered it.
    pub row: usize,
    /// The inner product with the probe: the cosine similarity, -1 to 1 but for rounding.
    pub similarity: f32,
}

/// The better comes first: the more similar, and of equals the lower row.
impl Ord for Neighbour {
    fn cmp(&self, other: &Self) -> Ordering {
        other.similarity.total_cmp(&self.similarity).then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Neighbour {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Neighbour {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Neighbour {}

/// Vectors that can be searched. Batch-first: many vectors in one call go over all cores.
pub trait Index: Send + Sync {
    /// Length of a vector.
    fn dim(&self) -> usize;

    /// How many vectors it holds.
    fn len(&self) -> usize;

    /// Whether it holds none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds unit vectors and gives the row of each. The rows of removed vectors are given again, the lowest first; all
    /// other rows stay as they are.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a vector of another length, [`Error::Invalid`] for one that is not of unit length. Then
    /// none is added.
    fn add(&mut self, vectors: &[&[f32]]) -> Result<Vec<usize>>;

    /// Removes rows: their numbers are overwritten in memory.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a row that holds no vector. Then none is removed.
    fn remove(&mut self, rows: &[usize]) -> Result<()>;

    /// The `k` nearest of each probe, best first; fewer where there are not so many.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a probe of another length, [`Error::Invalid`] for one that is not of unit length.
    fn nearest(&self, probes: &[&[f32]], k: usize) -> Result<Vec<Vec<Neighbour>>>;
}

/// How far from 1 the squared length of a unit vector may be.
const UNIT_TOLERANCE: f64 = 1e-3;

/// Refuses vectors that are not of `dim` numbers and unit length.
pub(crate) fn check(vectors: &[&[f32]], dim: usize) -> Result<()> {
    for vector in vectors {
        if vector.len() != dim {
            return Err(Error::Mismatch(format!("a vector of {} numbers in an index of {dim}", vector.len())));
        }
        let square: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        // Not so for a NaN.
        let unit = (square - 1.0).abs() <= UNIT_TOLERANCE;
        if !unit {
            return Err(Error::Invalid(format!("a vector of length {}, not 1", square.sqrt())));
        }
    }
    Ok(())
}
