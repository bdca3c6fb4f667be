//! Time, memory and recall of search, on made-up faces. The commands of `docs/benchmarks.md`:
//!
//! ```text
//! cargo bench -p bledsoe --bench search -- memory
//! cargo bench -p bledsoe --bench search -- exact ROWS DIM [uniform]
//! cargo bench -p bledsoe --bench search -- build ROWS DIM FILE [uniform]
//! cargo bench -p bledsoe --bench search -- cells ROWS DIM FILE [uniform]
//! cargo bench -p bledsoe --bench search -- vectors ROWS DIM FILE [uniform]
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod faces;

use std::{path::Path, time::Instant};

use bledsoe::search::{Cells, CellsOptions, Index, Neighbour, Storage};
use faces::{Faces, K, PROBES, median, seconds, slices};
use rayon::prelude::*;

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
        ["cells", rows, dim, file] => cells(&faces(rows, dim), file.as_ref()),
        ["vectors", rows, dim, file] => vectors(&faces(rows, dim), file.as_ref()),
        _ => eprintln!("memory | exact ROWS DIM | build, cells or vectors ROWS DIM FILE; then perhaps: uniform"),
    }
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
    let dim = faces.dim;
    let storages = [Storage::F32, Storage::F16, Storage::Int8, Storage::Int4Int8, Storage::Int4F16];
    for storage in storages {
        let (read, kept) = match storage {
            Storage::F32 => (4 * dim, 0),
            Storage::F16 => (2 * dim, 0),
            Storage::Int8 => (dim + 4, 0),
            Storage::Int4Int8 => (dim.div_ceil(2) + 4, dim + 4),
            Storage::Int4F16 => (dim.div_ceil(2) + 4, 2 * dim),
            Storage::Int4F32 => (dim.div_ceil(2) + 4, 4 * dim),
        };
        let read = read * faces.rows;
        if read + kept * faces.rows > MOST_BYTES {
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
    let index = faces.index(Storage::Int4F16);
    let start = Instant::now();
    let cells = Cells::build(index, CellsOptions::default()).unwrap();
    let built = start.elapsed().as_secs_f64();
    let saved = seconds(|| cells.save(file).unwrap());
    let (count, components) = (cells.cells(), cells.components());
    println!("{} x {}: {count} cells built in {built:.1} s, saved in {saved:.1} s", faces.rows, faces.dim);
    println!("{components} components are read");
    faces.truth();
}

fn cells(faces: &Faces, file: &Path) {
    let (probes, truth) = (faces.probes(), faces.truth());
    let start = Instant::now();
    let mut cells = Cells::open(file).unwrap();
    println!("{} x {}: opened in {:.1} s", faces.rows, faces.dim, start.elapsed().as_secs_f64());
    for read in [0.05, 0.1, 0.15, 0.2, 0.22, 0.25, 0.3, 1.0] {
        cells.set_read(read).unwrap();
        let (single, batched) = times(&cells, &probes, PROBES);
        let recall = recall(&cells.nearest(&slices(&probes), K).unwrap(), &truth);
        println!("{read} read: {single:.3} ms a probe; {batched:.0} probes/s; recall@10 {recall:.4}");
    }
    let rows: Vec<usize> = (0..20).map(|i| i * (faces.rows / 20)).collect();
    let removed = rows.iter().map(|&row| 1e3 * seconds(|| cells.remove(&[row]).unwrap())).collect();
    let again: Vec<_> = rows.iter().map(|&row| faces.row(row)).collect();
    let added = again.iter().map(|vector| 1e3 * seconds(|| cells.add(&[vector]).unwrap())).collect();
    println!("removing one: {:.3} ms; adding one: {:.3} ms", median(removed), median(added));
}

fn vectors(faces: &Faces, file: &Path) {
    let bytes = |vector: Vec<f32>| vector.into_iter().flat_map(f32::to_le_bytes);
    let all = (0..faces.rows).map(|row| faces.row(row)).chain(faces.probes());
    std::fs::write(file, all.flat_map(bytes).collect::<Vec<u8>>()).unwrap();
}
