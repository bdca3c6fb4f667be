//! Pairs of people parted by support vector machines, for many kernels and penalties at once.
//!
//! What settings have in common is computed once: inner products for all kernels, a kernel's values for all its penalties,
//! and a solution in which no coefficient reaches its bound for all greater penalties, whose solution it is too. A pair
//! votes with its decision value, cut to the margin: the person with most votes is nearly always the one that pairwise
//! coupling finds most probable, at a fraction of the time.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::{
    classify::{
        Samples,
        svm::{Kernel, MatrixProblem, TOLERANCE},
    },
    embed::dot,
};

/// Photos that are asked about at once: their votes and similarities stay in the processor's cache.
const BLOCK: usize = 64;
/// Machines kept at once, of all pairs and settings: some 500 MB.
const KEPT: usize = 4_000_000;

/// What one setting said of the photos held out.
pub(super) struct Said {
    /// For each photo the votes for each person.
    pub votes: Vec<Vec<f32>>,
    /// Time of one core, for what it does not share.
    pub time: Duration,
}

/// Trains a machine for every two classes of `train` with each kernel and its penalties (ascending), and asks about the
/// rows of `asked`. The results are in the order of kernels and penalties, and do not depend on the number of cores.
pub(super) fn ask(train: &Samples, asked: &[f32], kernels: &[(Kernel, Vec<f64>)]) -> Vec<Vec<Said>> {
    let classes = train.classes();
    let machines =
        (classes * (classes - 1) / 2).max(1) * kernels.iter().map(|(_, c)| c.len()).max().unwrap_or(1).max(1);
    let at_once = (KEPT / machines).max(1);
    kernels.chunks(at_once).flat_map(|kernels| vote(train, asked, kernels, &solve(train, kernels))).collect()
}

/// The support vectors of every pair, in the order (0, 1), (0, 2), …, (1, 2), ….
#[derive(Default)]
struct Machines {
    /// Where each pair's entries end.
    ends: Vec<u32>,
    rows: Vec<u32>,
    coefficients: Vec<f32>,
    offsets: Vec<f32>,
    time: Duration,
}

impl Machines {
    fn push(&mut self, rows: impl Iterator<Item = usize>, solution: &crate::classify::svm::Solution) {
        for (row, coefficient) in rows.zip(&solution.coefficients) {
            if *coefficient != 0.0 {
                self.rows.push(row as u32);
                self.coefficients.push(*coefficient as f32);
            }
        }
        self.ends.push(self.rows.len() as u32);
        self.offsets.push(solution.offset as f32);
    }

    fn append(&mut self, other: &Self) {
        let before = self.rows.len() as u32;
        self.ends.extend(other.ends.iter().map(|end| before + end));
        self.rows.extend(&other.rows);
        self.coefficients.extend(&other.coefficients);
        self.offsets.extend(&other.offsets);
        self.time += other.time;
    }
}

/// The inner products of two sets of rows, row after row.
fn products(dim: usize, a: &[f32], b: &[f32]) -> Vec<f32> {
    a.chunks_exact(dim).flat_map(|x| b.chunks_exact(dim).map(move |y| dot(x, y))).collect()
}

/// For each kernel and penalty the machines of all pairs.
fn solve(train: &Samples, kernels: &[(Kernel, Vec<f64>)]) -> Vec<Vec<Machines>> {
    let (dim, classes) = (train.dim(), train.classes());
    let squares: Vec<f32> = train.vectors().par_chunks_exact(dim).map(|x| dot(x, x)).collect();
    let own: Vec<Vec<f32>> =
        (0..classes).into_par_iter().map(|k| products(dim, train.of_class(k), train.of_class(k))).collect();
    let of_class = |i: usize| -> Vec<Vec<Machines>> {
        let mut found: Vec<Vec<Machines>> =
            kernels.iter().map(|(_, penalties)| penalties.iter().map(|_| Machines::default()).collect()).collect();
        let mut matrix = Vec::new();
        for j in i + 1..classes {
            let across = products(dim, train.of_class(i), train.of_class(j));
            for ((kernel, penalties), found) in kernels.iter().zip(&mut found) {
                let pair = Pair { i: train.range(i), j: train.range(j), squares: &squares };
                pair.fill(*kernel, [&own[i], &across, &own[j]], &mut matrix);
                pair.solve(&matrix, penalties, found);
            }
        }
        found
    };
    let parts: Vec<Vec<Vec<Machines>>> = (0..classes).into_par_iter().map(of_class).collect();
    let mut all: Vec<Vec<Machines>> =
        kernels.iter().map(|(_, penalties)| penalties.iter().map(|_| Machines::default()).collect()).collect();
    for part in parts {
        for (all, part) in all.iter_mut().flatten().zip(part.iter().flatten()) {
            all.append(part);
        }
    }
    all
}

/// Two classes by their rows.
struct Pair<'a> {
    i: std::ops::Range<usize>,
    j: std::ops::Range<usize>,
    squares: &'a [f32],
}

impl Pair<'_> {
    /// The kernel matrix of both classes from the inner products within the first, across, and within the second.
    fn fill(&self, kernel: Kernel, [first, across, second]: [&[f32]; 3], matrix: &mut Vec<f32>) {
        let (p, q) = (self.i.len(), self.j.len());
        let n = p + q;
        matrix.clear();
        matrix.resize(n * n, 0.0);
        let (i, j) = (&self.squares[self.i.clone()], &self.squares[self.j.clone()]);
        for (a, row) in first.chunks_exact(p).enumerate() {
            for (b, product) in row.iter().enumerate() {
                matrix[a * n + b] = kernel.of(*product, i[a], i[b]);
            }
        }
        for (a, row) in across.chunks_exact(q).enumerate() {
            for (b, product) in row.iter().enumerate() {
                let value = kernel.of(*product, i[a], j[b]);
                matrix[a * n + p + b] = value;
                matrix[(p + b) * n + a] = value;
            }
        }
        for (a, row) in second.chunks_exact(q).enumerate() {
            for (b, product) in row.iter().enumerate() {
                matrix[(p + a) * n + p + b] = kernel.of(*product, j[a], j[b]);
            }
        }
    }

    /// Solves for penalties that ascend.
    fn solve(&self, matrix: &[f32], penalties: &[f64], found: &mut [Machines]) {
        let (positives, samples) = (self.i.len(), self.i.len() + self.j.len());
        let mut free = None;
        for (&c, found) in penalties.iter().zip(found) {
            let start = Instant::now();
            let solution = free.take().unwrap_or_else(|| {
                MatrixProblem { kernel: matrix, positives, samples, c, tolerance: TOLERANCE }.solve()
            });
            found.push(self.i.clone().chain(self.j.clone()), &solution);
            if solution.coefficients.iter().all(|a| a.abs() < c) {
                free = Some(solution);
            }
            found.time += start.elapsed();
        }
    }
}

/// Asks all machines about all rows, block by block.
fn vote(train: &Samples, asked: &[f32], kernels: &[(Kernel, Vec<f64>)], machines: &[Vec<Machines>]) -> Vec<Vec<Said>> {
    let (dim, classes) = (train.dim(), train.classes());
    let squares: Vec<f32> = train.vectors().par_chunks_exact(dim).map(|x| dot(x, x)).collect();
    let of_block = |block: &[f32]| -> Vec<Vec<Said>> {
        let rows = block.len() / dim;
        let own: Vec<f32> = block.chunks_exact(dim).map(|x| dot(x, x)).collect();
        // A row of the training set after the other, so that a support vector's values lie together.
        let mut products = vec![0.0; train.len() * BLOCK];
        for (row, values) in products.chunks_exact_mut(BLOCK).enumerate() {
            for (value, x) in values.iter_mut().zip(block.chunks_exact(dim)) {
                *value = dot(train.row(row), x);
            }
        }
        let mut near = products.clone();
        let of_kernel = |((kernel, _), machines): (&(Kernel, Vec<f64>), &Vec<Machines>)| {
            if *kernel != Kernel::Linear {
                for (row, (near, products)) in
                    near.chunks_exact_mut(BLOCK).zip(products.chunks_exact(BLOCK)).enumerate()
                {
                    for ((near, product), own) in near.iter_mut().zip(products).zip(&own) {
                        *near = kernel.of(*product, squares[row], *own);
                    }
                }
            }
            let near = if *kernel == Kernel::Linear { &products } else { &near };
            machines.iter().map(|machines| count(machines, near, classes, rows)).collect()
        };
        kernels.iter().zip(machines).map(of_kernel).collect()
    };
    let blocks: Vec<Vec<Vec<Said>>> = asked.par_chunks(BLOCK * dim).map(of_block).collect();
    let mut all: Vec<Vec<Said>> = machines
        .iter()
        .map(|of_kernel| of_kernel.iter().map(|m| Said { votes: Vec::new(), time: m.time }).collect())
        .collect();
    for block in blocks {
        for (all, said) in all.iter_mut().flatten().zip(block.into_iter().flatten()) {
            all.votes.extend(said.votes);
            all.time += said.time;
        }
    }
    all
}

/// The votes of all pairs for the `rows` photos of a block, from the kernel's values of each training row with each.
fn count(machines: &Machines, near: &[f32], classes: usize, rows: usize) -> Said {
    let start = Instant::now();
    let mut votes = vec![0.0f32; classes * BLOCK];
    let (mut pair, mut first) = (0, 0);
    for i in 0..classes {
        for j in i + 1..classes {
            let mut decision = [-machines.offsets[pair]; BLOCK];
            let last = machines.ends[pair] as usize;
            for (row, coefficient) in machines.rows[first..last].iter().zip(&machines.coefficients[first..last]) {
                let values = &near[*row as usize * BLOCK..][..BLOCK];
                for (decision, value) in decision.iter_mut().zip(values) {
                    *decision += coefficient * value;
                }
            }
            let (before, after) = votes.split_at_mut(j * BLOCK);
            let (won, lost) = (&mut before[i * BLOCK..][..BLOCK], &mut after[..BLOCK]);
            for ((won, lost), decision) in won.iter_mut().zip(lost).zip(decision) {
                let vote = decision.clamp(-1.0, 1.0);
                *won += vote;
                *lost -= vote;
            }
            (pair, first) = (pair + 1, last);
        }
    }
    let of_row = |row: usize| (0..classes).map(|k| votes[k * BLOCK + row]).collect();
    Said { votes: (0..rows).map(of_row).collect(), time: start.elapsed() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::svm::{Pairs, Sigmoid};

    /// People at random on the sphere, scattered.
    pub(super) fn people(classes: usize, photos: usize, dim: usize, noise: f32) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(5);
        let mut vectors = Vec::new();
        for _ in 0..classes {
            let centre: Vec<f32> = (0..dim).map(|_| random.f32() - 0.5).collect();
            for _ in 0..photos {
                let v: Vec<f32> = centre.iter().map(|x| x + noise * (random.f32() - 0.5)).collect();
                let norm = dot(&v, &v).sqrt();
                vectors.extend(v.iter().map(|x| x / norm));
            }
        }
        vectors
    }

    #[test]
    fn machines_solved_together_decide_as_each_alone() {
        const CLASSES: usize = 5;
        let vectors = people(CLASSES, 8, 6, 1.2);
        let train = Samples::new(6, vectors.clone(), &[8; CLASSES], (0..40).collect()).unwrap();
        let asked = people(CLASSES, 20, 6, 1.2);
        let kernels = [(Kernel::Linear, vec![0.1, 1.0, 1000.0]), (Kernel::Rbf { gamma: 2.0 }, vec![0.3, 30.0, 300.0])];
        let said = ask(&train, &asked, &kernels);
        for ((kernel, penalties), said) in kernels.iter().zip(&said) {
            for (&c, said) in penalties.iter().zip(said) {
                let pairs = Pairs::fit(&train, *kernel, c, Sigmoid { slope: -3.0, shift: 0.0 });
                for (x, votes) in asked.chunks_exact(6).zip(&said.votes) {
                    let decisions = pairs.decide(x);
                    for (k, votes) in votes.iter().enumerate() {
                        let won: f32 = pairs
                            .against_others(&decisions, k)
                            .iter()
                            .map(|(d, first)| if *first { *d } else { -*d })
                            .map(|d| d.clamp(-1.0, 1.0))
                            .sum();
                        // Solutions within the solver's tolerance of each other.
                        assert!((won - votes).abs() < 0.02, "{kernel:?} {c}: {won} {votes}");
                    }
                }
                assert_eq!(said.votes.len(), 100);
            }
        }
    }
}
