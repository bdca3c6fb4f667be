//! The k best so far.

use std::collections::BinaryHeap;

use super::Neighbour;

/// Keeps the `k` best of all that it is offered, whatever their order.
#[derive(Debug, Clone)]
pub(super) struct Top {
    k: usize,
    /// The worst on top.
    kept: BinaryHeap<Neighbour>,
    /// Below this, nothing is admitted.
    floor: f32,
}

impl Top {
    /// `k` is at least 1.
    pub(super) fn new(k: usize) -> Self {
        Self { k, kept: BinaryHeap::new(), floor: f32::NEG_INFINITY }
    }

    /// Whether an offer could succeed: a cheap test for the inner loop.
    #[inline]
    pub(super) fn admits(&self, similarity: f32) -> bool {
        similarity >= self.floor
    }

    #[cold]
    #[inline(never)]
    pub(super) fn offer(&mut self, neighbour: Neighbour) {
        if self.kept.len() < self.k {
            self.kept.push(neighbour);
        } else if let Some(mut worst) = self.kept.peek_mut()
            && neighbour < *worst
        {
            *worst = neighbour;
        }
        if self.kept.len() == self.k {
            self.floor = self.kept.peek().map_or(f32::NEG_INFINITY, |worst| worst.similarity);
        }
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        for neighbour in other.kept {
            self.offer(neighbour);
        }
        self
    }

    /// Best first.
    pub(super) fn into_sorted(self) -> Vec<Neighbour> {
        self.kept.into_sorted_vec()
    }
}
