//! Agreement with scikit-learn's HDBSCAN, from golden/hdbscan.json made by tools/reference/hdbscan.py: the same clusters,
//! where links are complete.

use bledsoe::{
    cluster::{Clusterer, Face, Hdbscan, Knowledge, Link, Links, Method, Node, Options, cluster},
    embed::dot,
};
use serde::Deserialize;

use super::svm::gauss;

const PHOTOS: [usize; 6] = [1, 2, 3, 5, 8, 13];
const PEOPLE: usize = 36;
const MOST: usize = 13;
const DIM: usize = 8;

#[derive(Deserialize)]
struct Golden {
    first: [f32; 4],
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    least: usize,
    samples: usize,
    farthest: f32,
    epsilon: f32,
    /// Noise is -1.
    found: Vec<i32>,
}

impl Case {
    fn threshold(&self) -> f32 {
        1.0 - self.farthest * self.farthest / 2.0
    }

    /// Each face's cluster by its first face.
    fn expected(&self) -> Vec<usize> {
        first(&self.found, |cluster| cluster < 0)
    }
}

fn first<T: PartialEq + Copy>(clusters: &[T], alone: impl Fn(T) -> bool) -> Vec<usize> {
    let first = |(i, &cluster): (usize, &T)| {
        clusters.iter().position(|&other| other == cluster).filter(|_| !alone(cluster)).unwrap_or(i)
    };
    clusters.iter().enumerate().map(first).collect()
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/hdbscan.json")).unwrap()
}

fn vectors() -> Vec<Vec<f32>> {
    let photo = |(person, photo): (usize, usize)| {
        let noise = 0.1 + 0.05 * (person % 7) as f64;
        let own = |d: usize| gauss(1_000_000 + (person * MOST + photo) * DIM + d);
        let x: Vec<f64> = (0..DIM).map(|d| gauss(person * DIM + d) + noise * own(d)).collect();
        let length = x.iter().map(|v| v * v).sum::<f64>().sqrt();
        x.iter().map(|v| (v / length) as f32).collect()
    };
    let photos = |person: usize| (0..PHOTOS[person % PHOTOS.len()]).map(move |photo| (person, photo));
    (0..PEOPLE).flat_map(photos).map(photo).collect()
}

/// All that are as alike as the threshold.
fn links(vectors: &[Vec<f32>], threshold: f32) -> Links {
    let pairs = (0..vectors.len()).flat_map(|a| (a + 1..vectors.len()).map(move |b| (a, b)));
    let pairs = pairs.map(|(a, b)| Link { a, b, similarity: dot(&vectors[a], &vectors[b]) });
    Links { pairs: pairs.filter(|link| link.similarity >= threshold).collect(), full: vec![false; vectors.len()] }
}

#[test]
fn clusters_are_those_of_scikit_learn() {
    let (golden, vectors) = (golden(), vectors());
    assert!(vectors[0].iter().zip(golden.first).all(|(x, y)| (x - y).abs() < 1e-6));
    assert!(golden.cases.len() > 30);
    let nodes: Vec<Node> = vectors.iter().map(|vector| Node::of(vector)).collect();
    for case in golden.cases {
        let threshold = case.threshold();
        let hdbscan = Hdbscan { least: case.least, samples: case.samples, epsilon: case.epsilon };
        let found = hdbscan.cluster(&nodes, &links(&vectors, threshold), threshold).unwrap();
        assert_eq!(first(&found, |_| false), case.expected(), "{hdbscan:?} at {threshold}");
    }
}

#[test]
fn so_they_are_of_faces_by_their_lists_of_neighbours() {
    let (golden, vectors) = (golden(), vectors());
    let default = Hdbscan::default();
    let as_default = |case: &&Case| {
        case.least == default.least && case.samples == default.samples && case.epsilon == default.epsilon
    };
    let case = golden.cases.iter().find(as_default).unwrap();
    let faces: Vec<Face> = vectors.iter().enumerate().map(|(photo, vector)| Face { vector, photo }).collect();
    let options = Options { method: Method::Hdbscan, threshold: Some(case.threshold()), false_links: None };
    let found = cluster("made up", &faces, &Knowledge::default(), &options, &mut |_, _| Ok(())).unwrap();
    assert_eq!(first(&found.clusters, |_| false), case.expected());
}
