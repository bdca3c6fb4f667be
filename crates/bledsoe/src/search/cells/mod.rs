//! Search by cells: rows lie together that are near one centre, and a probe reads the nearest cells only.
//!
//! An inverted file as of Sivic and Zisserman, *Video Google*, ICCV 2003, and Jégou, Douze and Schmid, *Product
//! Quantization for Nearest Neighbor Search*, PAMI 2011, with whole rows in its lists. A cell is one run of memory, so
//! that it is read as fast as exact search reads. All runs are in one buffer: rows that are added go to their cell as
//! long as there is room, and then to the end, which every probe reads, until the end is so long that all rows are
//! arranged anew. A removed row leaves no hole: the last of its cell takes its place.

mod centres;

use std::{borrow::Cow, ops::Range};

use rayon::prelude::*;

use self::centres::Centres;
use super::{
    Exact, Index, Neighbour, Storage, check,
    copies::{Copies, PIECE},
    top::{self, Floor, Top},
    vectors::Vectors,
};
use crate::{Error, Result};

/// How thorough [`Cells`] are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellsOptions {
    /// The fraction of the rows that a probe reads, above 0 and at most 1: the dial between time and recall. At 1, [`Cells`]
    /// find what [`Exact`] finds.
    pub read: f32,
}

impl Default for CellsOptions {
    fn default() -> Self {
        Self { read: 0.3 }
    }
}

impl CellsOptions {
    fn check(self) -> Result<()> {
        if self.read > 0.0 && self.read <= 1.0 {
            Ok(())
        } else {
            Err(Error::Invalid(format!("cells cannot have {self:?}")))
        }
    }
}

/// Rows grouped by what is near: four times as many cells as the root of their number. Approximate: see `docs/benchmarks.md` for recall against time.
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

/// A row that holds a vector, and its place.
struct Live {
    row: u32,
    place: u32,
}

/// Where the rows of a cell are. It has room up to the next.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: usize,
    len: usize,
}

impl Run {
    fn places(self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

const NOWHERE: u32 = u32::MAX;
/// From so many rows on, their principal components are learnt: for fewer that takes as long as it saves.
const COMPONENTS_FROM: usize = 100_000;
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

/// Steps of similarity by which cells are told apart, between 0 and 1.
const STEPS: usize = 1024;

/// What to read for some probes.
struct Jobs {
    /// Places, and which of `probes` they are read for.
    jobs: Vec<(Range<usize>, Range<usize>)>,
    probes: Vec<usize>,
}

impl Cells {
    /// Groups the rows of `exact`. Takes seconds for a million rows, on all cores.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options out of range, or more rows than 32 bits count.
    pub fn build(exact: Exact, options: CellsOptions) -> Result<Self> {
        let mut cells = Self::ungrouped(exact, options)?;
        cells.regroup();
        Ok(cells)
    }

    /// All rows at the end.
    fn ungrouped(exact: Exact, options: CellsOptions) -> Result<Self> {
        options.check()?;
        countable(exact.rows())?;
        let Exact { copies, live, free } = exact;
        let rows = 0..live.len() as u32;
        let places = rows.clone().zip(live).map(|(place, live)| if live { place } else { NOWHERE }).collect();
        let runs = vec![Run { start: 0, len: rows.len() }];
        Ok(Self {
            options,
            centres: centres::none(copies.scanned.dim),
            copies,
            runs,
            rows: rows.collect(),
            places,
            free,
        })
    }

    /// The parts as a file holds them: rows in the order of their numbers, and the cell of each, below `count`, or
    /// `count` if it is in none.
    ///
    /// # Errors
    /// As [`Cells::build`], and [`Error::Invalid`] for a row in a cell that is not there.
    pub(super) fn from_parts(exact: Exact, options: CellsOptions, count: usize, cells: &[u32]) -> Result<Self> {
        let mut all = Self::ungrouped(exact, options)?;
        let live = all.live();
        all.reduce(&live);
        let runs: Vec<usize> = live.iter().map(|row| cells[row.row as usize] as usize).collect();
        if count > all.rows() || runs.iter().any(|&run| run > count) {
            return Err(Error::Invalid("a row in a cell that is not there".into()));
        }
        all.arrange(live, &runs, count);
        if all.runs[count].len > 0 {
            all.regroup();
        }
        Ok(all)
    }

    /// The options it was built with.
    pub fn options(&self) -> CellsOptions {
        self.options
    }

    /// Sets [`CellsOptions::read`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for one out of range.
    pub fn set_read(&mut self, read: f32) -> Result<()> {
        let options = CellsOptions { read };
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

    /// How many numbers of a row a probe reads: its principal components, or all.
    pub fn components(&self) -> usize {
        self.copies.scanned.dim
    }

    /// The vector of `row` as far as its storage remembers it, if there is one.
    pub fn vector(&self, row: usize) -> Option<Vec<f32>> {
        self.place(row).map(|place| self.copies.best().get(place))
    }

    pub(super) fn copies(&self) -> &Copies {
        &self.copies
    }

    /// The cell of `row`; the number of cells if it is at the end, 0 if it holds no vector.
    pub(super) fn cell(&self, row: usize) -> u32 {
        self.place(row).map_or(0, |place| self.run(place) as u32)
    }

    /// Whether there is a vector in `row`.
    pub(crate) fn holds(&self, row: usize) -> bool {
        self.place(row).is_some()
    }

    pub(super) fn place(&self, row: usize) -> Option<usize> {
        self.places.get(row).filter(|place| **place != NOWHERE).map(|place| *place as usize)
    }

    /// The run that `place` is in.
    fn run(&self, place: usize) -> usize {
        self.runs.partition_point(|run| run.start <= place).saturating_sub(1)
    }

    fn has_room(&self, run: usize) -> bool {
        let next = self.runs.get(run + 1).map_or(self.rows.len(), |next| next.start);
        self.runs[run].places().end < next
    }

    /// The rows that hold a vector.
    fn live(&self) -> Vec<Live> {
        let all = (0..).zip(&self.places).map(|(row, &place)| Live { row, place });
        all.filter(|row| row.place != NOWHERE).collect()
    }

    /// Scans no more than the principal components, if there are enough rows to learn them.
    fn reduce(&mut self, live: &[Live]) {
        if live.len() >= COMPONENTS_FROM {
            let places: Vec<usize> = live.iter().map(|row| row.place as usize).collect();
            self.copies.reduce(&places);
        }
    }

    /// Puts all rows into their cells, around new centres if there are far too few for so many rows.
    fn regroup(&mut self) {
        let live = self.live();
        let mut runs: Vec<usize> = live.iter().map(|row| self.run(row.place as usize)).collect();
        let count = CELLS * live.len().isqrt();
        let anew = 2 * self.centres.rows() <= count;
        if anew {
            self.reduce(&live);
        }
        let copies = &self.copies;
        let vector = |i: usize| copies.components(copies.best().get(live[i].place as usize)).into_owned();
        if anew {
            self.centres = centres::train(copies.scanned.dim, count, live.len(), vector);
            runs.fill(self.centres.rows());
        }
        let count = self.centres.rows();
        let late: Vec<usize> = (0..live.len()).filter(|&i| runs[i] == count).collect();
        let cells = centres::nearest(&self.centres, late.len(), |i| vector(late[i]));
        for (i, cell) in late.into_iter().zip(cells) {
            runs[i] = cell;
        }
        self.arrange(live, &runs, count);
    }

    /// Puts each row into its run, without room between the `count` cells, and each centre into the middle.
    fn arrange(&mut self, live: Vec<Live>, runs: &[usize], count: usize) {
        self.runs = vec![Run { start: 0, len: 0 }; count + 1];
        runs.iter().for_each(|&run| self.runs[run].len += 1);
        let mut start = 0;
        for run in &mut self.runs {
            run.start = start;
            start += run.len;
        }
        let mut next: Vec<usize> = self.runs.iter().map(|run| run.start).collect();
        let (mut from, mut rows) = (vec![0; live.len()], vec![0; live.len()]);
        for (Live { row, place }, &run) in live.into_iter().zip(runs) {
            from[next[run]] = place;
            rows[next[run]] = row;
            self.places[row as usize] = next[run] as u32;
            next[run] += 1;
        }
        self.copies.each_mut().for_each(|copy| copy.arrange(&from));
        self.rows = rows;
        let cells: Vec<Range<usize>> = self.runs[..count].iter().map(|run| run.places()).collect();
        self.centres = centres::middles(&self.copies, &cells);
    }

    /// How many rows to read for `k` neighbours, at the least.
    fn fewest(&self, k: usize) -> usize {
        self.copies.candidates(k).saturating_mul(ROWS_A_CANDIDATE)
    }

    /// How many rows to read for `k` neighbours.
    fn target(&self, k: usize) -> usize {
        let share = (f64::from(self.options.read) * self.len() as f64).ceil() as usize;
        share.max(self.fewest(k)).min(self.len())
    }

    /// The runs to read for a probe that is so similar to their centres, and whether they come later: first those that
    /// together have `first` rows, then those that have `target` rows with them and the end. Some more each, for cells of
    /// nearly one similarity are taken together.
    fn chosen(&self, similarities: &[f32], first: usize, target: usize) -> Vec<(bool, usize)> {
        let end = self.centres.rows();
        let step = |similarity: &f32| (((1.0 - similarity).max(0.0) * STEPS as f32) as usize).min(2 * STEPS);
        let steps: Vec<usize> = similarities.iter().map(step).collect();
        let mut rows = [0; 2 * STEPS + 1];
        steps.iter().zip(&self.runs).for_each(|(&step, run)| rows[step] += run.len);
        let (mut read, mut last) = (self.runs[end].len, 0);
        let [first, last] = [first, target].map(|target| {
            while read < target && last < rows.len() {
                read += rows[last];
                last += 1;
            }
            last
        });
        let mut chosen = Vec::new();
        for (later, range) in [(false, 0..first), (true, first..last)] {
            let runs = (0..end).filter(|&run| range.contains(&steps[run]) && self.runs[run].len > 0);
            chosen.extend(runs.map(|run| (later, run)));
        }
        chosen.extend((self.runs[end].len > 0).then_some((true, end)));
        chosen
    }

    /// What to read for the probes of which `vectors` are the components: for each what is nearest to it at first, so that
    /// it soon knows what is not near enough, and both in the order of places.
    fn jobs(&self, vectors: &[Cow<'_, [f32]>], first: usize, target: usize) -> Jobs {
        let count = self.centres.rows();
        let mut similarities = vec![0.0; count * vectors.len()];
        let probes: Vec<_> = vectors.iter().map(|vector| self.centres.probe(&**vector)).collect();
        self.centres.scan(0..count, &probes.iter().collect::<Vec<_>>(), |p, first, some| {
            similarities[p * count + first..][..some.len()].copy_from_slice(some);
        });
        // Runs, those of later once more, and probes.
        let runs = self.runs.len();
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for p in 0..vectors.len() {
            let chosen = self.chosen(&similarities[p * count..(p + 1) * count], first, target);
            pairs.extend(chosen.into_iter().map(|(later, run)| ((usize::from(later) * runs + run) as u32, p as u32)));
        }
        // Stable, for that is fast where much is sorted already: each probe's runs are.
        pairs.sort();
        let mut jobs = Vec::with_capacity(pairs.len());
        let mut end = 0;
        for pairs in pairs.chunk_by(|a, b| a.0 == b.0) {
            let start = end;
            end += pairs.len();
            let all = self.runs[pairs[0].0 as usize % runs].places();
            let pieces = all.clone().step_by(PIECE).map(|first| first..all.end.min(first + PIECE));
            jobs.extend(pieces.map(|places| (places, start..end)));
        }
        Jobs { jobs, probes: pairs.into_iter().map(|(_, p)| p as usize).collect() }
    }

    /// By this thread alone, or by all.
    fn nearest_of_block(&self, vectors: &[&[f32]], k: usize, alone: bool) -> Vec<Vec<Neighbour>> {
        let candidates = self.copies.candidates(k);
        let (first, target) = (self.fewest(k), self.target(k));
        let components: Vec<_> = vectors.iter().map(|&vector| self.copies.components(vector)).collect();
        let Jobs { jobs, probes: among } = self.jobs(&components, first, target);
        let probes: Vec<_> = components.into_iter().map(|components| self.copies.scanned.probe(components)).collect();
        let floors: Vec<Floor> = probes.iter().map(|_| Floor::default()).collect();
        let none = || floors.iter().map(|floor| Top::new(candidates, floor)).collect::<Vec<_>>();
        let scan = |mut tops: Vec<_>, (places, range): &(Range<usize>, Range<usize>)| {
            let among = &among[range.clone()];
            let chosen: Vec<_> = among.iter().map(|&p| &probes[p]).collect();
            self.copies.scan(places.clone(), &chosen, (&mut tops, among), |place| Some(self.rows[place] as usize));
            tops
        };
        let tops = if alone {
            jobs.iter().fold(none(), scan)
        } else {
            jobs.par_iter().fold(none, scan).reduce(none, top::merged)
        };
        let place = |row: usize| self.places[row] as usize;
        tops.into_iter().zip(vectors).map(|(top, vector)| self.copies.score(vector, top, k, alone, place)).collect()
    }
}

fn countable(rows: usize) -> Result<()> {
    if rows < NOWHERE as usize { Ok(()) } else { Err(Error::Invalid("cells of more rows than 32 bits count".into())) }
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
        let cells = centres::nearest(&self.centres, vectors.len(), |i| self.copies.components(vectors[i]).into_owned());
        let mut rows = Vec::with_capacity(vectors.len());
        for (vector, cell) in vectors.iter().zip(cells) {
            let run = if self.has_room(cell) { cell } else { end };
            if !self.has_room(run) {
                self.copies.each_mut().for_each(Vectors::push_zeros);
                self.rows.push(0);
            }
            let place = self.runs[run].places().end;
            self.runs[run].len += 1;
            self.copies.set(place, vector);
            let row = self.free.pop().unwrap_or_else(|| {
                self.places.push(NOWHERE);
                self.places.len() - 1
            });
            self.places[row] = place as u32;
            self.rows[place] = row as u32;
            rows.push(row);
        }
        if self.runs[end].len > END.max(self.len() / END_FRACTION) {
            self.regroup();
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
                copy.swap(last, place);
                copy.erase(last);
            }
            if self.runs[run].len == 0 && run < self.centres.rows() {
                // It may be one person's.
                self.centres.erase(run);
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
            // All on the threads of the pool, so that they are woken once.
            return Ok(if self.copies.few(self.target(k), probes.len()) {
                self.nearest_of_block(probes, k, true)
            } else {
                rayon::scope(|_| self.nearest_of_block(probes, k, false))
            });
        }
        let block = probes.len().div_ceil(threads).min(PROBES);
        Ok(probes.par_chunks(block).flat_map_iter(|block| self.nearest_of_block(block, k, true)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::testing::{faces, recall, slices, unit},
        *,
    };

    fn filled(vectors: &[Vec<f32>], storage: Storage) -> Exact {
        let mut exact = Exact::new(vectors[0].len(), storage).unwrap();
        exact.add(&slices(vectors)).unwrap();
        exact
    }

    fn built(vectors: &[Vec<f32>], read: f32) -> Cells {
        Cells::build(filled(vectors, Storage::Int4Int8), CellsOptions { read }).unwrap()
    }

    /// Every place is of one row, and nothing is left of a vector in room without a row.
    fn assert_sound(cells: &Cells) {
        let mut seen = vec![false; cells.rows()];
        for (i, run) in cells.runs.iter().enumerate() {
            let next = cells.runs.get(i + 1).map_or(cells.rows.len(), |next| next.start);
            assert!(run.start + run.len <= next);
            for place in run.start..next {
                if place < run.start + run.len {
                    let row = cells.rows[place] as usize;
                    assert_eq!(cells.place(row), Some(place));
                    assert!(!std::mem::replace(&mut seen[row], true));
                } else {
                    assert!(cells.copies.each().all(|copy| copy.get(place).iter().all(|&x| x == 0.0)));
                }
            }
        }
        assert_eq!(seen.iter().filter(|seen| **seen).count(), cells.len());
    }

    #[derive(Debug, Clone)]
    enum Change {
        Add(usize),
        Remove(Vec<usize>),
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let add = (1..700usize).prop_map(Change::Add);
        let remove = proptest::collection::vec(any::<usize>(), 1..300).prop_map(Change::Remove);
        proptest::collection::vec(prop_oneof![add, remove], 0..9)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Whatever was added and removed: the same rows, the same vectors, and when all is read the same neighbours.
        #[test]
        fn all_cells_give_what_exact_search_gives(
            seed: u64,
            people in 1..400usize,
            dim in 2..70usize,
            k in 1..100usize,
            probes in 1..40usize,
            storage in prop::sample::select(vec![Storage::F32, Storage::F16, Storage::Int4Int8, Storage::Int4F16]),
            changes in changes(),
        ) {
            let mut exact = filled(&faces(seed, people, 3, dim), storage);
            let mut cells = Cells::build(exact.clone(), CellsOptions { read: 1.0 }).unwrap();
            for (i, change) in changes.into_iter().enumerate() {
                match change {
                    Change::Add(count) => {
                        let vectors = faces(seed ^ i as u64, count, 1, dim);
                        prop_assert_eq!(exact.add(&slices(&vectors)).unwrap(), cells.add(&slices(&vectors)).unwrap());
                    }
                    Change::Remove(rows) => {
                        let rows: Vec<usize> = rows.iter().map(|row| row % exact.rows()).filter(|row| exact.holds(*row)).collect();
                        exact.remove(&rows).unwrap();
                        cells.remove(&rows).unwrap();
                    }
                }
                assert_sound(&cells);
            }
            prop_assert_eq!((exact.len(), exact.rows()), (cells.len(), cells.rows()));
            for row in 0..exact.rows() {
                prop_assert_eq!(exact.vector(row), cells.vector(row));
            }
            let probes = faces(seed.wrapping_add(1), probes, 1, dim);
            prop_assert_eq!(exact.nearest(&slices(&probes), k).unwrap(), cells.nearest(&slices(&probes), k).unwrap());
        }
    }

    /// Enough that a search leaves out most cells.
    const PEOPLE: usize = 4000;

    #[test]
    fn most_neighbours_are_in_few_cells() {
        let vectors = faces(1, PEOPLE, 4, 16);
        let probes = faces(2, 100, 1, 16);
        for storage in [Storage::F32, Storage::Int8, Storage::Int4Int8] {
            let mut cells = Cells::build(filled(&vectors, storage), CellsOptions::default()).unwrap();
            let found = cells.nearest(&slices(&probes), 10).unwrap();
            let few = recall(&found, &vectors, &probes, 10);
            cells.set_read(1.0).unwrap();
            let all = recall(&cells.nearest(&slices(&probes), 10).unwrap(), &vectors, &probes, 10);
            assert!(few >= 0.93 && few <= all, "{storage:?}: recall {few} of {all}");
        }
    }

    /// As faces, but with less along each axis than along the one before.
    fn varied(seed: u64, people: usize, photos: usize) -> Vec<Vec<f32>> {
        let less = |vector: Vec<f32>| unit((0..).zip(vector).map(|(i, x)| x / (1.0 + i as f32 / 4.0)).collect());
        faces(seed, people, photos, 48).into_iter().map(less).collect()
    }

    #[test]
    fn of_many_rows_the_main_components_are_enough() {
        let vectors = varied(9, COMPONENTS_FROM / 2, 2);
        let probes = varied(10, 60, 1);
        let mut cells = built(&vectors, 1.0);
        assert!(cells.components() < 48, "{} of 48", cells.components());
        let found = cells.nearest(&slices(&probes), 10).unwrap();
        let all = recall(&found, &vectors, &probes, 10);
        assert!(all >= 0.95, "recall {all} of all cells");
        cells.set_read(0.3).unwrap();
        let few = recall(&cells.nearest(&slices(&probes), 10).unwrap(), &vectors, &probes, 10);
        assert!(few >= 0.9 && few <= all, "recall {few}");

        let rows = cells.add(&slices(&probes)).unwrap();
        cells.remove(&[7, 11]).unwrap();
        assert_sound(&cells);
        let mut bytes = Vec::new();
        cells.write(&mut bytes).unwrap();
        let read = Cells::read(&*bytes, bytes.len() as u64, "index".as_ref()).unwrap();
        for index in [cells, read] {
            for (row, probe) in rows.iter().zip(&probes) {
                assert_eq!(index.nearest(&[probe], 1).unwrap()[0][0].row, *row);
            }
        }
    }

    #[test]
    fn is_the_same_on_any_number_of_threads_alone_and_in_a_batch() {
        let vectors = faces(3, PEOPLE, 2, 16);
        let probes = faces(4, 150, 1, 16);
        let threads = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        let [(one, few), (other, many)] = [1, 3].map(|n| {
            threads(n).install(|| {
                let cells = built(&vectors, 0.1);
                let found = cells.nearest(&slices(&probes), 7).unwrap();
                (cells, found)
            })
        });
        assert_eq!(one.rows, other.rows);
        assert_eq!(few, many);
        for (probe, found) in probes.iter().zip(few) {
            assert_eq!(other.nearest(&[probe], 7).unwrap(), [found]);
        }
    }

    #[test]
    fn every_row_finds_itself_also_when_added_later() {
        let vectors = faces(5, PEOPLE, 1, 16);
        let mut cells = built(&vectors[..500], 0.05);
        let few = cells.cells();
        let gone: Vec<usize> = (0..500).step_by(9).collect();
        cells.remove(&gone).unwrap();
        let mut rows: Vec<Option<usize>> = (0..500).map(|row| (row % 9 != 0).then_some(row)).collect();
        for some in vectors[500..].chunks(170) {
            rows.extend(cells.add(&slices(some)).unwrap().into_iter().map(Some));
        }
        assert!(cells.cells() > few, "many more rows have more cells");
        let found = cells.nearest(&slices(&vectors), 1).unwrap();
        let lost = found.iter().zip(&rows).filter(|(found, row)| row.is_some_and(|row| found[0].row != row)).count();
        assert_eq!(lost, 0);
    }

    #[test]
    fn equals_are_ordered_by_row() {
        let mut vectors = faces(6, 2, 1, 8);
        vectors = (0..5000).map(|i| vectors[usize::from(i % 3 == 0)].clone()).collect();
        let found = built(&vectors, 0.2).nearest(&[&vectors[1]], 5).unwrap().remove(0);
        assert_eq!(found.iter().map(|n| n.row).collect::<Vec<_>>(), [1, 2, 4, 5, 7]);
    }

    #[test]
    fn as_many_are_found_as_are_asked_for() {
        let vectors = faces(7, 3000, 1, 8);
        let mut cells = built(&vectors, 0.01);
        for k in [1, 500, 2999, usize::MAX] {
            assert_eq!(cells.nearest(&[&vectors[0]], k).unwrap()[0].len(), k.min(3000));
        }
        cells.remove(&(1..3000).collect::<Vec<_>>()).unwrap();
        assert_eq!(cells.nearest(&[&vectors[5]], 3).unwrap()[0].len(), 1);
        cells.remove(&[0]).unwrap();
        assert_eq!(cells.nearest(&[&vectors[5]], 3).unwrap(), [[]]);
        assert_eq!(cells.add(&[&vectors[1]]).unwrap(), [0]);
        assert_eq!(cells.nearest(&[&vectors[5]], 3).unwrap()[0][0].row, 0);
    }

    #[test]
    fn refuses_what_it_cannot_do() {
        let vectors = faces(8, 10, 1, 8);
        for read in [0.0, -1.0, 1.5, f32::NAN] {
            assert!(Cells::build(filled(&vectors, Storage::F32), CellsOptions { read }).is_err());
            assert!(built(&vectors, 0.5).set_read(read).is_err());
        }
        let mut cells = built(&vectors, 0.5);
        assert!(cells.remove(&[3, 10]).is_err());
        assert!(matches!(cells.add(&[&vectors[0], &[1.0]]), Err(Error::Mismatch(_))));
        assert!(matches!(cells.nearest(&[&[0.5; 8]], 1), Err(Error::Invalid(_))));
        assert_eq!(cells.len(), 10, "nothing is changed when something cannot be");
        let none = Cells::build(Exact::new(8, Storage::Int4Int8).unwrap(), CellsOptions::default()).unwrap();
        assert_eq!(none.nearest(&[&vectors[0]], 1).unwrap(), [[]]);
    }
}
