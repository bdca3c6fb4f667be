//! Rows in one precision or two: what a scan reads, and perhaps a better copy by which its candidates are scored again.

use std::{borrow::Cow, ops::Range};

use rayon::prelude::*;

use super::{
    Neighbour,
    components::Components,
    top::Top,
    vectors::{Numbers, Probe, Vectors},
};
use crate::{Error, Result};

/// How vectors are stored, and so how many bytes a search reads and how many a vector takes.
///
/// | | read per vector | kept per vector of `d` numbers |
/// |---|---|---|
/// | `F32` | 4 d | 4 d + 1 |
/// | `F16` | 2 d | 2 d + 1 |
/// | `Int8` | d + 4 | d + 5 |
/// | `Int4Int8` | d / 2 + 4 | 3 d / 2 + 9 |
/// | `Int4F16` | d / 2 + 4 | 5 d / 2 + 5 |
/// | `Int4F32` | d / 2 + 4 | 9 d / 2 + 5 |
///
/// Int8 rounds each vector to bytes with a scale of its own, the greatest number to ±127; int4 to half-bytes, the
/// greatest to ±7. The last three find candidates by the first copy and score these again by the better one, so that
/// similarities are those of the better copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Single precision: nothing is lost.
    F32,
    /// Half precision: similarities within about 5e-4.
    F16,
    /// Bytes alone: similarities within about 5e-3.
    Int8,
    /// Half-bytes for the scan, bytes for the score.
    Int4Int8,
    /// Half-bytes for the scan, half precision for the score.
    Int4F16,
    /// Half-bytes for the scan, single precision for the score.
    Int4F32,
}

/// `n` rows as their [`Storage`] says.
#[derive(Debug, Clone)]
pub(super) struct Copies {
    pub(super) storage: Storage,
    /// Of what is kept, what a scan reads; if there are none, all of it.
    components: Option<Components>,
    /// What a scan reads.
    pub(super) scanned: Vectors,
    /// What candidates are scored by again.
    pub(super) kept: Option<Vectors>,
}

/// More products of bytes could overflow 32 bits.
const MOST_NUMBERS: usize = 1 << 16;
/// Candidates per neighbour asked for, of which the better copy chooses, and the least. `docs/benchmarks.md` has the
/// recall.
const CANDIDATES: usize = 4;
const LEAST_CANDIDATES: usize = 256;
/// Similarities that are compared together.
const CHECKED: usize = 16;
/// Below so many bytes to read, one thread is faster than waking the others.
const ALONE: usize = 1 << 20;
/// The most rows that one thread reads before it looks for other work.
pub(super) const PIECE: usize = 4096;
/// Candidates that one thread scores before it looks for other work.
const SCORED: usize = 64;

impl Copies {
    /// No rows of `dim` numbers.
    pub(super) fn new(dim: usize, storage: Storage) -> Result<Self> {
        let best = match storage {
            Storage::F32 | Storage::Int4F32 => Numbers::F32(Vec::new()),
            Storage::F16 | Storage::Int4F16 => Numbers::F16(Vec::new()),
            Storage::Int8 | Storage::Int4Int8 => Numbers::Int8 { bytes: Vec::new(), scales: Vec::new() },
        };
        Self::from_best(dim, storage, best)
    }

    /// The rows of the copy that remembers most, as a file holds them.
    pub(super) fn from_best(dim: usize, storage: Storage, best: Numbers) -> Result<Self> {
        if dim == 0 || dim > MOST_NUMBERS {
            return Err(Error::Invalid(format!(
                "an index of vectors of {dim} numbers: 1 to {MOST_NUMBERS} are possible"
            )));
        }
        let best = Vectors::new(dim, best);
        Ok(match storage {
            Storage::F32 | Storage::F16 | Storage::Int8 => {
                Self { storage, components: None, scanned: best, kept: None }
            }
            Storage::Int4Int8 | Storage::Int4F16 | Storage::Int4F32 => {
                let scanned = Vectors::halves(dim, best.rows(), |row| best.get(row).into());
                Self { storage, components: None, scanned, kept: Some(best) }
            }
        })
    }

    /// Scans no more from now on than the principal components of what is kept, as the rows `of` have them. Not if there
    /// are too many, or all that is kept is scanned.
    pub(super) fn reduce(&mut self, of: &[usize]) {
        let Some(kept) = &self.kept else { return };
        let learnt = Components::learn(kept.dim, of.len(), |i| kept.get(of[i]));
        if learnt.is_none() && self.components.is_none() {
            return;
        }
        self.components = learnt;
        let dim = self.components.as_ref().map_or(kept.dim, Components::count);
        self.scanned = Vectors::halves(dim, kept.rows(), |row| self.components(kept.get(row)));
    }

    /// The part of `vector` that is scanned.
    pub(super) fn components<'a>(&self, vector: impl Into<Cow<'a, [f32]>>) -> Cow<'a, [f32]> {
        let vector = vector.into();
        match &self.components {
            Some(components) => components.of(&vector).into(),
            None => vector,
        }
    }

    pub(super) fn dim(&self) -> usize {
        self.best().dim
    }

    /// The copy that remembers most.
    pub(super) fn best(&self) -> &Vectors {
        self.kept.as_ref().unwrap_or(&self.scanned)
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &Vectors> {
        [Some(&self.scanned), self.kept.as_ref()].into_iter().flatten()
    }

    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = &mut Vectors> {
        [Some(&mut self.scanned), self.kept.as_mut()].into_iter().flatten()
    }

    /// Writes `vector` over `row`. What is scanned is made of what is kept, as when a file is read.
    pub(super) fn set(&mut self, row: usize, vector: &[f32]) {
        if let Some(kept) = &mut self.kept {
            kept.set(row, vector);
            let kept = kept.get(row);
            let scanned = self.components(kept);
            self.scanned.set(row, &scanned);
        } else {
            self.scanned.set(row, vector);
        }
    }

    /// How many candidates to find for `k` neighbours.
    pub(super) fn candidates(&self, k: usize) -> usize {
        if self.kept.is_none() { k } else { k.saturating_mul(CANDIDATES).max(LEAST_CANDIDATES) }
    }

    /// Whether one thread is as fast as all in reading so many rows for so many probes.
    pub(super) fn few(&self, rows: usize, probes: usize) -> bool {
        rows.saturating_mul(probes).saturating_mul(self.scanned.row_bytes()) < ALONE
    }

    /// Offers what is in `places` to the tops of `probes`, which are those numbered `among`; `row` is what neighbours are
    /// known by, if there is one.
    pub(super) fn scan(
        &self,
        places: Range<usize>,
        probes: &[&Probe<'_>],
        (tops, among): (&mut [Top<'_>], &[usize]),
        row: impl Fn(usize) -> Option<usize>,
    ) {
        among.iter().for_each(|&p| tops[p].refresh());
        self.scanned.scan(places, probes, |p, first, similarities| {
            let top = &mut tops[among[p]];
            for (some, first) in similarities.chunks(CHECKED).zip((first..).step_by(CHECKED)) {
                // Without branches, so that all are compared at once.
                let bit = |(i, &similarity): (usize, &f32)| u32::from(top.admits(similarity)) << i;
                let mut admitted: u32 = some.iter().enumerate().map(bit).sum();
                while admitted > 0 {
                    let i = admitted.trailing_zeros() as usize;
                    admitted &= admitted - 1;
                    if let Some(row) = row(first + i) {
                        top.offer(Neighbour { row, similarity: some[i] });
                    }
                }
            }
        });
    }

    /// The `k` best of `top`, best first, scored by the better copy if there is one, by one thread or by all.
    pub(super) fn score(
        &self,
        probe: &[f32],
        top: Top<'_>,
        k: usize,
        alone: bool,
        place: impl Fn(usize) -> usize + Sync,
    ) -> Vec<Neighbour> {
        let mut found = top.into_best();
        if let Some(kept) = &self.kept {
            let probe = kept.probe(probe);
            let score = |neighbour: &mut Neighbour| {
                neighbour.similarity = kept.similarity(place(neighbour.row), &probe);
            };
            if alone {
                found.iter_mut().for_each(score);
            } else {
                // The rows are all over the memory, and each is waited for.
                found.par_iter_mut().with_min_len(SCORED).for_each(score);
            }
        }
        found.sort_unstable();
        // Not in the memory of all candidates.
        found[..k.min(found.len())].to_vec()
    }
}
