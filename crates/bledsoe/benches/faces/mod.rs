//! Made-up faces, for the benches of search and of galleries.
//!
//! Every vector is made of its own seed, so that two calls have the same. A person is a direction; each of their five
//! photos is `sqrt(0.6)` times that and `sqrt(0.4)` times a direction of its own, of unit length, so that two photos of
//! one person have a cosine of about 0.6. A probe is one more photo of an enrolled person. A direction is a nearly
//! normal draw (sums of four uniform numbers) whose variance falls along the axes as [`spectrum`] says; with `uniform`
//! all axes are alike, which no embedder's are.

use std::time::Instant;

use bledsoe::search::{Exact, Index, Storage};
use rayon::prelude::*;

pub const PHOTOS: usize = 5;
const SAME_PERSON: f32 = 0.6;
pub const PROBES: usize = 1000;
pub const K: usize = 10;

/// Made-up photos of people.
pub struct Faces {
    pub rows: usize,
    pub dim: usize,
    deviations: Vec<f32>,
}

/// The variance along axis `i`: `1 / (1 + i / 20)^2`. Over 512 axes that is a participation ratio (the squared sum of
/// the variances by the sum of their squares) of 54; first photos of 5,749 people of LFW by `facenet` have 56.
fn spectrum(i: usize) -> f32 {
    1.0 / (1.0 + i as f32 / 20.0).powi(2)
}

impl Faces {
    pub fn new(rows: usize, dim: usize, uniform: bool) -> Self {
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

    pub fn photo(&self, person: usize, photo: usize) -> Vec<f32> {
        let person = person as u64;
        let centre = self.direction(person << 8);
        let own = self.direction(person << 8 | (photo as u64 + 1));
        unit(centre.iter().zip(own).map(|(c, o)| SAME_PERSON.sqrt() * c + (1.0 - SAME_PERSON).sqrt() * o).collect())
    }

    pub fn row(&self, row: usize) -> Vec<f32> {
        self.photo(row / PHOTOS, row % PHOTOS)
    }

    pub fn probes(&self) -> Vec<Vec<f32>> {
        let people = self.rows / PHOTOS;
        (0..PROBES).map(|i| self.photo(i * 7919 % people, PHOTOS)).collect()
    }

    /// An index of all rows, filled in pieces so that the vectors are never there twice.
    pub fn index(&self, storage: Storage) -> Exact {
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
    pub fn truth(&self) -> Vec<Vec<usize>> {
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

pub fn slices(vectors: &[Vec<f32>]) -> Vec<&[f32]> {
    vectors.iter().map(Vec::as_slice).collect()
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn seconds<T>(mut work: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed().as_secs_f64()
}
