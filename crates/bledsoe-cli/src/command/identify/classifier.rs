//! Faces named by a trained classifier.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail};
use bledsoe::{
    classify::{Answer, ClassifierFile, Doubt},
    dataset::Skipped,
    embed::{Embedding, table::FaceRow},
    pipeline::{self, Counts, Encoded, chunks},
};
use serde_json::json;

use super::Args;
use crate::{arguments::scan, console};

/// A face with what was said of it.
struct Identified {
    path: PathBuf,
    row: FaceRow,
    answer: Answer,
}

pub fn run(args: &Args, model: &Path, photos: &[PathBuf]) -> Result<ExitCode> {
    let file = ClassifierFile::load(model)?;
    args.adapter.check(&file.embedder)?;
    if args.min_probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
        bail!("--min-probability: expected 0 to 1");
    }
    let scans = photos.iter().map(|input| Ok((input, scan(input)?))).collect::<Result<Vec<_>>>()?;
    let total = scans.iter().map(|(_, scan)| scan.items.len()).sum();
    let loader = args.adapter.onto(args.engine.loader_for(total)?);
    for (input, _) in &scans {
        args.finder.preload(input, &loader, &file.embedder)?;
    }
    let embedder = loader.embedder(&file.embedder)?;
    file.check_embedder(embedder.id())?;
    let sources = scans
        .iter()
        .map(|(input, _)| args.finder.source(input, &loader, embedder.as_ref()))
        .collect::<Result<Vec<_>>>()?;
    let (identified, skipped) = console::with_progress(total, console::NOT_KEPT, |monitor| {
        let mut identified: Vec<Identified> = Vec::new();
        let mut skipped: Vec<Skipped> = scans.iter().flat_map(|(_, scan)| scan.skipped.clone()).collect();
        let mut counts = Counts::default();
        for ((input, scan), source) in scans.iter().zip(&sources) {
            for range in chunks(&scan.items) {
                monitor.check()?;
                counts.photos += range.len();
                let processed = source.process(Encoded::read_all(&scan.items[range]))?;
                let (rows, failed) = pipeline::embed::rows(processed, embedder.as_ref())?;
                let embeddings = rows
                    .iter()
                    .map(|row| Embedding::new(embedder.id(), row.vector.clone()))
                    .collect::<bledsoe::Result<Vec<_>>>()?;
                let answers = file.identify(&embeddings, args.min_probability)?;
                skipped.extend(failed);
                identified.extend(rows.into_iter().zip(answers).map(|(row, answer)| {
                    let path = if input.is_dir() { input.join(&row.path) } else { (*input).clone() };
                    Identified { path, row, answer }
                }));
                counts.faces = identified.len();
                counts.skipped = skipped.len();
                (monitor.progress)(counts);
            }
        }
        Ok((identified, skipped))
    })?;
    console::tell_skipped(&skipped, None);
    if args.json {
        let faces: Vec<serde_json::Value> = identified.iter().map(as_json).collect();
        console::print_json(&json!({
            "faces": faces, "skipped": skipped,
            "min_probability": args.min_probability.unwrap_or(file.calibration.min_probability),
            "model": model, "embedder": file.embedder, "engine": loader.engine(),
        }))?;
    } else {
        identified.iter().for_each(tell);
        eprintln!("engine: {}", loader.engine());
    }
    Ok(console::exit_code(&skipped))
}

fn as_json(face: &Identified) -> serde_json::Value {
    let (rect, answer) = (&face.row.detection.rect, &face.answer);
    json!({
        "path": face.path, "face": face.row.face,
        "box": { "left": rect.left, "top": rect.top, "right": rect.right, "bottom": rect.bottom },
        "name": answer.name.as_deref().unwrap_or("unknown"), "known": answer.name.is_some(),
        "probability": answer.best.probability, "best": answer.best, "runner_up": answer.runner_up,
        "doubt": answer.doubt,
    })
}

fn tell(face: &Identified) {
    let (rect, answer) = (&face.row.detection.rect, &face.answer);
    let percent = |p: f32| 100.0 * p;
    let place = format!("at {:.0},{:.0} {:.0}x{:.0}", rect.left, rect.top, rect.width(), rect.height());
    let said = match (&answer.name, answer.doubt) {
        (Some(name), _) => format!("{name} {:.1} %", percent(answer.best.probability)),
        (None, Some(Doubt::LowSimilarity { least })) => format!(
            "unknown (most like {}, but similarity {:.2} is below {least:.2})",
            answer.best.name, answer.best.similarity
        ),
        (None, _) => format!("unknown (perhaps {} {:.1} %)", answer.best.name, percent(answer.best.probability)),
    };
    say!(
        "{}: {said}; next {} {:.1} %; {place}",
        face.path.display(),
        answer.runner_up.name,
        percent(answer.runner_up.probability)
    );
}
