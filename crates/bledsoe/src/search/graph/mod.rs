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
    /// How many of the nearest rows a walk keeps while a row is linked. More takes longer to build and finds more later.
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
        if (2..=128).contains(&self.degree) && self.build_beam > 0 && self.beam > 0 {
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
        let vectors = &self.exact.scanned;
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
        let vectors = &self.exact.scanned;
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
        let vectors = &self.exact.scanned;
        let nearest = |probe: &&[f32]| {
            let walk = walk::walk(vectors, &self.links, &self.starts, &vectors.probe(probe), beam);
            let mut found = walk.nearest;
            found.truncate(self.exact.candidates(k));
            self.exact.score(probe, found, k)
        };
        Ok(match probes {
            [probe] => vec![nearest(probe)],
            _ => probes.par_iter().map(nearest).collect(),
        })
    }
}
