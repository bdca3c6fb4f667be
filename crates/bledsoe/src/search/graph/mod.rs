//! Search by a graph in which each row is linked to some near rows.
//!
//! A flat graph as of Subramanya et al., *DiskANN: Fast Accurate Billion-point Nearest Neighbor Search on a Single Node*,
//! NeurIPS 2019. Rows are linked in batches against the graph before the batch, as in Manohar et al., *ParlayANN*, PPoPP
//! 2024, so the graph is the same however many threads build it. Removal mends the links around a row at once, as in Singh
//! et al., *FreshDiskANN*, 2021: a vector that was removed is gone, not just hidden.

mod links;
mod walk;

use rayon::prelude::*;

pub(super) use links::Links;

use super::{Exact, Index, Neighbour, check};
use crate::{Error, Result};

/// How thorough a [`Graph`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphOptions {
    /// Links that a row has after pruning, 2 to 128; in between it may have half as many more. A row takes
    /// `6 degree + 1` bytes for them.
    pub degree: usize,
    /// How many of the nearest rows a walk keeps while a row is linked, 1 to 65,536. More takes longer to build and finds more later.
    pub build_beam: usize,
    /// The same while searching (`ef` in HNSW): the dial between time and recall. At least `k` is used.
    pub beam: usize,
}

impl Default for GraphOptions {
    fn default() -> Self {
        Self { degree: 32, build_beam: 96, beam: 64 }
    }
}

impl GraphOptions {
    pub(super) fn check(self) -> Result<()> {
        if (2..=128).contains(&self.degree) && (1..=1 << 16).contains(&self.build_beam) && self.beam > 0 {
            Ok(())
        } else {
            Err(Error::Invalid(format!("a graph cannot have {self:?}")))
        }
    }

    /// Places for links that a row has.
    pub(super) fn slots(self) -> usize {
        self.degree + self.degree / 2
    }
}

/// An [`Exact`] index and links between its rows. Approximate: see `docs/benchmarks.md` for recall against time.
#[derive(Debug, Clone)]
pub struct Graph {
    pub(super) options: GraphOptions,
    pub(super) exact: Exact,
    pub(super) links: Links,
    /// Rows at which every walk begins.
    pub(super) starts: Vec<u32>,
}

/// Walks begin at so many rows. They are the first that were linked: chance rows, when many are added at once.
const STARTS: usize = 64;
/// The most rows linked at once. Those of one batch do not see each other.
const BATCH: usize = 1024;
/// A batch is at most this fraction of the rows linked before.
const BATCH_FRACTION: usize = 64;
/// With fewer rows than this many beams, looking at all is as fast.
const BEAMS: usize = 8;

impl Graph {
    /// Links the rows of `exact`. Takes minutes for a million rows, on all cores.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options out of range, or more rows than 32 bits count.
    pub fn build(exact: Exact, options: GraphOptions) -> Result<Self> {
        options.check()?;
        countable(exact.rows())?;
        let mut graph = Self { options, exact, links: Links::new(options.slots()), starts: Vec::new() };
        let rows = (0..graph.exact.rows()).filter(|&row| graph.exact.live[row]).collect();
        graph.link(rows);
        Ok(graph)
    }

    /// The options it was built with.
    pub fn options(&self) -> GraphOptions {
        self.options
    }

    /// Sets how many of the nearest rows a search keeps; at least 1.
    pub fn set_beam(&mut self, beam: usize) {
        self.options.beam = beam.max(1);
    }

    /// The rows without their links, for exact search.
    pub fn exact(&self) -> &Exact {
        &self.exact
    }

    /// Bytes that the links take.
    pub fn link_bytes(&self) -> usize {
        self.links.taken.len() + 4 * self.links.targets.len()
    }

    /// Links rows that are in `exact` and not yet in the graph.
    fn link(&mut self, mut rows: Vec<usize>) {
        self.links.resize(self.exact.rows());
        // The photos of a person come one after another: shuffled, they are seldom of one batch.
        fastrand::Rng::with_seed(0).shuffle(&mut rows);
        let mut linked = self.exact.len() - rows.len();
        let mut rest = &*rows;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(rest.len().min((linked / BATCH_FRACTION).clamp(1, BATCH)));
            self.link_batch(batch);
            linked += batch.len();
            rest = later;
        }
    }

    fn link_batch(&mut self, batch: &[usize]) {
        let vectors = &self.exact.copies.scanned;
        let outward: Vec<Vec<u32>> = batch
            .par_iter()
            .map(|&row| {
                let walk = walk::walk(vectors, &self.links, &self.starts, &vectors.row(row), self.options.build_beam);
                let mut candidates = walk.visited;
                candidates.sort_unstable();
                candidates.dedup();
                links::prune(vectors, &candidates, self.options.degree)
            })
            .collect();
        let mut inward = Vec::new();
        for (&row, targets) in batch.iter().zip(&outward) {
            self.links.set(row, targets);
            inward.extend(targets.iter().map(|&target| (target, row as u32)));
        }
        inward.sort_unstable();
        let lists: Vec<(usize, Vec<u32>)> = inward
            .par_chunk_by(|a, b| a.0 == b.0)
            .map(|group| {
                let row = group[0].0 as usize;
                let mut targets = self.links.of(row).to_vec();
                targets.extend(group.iter().map(|link| link.1));
                (row, self.fitting(row, targets))
            })
            .collect();
        for (row, targets) in lists {
            self.links.set(row, &targets);
        }
        let wanted = STARTS.saturating_sub(self.starts.len());
        self.starts.extend(batch.iter().take(wanted).map(|&row| row as u32));
    }

    /// `targets` of `row`, pruned if they do not fit its slots.
    fn fitting(&self, row: usize, targets: Vec<u32>) -> Vec<u32> {
        if targets.len() <= self.links.slots {
            return targets;
        }
        let vectors = &self.exact.copies.scanned;
        let probe = vectors.row(row);
        let near = |&target: &u32| {
            let row = target as usize;
            Neighbour { row, similarity: vectors.similarity(row, &probe) }
        };
        let mut candidates: Vec<_> = targets.iter().map(near).collect();
        candidates.sort_unstable();
        links::prune(vectors, &candidates, self.options.degree)
    }

    /// Takes rows without a vector out of all lists, and links those around them with each other.
    fn mend(&mut self, removed: &[usize]) {
        let live = &self.exact.live;
        let few: Vec<u32> = removed.iter().map(|&row| row as u32).collect();
        // Comparing with a few is faster than looking each up.
        let lost = |row: usize| {
            let targets = self.links.of(row);
            if few.len() <= 4 {
                few.iter().any(|removed| targets.contains(removed))
            } else {
                targets.iter().any(|&target| !live[target as usize])
            }
        };
        let mended: Vec<(usize, Vec<u32>)> = (0..live.len())
            .into_par_iter()
            .with_min_len(4096)
            .filter(|&row| live[row] && lost(row))
            .map(|row| {
                let (mut targets, gone): (Vec<u32>, Vec<u32>) =
                    self.links.of(row).iter().partition(|&&target| live[target as usize]);
                for target in gone {
                    let heirs = self.links.of(target as usize).iter().copied();
                    targets.extend(heirs.filter(|&heir| live[heir as usize] && heir as usize != row));
                }
                targets.sort_unstable();
                targets.dedup();
                (row, self.fitting(row, targets))
            })
            .collect();
        let heirs: Vec<u32> = removed
            .iter()
            .filter(|&&row| self.starts.contains(&(row as u32)))
            .filter_map(|&row| self.links.of(row).iter().copied().find(|&heir| live[heir as usize]))
            .collect();
        self.starts.retain(|&row| live[row as usize]);
        for heir in heirs {
            if !self.starts.contains(&heir) {
                self.starts.push(heir);
            }
        }
        if self.starts.is_empty() {
            self.starts.extend(live.iter().position(|&live| live).map(|row| row as u32));
        }
        for (row, targets) in mended {
            self.links.set(row, &targets);
        }
        for &row in removed {
            self.links.set(row, &[]);
        }
    }
}

fn countable(rows: usize) -> Result<()> {
    match u32::try_from(rows) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Invalid("a graph of more rows than 32 bits count".into())),
    }
}

impl Index for Graph {
    fn dim(&self) -> usize {
        self.exact.dim()
    }

    fn len(&self) -> usize {
        self.exact.len()
    }

    fn add(&mut self, vectors: &[&[f32]]) -> Result<Vec<usize>> {
        countable(self.exact.rows() + vectors.len())?;
        let rows = self.exact.add(vectors)?;
        self.link(rows.clone());
        Ok(rows)
    }

    fn remove(&mut self, rows: &[usize]) -> Result<()> {
        self.exact.remove(rows)?;
        self.mend(rows);
        Ok(())
    }

    fn nearest(&self, probes: &[&[f32]], k: usize) -> Result<Vec<Vec<Neighbour>>> {
        let beam = self.options.beam.max(k);
        if self.len() <= beam.saturating_mul(BEAMS) {
            return self.exact.nearest(probes, k);
        }
        check(probes, self.dim())?;
        let vectors = &self.exact.copies.scanned;
        let nearest = |probe: &&[f32]| {
            let walk = walk::walk(vectors, &self.links, &self.starts, &vectors.probe(probe), beam);
            let mut found = walk.nearest;
            found.truncate(self.exact.copies.candidates(k));
            self.exact.copies.score(probe, found, k, |row| row)
        };
        Ok(match probes {
            [probe] => vec![nearest(probe)],
            _ => probes.par_iter().map(nearest).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Storage,
            testing::{faces, recall, slices},
        },
        *,
    };

    fn built(vectors: &[Vec<f32>], storage: Storage) -> Graph {
        let mut exact = Exact::new(vectors[0].len(), storage).unwrap();
        exact.add(&slices(vectors)).unwrap();
        Graph::build(exact, GraphOptions::default()).unwrap()
    }

    fn rows(found: &[Vec<Neighbour>]) -> Vec<Vec<usize>> {
        found.iter().map(|found| found.iter().map(|n| n.row).collect()).collect()
    }

    /// Enough that a search walks.
    const PEOPLE: usize = 1000;

    #[test]
    fn finds_nearly_all_in_every_storage() {
        let vectors = faces(1, PEOPLE, 4, 32);
        let probes = faces(2, 100, 1, 32);
        for storage in [Storage::F32, Storage::F16, Storage::Int8F16] {
            let graph = built(&vectors, storage);
            assert!(graph.len() > BEAMS * graph.options.beam, "the graph is not used");
            let found = graph.nearest(&slices(&probes), 10).unwrap();
            let recall = recall(&found, &vectors, &probes, 10);
            assert!(recall >= 0.95, "{storage:?}: recall {recall}");
            assert_eq!(graph.nearest(&[&probes[3]], 10).unwrap()[0], found[3], "alone as in a batch");
            // A similarity is exact search's own.
            let exact = graph.exact().nearest(&[&probes[3]], 10).unwrap().remove(0);
            for n in &found[3] {
                assert!(exact.iter().all(|e| e.row != n.row || e.similarity == n.similarity));
            }
        }
    }

    #[test]
    fn every_row_finds_itself() {
        let vectors = faces(3, PEOPLE, 4, 32);
        let graph = built(&vectors, Storage::Int8F16);
        let found = graph.nearest(&slices(&vectors), 1).unwrap();
        let lost = (0..vectors.len()).filter(|&row| found[row][0].row != row).count();
        assert!(lost * 200 <= vectors.len(), "{lost} rows do not find themselves");
    }

    #[test]
    fn is_the_same_however_many_threads_build_it() {
        let vectors = faces(4, PEOPLE, 2, 16);
        let threads = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        let (a, b) = (1, 3);
        let [a, b] = [a, b].map(|n| threads(n).install(|| built(&vectors, Storage::Int8)));
        assert_eq!((&a.links.taken, &a.links.targets, &a.starts), (&b.links.taken, &b.links.targets, &b.starts));
    }

    #[test]
    fn what_was_removed_is_gone_and_the_rest_is_still_found() {
        let vectors = faces(5, PEOPLE, 4, 32);
        let mut graph = built(&vectors, Storage::Int8F16);
        let starts: Vec<usize> = graph.starts.iter().map(|&row| row as usize).collect();
        graph.remove(&starts).unwrap();
        // One by one, and many at once: the two ways of mending.
        for row in (1..400).step_by(40).filter(|row| !starts.contains(row)) {
            graph.remove(&[row]).unwrap();
        }
        let many: Vec<usize> = (2..4000).step_by(3).filter(|&row| graph.exact.live[row]).collect();
        graph.remove(&many).unwrap();
        assert!(graph.remove(&[many[0]]).is_err());
        let live: Vec<usize> = (0..4000).filter(|&row| graph.exact.live[row]).collect();
        assert_eq!(graph.len(), live.len());
        assert!((0..4000).all(|row| graph.links.of(row).iter().all(|&to| graph.exact.live[to as usize])));
        let probes: Vec<_> = live.iter().map(|&row| &*vectors[row]).collect();
        let found = graph.nearest(&probes, 1).unwrap();
        let lost = found.iter().zip(&live).filter(|(found, row)| found[0].row != **row).count();
        assert!(lost * 100 <= live.len(), "{lost} of {} are not found any more", live.len());
    }

    #[test]
    fn rows_added_later_are_found() {
        let vectors = faces(6, PEOPLE, 4, 32);
        let mut graph = built(&vectors[..2000], Storage::F16);
        graph.remove(&[5, 6]).unwrap();
        assert_eq!(graph.add(&[&vectors[2000], &vectors[2001]]).unwrap(), [5, 6]);
        let more = graph.add(&slices(&vectors[2002..])).unwrap();
        assert_eq!(more, (2000..3998).collect::<Vec<_>>());
        let found = graph.nearest(&slices(&vectors[2000..]), 1).unwrap();
        let expected = [5, 6].into_iter().chain(more);
        let lost = found.iter().zip(expected).filter(|(found, row)| found[0].row != *row).count();
        assert!(lost <= 20, "{lost} rows are not found");
    }

    #[test]
    fn few_rows_and_large_k_are_searched_exactly() {
        let vectors = faces(7, PEOPLE, 1, 16);
        let graph = built(&vectors, Storage::F32);
        let all = graph.nearest(&[&vectors[0]], usize::MAX).unwrap().remove(0);
        assert_eq!(all.len(), PEOPLE);
        let mut empty = built(&vectors[..1], Storage::F32);
        empty.remove(&[0]).unwrap();
        assert_eq!(rows(&empty.nearest(&[&vectors[0]], 3).unwrap()), [Vec::<usize>::new()]);
        assert_eq!(empty.add(&[&vectors[1]]).unwrap(), [0]);
        assert_eq!(rows(&empty.nearest(&[&vectors[0]], 3).unwrap()), [[0]]);
    }

    #[test]
    fn many_copies_of_one_vector_do_not_hide_the_others() {
        let mut vectors = vec![faces(8, 1, 1, 32).remove(0); 600];
        vectors.extend(faces(9, PEOPLE, 1, 32));
        let graph = built(&vectors, Storage::F32);
        let found = graph.nearest(&slices(&vectors[600..]), 1).unwrap();
        let lost = found.iter().enumerate().filter(|(i, found)| found[0].row != 600 + i).count();
        assert!(lost <= 10, "{lost} rows are not found");
        assert_eq!(
            graph.nearest(&[&vectors[0]], 1).unwrap()[0][0].similarity,
            graph.exact().nearest(&[&vectors[0]], 1).unwrap()[0][0].similarity
        );
    }

    #[test]
    fn refuses_what_exact_search_refuses() {
        let vectors = faces(10, PEOPLE, 1, 16);
        let mut graph = built(&vectors, Storage::F32);
        assert!(matches!(graph.nearest(&[&[1.0]], 1), Err(Error::Mismatch(_))));
        assert!(matches!(graph.nearest(&[&[f32::NAN; 16]], 1), Err(Error::Invalid(_))));
        assert!(matches!(graph.add(&[&[1.0]]), Err(Error::Mismatch(_))));
        let exact = Exact::new(16, Storage::F32).unwrap();
        assert!(Graph::build(exact, GraphOptions { degree: 1, ..Default::default() }).is_err());
    }
}
