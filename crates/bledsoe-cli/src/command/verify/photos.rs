//! Two photos compared.

use std::{path::Path, process::ExitCode};

use anyhow::{Result, bail};
use bledsoe::pipeline::{Encoded, Source};
use serde_json::json;

use super::Args;
use crate::{arguments::scan, console};

pub fn run(args: &Args, a: &Path, b: &Path) -> Result<ExitCode> {
    let loader = args.embedder.adapter.onto(args.engine.loader_for(2)?);
    let name = args.embedder.name(&args.finder);
    loader.preload(Some(args.finder.detector()), &name);
    let embedder = loader.embedder(&name)?;
    let (threshold, origin) = match (args.threshold, loader.threshold(&name)?) {
        (Some(given), _) => (given, "given".to_owned()),
        (None, Some(known)) => (known.similarity, format!("false accept rate {} on {}", known.far, known.measured_on)),
        (None, None) => bail!("no threshold was measured for {}: give one with --threshold", embedder.id()),
    };
    // Both at once: one detector, one batch.
    let mut items = Vec::new();
    for photo in [a, b] {
        match scan(photo)?.items.as_slice() {
            [item] => items.push(item.clone()),
            _ => bail!("{}: expected one photo", photo.display()),
        }
    }
    let finder = args.finder.finder(&loader, embedder.templates().iter().map(|t| (t.clone(), t.size())).collect())?;
    let mut faces = Vec::new();
    for (processed, photo) in finder.process(Encoded::read_all(&items))?.into_iter().zip([a, b]) {
        match processed.faces {
            Ok(found) => faces.extend(found.into_iter().map(|face| face.chips)),
            Err(skipped) => bail!("{}: {}", photo.display(), skipped.reason),
        }
    }
    let vectors = embedder.embed(&faces)?;
    let [first, second] = vectors.as_slice() else { bail!("expected two embeddings, got {}", vectors.len()) };
    let similarity = first.similarity(second)?;
    let distance = (2.0 - 2.0 * similarity).max(0.0).sqrt();
    let same = similarity >= threshold;
    if args.json {
        console::print_json(&json!({
            "same": same, "similarity": similarity, "distance": distance, "threshold": threshold,
            "threshold_origin": origin, "embedder": embedder.id(), "engine": loader.engine(),
        }))?;
    } else {
        say!(
            "{}: similarity {similarity:.3} {} threshold {threshold:.3} ({origin})\ndistance {distance:.3}; embedder {}; engine {}",
            if same { "same person" } else { "different people" },
            if same { "≥" } else { "<" },
            embedder.id(),
            loader.engine()
        );
    }
    Ok(ExitCode::SUCCESS)
}
