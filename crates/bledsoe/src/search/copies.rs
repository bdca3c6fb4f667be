//! Rows in one precision or two: what a scan reads, and perhaps a better copy by which its candidates are scored again.

use std::ops::Range;

use super::{
    Neighbour,
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
/// | `Int8F16` | d + 4 | 3 d + 5 |
/// | `Int8F32` | d + 4 | 5 d + 5 |
/// | `Int4Int8` | d / 2 + 4 | 3 d / 2 + 9 |
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
    /// Bytes for the scan, half precision for the score.
    Int8F16,
    /// Bytes for the scan, single precision for the score.
    Int8F32,
    /// Half-bytes for the scan, bytes for the score.
    Int4Int8,
}

/// `n` rows as their [`Storage`] says.
#[derive(Debug, Clone)]
pub(super) struct Copies {
    pub(super) storage: Storage,
    /// What a scan reads.
    pub(super) scanned: Vectors,
    /// What candidates are scored by again.
    pub(super) kept: Option<Vectors>,
}

/// More products of bytes could overflow 32 bits.
const MOST_NUMBERS: usize = 1 << 16;
/// Candidates per neighbour asked for, of which the better copy chooses, and the least: of a scan of bytes and of one of
/// half-bytes. `docs/benchmarks.md` has the recall.
const CANDIDATES: (usize, usize) = (4, 32);
const HALF_BYTE_CANDIDATES: (usize, usize) = (4, 256);
/// Similarities that are first checked together, whether any is good enough.
const CHECKED: usize = 16;

impl Copies {
    /// No rows of `dim` numbers.
    pub(super) fn new(dim: usize, storage: Storage) -> Result<Self> {
        let int8 = || Numbers::Int8 { bytes: Vec::new(), scales: Vec::new() };
        let (scanned, kept) = match storage {
            Storage::F32 => (Numbers::F32(Vec::new()), None),
            Storage::F16 => (Numbers::F16(Vec::new()), None),
            Storage::Int8 => (int8(), None),
            Storage::Int8F16 => (int8(), Some(Numbers::F16(Vec::new()))),
            Storage::Int8F32 => (int8(), Some(Numbers::F32(Vec::new()))),
            Storage::Int4Int8 => (Numbers::Int4 { pairs: Vec::new(), scales: Vec::new() }, Some(int8())),
        };
        Self::from_parts(dim, storage, scanned, kept)
    }

    /// The parts as a file holds them; they agree in length.
    pub(super) fn from_parts(dim: usize, storage: Storage, scanned: Numbers, kept: Option<Numbers>) -> Result<Self> {
        if dim == 0 || dim > MOST_NUMBERS {
            return Err(Error::Invalid(format!(
                "an index of vectors of {dim} numbers: 1 to {MOST_NUMBERS} are possible"
            )));
        }
        let vectors = |numbers| Vectors::new(dim, numbers);
        Ok(Self { storage, scanned: vectors(scanned), kept: kept.map(vectors) })
    }

    pub(super) fn dim(&self) -> usize {
        self.scanned.dim
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

    /// How many candidates to find for `k` neighbours.
    pub(super) fn candidates(&self, k: usize) -> usize {
        let (each, least) = match self.storage {
            Storage::F32 | Storage::F16 | Storage::Int8 => return k,
            Storage::Int8F16 | Storage::Int8F32 => CANDIDATES,
            Storage::Int4Int8 => HALF_BYTE_CANDIDATES,
        };
        k.saturating_mul(each).max(least)
    }

    /// Offers what is in `places` to the tops of `probes`, which are those numbered `among`; `row` is what neighbours are
    /// known by, if there is one.
    pub(super) fn scan(
        &self,
        places: Range<usize>,
        probes: &[&Probe<'_>],
        (tops, among): (&mut [Top], &[usize]),
        row: impl Fn(usize) -> Option<usize>,
    ) {
        self.scanned.scan(places, probes, |p, first, similarities| {
            let top = &mut tops[among[p]];
            for (some, first) in similarities.chunks(CHECKED).zip((first..).step_by(CHECKED)) {
                // Without branches, so that all are compared at once.
                if !some.iter().fold(false, |any, &similarity| any | top.admits(similarity)) {
                    continue;
                }
                for (place, &similarity) in (first..).zip(some) {
                    if top.admits(similarity)
                        && let Some(row) = row(place)
                    {
                        top.offer(Neighbour { row, similarity });
                    }
                }
            }
        });
    }

    /// The `k` best of `found`, scored by the better copy if there is one.
    pub(super) fn score(
        &self,
        probe: &[f32],
        mut found: Vec<Neighbour>,
        k: usize,
        place: impl Fn(usize) -> usize,
    ) -> Vec<Neighbour> {
        if let Some(kept) = &self.kept {
            let probe = kept.probe(probe);
            for neighbour in &mut found {
                neighbour.similarity = kept.similarity(place(neighbour.row), &probe);
            }
            found.sort_unstable();
        }
        found.truncate(k);
        found
    }
}
