//! What the tests of search share: made-up faces, and a reference that is slow and plain.

use super::Neighbour;

pub(super) fn unit(mut v: Vec<f32>) -> Vec<f32> {
    let norm = v.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    v.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
    v
}

pub(super) fn direction(random: &mut fastrand::Rng, dim: usize) -> Vec<f32> {
    unit((0..dim).map(|_| (0..4).map(|_| random.f32() - 0.5).sum()).collect())
}

/// `photos` unit vectors of each of `people` people, with a cosine of about 0.6 between those of one.
pub(super) fn faces(seed: u64, people: usize, photos: usize, dim: usize) -> Vec<Vec<f32>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut faces = Vec::new();
    for _ in 0..people {
        let centre = direction(&mut random, dim);
        for _ in 0..photos {
            let own = direction(&mut random, dim);
            faces.push(unit(centre.iter().zip(own).map(|(c, o)| 0.6f32.sqrt() * c + 0.4f32.sqrt() * o).collect()));
        }
    }
    faces
}

pub(super) fn slices(vectors: &[Vec<f32>]) -> Vec<&[f32]> {
    vectors.iter().map(Vec::as_slice).collect()
}

/// The similarity in double precision.
pub(super) fn similarity(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

/// The `k` rows nearest to `probe` in double precision, without those of `removed`.
pub(super) fn reference(vectors: &[Vec<f32>], removed: &[usize], probe: &[f32], k: usize) -> Vec<(usize, f64)> {
    let rows = vectors.iter().enumerate().filter(|(row, _)| !removed.contains(row));
    let mut all: Vec<_> = rows.map(|(row, vector)| (row, similarity(vector, probe))).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

/// The fraction of the true neighbours that were found.
pub(super) fn recall(found: &[Vec<Neighbour>], vectors: &[Vec<f32>], probes: &[Vec<f32>], k: usize) -> f64 {
    let hits = found.iter().zip(probes).map(|(found, probe)| {
        let truth = reference(vectors, &[], probe, k);
        truth.iter().filter(|(row, _)| found.iter().any(|n| n.row == *row)).count()
    });
    hits.sum::<usize>() as f64 / (k * probes.len()) as f64
}
