//! Time, memory and recall of a gallery in a file, on made-up faces. The commands of `docs/benchmarks.md`, in this
//! order; each is a process of its own. With `BLEDSOE_KEY` set, the gallery is encrypted.
//!
//! ```text
//! cargo bench --workspace --bench gallery -- enrol ROWS DIM FILE
//! cargo bench --workspace --bench gallery -- build FILE
//! cargo bench --workspace --bench gallery -- identify ROWS DIM FILE
//! cargo bench --workspace --bench gallery -- enrol-one ROWS DIM FILE
//! cargo bench --workspace --bench gallery -- forget ROWS DIM FILE
//! cargo bench --workspace --bench gallery -- forget-loaded ROWS DIM FILE
//! cargo bench --workspace --bench gallery -- check FILE
//! ```
//!
//! With a DIM of 128 the embedder is called `dlib`, so that the strangers who come with bledsoe take part in the work,
//! as they do for real faces; that the vectors are made up makes no difference to the time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod faces;

use std::{collections::BTreeMap, path::Path};

use bledsoe::{
    embed::Embedding,
    gallery::{
        Enrolment, Face, Gallery, Limit, Probe, Rule,
        store::{FileStore, Key, Model, Origin},
    },
    search::{Exact, Index, Storage},
};
use faces::{Faces, PHOTOS, PROBES, median, seconds};
use rayon::prelude::*;

/// People made up at a time.
const TOGETHER: usize = 10_240;
/// People forgotten; this many apart.
const FORGOTTEN: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let faces = |rows: &str, dim: &str| Faces::new(rows.parse().unwrap(), dim.parse().unwrap(), false);
    match *arguments {
        ["enrol", rows, dim, file] => enrol(&faces(rows, dim), file.as_ref()),
        ["build", file] => build(file.as_ref()),
        ["identify", rows, dim, file] => identify(&faces(rows, dim), file.as_ref()),
        ["enrol-one", rows, dim, file] => enrol_one(&faces(rows, dim), file.as_ref()),
        ["forget", rows, dim, file] => forget(&faces(rows, dim), file.as_ref(), false),
        ["forget-loaded", rows, dim, file] => forget(&faces(rows, dim), file.as_ref(), true),
        ["check", file] => check(file.as_ref()),
        _ => eprintln!("enrol, identify, enrol-one, forget or forget-loaded ROWS DIM FILE; build or check FILE"),
    }
}

fn open(file: &Path) -> Gallery {
    Gallery::new(Box::new(FileStore::open(file, Key::from_env().unwrap()).unwrap())).unwrap()
}

/// The embedder that the vectors are said to be of.
fn embedder(faces: &Faces) -> &'static str {
    if faces.dim == 128 { "dlib" } else { "faces" }
}

fn embedding(faces: &Faces, person: usize, photo: usize) -> Embedding {
    Embedding::new(embedder(faces), faces.photo(person, photo)).unwrap()
}

fn rule() -> Rule {
    Rule { limit: Limit::FalsePositiveRate(0.01), ..Rule::default() }
}

/// Megabytes in memory now, and at most so far.
fn memory() -> (usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0)
    };
    (kilobytes("VmRSS:") >> 10, kilobytes("VmHWM:") >> 10)
}

fn megabytes(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().len() >> 20
}

fn enrol(faces: &Faces, file: &Path) {
    let model = Model { id: embedder(faces).into(), dim: faces.dim };
    let store = FileStore::create(file, &model, Key::from_env().unwrap()).unwrap();
    let mut gallery = Gallery::new(Box::new(store)).unwrap();
    let people = faces.rows / PHOTOS;
    let mut time = 0.0;
    for start in (0..people).step_by(TOGETHER) {
        let face = |person: usize, photo: usize| Face {
            embedding: embedding(faces, person, photo),
            origin: Origin {
                photo: format!("photos/{person}/{photo}.jpg"),
                sha256: bledsoe::hash::sha256(format!("{person} {photo}")),
                ..Origin::default()
            },
        };
        let enrolments: Vec<Enrolment> = (start..people.min(start + TOGETHER))
            .into_par_iter()
            .map(|person| Enrolment {
                name: format!("person {person}"),
                labels: BTreeMap::new(),
                faces: (0..PHOTOS).map(|photo| face(person, photo)).collect(),
            })
            .collect();
        time += seconds(|| gallery.enroll_many(&enrolments, |_| true).unwrap());
    }
    let rate = faces.rows as f64 / time;
    println!(
        "{} x {}: enrolled in {time:.1} s, {rate:.0} a second; {} MB; peak {} MB of memory",
        faces.rows,
        faces.dim,
        megabytes(file),
        memory().1
    );
    let times: Vec<f64> = (0..50).map(|i| enroll_late(&mut gallery, faces, i)).collect();
    let most = times.iter().copied().fold(0.0, f64::max);
    println!("one more person: {:.1} ms, at most {most:.1} ms", median(times));
}

/// Enrols somebody whom [`Faces`] does not count, and gives the milliseconds.
fn enroll_late(gallery: &mut Gallery, faces: &Faces, i: usize) -> f64 {
    let face = Face::of(embedding(faces, faces.rows / PHOTOS + i, 0));
    1e3 * seconds(|| gallery.enroll(&format!("late {i}"), &BTreeMap::new(), std::slice::from_ref(&face)).unwrap())
}

/// One person into a gallery that a new process opens; that person is forgotten again.
fn enrol_one(faces: &Faces, file: &Path) {
    const PERSON: usize = 99;
    let mut gallery = None;
    let opened = 1e3 * seconds(|| gallery = Some(open(file)));
    let mut gallery = gallery.unwrap();
    let first = enroll_late(&mut gallery, faces, PERSON);
    let second = enroll_late(&mut gallery, faces, PERSON + 1);
    println!("opened in {opened:.1} ms, one person enrolled in {first:.1} ms, another in {second:.1} ms");
    for person in [PERSON, PERSON + 1] {
        gallery.forget(&format!("late {person}")).unwrap();
    }
}

fn build(file: &Path) {
    let mut gallery = open(file);
    let mut told = 0;
    let time = seconds(|| {
        gallery.build_index(&mut |done, of| {
            let tenth = 10 * done / of.max(1);
            if tenth > told {
                told = tenth;
                eprintln!("{done} of {of}");
            }
            Ok(())
        })
    });
    let again = seconds(|| gallery.build_index(&mut |_, _| Ok(())));
    println!(
        "index built in {time:.1} s, written again in {again:.1} s; {} MB; peak {} MB",
        megabytes(file),
        memory().1
    );
}

fn identify(faces: &Faces, file: &Path) {
    let (vectors, truth) = (faces.probes(), faces.truth());
    let probes: Vec<Probe> = vectors
        .iter()
        .map(|vector| Probe { embedding: Embedding::new(embedder(faces), vector.clone()).unwrap(), faults: Vec::new() })
        .collect();
    let before = memory().0;
    let mut gallery = None;
    let opened = 1e3 * seconds(|| gallery = Some(open(file)));
    let gallery = gallery.unwrap();
    let first = seconds(|| gallery.identify(&probes[..1], &rule()).unwrap());
    let mut decisions = Vec::with_capacity(PROBES);
    let times: Vec<f64> = probes
        .chunks(1)
        .map(|probe| 1e3 * seconds(|| decisions.extend(gallery.identify(probe, &rule()).unwrap())))
        .collect();
    let (now, peak) = memory();
    let mut sorted = times.clone();
    sorted.sort_by(f64::total_cmp);
    let batch = seconds(|| gallery.identify(&probes, &rule()).unwrap());
    let search = vectors.iter().map(|v| 1e3 * seconds(|| gallery.store().nearest(&[v], 10).unwrap())).collect();
    let found: Vec<Vec<usize>> = vectors
        .iter()
        .map(|v| gallery.store().nearest(&[v], 10).unwrap()[0].iter().map(|hit| hit.template as usize - 1).collect())
        .collect();
    let pairs = || found.iter().zip(&truth);
    let first_right = pairs().filter(|(found, truth)| found[0] == truth[0]).count();
    let ten: usize = pairs().map(|(found, truth)| truth.iter().filter(|row| found.contains(row)).count()).sum();
    let person = |i: usize| i * 7919 % (faces.rows / PHOTOS);
    let likeliest = decisions.iter().enumerate().filter(|(i, decision)| {
        decision.candidates.first().is_some_and(|first| first.name == format!("person {}", person(*i)))
    });
    let exact = truth.iter().enumerate().filter(|(i, truth)| truth[0] / PHOTOS == person(*i));
    println!(
        "opened in {opened:.1} ms, first identification {:.0} ms, then {:.2} ms (95 of 100 within {:.2} ms), \
         {:.2} ms each of {PROBES} together; ten nearest templates {:.2} ms; recall@1 {:.4}, @10 {:.4}; right person first {:.4} \
         (by the nearest template of all {:.4}); {} MB of memory more, peak {} MB more",
        1e3 * first,
        median(times),
        sorted[PROBES * 95 / 100],
        1e3 * batch / PROBES as f64,
        median(search),
        first_right as f64 / PROBES as f64,
        ten as f64 / (10 * PROBES) as f64,
        likeliest.count() as f64 / PROBES as f64,
        exact.count() as f64 / PROBES as f64,
        now - before.min(now),
        peak - before.min(peak),
    );
}

fn forget(faces: &Faces, file: &Path, loaded: bool) {
    let mut gallery = open(file);
    if loaded {
        let probe = Probe { embedding: embedding(faces, 0, 0), faults: Vec::new() };
        gallery.identify(&[probe], &rule()).unwrap();
        // What a change needs is there after the first.
        enroll_late(&mut gallery, faces, 200);
        gallery.forget("late 200").unwrap();
    }
    let people = faces.rows / PHOTOS;
    // Different people for the two commands.
    let chosen: Vec<usize> = (1..=FORGOTTEN).map(|i| i * people / (FORGOTTEN + 2) + usize::from(loaded)).collect();
    let traces = || {
        let bytes = std::fs::read(file).unwrap();
        let photos = chosen.iter().flat_map(|&person| (0..PHOTOS).map(move |photo| faces.photo(person, photo)));
        let forms: Vec<Vec<u8>> = photos.flat_map(|vector| forms(&vector)).collect();
        let found = |form: &&Vec<u8>| bytes.par_windows(16).any(|window| window == &form[16..32]);
        forms.iter().filter(found).count()
    };
    let before = traces();
    let mut one = |&person: &usize| 1e3 * seconds(|| gallery.forget(&format!("person {person}")).unwrap());
    let times: Vec<f64> = chosen.iter().map(&mut one).collect();
    let first = times[0];
    let greatest = times.iter().copied().fold(0.0, f64::max);
    println!(
        "{} people of {PHOTOS} templates forgotten, index {}: first {first:.1} ms, median {:.1} ms, most {greatest:.1} ms; \
         forms of their vectors in the file: {before} before, {} after; {} MB of memory",
        chosen.len(),
        if loaded { "in memory" } else { "not read" },
        median(times),
        traces(),
        memory().0,
    );
}

/// A vector as f32, and as int8: the search index's own way.
fn forms(vector: &[f32]) -> [Vec<u8>; 2] {
    let mut index = Exact::new(vector.len(), Storage::Int8).unwrap();
    index.add(&[vector]).unwrap();
    let rounded = index.vector(0).unwrap();
    let scale = rounded.iter().fold(0.0f32, |m, x| m.max(x.abs())) / 127.0;
    [
        vector.iter().flat_map(|x| x.to_le_bytes()).collect(),
        rounded.iter().map(|x| (x / scale).round() as i8 as u8).collect(),
    ]
}

fn check(file: &Path) {
    let mut gallery = open(file);
    let mut faults = Vec::new();
    let time = seconds(|| faults = gallery.store().check().unwrap());
    println!("file checked in {time:.1} s: {} faults; peak {} MB", faults.len(), memory().1);
    let time = seconds(|| faults.extend(gallery.examine().unwrap()));
    println!("calibration examined in {time:.1} s");
    faults.iter().take(5).for_each(|fault| println!("{fault}"));
}
