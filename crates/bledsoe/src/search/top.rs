//! The k best so far.

use super::Neighbour;

/// Keeps the `k` best of all that it is offered, whatever their order.
#[derive(Debug, Clone)]
pub(super) struct Top {
    k: usize,
    /// The `k` best, and up to as many others that have not been sorted out.
    kept: Vec<Neighbour>,
    /// Below this, nothing is admitted.
    floor: f32,
}

impl Top {
    /// `k` is at least 1.
    pub(super) fn new(k: usize) -> Self {
        Self { k, kept: Vec::new(), floor: f32::NEG_INFINITY }
    }

    /// Whether an offer could succeed: a cheap test for the inner loop.
    #[inline]
    pub(super) fn admits(&self, similarity: f32) -> bool {
        similarity >= self.floor
    }

    #[cold]
    #[inline(never)]
    pub(super) fn offer(&mut self, neighbour: Neighbour) {
        self.kept.push(neighbour);
        if self.kept.len() >= self.k.saturating_mul(2) {
            self.sort_out();
        }
    }

    fn sort_out(&mut self) {
        if self.kept.len() > self.k {
            self.kept.select_nth_unstable(self.k - 1);
            self.kept.truncate(self.k);
            self.floor = self.kept.last().map_or(f32::NEG_INFINITY, |worst| worst.similarity);
        }
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.floor = self.floor.max(other.floor);
        for neighbour in other.kept {
            if self.admits(neighbour.similarity) {
                self.offer(neighbour);
            }
        }
        self
    }

    /// Best first.
    pub(super) fn into_sorted(mut self) -> Vec<Neighbour> {
        self.kept.sort_unstable();
        self.kept.truncate(self.k);
        self.kept
    }
}
