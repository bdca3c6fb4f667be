//! The walk to a probe's neighbourhood: from the nearest known row on, always to the nearest not yet visited.

use super::{super::Neighbour, links::Links};
use crate::search::vectors::{Probe, Vectors};

/// Rows lately seen. It may forget, for a row seen twice only costs time.
struct Seen {
    rows: Vec<u32>,
}

impl Seen {
    fn new(expected: usize) -> Self {
        Self { rows: vec![u32::MAX; expected.clamp(1 << 10, 1 << 20).next_power_of_two()] }
    }

    /// Whether `row` is new.
    #[inline]
    fn insert(&mut self, row: u32) -> bool {
        // Fibonacci hashing: the table's length is a power of two.
        let hash = row.wrapping_mul(0x9E37_79B1) >> (32 - self.rows.len().trailing_zeros());
        std::mem::replace(&mut self.rows[hash as usize], row) != row
    }
}

/// The rows of the walk.
pub(super) struct Walk {
    /// The `beam` nearest seen, best first.
    pub(super) nearest: Vec<Neighbour>,
    /// All rows whose links were followed.
    pub(super) visited: Vec<Neighbour>,
}

/// Walks from `starts` until the links of the `beam` nearest rows seen are all followed.
pub(super) fn walk(vectors: &Vectors, links: &Links, starts: &[u32], probe: &Probe<'_>, beam: usize) -> Walk {
    let mut seen = Seen::new(beam.saturating_mul(links.slots));
    let mut nearest: Vec<(Neighbour, bool)> = Vec::new();
    let mut visited = Vec::new();
    let mut fresh = Vec::with_capacity(starts.len().max(links.slots));
    let mut next = 0;
    fresh.extend(starts.iter().filter(|&&row| seen.insert(row)).map(|&row| (row, 0.0)));
    loop {
        // All rows are asked for before any is used: the walk then waits for many at once.
        fresh.iter().for_each(|(row, _)| vectors.prefetch(*row as usize));
        for (row, similarity) in &mut fresh {
            *similarity = vectors.similarity(*row as usize, probe);
        }
        for &(row, similarity) in &fresh {
            let neighbour = Neighbour { row: row as usize, similarity };
            if nearest.len() == beam && nearest.last().is_some_and(|worst| worst.0 <= neighbour) {
                continue;
            }
            if let Err(place) = nearest.binary_search_by(|n| n.0.cmp(&neighbour)) {
                nearest.truncate(beam - 1);
                nearest.insert(place, (neighbour, false));
                next = next.min(place);
            }
        }
        while nearest.get(next).is_some_and(|n| n.1) {
            next += 1;
        }
        let Some(current) = nearest.get_mut(next) else { break };
        current.1 = true;
        visited.push(current.0);
        fresh.clear();
        fresh.extend(links.of(current.0.row).iter().filter(|&&row| seen.insert(row)).map(|&row| (row, 0.0)));
    }
    Walk { nearest: nearest.into_iter().map(|n| n.0).collect(), visited }
}
