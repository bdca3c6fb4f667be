//! Accuracy, time and memory of clustering. The commands of `docs/accuracy.md` and `docs/benchmarks.md`, where TABLE is
//! `bledsoe embed lfw/images`:
//!
//! ```text
//! cargo bench --workspace --bench cluster -- rates TABLE            false links borne, tried on one half of the people
//! cargo bench --workspace --bench cluster -- hdbscan TABLE          the same with HDBSCAN's own parameters
//! cargo bench --workspace --bench cluster -- accuracy TABLE         the defaults, on the half chosen on, the other, and all
//! cargo bench --workspace --bench cluster -- table TABLE FACES METHOD     time and memory of some people of the table
//! cargo bench --workspace --bench cluster -- made-up FACES DIM METHOD     the same of made-up faces
//! ```
//!
//! The half that parameters are chosen on is that of `tools/convert/cohort.py`: people whose name has an even first
//! byte of its SHA-256.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)] // Each bench uses some of it.
mod faces;

use std::{collections::BTreeMap, path::Path, time::Instant};

use bledsoe::{
    cluster::{Clusterer, Clustering, Face, Hdbscan, Knowledge, Link, Links, Method, Node, Options, cluster},
    embed::{dot, table},
    evaluate::clustering::agreement,
    hash::sha256,
};
use faces::{Faces, PHOTOS, slices};
use rayon::prelude::*;

/// People with so many photos are those of the tutorial.
const MANY: usize = 10;
/// Shares of strangers that are tried.
const RATES: [f64; 8] = [0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3];
/// Of made-up faces no stranger is known: between those of one person (0.6) and those of two.
const MADE_UP_THRESHOLD: f32 = 0.5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["rates", file] => rates(&Table::read(file.as_ref())),
        ["hdbscan", file] => hdbscan(&Table::read(file.as_ref())),
        ["accuracy", file] => accuracy(&Table::read(file.as_ref())),
        ["table", file, count, method] => {
            let table = Table::read(file.as_ref()).some(count.parse().unwrap());
            timed(&table.embedder, &table.vectors, &table.people, method, None);
        }
        ["made-up", count, dim, method] => {
            let faces = Faces::new(count.parse().unwrap(), dim.parse().unwrap(), false);
            let vectors: Vec<_> = (0..faces.rows).into_par_iter().map(|row| faces.row(row)).collect();
            let people: Vec<String> = (0..faces.rows).map(|row| (row / PHOTOS).to_string()).collect();
            timed("made up", &vectors, &people, method, Some(MADE_UP_THRESHOLD));
        }
        _ => eprintln!(
            "rates TABLE | hdbscan TABLE | accuracy TABLE | table TABLE FACES METHOD | made-up FACES DIM METHOD"
        ),
    }
}

#[derive(Clone)]
struct Table {
    embedder: String,
    vectors: Vec<Vec<f32>>,
    people: Vec<String>,
}

impl Table {
    fn read(file: &Path) -> Self {
        let (origin, rows) = table::read(file).unwrap();
        let (vectors, people) = rows.into_iter().map(|row| (row.vector, row.person.unwrap())).unzip();
        Self { embedder: origin.model, vectors, people }
    }

    fn of(&self, keep: impl Fn(&str) -> bool) -> Self {
        let kept = self.vectors.iter().zip(&self.people).filter(|(_, person)| keep(person));
        let (vectors, people) = kept.map(|(vector, person)| (vector.clone(), person.clone())).unzip();
        Self { embedder: self.embedder.clone(), vectors, people }
    }

    fn photos(&self) -> BTreeMap<String, usize> {
        let mut photos = BTreeMap::new();
        self.people.iter().for_each(|person| *photos.entry(person.clone()).or_insert(0) += 1);
        photos
    }

    /// Whole people, drawn by the hash of their names, until there are so many faces.
    fn some(&self, faces: usize) -> Self {
        let mut people: Vec<(String, String, usize)> =
            self.photos().into_iter().map(|(person, photos)| (sha256(&person), person, photos)).collect();
        people.sort();
        let mut total = 0;
        let chosen: Vec<String> = people
            .into_iter()
            .take_while(|(.., photos)| {
                total += photos;
                total - photos < faces
            })
            .map(|(_, person, _)| person)
            .collect();
        self.of(|person| chosen.iter().any(|chosen| chosen == person))
    }

    /// Those chosen on, the others, all; and the same of people with many photos.
    fn sets(&self) -> Vec<(&'static str, Self)> {
        let photos = self.photos();
        let many = |person: &str| photos[person] >= MANY;
        vec![
            ("chosen on, 10 or more photos", self.of(|person| ours(person) && many(person))),
            ("chosen on", self.of(ours)),
            ("the other half, 10 or more photos", self.of(|person| !ours(person) && many(person))),
            ("the other half", self.of(|person| !ours(person))),
            ("all, 10 or more photos", self.of(many)),
            ("all", self.clone()),
        ]
    }

    /// What parameters are chosen on: many photos a person, few, and small collections.
    fn chosen_on(&self) -> Vec<(&'static str, Self)> {
        let mut sets: Vec<_> = self.sets().into_iter().take(2).collect();
        let [few, some] = [100, 1000].map(|faces| sets[1].1.some(faces));
        sets.extend([("100 faces of them", few), ("1,000 faces of them", some)]);
        sets
    }

    /// All pairs that are as alike as the threshold.
    fn links(&self, threshold: f32) -> Links {
        let vectors = &self.vectors;
        let of =
            |a: usize| (a + 1..vectors.len()).map(move |b| Link { a, b, similarity: dot(&vectors[a], &vectors[b]) });
        let alike = |a: usize| of(a).filter(|link| link.similarity >= threshold).collect::<Vec<_>>();
        let pairs: Vec<Link> = (0..vectors.len()).into_par_iter().flat_map_iter(alike).collect();
        Links { pairs, full: vec![false; vectors.len()] }
    }

    fn cluster(&self, options: &Options) -> Clustering {
        run(&self.embedder, &self.vectors, options)
    }
}

fn ours(person: &str) -> bool {
    u8::from_str_radix(&sha256(person)[..2], 16).unwrap().is_multiple_of(2)
}

fn run(embedder: &str, vectors: &[Vec<f32>], options: &Options) -> Clustering {
    let slices = slices(vectors);
    let faces: Vec<Face> = slices.iter().enumerate().map(|(photo, vector)| Face { vector, photo }).collect();
    cluster(embedder, &faces, &Knowledge::default(), options, &mut |_, _| Ok(())).unwrap()
}

fn tell(set: &str, method: Method, people: &[String], found: &Clustering) {
    let score = agreement(people, &found.clusters).unwrap();
    let shown = |s: bledsoe::evaluate::clustering::Score| format!("{:.4} ({:.4}, {:.4})", s.f, s.precision, s.recall);
    let doubtful = found.confidence.iter().flatten().filter(|&&confidence| confidence < 0.9).count();
    println!(
        "{set}: {method:?}, {} faces of {} people: {} clusters, threshold {:.3}; pairwise F {}, BCubed F {}; {doubtful} doubtful",
        score.faces,
        score.people,
        score.clusters,
        found.threshold,
        shown(score.pairwise),
        shown(score.bcubed),
    );
}

fn rates(table: &Table) {
    let sets = table.chosen_on();
    for method in Method::ALL {
        for rate in RATES {
            let options = Options { method, false_links: Some(rate), threshold: None };
            for (name, set) in &sets {
                tell(&format!("{rate}: {name}"), method, &set.people, &set.cluster(&options));
            }
        }
    }
}

/// For each choice, pairwise F and BCubed F of each set, and the mean of all.
fn hdbscan(table: &Table) {
    let mut scores: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (_, set) in table.chosen_on() {
        let nodes: Vec<Node> = set.vectors.iter().map(|vector| Node::of(vector)).collect();
        for rate in RATES {
            let options = Options { method: Method::Hdbscan, false_links: Some(rate), threshold: None };
            let threshold = set.cluster(&options).threshold;
            let links = set.links(threshold);
            for samples in [2, 3] {
                for epsilon in [0.0, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0] {
                    let found = Hdbscan { samples, epsilon, ..Hdbscan::default() }.cluster(&nodes, &links, threshold);
                    let score = agreement(&set.people, &found.unwrap()).unwrap();
                    let choice = format!("false links {rate}, samples {samples}, epsilon {epsilon}");
                    scores.entry(choice).or_default().extend([score.pairwise.f, score.bcubed.f]);
                }
            }
        }
    }
    let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
    let mut scores: Vec<(String, Vec<f64>)> = scores.into_iter().collect();
    scores.sort_by(|x, y| mean(&y.1).total_cmp(&mean(&x.1)));
    for (choice, scores) in scores {
        println!("{choice}: {:.4}; {scores:.4?}", mean(&scores));
    }
}

fn accuracy(table: &Table) {
    for (name, set) in table.sets() {
        for method in Method::ALL {
            tell(name, method, &set.people, &set.cluster(&Options { method, ..Options::default() }));
        }
    }
}

fn timed(embedder: &str, vectors: &[Vec<f32>], people: &[String], method: &str, threshold: Option<f32>) {
    let before = memory("VmRSS");
    let options = Options { method: method.parse().unwrap(), threshold, false_links: None };
    let start = Instant::now();
    let found = run(embedder, vectors, &options);
    let seconds = start.elapsed().as_secs_f64();
    let peak = memory("VmHWM").saturating_sub(before);
    println!("{} x {}: {seconds:.2} s, {} MB more at the peak", vectors.len(), vectors[0].len(), peak / 1024);
    tell("these", options.method, people, &found);
}

/// Kilobytes, as Linux tells them; 0 elsewhere.
fn memory(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}
