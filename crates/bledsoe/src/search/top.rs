//! The k best so far.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::Neighbour;

/// A similarity that the k best of one probe have at least, known to all who look for them in different places.
#[derive(Debug, Default)]
pub(super) struct Floor(AtomicU32);

impl Floor {
    fn get(&self) -> f32 {
        match self.0.load(Relaxed) {
            0 => f32::NEG_INFINITY,
            bits => f32::from_bits(bits),
        }
    }

    /// Floors that are not positive are not told: as bits they would not be in order.
    fn raise(&self, floor: f32) {
        if floor > 0.0 {
            self.0.fetch_max(floor.to_bits(), Relaxed);
        }
    }
}

/// Keeps the `k` best of all that it is offered, whatever their order; fewer, if others found better ones.
#[derive(Debug, Clone)]
pub(super) struct Top<'a> {
    k: usize,
    /// The `k` best, and up to as many others that have not been sorted out.
    kept: Vec<Neighbour>,
    /// Below this, nothing is admitted.
    floor: f32,
    shared: &'a Floor,
}

impl<'a> Top<'a> {
    /// `k` is at least 1.
    pub(super) fn new(k: usize, shared: &'a Floor) -> Self {
        Self { k, kept: Vec::new(), floor: shared.get(), shared }
    }

    /// Learns what others have found.
    pub(super) fn refresh(&mut self) {
        self.floor = self.floor.max(self.shared.get());
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
            self.shared.raise(self.floor);
            self.refresh();
        }
    }

    fn merge(mut self, other: Self) -> Self {
        self.floor = self.floor.max(other.floor);
        for neighbour in other.kept {
            if self.admits(neighbour.similarity) {
                self.offer(neighbour);
            }
        }
        self
    }

    /// The best, in no order.
    pub(super) fn into_best(mut self) -> Vec<Neighbour> {
        self.sort_out();
        self.kept
    }
}

/// The best of the same probes' in two places.
pub(super) fn merged<'a>(a: Vec<Top<'a>>, b: Vec<Top<'a>>) -> Vec<Top<'a>> {
    a.into_iter().zip(b).map(|(a, b)| a.merge(b)).collect()
}
