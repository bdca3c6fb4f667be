//! The search for a classifier's settings beside the exhaustive one: what each finds, and how long it takes.
//!
//! ```text
//! cargo bench --workspace --bench tuning -- TABLE [--min-images N] [--most-images N] [--split SHARE] [--embedder ID]
//!                                                 [--seeds N] [--first-seed N]
//! ```
//!
//! TABLE is `bledsoe embed lfw/images`; `--embedder` takes a member of a fusion out of it, `--most-images` no more photos
//! of a person. Each seed draws another split and other folds. Both searches are timed one after the other in one process,
//! on embeddings in memory; on Linux the processor's time is told too, which others on the machine do not change. What the search chose is then looked up in the exhaustive cross-validation, and both choices
//! are fitted and tried on the photos held back, which neither saw.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::HashMap,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use bledsoe::{
    classify::{
        ClassifierFile, test_table,
        tuning::{Fixed, Search, Searched, Setting, Tuning},
    },
    embed::{
        Members,
        table::{self, FaceRow, Origin},
    },
    pipeline::Monitor,
};
use serde_json::json;

struct Asked {
    min_images: usize,
    most_images: usize,
    split: f64,
    embedder: Option<String>,
    seeds: u64,
    first_seed: u64,
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let Some(file) = arguments.next() else { panic!("usage: see the top of benches/tuning.rs") };
    let mut asked =
        Asked { min_images: 10, most_images: usize::MAX, split: 0.7, embedder: None, seeds: 5, first_seed: 0 };
    while let Some(name) = arguments.next() {
        let value = arguments.next().unwrap();
        match name.as_str() {
            "--min-images" => asked.min_images = value.parse().unwrap(),
            "--most-images" => asked.most_images = value.parse().unwrap(),
            "--split" => asked.split = value.parse().unwrap(),
            "--embedder" => asked.embedder = Some(value),
            "--seeds" => asked.seeds = value.parse().unwrap(),
            "--first-seed" => asked.first_seed = value.parse().unwrap(),
            _ => panic!("{name}: not known"),
        }
    }
    let (origin, rows) = read(&file, &asked);
    let (mut ratios, mut processor) = (Vec::new(), Vec::new());
    let (mut behind, mut behind_tested) = (Vec::new(), Vec::new());
    for seed in asked.first_seed..asked.first_seed + asked.seeds {
        let result = compare(&origin, &rows, &asked, seed);
        ratios.push(result["time_ratio"].as_f64().unwrap());
        processor.extend(result["processor_time_ratio"].as_f64());
        behind.push(result["behind_points"].as_f64().unwrap());
        behind_tested.push(result["behind_points_tested"].as_f64().unwrap());
        println!("{result}");
    }
    let summary = json!({
        "median_time_ratio": median(&mut ratios), "median_processor_time_ratio": median(&mut processor), "median_behind_points": median(&mut behind),
        "most_behind_points": behind.last(), "median_behind_points_tested": median(&mut behind_tested),
        "most_behind_points_tested": behind_tested.last(),
    });
    println!("{summary}");
}

/// Sorts, and gives the middle one.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn read(file: &str, asked: &Asked) -> (Origin, Vec<FaceRow>) {
    let (mut origin, mut rows) = table::read(file.as_ref()).unwrap();
    if let Some(embedder) = asked.embedder.as_deref().filter(|id| *id != origin.model) {
        let cut = Members::of(&origin.model, origin.dim).unwrap().unwrap().cut(embedder).unwrap().unwrap();
        for row in &mut rows {
            row.vector = cut.apply(&row.vector).unwrap();
        }
        (origin.model, origin.dim) = (embedder.to_owned(), cut.dim());
    }
    let mut photos: HashMap<String, usize> = HashMap::new();
    rows.retain(|row| {
        let own = photos.entry(row.person.clone().unwrap()).or_insert(0);
        *own += 1;
        *own <= asked.most_images
    });
    (origin, rows)
}

/// Time of all cores that this process took so far, in ticks of a hundredth of a second; Linux only.
fn processor_ticks() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
}

struct Took {
    time: Duration,
    ticks: Option<f64>,
}

fn timed(origin: &Origin, rows: &[FaceRow], search: &Search) -> (Tuning, Searched, Took) {
    let stop = AtomicBool::new(false);
    let monitor = Monitor { progress: &|_| {}, stop: &stop };
    let (start, before) = (Instant::now(), processor_ticks());
    let tuning = Tuning::of_table(origin, rows, search).unwrap();
    let searched = tuning.search(&monitor).unwrap();
    let ticks = before.zip(processor_ticks()).map(|(before, after)| after - before);
    (tuning, searched, Took { time: start.elapsed(), ticks })
}

fn compare(origin: &Origin, rows: &[FaceRow], asked: &Asked, seed: u64) -> serde_json::Value {
    let search = |exhaustive: bool| Search {
        fixed: Fixed::default(),
        min_images: asked.min_images,
        split: asked.split,
        epochs: 1,
        seed,
        exhaustive,
    };
    let (tuning, found, took) = timed(origin, rows, &search(false));
    let (yardstick, all, whole) = timed(origin, rows, &search(true));
    let accuracy = |setting: &Setting| {
        all.tried.iter().find(|tried| tried.setting == *setting).and_then(|tried| tried.scores.last()).unwrap().accuracy
    };
    let best = all.tried.first().unwrap();
    let (reached, most) = (accuracy(&found.chosen), best.scores.last().unwrap().accuracy);
    let (score, best_setting, photos) = (best.scores.last().copied(), best.setting.clone(), all.rungs[0].photos);
    let at_best = Searched { chosen: best_setting.clone(), ..all.clone() };
    let tested = test(&tuning.fit(found.clone()).unwrap().file, origin, rows);
    let tested_best = test(&yardstick.fit(at_best).unwrap().file, origin, rows);
    json!({
        "seed": seed, "people": found.rungs.last().unwrap().people, "photos": photos, "copies": found.copies,
        "settings": all.tried.len(), "rungs": found.rungs,
        "seconds": took.time.as_secs_f64(), "exhaustive_seconds": whole.time.as_secs_f64(),
        "time_ratio": took.time.as_secs_f64() / whole.time.as_secs_f64(),
        "processor_time_ratio": took.ticks.zip(whole.ticks).map(|(own, whole)| own / whole),
        "chosen": found.chosen, "accuracy": 100.0 * reached,
        "best": best_setting, "best_accuracy": 100.0 * most, "best_score": score,
        "behind_points": 100.0 * (most - reached),
        "tested": 100.0 * tested, "best_tested": 100.0 * tested_best,
        "behind_points_tested": 100.0 * (tested_best - tested),
        "exhaustive_chose": all.chosen,
    })
}

/// Share of the photos held back that the classifier names rightly.
fn test(file: &ClassifierFile, origin: &Origin, rows: &[FaceRow]) -> f64 {
    let tested = test_table(file, origin, rows, None).unwrap();
    let right = tested.faces.iter().filter(|face| face.answer.best.class == face.class).count();
    right as f64 / tested.faces.len() as f64
}
