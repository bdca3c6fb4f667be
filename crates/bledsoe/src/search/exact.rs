//! Exact search: every row is looked at.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    Index, Neighbour, Storage, check,
    copies::{Copies, PIECE},
    top::{self, Floor, Top},
    vectors::Vectors,
};
use crate::{Error, Result};

/// All vectors in one buffer, read from end to end for each probe.
#[derive(Debug, Clone)]
pub struct Exact {
    pub(super) copies: Copies,
    /// Whether a row holds a vector.
    pub(super) live: Vec<bool>,
    /// Rows without a vector, the highest first.
    pub(super) free: Vec<usize>,
}

/// Probes that share one reading of memory.
const PROBES: usize = 64;

impl Exact {
    /// An empty index of vectors of `dim` numbers.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a `dim` of zero or above 65,536.
    pub fn new(dim: usize, storage: Storage) -> Result<Self> {
        Ok(Self::from_parts(Copies::new(dim, storage)?, Vec::new()))
    }

    /// Which of the rows hold a vector: as many as there are.
    pub(super) fn from_parts(copies: Copies, live: Vec<bool>) -> Self {
        let free = live.iter().enumerate().rev().filter(|(_, live)| !**live).map(|(row, _)| row).collect();
        Self { copies, live, free }
    }

    /// How vectors are stored.
    pub fn storage(&self) -> Storage {
        self.copies.storage
    }

    /// Makes room for `rows` more vectors, so that adding them does not copy those already there.
    pub fn reserve(&mut self, rows: usize) {
        self.copies.each_mut().for_each(|copy| copy.reserve(rows));
        self.live.reserve_exact(rows);
    }

    /// One more than the highest row ever given.
    pub fn rows(&self) -> usize {
        self.live.len()
    }

    /// Whether there is a vector in `row`.
    pub(crate) fn holds(&self, row: usize) -> bool {
        self.live.get(row).is_some_and(|live| *live)
    }

    /// The vector of `row` as far as its storage remembers it, if there is one.
    pub fn vector(&self, row: usize) -> Option<Vec<f32>> {
        let live = *self.live.get(row)?;
        live.then(|| self.copies.best().get(row))
    }

    /// As [`Index::remove`], but refuses before anything is changed.
    pub(super) fn check_rows(&self, rows: &[usize]) -> Result<()> {
        match rows.iter().find(|&&row| !self.live.get(row).is_some_and(|live| *live)) {
            Some(row) => Err(Error::Invalid(format!("row {row} holds no vector"))),
            None => Ok(()),
        }
    }

    fn nearest_of_block(&self, vectors: &[&[f32]], k: usize, alone: bool) -> Vec<Vec<Neighbour>> {
        let probes: Vec<_> = vectors.iter().map(|&vector| self.copies.scanned.probe(vector)).collect();
        let probes: Vec<_> = probes.iter().collect();
        let all: Vec<usize> = (0..probes.len()).collect();
        let candidates = self.copies.candidates(k);
        let floors: Vec<Floor> = probes.iter().map(|_| Floor::default()).collect();
        let none = || floors.iter().map(|floor| Top::new(candidates, floor)).collect::<Vec<_>>();
        let rows = self.rows();
        let scan = |mut tops: Vec<_>, piece: usize| {
            let rows = piece * PIECE..rows.min((piece + 1) * PIECE);
            self.copies.scan(rows, &probes, (&mut tops, &all), |row| self.live[row].then_some(row));
            tops
        };
        let pieces = 0..rows.div_ceil(PIECE);
        let tops = if alone {
            pieces.fold(none(), scan)
        } else {
            pieces.into_par_iter().fold(none, scan).reduce(none, top::merged)
        };
        let score = |(top, vector): (Top<'_>, &&[f32])| self.copies.score(vector, top, k, alone, |row| row);
        if alone {
            tops.into_iter().zip(vectors).map(score).collect()
        } else {
            tops.into_par_iter().zip(vectors).map(score).collect()
        }
    }
}

impl Exact {
    /// As [`Index::add`], but gives no row twice: later vectors have higher rows.
    pub(crate) fn append(&mut self, vectors: &[&[f32]]) -> Result<Range<usize>> {
        let free = std::mem::take(&mut self.free);
        let added = self.add(vectors);
        self.free = free;
        let rows = self.rows();
        added.map(|added| rows - added.len()..rows)
    }
}

impl Index for Exact {
    fn dim(&self) -> usize {
        self.copies.dim()
    }

    fn len(&self) -> usize {
        self.live.len() - self.free.len()
    }

    fn add(&mut self, vectors: &[&[f32]]) -> Result<Vec<usize>> {
        check(vectors, self.dim())?;
        let mut rows = Vec::with_capacity(vectors.len());
        for vector in vectors {
            let row = self.free.pop().unwrap_or_else(|| {
                self.copies.each_mut().for_each(Vectors::push_zeros);
                self.live.push(false);
                self.live.len() - 1
            });
            self.copies.set(row, vector);
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
                self.copies.each_mut().for_each(|copy| copy.erase(row));
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
        let alone = self.copies.few(self.rows(), probes.len());
        let search = || probes.chunks(PROBES).flat_map(|block| self.nearest_of_block(block, k, alone)).collect();
        // All on the threads of the pool, so that they are woken once.
        Ok(if alone { search() } else { rayon::scope(|_| search()) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::testing::{direction, faces, recall, reference, slices},
        *,
    };

    const STORAGES: [Storage; 6] =
        [Storage::F32, Storage::F16, Storage::Int8, Storage::Int4Int8, Storage::Int4F16, Storage::Int4F32];

    /// The error of a similarity that its storage may cause.
    fn tolerance(storage: Storage) -> f64 {
        match storage {
            Storage::F32 | Storage::Int4F32 => 1e-6,
            Storage::F16 | Storage::Int4F16 => 5e-4,
            Storage::Int8 | Storage::Int4Int8 => 2e-2,
        }
    }

    fn filled(storage: Storage, vectors: &[Vec<f32>]) -> Exact {
        let mut index = Exact::new(vectors[0].len(), storage).unwrap();
        assert_eq!(index.add(&slices(vectors)).unwrap(), (0..vectors.len()).collect::<Vec<_>>());
        index
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against double precision: all k, with removed rows, more probes than a block and fewer.
        #[test]
        fn finds_what_a_plain_loop_finds(
            seed: u64,
            people in 1..40usize,
            dim in 2..150usize,
            k in 0..100usize,
            probes in 1..8usize,
            removed in proptest::collection::vec(0..1000usize, 0..12),
        ) {
            let vectors = faces(seed, people, 3, dim);
            let mut removed: Vec<usize> = removed.iter().map(|row| row % vectors.len()).collect();
            removed.sort_unstable();
            removed.dedup();
            let mut random = fastrand::Rng::with_seed(seed);
            let probes: Vec<_> = (0..probes).map(|_| direction(&mut random, dim)).collect();
            for storage in STORAGES {
                let mut index = filled(storage, &vectors);
                index.remove(&removed).unwrap();
                prop_assert_eq!(index.len(), vectors.len() - removed.len());
                // Candidates are chosen by int8.
                let chosen_by = if index.copies.kept.is_some() { Storage::Int8 } else { storage };
                let slack = 2.0 * tolerance(chosen_by);
                let found = index.nearest(&slices(&probes), k).unwrap();
                prop_assert_eq!(found.len(), probes.len());
                for (found, probe) in found.iter().zip(&probes) {
                    let truth = reference(&vectors, &removed, probe, k);
                    prop_assert_eq!(found.len(), truth.len());
                    prop_assert!(found.is_sorted());
                    // Rows of nearly equal similarity may change places: each place has the similarity it should have,
                    // and each row its own.
                    for (n, (_, similarity)) in found.iter().zip(&truth) {
                        prop_assert!(!removed.contains(&n.row));
                        let own = super::super::testing::similarity(&vectors[n.row], probe);
                        prop_assert!((f64::from(n.similarity) - own).abs() <= tolerance(storage));
                        prop_assert!((own - similarity).abs() <= slack);
                    }
                }
            }
        }
    }

    #[test]
    fn a_batch_finds_what_single_probes_find_to_the_bit() {
        // Enough rows for many threads, probes for two blocks and a rest that is no multiple of four.
        let vectors = faces(1, 1000, 3, 100);
        let probes = faces(2, 67, 1, 100);
        for storage in STORAGES {
            let index = filled(storage, &vectors);
            let batch = index.nearest(&slices(&probes), 7).unwrap();
            let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            for (probe, found) in probes.iter().zip(&batch) {
                assert_eq!(&index.nearest(&[probe], 7).unwrap()[0], found);
                assert_eq!(&alone.install(|| index.nearest(&[probe], 7)).unwrap()[0], found);
            }
        }
    }

    #[test]
    fn equals_are_ordered_by_row() {
        let mut random = fastrand::Rng::with_seed(3);
        let (same, other) = (direction(&mut random, 64), direction(&mut random, 64));
        let vectors: Vec<_> = (0..9000).map(|i| if i % 3 == 0 { other.clone() } else { same.clone() }).collect();
        for storage in STORAGES {
            let found = filled(storage, &vectors).nearest(&[&same], 5).unwrap().remove(0);
            assert_eq!(found.iter().map(|n| n.row).collect::<Vec<_>>(), [1, 2, 4, 5, 7], "{storage:?}");
        }
    }

    #[test]
    fn removed_rows_are_wiped_and_given_again() {
        let vectors = faces(4, 5, 2, 16);
        for storage in STORAGES {
            let mut index = filled(storage, &vectors);
            index.remove(&[7, 2, 2]).unwrap();
            assert_eq!((index.len(), index.rows()), (8, 10));
            assert_eq!(index.vector(2), None);
            for copy in index.copies.each() {
                assert_eq!(copy.get(2), [0.0; 16]);
                assert_ne!(copy.get(3), [0.0; 16]);
            }
            assert!(index.remove(&[0, 2]).is_err());
            assert!(index.remove(&[10]).is_err());
            assert_eq!(index.len(), 8, "nothing is removed when one cannot be");
            assert_eq!(index.add(&[&vectors[0], &vectors[1], &vectors[2]]).unwrap(), [2, 7, 10]);
            let back = index.vector(7).unwrap();
            assert!(back.iter().zip(&vectors[1]).all(|(x, y)| (x - y).abs() < 5e-3), "{storage:?}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_compare() {
        let mut index = Exact::new(2, Storage::Int8).unwrap();
        assert!(Exact::new(0, Storage::F32).is_err());
        assert!(Exact::new(1 << 17, Storage::F32).is_err());
        for probe in [&[1.0][..], &[0.0, 0.0, 1.0], &[0.0, 1.0, 0.0, 1.0]] {
            assert!(matches!(index.nearest(&[probe], 1), Err(Error::Mismatch(_))));
            assert!(matches!(index.add(&[&[0.0, 1.0], probe]), Err(Error::Mismatch(_))));
        }
        for probe in [[f32::NAN, 1.0], [f32::INFINITY, 0.0], [0.0, 0.0], [0.6, 0.9]] {
            assert!(matches!(index.nearest(&[&probe], 1), Err(Error::Invalid(_))));
            assert!(matches!(index.add(&[&[0.0, 1.0], &probe]), Err(Error::Invalid(_))));
        }
        assert!(index.is_empty(), "nothing is added when one cannot be");
        assert_eq!(index.nearest(&[&[0.6, 0.8]], 3).unwrap(), [[]]);
        assert_eq!(index.nearest(&[], 3).unwrap(), [] as [Vec<Neighbour>; 0]);
    }

    #[test]
    fn int8_scored_again_misses_next_to_nothing() {
        let vectors = faces(5, 2000, 5, 128);
        let probes: Vec<_> = faces(5, 2000, 6, 128).into_iter().skip(5).step_by(6 * 40).collect();
        let found = |storage| {
            let found = filled(storage, &vectors).nearest(&slices(&probes), 10).unwrap();
            recall(&found, &vectors, &probes, 10)
        };
        let (alone, again) = (found(Storage::Int8), found(Storage::Int4F32));
        assert!(again >= 0.99, "recall {again}");
        assert!(alone >= 0.9 && alone < again, "recall {alone} of int8 alone, {again} scored again");
    }
}
