//! Time, memory and recall of search, on made-up faces. The commands of `docs/benchmarks.md`:
//!
//! ```text
//! cargo bench -p bledsoe --bench search -- memory
//! cargo bench -p bledsoe --bench search -- exact ROWS DIM [uniform]
//! cargo bench -p bledsoe --bench search -- build ROWS DIM FILE [uniform]
//! cargo bench -p bledsoe --bench search -- graph ROWS DIM FILE [uniform]
//! cargo bench -p bledsoe --bench search -- vectors ROWS DIM FILE [uniform]
//! ```
//!
//! Every vector is made of its own seed, so that two calls have the same. A person is a direction; each of their five
//! photos is `sqrt(0.6)` times that and `sqrt(0.4)` times a direction of its own, of unit length, so that two photos of
//! one person have a cosine of about 0.6. A probe is one more photo of an enrolled person. A direction is a nearly
//! normal draw (sums of four uniform numbers) whose variance falls along the axes as [`spectrum`] says; with `uniform` all
//! axes are alike, which no embedder's are and where graphs do badly.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{path::Path, time::Instant};

use bledsoe::search::{Exact, Graph, GraphOptions, Index, Neighbour, Storage};
use rayon::prelude::*;

const PHOTOS: usize = 5;
const SAME_PERSON: f32 = 0.6;
const PROBES: usize = 1000;
const K: usize = 10;
/// Indices larger than this are not tried.
const MOST_BYTES: usize = 12 << 30;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (arguments, uniform) = match *arguments {
        [ref rest @ .., "uniform"] => (rest, true),
        _ => (&*arguments, false),
    };
    let faces = |rows: &str, dim: &str| Faces::new(rows.parse().unwrap(), dim.parse().unwrap(), uniform);
    match *arguments {
        ["memory"] => memory(),
        ["exact", rows, dim] => exact(&faces(rows, dim)),
        ["build", rows, dim, file] => build(&faces(rows, dim), file.as_ref()),
        ["graph", rows, dim, file] => graph(&faces(rows, dim), file.as_ref()),
        ["vectors", rows, dim, file] => vectors(&faces(rows, dim), file.as_ref()),
        _ => eprintln!("memory | exact ROWS DIM | build, graph or vectors ROWS DIM FILE; then perhaps: uniform"),
    }
}

/// Made-up photos of people.
struct Faces {
    rows: usize,
    dim: usize,
    deviations: Vec<f32>,
}

/// The variance along axis `i`: `1 / (1 + i / 20)^2`. Over 512 axes that is a participation ratio (the squared sum of the
/// variances by the sum of their squares) of 54; first photos of 5,749 people of LFW by `facenet` have 56.
fn spectrum(i: usize) -> f32 {
    1.0 / (1.0 + i as f32 / 20.0).powi(2)
}

impl Faces {
    fn new(rows: usize, dim: usize, uniform: bool) -> Self {
        let deviations = (0..dim).map(|i| if uniform { 1.0 } else { spectrum(i).sqrt() }).collect();
        Self { rows, dim, deviations }
    }

    fn direction(&self, seed: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        let draw = |deviation: &f32| {
            let bits = random.u64(..);
            let sum: f32 = [0, 16, 32, 48].map(|shift| f32::from((bits >> shift) as u16)).iter().sum();
            (sum - 131_070.0) * deviation
        };
        unit(self.deviations.iter().map(draw).collect())
    }

    fn photo(&self, person: usize, photo: usize) -> Vec<f32> {
        let person = person as u64;
        let centre = self.direction(person << 8);
        let own = self.direction(person << 8 | (photo as u64 + 1));
        unit(centre.iter().zip(own).map(|(c, o)| SAME_PERSON.sqrt() * c + (1.0 - SAME_PERSON).sqrt() * o).collect())
    }

    fn row(&self, row: usize) -> Vec<f32> {
        self.photo(row / PHOTOS, row % PHOTOS)
    }

    fn probes(&self) -> Vec<Vec<f32>> {
        let people = self.rows / PHOTOS;
        (0..PROBES).map(|i| self.photo(i * 7919 % people, PHOTOS)).collect()
    }

    /// An index of all rows, filled in pieces so that the vectors are never there twice.
    fn index(&self, storage: Storage) -> Exact {
        let mut index = Exact::new(self.dim, storage).unwrap();
        index.reserve(self.rows);
        for start in (0..self.rows).step_by(10_000) {
            let piece: Vec<_> =
                (start..self.rows.min(start + 10_000)).into_par_iter().map(|row| self.row(row)).collect();
            index.add(&slices(&piece)).unwrap();
        }
        index
    }

    /// The true neighbours of the probes, from the file if a former call left them there.
    fn truth(&self) -> Vec<Vec<usize>> {
        let name = format!("{}x{}-{}.truth", self.rows, self.dim, self.deviations[self.dim - 1] == 1.0);
        let file = std::env::temp_dir().join(name);
        if let Ok(bytes) = std::fs::read(&file) {
            let rows: Vec<usize> =
                bytes.as_chunks::<4>().0.iter().map(|&row| u32::from_le_bytes(row) as usize).collect();
            return rows.chunks(K).map(<[_]>::to_vec).collect();
        }
        let found = self.index(Storage::F32).nearest(&slices(&self.probes()), K).unwrap();
        let rows: Vec<Vec<usize>> = found.iter().map(|found| found.iter().map(|n| n.row).collect()).collect();
        let bytes: Vec<u8> = rows.iter().flatten().flat_map(|&row| (row as u32).to_le_bytes()).collect();
        std::fs::write(file, bytes).unwrap();
        rows
    }
}

fn unit(mut v: Vec<f32>) -> Vec<f32> {
    let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
    v.iter_mut().for_each(|x| *x /= norm);
    v
}

fn slices(vectors: &[Vec<f32>]) -> Vec<&[f32]> {
    vectors.iter().map(Vec::as_slice).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn seconds<T>(mut work: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed().as_secs_f64()
}

/// GB/s of summing 2 GiB with all threads: the yardstick, for a scan cannot be faster than reading.
fn bandwidth() -> f64 {
    let numbers = vec![1u64; 1 << 28];
    let piece = numbers.len() / rayon::current_num_threads();
    let sum = || -> u64 {
        let pieces = numbers.par_chunks(piece);
        pieces.map(|piece| piece.iter().fold(0u64, |a, &b| a.wrapping_add(b))).sum()
    };
    let times = (0..9).map(|_| seconds(sum)).collect();
    8.0 * numbers.len() as f64 / median(times) / 1e9
}

fn memory() {
    println!("reading memory, {} threads: {:.1} GB/s", rayon::current_num_threads(), bandwidth());
}

fn recall(found: &[Vec<Neighbour>], truth: &[Vec<usize>]) -> f64 {
    let hit = |(found, truth): (&Vec<Neighbour>, &Vec<usize>)| found.iter().filter(|n| truth.contains(&n.row)).count();
    let hits: usize = found.iter().zip(truth).map(hit).sum();
    hits as f64 / truth.iter().map(Vec::len).sum::<usize>() as f64
}

/// Median milliseconds of single probes, and probes a second of all in one batch.
fn times(index: &dyn Index, probes: &[Vec<f32>], singles: usize) -> (f64, f64) {
    let one = |probe: &Vec<f32>| 1e3 * seconds(|| index.nearest(&[probe], K).unwrap());
    probes.iter().take(3).for_each(|probe| _ = one(probe));
    let single = median(probes.iter().take(singles).map(one).collect());
    let probes = slices(probes);
    (single, probes.len() as f64 / median((0..3).map(|_| seconds(|| index.nearest(&probes, K).unwrap())).collect()))
}

fn exact(faces: &Faces) {
    let (probes, yardstick) = (faces.probes(), bandwidth());
    println!("{} x {}; reading memory: {yardstick:.1} GB/s", faces.rows, faces.dim);
    // Without room for single precision there is no truth to compare with.
    let truth = if 4 * faces.dim * faces.rows > MOST_BYTES { Vec::new() } else { faces.truth() };
    let storages = [Storage::F32, Storage::F16, Storage::Int8, Storage::Int8F16];
    for storage in storages {
        let (number, scale, kept) = match storage {
            Storage::F32 => (4, 0, 0),
            Storage::F16 => (2, 0, 0),
            Storage::Int8 => (1, 4, 0),
            _ => (1, 4, 2),
        };
        let read = (number * faces.dim + scale) * faces.rows;
        if read + kept * faces.dim * faces.rows > MOST_BYTES {
            println!("{storage:?}: not tried, more memory than the machine has");
            continue;
        }
        let index = faces.index(storage);
        let singles = (20_000_000 / faces.rows).clamp(25, PROBES);
        let batch = &probes[..(200_000_000 / faces.rows).clamp(64, PROBES)];
        let (single, batched) = times(&index, batch, singles);
        let found = index.nearest(&slices(batch), K).unwrap();
        let gigabytes = read as f64 / single / 1e6;
        println!(
            "{storage:?}: {single:.3} ms a probe, {gigabytes:.1} GB/s = {:.0} %; {batched:.0} probes/s; recall@10 {:.4}",
            100.0 * gigabytes / yardstick,
            recall(&found, &truth[..batch.len().min(truth.len())]),
        );
    }
}

fn build(faces: &Faces, file: &Path) {
    let index = faces.index(Storage::Int8F16);
    let start = Instant::now();
    let graph = Graph::build(index, GraphOptions::default()).unwrap();
    let built = start.elapsed().as_secs_f64();
    let saved = seconds(|| graph.save(file).unwrap());
    let bytes = graph.link_bytes() / faces.rows;
    println!(
        "{} x {}: built in {built:.1} s, saved in {saved:.1} s; links {bytes} bytes a vector",
        faces.rows, faces.dim
    );
    faces.truth();
}

fn graph(faces: &Faces, file: &Path) {
    let (probes, truth) = (faces.probes(), faces.truth());
    let start = Instant::now();
    let mut graph = Graph::open(file).unwrap();
    println!("{} x {}: opened in {:.1} s", faces.rows, faces.dim, start.elapsed().as_secs_f64());
    for beam in [16, 32, 64, 128, 256, 512] {
        graph.set_beam(beam);
        let (single, batched) = times(&graph, &probes, PROBES);
        let recall = recall(&graph.nearest(&slices(&probes), K).unwrap(), &truth);
        println!("beam {beam}: {single:.3} ms a probe; {batched:.0} probes/s; recall@10 {recall:.4}");
    }
    let rows: Vec<usize> = (0..20).map(|i| i * (faces.rows / 20)).collect();
    let removed = rows.iter().map(|&row| 1e3 * seconds(|| graph.remove(&[row]).unwrap())).collect();
    let again: Vec<_> = rows.iter().map(|&row| faces.row(row)).collect();
    let added = again.iter().map(|vector| 1e3 * seconds(|| graph.add(&[vector]).unwrap())).collect();
    println!("removing one: {:.1} ms; adding one: {:.2} ms", median(removed), median(added));
}

fn vectors(faces: &Faces, file: &Path) {
    let bytes = |vector: Vec<f32>| vector.into_iter().flat_map(f32::to_le_bytes);
    let all = (0..faces.rows).map(|row| faces.row(row)).chain(faces.probes());
    std::fs::write(file, all.flat_map(bytes).collect::<Vec<u8>>()).unwrap();
}
