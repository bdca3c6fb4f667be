//! A photo compared with a person enrolled.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use bledsoe::gallery::{Limit, PRIOR, Probe, Rule};
use serde_json::json;

use super::Args;
use crate::{
    console,
    gallery::shown,
    portraits::{Inputs, Stages, embedder_given},
};

pub fn run(args: &Args, path: &Path, name: &str, photo: &Path) -> Result<ExitCode> {
    let gallery = args.opening.open(path)?;
    let embedder = embedder_given(&gallery.store().model().id, &args.embedder, &args.finder)?;
    let inputs = Inputs::open(&[PathBuf::from(photo)], &embedder)?;
    let loader = args.embedder.adapter.onto(args.engine.loader_for(inputs.photos())?);
    let stages = Stages::open(&inputs, &args.finder, &loader, &embedder)?;
    let (faces, skipped) = inputs.faces(stages.as_ref(), &embedder, console::NOT_KEPT)?;
    if let Some(skipped) = skipped.first() {
        bail!("{}: {}", photo.display(), skipped.reason);
    }
    let [face] = faces.as_slice() else { bail!("{}: expected one face, found {}", photo.display(), faces.len()) };
    let limit = args.threshold.map_or(Limit::FalsePositiveRate(args.far), Limit::Score);
    let probe = Probe { embedding: face.embedding.clone(), faults: face.faults() };
    let rule = Rule { limit, prior: PRIOR };
    let said = gallery.verify(name, &probe, &rule).with_context(|| photo.display().to_string())?;
    if args.json {
        console::print_json(&json!({
            "same": said.same, "name": name, "verification": said, "rule": rule, "gallery": shown(path), "embedder": embedder,
            "engine": loader.engine(),
        }))?;
    } else {
        let percent = |p: f64| format!("{:.1} %", 100.0 * p);
        let sure = match (said.probability, said.interval) {
            (Some(p), Some([low, high])) => {
                format!("; probability {} ({} to {})", percent(p), percent(low), percent(high))
            }
            _ => String::new(),
        };
        say!(
            "{} {name}: score {:.3} {} threshold {:.3}{sure}\nembedder {embedder}; engine {}",
            if said.same { "this is" } else { "this is not" },
            said.score,
            if said.score >= said.threshold { "≥" } else { "<" },
            said.threshold,
            loader.engine()
        );
        said.faults.iter().for_each(|fault| eprintln!("note: the face is {fault}"));
    }
    Ok(ExitCode::SUCCESS)
}
