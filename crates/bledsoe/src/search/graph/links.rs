//! Who is linked to whom: a list of at most `slots` rows for each row, in one buffer.

use super::super::{Neighbour, vectors::Vectors};

/// The lists of all rows.
#[derive(Debug, Clone)]
pub(in super::super) struct Links {
    /// The most that a list holds: beyond, it is pruned.
    pub(in super::super) slots: usize,
    /// How many of a list's slots are taken.
    pub(in super::super) taken: Vec<u8>,
    /// `rows x slots` rows.
    pub(in super::super) targets: Vec<u32>,
}

impl Links {
    pub(super) fn new(slots: usize) -> Self {
        Self { slots, taken: Vec::new(), targets: Vec::new() }
    }

    pub(super) fn resize(&mut self, rows: usize) {
        self.taken.resize(rows, 0);
        self.targets.resize(rows * self.slots, 0);
    }

    #[inline]
    pub(in super::super) fn of(&self, row: usize) -> &[u32] {
        let start = row * self.slots;
        &self.targets[start..start + usize::from(self.taken[row])]
    }

    /// `targets` are no more than the slots.
    pub(super) fn set(&mut self, row: usize, targets: &[u32]) {
        let start = row * self.slots;
        self.targets[start..start + targets.len()].copy_from_slice(targets);
        self.taken[row] = targets.len() as u8;
    }
}

/// Of two candidates in nearly the same direction the farther is left out if it is this many times nearer to the other
/// than to the row (by squared distance): the walk reaches it by way of the other.
const ALPHA: f32 = 1.2;

/// Chooses at most `degree` of `candidates` (best first, without `row` itself) as links of `row`.
///
/// Source: `RobustPrune` of Subramanya et al., *DiskANN*, NeurIPS 2019.
pub(super) fn prune(vectors: &Vectors, candidates: &[Neighbour], degree: usize) -> Vec<u32> {
    let mut chosen: Vec<u32> = Vec::with_capacity(degree);
    for candidate in candidates {
        if chosen.len() == degree {
            break;
        }
        let probe = vectors.row(candidate.row);
        let far = distance(candidate.similarity);
        let hidden = |&other: &u32| ALPHA * distance(vectors.similarity(other as usize, &probe)) <= far;
        if !chosen.iter().any(hidden) {
            chosen.push(candidate.row as u32);
        }
    }
    chosen
}

/// Squared distance of unit vectors.
fn distance(similarity: f32) -> f32 {
    2.0 - 2.0 * similarity
}
