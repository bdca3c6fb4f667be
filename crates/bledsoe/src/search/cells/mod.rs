//! Search by cells: rows lie together that are near one centre, and a probe reads the nearest cells only.
//!
//! An inverted file as of Sivic and Zisserman, *Video Google*, ICCV 2003, and Jégou, Douze and Schmid, *Product
//! Quantization for Nearest Neighbor Search*, PAMI 2011, with whole rows in its lists. A cell is one run of memory, so
//! that it is read as fast as exact search reads. All runs are in one buffer: rows that are added go to their cell as
//! long as there is room, and then to the end, which every probe reads, until the end is so long that all rows are
//! arranged anew. A removed row leaves no hole: the last of its cell takes its place.

mod centres;

use std::ops::Range;

use rayon::prelude::*;

use self::centres::Centres;
use super::{Exact, Index, Neighbour, Storage, check, copies::Copies, top::Top, vectors::Probe, vectors::Vectors};
use crate::{Error, Result};

/// How thorough [`Cells`] are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellsOptions {
    /// The fraction of the rows that a probe reads, above 0 and at most 1: the dial between time and recall. At 1, [`Cells`]
    /// find what [`Exact`] finds.
    pub read: f32,
    pub cells: usize,
}

impl Default for CellsOptions {
    fn default() -> Self {
        Self { read: 0.2, cells: 0 }
    }
}

impl CellsOptions {
    pub(super) fn check(self) -> Result<()> {
        if self.read > 0.0 && self.read <= 1.0 {
            Ok(())
        } else {
            Err(Error::Invalid(format!("cells cannot have {self:?}")))
        }
    }
}

/// Rows grouped by what is near. Approximate: see `docs/benchmarks.md` for recall against time.
#[derive(Debug, Clone)]
pub struct Cells {
    options: CellsOptions,
    centres: Centres,
    copies: Copies,
    /// One for each centre, and the end.
    runs: Vec<Run>,
    /// The row at each place; in the room of a run, anything.
    rows: Vec<u32>,
    /// The place of each row, or [`NOWHERE`].
    places: Vec<u32>,
    /// Rows without a vector, the highest first.
    free: Vec<usize>,
}

/// Where the rows of a cell are. It has room up to the next.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: usize,
    len: usize,
}

const NOWHERE: u32 = u32::MAX;
/// Cells for each root of the number of rows.
const CELLS: usize = 4;
/// The end is at most this fraction of the rows, or so many.
const END_FRACTION: usize = 32;
const END: usize = 1024;
/// So many probes for each thread are searched for a block to a thread; of fewer, all threads share the cells.
const PROBES_A_THREAD: usize = 8;
/// Probes that share one reading of memory.
const PROBES: usize = 64;
/// Rows read for each candidate, at the least.
const ROWS_A_CANDIDATE: usize = 16;
/// Below so many numbers to read, one thread is faster than waking the others.
const ALONE: usize = 1 << 17;
/// The most rows that one thread reads before it looks for other work.
const PIECE: usize = 4096;

/// Rows to read, and for which of the probes.
struct Job {
    places: Range<usize>,
    probes: Vec<usize>,
}

impl Cells {
    /// Groups the rows of `exact`. Takes seconds for a million rows, on all cores.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options out of range, or more rows than 32 bits count.
    pub fn build(exact: Exact, options: CellsOptions) -> Result<Self> {
        options.check()?;
        countable(exact.rows())?;
        let Exact { copies, live, free } = exact;
        let rows = live.len();
        let places = (0..).zip(live).map(|(place, live)| if live { place } else { NOWHERE }).collect();
        let mut cells = Self {
            options,
            centres: centres::none(copies.dim()),
            copies,
            runs: vec![Run { start: 0, len: rows }],
            rows: (0..rows as u32).collect(),
            places,
            free,
        };
        cells.regroup()?;
        Ok(cells)
    }

    /// The options it was built with.
    pub fn options(&self) -> CellsOptions {
        self.options
    }

    /// Sets [`CellsOptions::read`].
    pub fn set_read(&mut self, read: f32) -> Result<()> {
        let options = CellsOptions { read, ..self.options };
        options.check()?;
        self.options = options;
        Ok(())
    }

    /// How vectors are stored.
    pub fn storage(&self) -> Storage {
        self.copies.storage
    }

    /// One more than the highest row ever given.
    pub fn rows(&self) -> usize {
        self.places.len()
    }

    /// How many cells there are.
    pub fn cells(&self) -> usize {
        self.centres.rows()
    }

    /// The vector of `row` as far as its storage remembers it, if there is one.
    pub fn vector(&self, row: usize) -> Option<Vec<f32>> {
        self.place(row).map(|place| self.copies.best().get(place))
    }

    fn place(&self, row: usize) -> Option<usize> {
        self.places.get(row).filter(|place| **place != NOWHERE).map(|place| *place as usize)
    }

    /// The run that `place` is in.
    fn run(&self, place: usize) -> usize {
        self.runs.partition_point(|run| run.start <= place).saturating_sub(1)
    }

    /// Puts all rows into their cells, around new centres if there are far too few for so many rows.
    fn regroup(&mut self) -> Result<()> {
        let places: Vec<(u32, u32)> = (0..).zip(&self.places).filter(|(_, p)| **p != NOWHERE).map(|(r, p)| (r, *p)).collect();
        let count = if self.options.cells > 0 { self.options.cells } else { CELLS * places.len().isqrt() };
        let copy = self.copies.best();
        let vector = |i: usize| copy.get(places[i].1 as usize);
        let cells = if self.centres.rows() * 2 <= count {
            self.centres = centres::train(self.copies.dim(), count, places.len(), vector)?;
            let x = centres::nearest(&self.centres, places.len(), vector);
            x
        } else {
            let end = self.runs.len() - 1;
            let runs: Vec<usize> = places.iter().map(|(_, place)| self.run(*place as usize)).collect();
            let late: Vec<usize> = (0..places.len()).filter(|&i| runs[i] == end).collect();
            let mut cells: Vec<u32> = runs.iter().map(|&run| run as u32).collect();
            let found = centres::nearest(&self.centres, late.len(), |i| vector(late[i]));
            for (i, cell) in late.into_iter().zip(found) {
                cells[i] = cell;
            }
            cells
        };
        self.arrange(&cells, &places);
        Ok(())
    }

    /// Puts rows, at their places, into `cells`.
    fn arrange(&mut self, cells: &[u32], rows: &[(u32, u32)]) {
        let mut order: Vec<(u32, u32, u32)> = cells.iter().zip(rows).map(|(cell, (row, place))| (*cell, *row, *place)).collect();
        order.par_sort_unstable();
        let from: Vec<u32> = order.iter().map(|(.., place)| *place).collect();
        self.copies.each_mut().for_each(|copy| copy.arrange(&from));
        self.rows = order.iter().map(|(_, row, _)| *row).collect();
        for (place, row) in (0..).zip(&self.rows) {
            self.places[*row as usize] = place;
        }
        let mut lens = vec![0; self.centres.rows() + 1];
        cells.iter().for_each(|cell| lens[*cell as usize] += 1);
        let mut start = 0;
        self.runs.clear();
        for len in lens {
            self.runs.push(Run { start, len });
            start += len;
        }
    }

    /// How many rows to read for `k` neighbours.
    fn target(&self, k: usize) -> usize {
        let share = (f64::from(self.options.read) * self.len() as f64).ceil() as usize;
        share.max(self.copies.candidates(k).saturating_mul(ROWS_A_CANDIDATE)).min(self.len())
    }

    /// The cells to read for a probe that is so similar to their centres.
    fn chosen(&self, similarities: &[f32], target: usize) -> impl Iterator<Item = usize> {
        const STEPS: usize = 1024;
        let step = |similarity: f32| ((1.0 - similarity).max(0.0) * STEPS as f32) as usize;
        let (end, runs) = match self.runs.split_last() {
            Some((end, runs)) => (end.len, runs),
            None => (0, &[][..]),
        };
        let mut rows = vec![0; 2 * STEPS + 2];
        for (similarity, run) in similarities.iter().zip(runs) {
            let step = step(*similarity).min(2 * STEPS + 1);
            rows[step] += run.len;
        }
        let mut read = end;
        let last = rows.iter().position(|rows| {
            read += rows;
            read >= target
        });
        let last = last.unwrap_or(usize::MAX);
        let near: Vec<usize> = similarities
            .iter()
            .zip(runs)
            .enumerate()
            .filter(|(_, (similarity, run))| run.len > 0 && step(**similarity) <= last)
            .map(|(cell, _)| cell)
            .collect();
        near.into_iter().chain((end > 0).then_some(runs.len()))
    }

    fn jobs(&self, probes: &[&[f32]], target: usize) -> Vec<Job> {
        let count = self.centres.rows();
        let mut similarities = vec![0.0; count * probes.len()];
        let ready: Vec<_> = probes.iter().map(|probe| self.centres.probe(probe)).collect();
        self.centres.scan(0..count, &ready.iter().collect::<Vec<_>>(), |p, first, some| {
            similarities[p * count + first..][..some.len()].copy_from_slice(some);
        });
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for p in 0..probes.len() {
            pairs.extend(self.chosen(&similarities[p * count..(p + 1) * count], target).map(|cell| (cell, p)));
        }
        // Runs that are sorted already.
        pairs.sort();
        let mut jobs = Vec::new();
        for pairs in pairs.chunk_by(|a, b| a.0 == b.0) {
            let Run { start, len } = self.runs[pairs[0].0];
            for first in (start..start + len).step_by(PIECE) {
                let places = first..(first + PIECE).min(start + len);
                jobs.push(Job { places, probes: pairs.iter().map(|pair| pair.1).collect() });
            }
        }
        jobs
    }

    fn scan(&self, jobs: &[Job], probes: &[Probe<'_>], k: usize) -> Vec<Top> {
        let mut tops = vec![Top::new(k); probes.len()];
        for Job { places, probes: among } in jobs {
            self.copies.scan(places.clone(), (probes, among), &mut tops, |place| Some(self.rows[place] as usize));
        }
        tops
    }

    fn nearest_of_block(&self, vectors: &[&[f32]], k: usize, shared: bool) -> Vec<Vec<Neighbour>> {
        let candidates = self.copies.candidates(k);
        let target = self.target(k);
        let jobs = self.jobs(vectors, target);
        let probes: Vec<_> = vectors.iter().map(|vector| self.copies.scanned.probe(vector)).collect();
        let tops = if !shared || target * self.dim() * probes.len() < ALONE {
            self.scan(&jobs, &probes, candidates)
        } else {
            let piece = jobs.len().div_ceil(8 * rayon::current_num_threads()).max(1);
            let scans = jobs.par_chunks(piece).map(|jobs| self.scan(jobs, &probes, candidates));
            let merged = |a: Vec<Top>, b: Vec<Top>| a.into_iter().zip(b).map(|(a, b)| a.merge(b)).collect();
            scans.reduce_with(merged).unwrap_or_else(|| vec![Top::new(k); probes.len()])
        };
        let place = |row: usize| self.places[row] as usize;
        tops.into_iter().zip(vectors).map(|(top, vector)| self.copies.score(vector, top.into_sorted(), k, place)).collect()
    }
}

fn countable(rows: usize) -> Result<()> {
    if rows < NOWHERE as usize {
        Ok(())
    } else {
        Err(Error::Invalid("cells of more rows than 32 bits count".into()))
    }
}

impl Index for Cells {
    fn dim(&self) -> usize {
        self.copies.dim()
    }

    fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    fn add(&mut self, vectors: &[&[f32]]) -> Result<Vec<usize>> {
        check(vectors, self.dim())?;
        countable(self.rows.len().max(self.places.len()) + vectors.len())?;
        let end = self.centres.rows();
        let cells = centres::nearest(&self.centres, vectors.len(), |i| vectors[i].to_vec());
        let mut rows = Vec::with_capacity(vectors.len());
        for (vector, cell) in vectors.iter().zip(cells) {
            let room = |run: usize, runs: &[Run], all: usize| {
                let next = runs.get(run + 1).map_or(all, |next| next.start);
                runs[run].start + runs[run].len < next
            };
            let cell = if end > 0 && room(cell as usize, &self.runs, self.rows.len()) { cell as usize } else { end };
            if cell == end && !room(end, &self.runs, self.rows.len()) {
                self.copies.each_mut().for_each(Vectors::push_zeros);
                self.rows.push(0);
            }
            let place = self.runs[cell].start + self.runs[cell].len;
            self.runs[cell].len += 1;
            self.copies.each_mut().for_each(|copy| copy.set(place, vector));
            let row = self.free.pop().unwrap_or_else(|| {
                self.places.push(NOWHERE);
                self.places.len() - 1
            });
            self.places[row] = place as u32;
            self.rows[place] = row as u32;
            rows.push(row);
        }
        if self.runs[end].len > END.max(self.len() / END_FRACTION) {
            self.regroup()?;
        }
        Ok(rows)
    }

    fn remove(&mut self, rows: &[usize]) -> Result<()> {
        if let Some(row) = rows.iter().find(|&&row| self.place(row).is_none()) {
            return Err(Error::Invalid(format!("row {row} holds no vector")));
        }
        for &row in rows {
            // A row named twice is removed once.
            let Some(place) = self.place(row) else { continue };
            let run = self.run(place);
            self.runs[run].len -= 1;
            let last = self.runs[run].start + self.runs[run].len;
            for copy in self.copies.each_mut() {
                copy.copy(last, place);
                copy.erase(last);
            }
            self.rows[place] = self.rows[last];
            self.places[self.rows[place] as usize] = place as u32;
            self.places[row] = NOWHERE;
            self.free.push(row);
        }
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        Ok(())
    }

    fn nearest(&self, probes: &[&[f32]], k: usize) -> Result<Vec<Vec<Neighbour>>> {
        check(probes, self.dim())?;
        if k == 0 || self.is_empty() {
            return Ok(vec![Vec::new(); probes.len()]);
        }
        let threads = rayon::current_num_threads();
        if probes.len() < PROBES_A_THREAD * threads {
            return Ok(self.nearest_of_block(probes, k, true));
        }
        let block = probes.len().div_ceil(threads).min(PROBES);
        Ok(probes.par_chunks(block).flat_map_iter(|block| self.nearest_of_block(block, k, false)).collect())
    }
}
