//! Time, memory and recall of a gallery's file, on made-up faces. The commands of `docs/benchmarks.md`, in this order;
//! each is a process of its own. With `BLEDSOE_KEY` set, the gallery is encrypted.
//!
//! ```text
//! cargo bench --workspace --bench gallery -- enrol ROWS DIM FILE
//! cargo bench --workspace --bench gallery -- build FILE
//! cargo bench --workspace --bench gallery -- identify ROWS DIM FILE
//! cargo bench --workspace --bench gallery -- forget ROWS DIM FILE
//! cargo bench --workspace --bench gallery -- forget-loaded ROWS DIM FILE
//! cargo bench --workspace --bench gallery -- check FILE
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod faces;

use std::{collections::BTreeMap, path::Path};

use bledsoe::{
    Result,
    gallery::store::{FileStore, Key, Model, NewTemplate, Origin, Role, Store},
    search::{Exact, Index, Storage},
};
use faces::{Faces, PHOTOS, PROBES, median, seconds};
use rayon::prelude::*;

/// People enrolled in one change.
const TOGETHER: usize = 1000;
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
        ["forget", rows, dim, file] => forget(&faces(rows, dim), file.as_ref(), false),
        ["forget-loaded", rows, dim, file] => forget(&faces(rows, dim), file.as_ref(), true),
        ["check", file] => check(file.as_ref()),
        _ => eprintln!("enrol, identify, forget or forget-loaded ROWS DIM FILE; build or check FILE"),
    }
}

fn open(file: &Path) -> FileStore {
    FileStore::open(file, Key::from_env().unwrap()).unwrap()
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
    let model = Model { id: "faces".into(), dim: faces.dim };
    let mut store = FileStore::create(file, &model, Key::from_env().unwrap()).unwrap();
    let people = faces.rows / PHOTOS;
    let mut time = 0.0;
    for start in (0..people).step_by(TOGETHER) {
        let some = start..people.min(start + TOGETHER);
        let template = |person: usize, photo: usize| NewTemplate {
            role: Role::Enrolled,
            vector: faces.photo(person, photo),
            origin: Origin {
                photo: format!("photos/{person}/{photo}.jpg"),
                sha256: bledsoe::hash::sha256(format!("{person} {photo}")),
                ..Origin::default()
            },
        };
        let templates: Vec<Vec<NewTemplate>> = some
            .clone()
            .into_par_iter()
            .map(|person| (0..PHOTOS).map(|photo| template(person, photo)).collect())
            .collect();
        time += seconds(|| {
            store.atomically(&mut |store| {
                for (person, templates) in some.clone().zip(&templates) {
                    let id = store.create(&format!("person {person}"), &BTreeMap::new())?;
                    store.add(id, templates)?;
                }
                Ok(())
            })
        });
    }
    let rate = faces.rows as f64 / time;
    println!("{} x {}: enrolled in {time:.1} s, {rate:.0} a second; {} MB", faces.rows, faces.dim, megabytes(file));
    let one = |person: usize| {
        1e3 * seconds(|| -> Result<()> {
            store.atomically(&mut |store| {
                let id = store.create(&format!("late {person}"), &BTreeMap::new())?;
                let vector = faces.photo(people + person, 0);
                store.add(id, &[NewTemplate { role: Role::Enrolled, vector, origin: Origin::default() }]).map(|_| ())
            })
        })
    };
    println!("one more person: {:.1} ms", median((0..50).map(one).collect()));
}

fn build(file: &Path) {
    let mut store = open(file);
    let mut told = 0;
    let time = seconds(|| {
        store.build_index(&mut |done, of| {
            let tenth = 10 * done / of.max(1);
            if tenth > told {
                told = tenth;
                eprintln!("{done} of {of}");
            }
            Ok(())
        })
    });
    let again = seconds(|| store.build_index(&mut |_, _| Ok(())));
    println!(
        "index built in {time:.1} s, written again in {again:.1} s; {} MB; peak {} MB",
        megabytes(file),
        memory().1
    );
}

fn identify(faces: &Faces, file: &Path) {
    let (probes, truth) = (faces.probes(), faces.truth());
    let before = memory().0;
    let mut store = None;
    let opened = 1e3 * seconds(|| store = Some(open(file)));
    let store = store.unwrap();
    let first = seconds(|| store.nearest(&[&probes[0]], 10).unwrap());
    let singles = probes.iter().map(|probe| 1e3 * seconds(|| store.nearest(&[probe], 10).unwrap())).collect();
    let median = median(singles);
    let (now, peak) = memory();
    let found: Vec<Vec<usize>> = probes
        .iter()
        .map(|probe| store.nearest(&[probe], 10).unwrap()[0].iter().map(|hit| hit.template as usize - 1).collect())
        .collect();
    let pairs = || found.iter().zip(&truth);
    let first_right = pairs().filter(|(found, truth)| found[0] == truth[0]).count();
    let ten: usize = pairs().map(|(found, truth)| truth.iter().filter(|row| found.contains(row)).count()).sum();
    let person = found.iter().enumerate().filter(|(i, found)| found[0] / PHOTOS == i * 7919 % (faces.rows / PHOTOS));
    let exact = truth.iter().enumerate().filter(|(i, truth)| truth[0] / PHOTOS == i * 7919 % (faces.rows / PHOTOS));
    println!(
        "opened in {opened:.1} ms, first search {first:.2} s, then {median:.2} ms; recall@1 {:.4}, @10 {:.4}; \
         right person {:.4}, by exact search {:.4}; {} MB of memory more, peak {} MB more",
        first_right as f64 / PROBES as f64,
        ten as f64 / (10 * PROBES) as f64,
        person.count() as f64 / PROBES as f64,
        exact.count() as f64 / PROBES as f64,
        now - before.min(now),
        peak - before.min(peak),
    );
}

fn forget(faces: &Faces, file: &Path, loaded: bool) {
    let mut store = open(file);
    if loaded {
        store.nearest(&[&faces.photo(0, 0)], 1).unwrap();
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
    let one = |&person: &usize| {
        let name = format!("person {person}");
        1e3 * seconds(|| {
            let person = store.person(&name).unwrap().unwrap_or_else(|| panic!("{name} was forgotten before"));
            store.erase(person.id).unwrap()
        })
    };
    let times: Vec<f64> = chosen.iter().map(one).collect();
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
    let store = open(file);
    let mut faults = Vec::new();
    let time = seconds(|| faults = store.check().unwrap());
    println!("checked in {time:.1} s: {} faults; peak {} MB", faults.len(), memory().1);
    faults.iter().take(5).for_each(|fault| println!("{fault}"));
}
