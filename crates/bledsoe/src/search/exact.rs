//! Exact search: every row is looked at.

use std::ops::Range;

use half::f16;
use rayon::prelude::*;

use super::{
    Index, Neighbour, check,
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
///
/// Int8 rounds each vector to bytes with a scale of its own, the greatest number to ±127. The last two find candidates by
/// int8 and score these again by the better copy, so that similarities are those of the better copy.
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
}

/// All vectors in one buffer, read from end to end for each probe.
#[derive(Debug, Clone)]
pub struct Exact {
    storage: Storage,
    /// What a scan reads.
    pub(super) scanned: Vectors,
    /// What candidates are scored by again.
    pub(super) kept: Option<Vectors>,
    /// Whether a row holds a vector.
    pub(super) live: Vec<bool>,
    /// Rows without a vector, the highest first.
    free: Vec<usize>,
}

/// Candidates per neighbour asked for, of which the better copy chooses. `docs/benchmarks.md` has the recall.
const CANDIDATES: usize = 4;
/// At least so many candidates.
const LEAST_CANDIDATES: usize = 32;
/// Probes that share one reading of memory.
const PROBES: usize = 64;
/// Below so many numbers to read, one thread is faster than waking the others.
const ALONE: usize = 1 << 17;

impl Exact {
    /// An empty index of vectors of `dim` numbers.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a `dim` of zero.
    pub fn new(dim: usize, storage: Storage) -> Result<Self> {
        let (scanned, kept) = match storage {
            Storage::F32 => (Numbers::F32(Vec::new()), None),
            Storage::F16 => (Numbers::F16(Vec::new()), None),
            Storage::Int8 => (Numbers::Int8 { bytes: Vec::new(), scales: Vec::new() }, None),
            Storage::Int8F16 => {
                (Numbers::Int8 { bytes: Vec::new(), scales: Vec::new() }, Some(Numbers::F16(Vec::<f16>::new())))
            }
            Storage::Int8F32 => {
                (Numbers::Int8 { bytes: Vec::new(), scales: Vec::new() }, Some(Numbers::F32(Vec::new())))
            }
        };
        Self::from_parts(dim, storage, scanned, kept, Vec::new())
    }

    /// The parts as a file holds them; they agree in length.
    pub(super) fn from_parts(
        dim: usize,
        storage: Storage,
        scanned: Numbers,
        kept: Option<Numbers>,
        live: Vec<bool>,
    ) -> Result<Self> {
        if dim == 0 {
            return Err(Error::Invalid("an index of vectors without numbers".into()));
        }
        let free = live.iter().enumerate().rev().filter(|(_, live)| !**live).map(|(row, _)| row).collect();
        let vectors = |numbers| Vectors::new(dim, numbers);
        Ok(Self { storage, scanned: vectors(scanned), kept: kept.map(vectors), live, free })
    }

    /// How vectors are stored.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// Makes room for `rows` more vectors, so that adding them does not copy those already there.
    pub fn reserve(&mut self, rows: usize) {
        self.scanned.reserve(rows);
        if let Some(kept) = &mut self.kept {
            kept.reserve(rows);
        }
        self.live.reserve_exact(rows);
    }

    /// One more than the highest row ever given.
    pub fn rows(&self) -> usize {
        self.live.len()
    }

    /// The vector of `row` as far as its storage remembers it, if there is one.
    pub fn vector(&self, row: usize) -> Option<Vec<f32>> {
        let live = *self.live.get(row)?;
        live.then(|| self.kept.as_ref().unwrap_or(&self.scanned).get(row))
    }

    /// As [`Index::remove`], but refuses before anything is changed.
    pub(super) fn check_rows(&self, rows: &[usize]) -> Result<()> {
        match rows.iter().find(|&&row| !self.live.get(row).is_some_and(|live| *live)) {
            Some(row) => Err(Error::Invalid(format!("row {row} holds no vector"))),
            None => Ok(()),
        }
    }

    /// How many candidates to find for `k` neighbours.
    pub(super) fn candidates(&self, k: usize) -> usize {
        if self.kept.is_some() { k.saturating_mul(CANDIDATES).max(LEAST_CANDIDATES) } else { k }
    }

    /// The `k` best of `found`, scored by the better copy if there is one.
    pub(super) fn score(&self, probe: &[f32], mut found: Vec<Neighbour>, k: usize) -> Vec<Neighbour> {
        if let Some(kept) = &self.kept {
            let probe = kept.probe(probe);
            for neighbour in &mut found {
                neighbour.similarity = kept.similarity(neighbour.row, &probe);
            }
            found.sort_unstable();
        }
        found.truncate(k);
        found
    }

    fn scan(&self, rows: Range<usize>, probes: &[Probe<'_>], k: usize) -> Vec<Top> {
        let mut tops = vec![Top::new(k); probes.len()];
        self.scanned.scan(rows, probes, |p, row, similarity| {
            let top = &mut tops[p];
            if top.admits(similarity) && self.live[row] {
                top.offer(Neighbour { row, similarity });
            }
        });
        tops
    }

    fn nearest_of_block(&self, vectors: &[&[f32]], k: usize) -> Vec<Vec<Neighbour>> {
        let probes: Vec<_> = vectors.iter().map(|vector| self.scanned.probe(vector)).collect();
        let candidates = self.candidates(k);
        let rows = self.rows();
        let tops = if rows * self.dim() * probes.len() < ALONE {
            self.scan(0..rows, &probes, candidates)
        } else {
            // More pieces than threads, for a core may be busy with something else.
            let piece = rows.div_ceil(8 * rayon::current_num_threads()).max(1);
            let pieces = rows.div_ceil(piece);
            let scans = (0..pieces)
                .into_par_iter()
                .map(|i| self.scan(i * piece..rows.min((i + 1) * piece), &probes, candidates));
            let merged = |a: Vec<Top>, b: Vec<Top>| a.into_iter().zip(b).map(|(a, b)| a.merge(b)).collect();
            scans.reduce_with(merged).unwrap_or_else(|| vec![Top::new(k); probes.len()])
        };
        tops.into_par_iter().zip(vectors).map(|(top, vector)| self.score(vector, top.into_sorted(), k)).collect()
    }
}

impl Index for Exact {
    fn dim(&self) -> usize {
        self.scanned.dim
    }

    fn len(&self) -> usize {
        self.live.len() - self.free.len()
    }

    fn add(&mut self, vectors: &[&[f32]]) -> Result<Vec<usize>> {
        check(vectors, self.dim())?;
        let mut rows = Vec::with_capacity(vectors.len());
        for vector in vectors {
            let row = self.free.pop().unwrap_or_else(|| {
                self.scanned.push_zeros();
                if let Some(kept) = &mut self.kept {
                    kept.push_zeros();
                }
                self.live.push(false);
                self.live.len() - 1
            });
            self.scanned.set(row, vector);
            if let Some(kept) = &mut self.kept {
                kept.set(row, vector);
            }
            self.live[row] = true;
            rows.push(row);
        }
        Ok(rows)
    }

    fn remove(&mut self, rows: &[usize]) -> Result<()> {
        self.check_rows(rows)?;
        for &row in rows {
            // A row named twice is removed once.
            if std::mem::replace(&mut self.live[row], false) {
                self.scanned.erase(row);
                if let Some(kept) = &mut self.kept {
                    kept.erase(row);
                }
                self.free.push(row);
            }
        }
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        Ok(())
    }

    fn nearest(&self, probes: &[&[f32]], k: usize) -> Result<Vec<Vec<Neighbour>>> {
        check(probes, self.dim())?;
        if k == 0 || self.is_empty() {
            return Ok(vec![Vec::new(); probes.len()]);
        }
        Ok(probes.chunks(PROBES).flat_map(|block| self.nearest_of_block(block, k)).collect())
    }
}
