//! `bledsoe verify`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use bledsoe::pipeline::{self, Encoded};
use serde_json::json;

use crate::{
    arguments::{EmbedderArgs, EngineArgs, FinderArgs, scan},
    console,
};

/// Tell whether two photos show the same person (1:1 verification).
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe verify passport.jpg selfie.jpg")]
pub struct Args {
    /// First photo
    a: PathBuf,
    /// Second photo
    b: PathBuf,
    #[command(flatten)]
    embedder: EmbedderArgs,
    /// Least cosine similarity of the same person (the embedder's measured threshold if absent)
    #[arg(long, value_name = "SIMILARITY", allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    finder: FinderArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if args.finder.takes_all() {
        bail!("verify compares one face of each photo: use --select center or largest");
    }
    let loader = args.engine.loader()?;
    let embedder = loader.embedder(args.embedder.name(&args.finder))?;
    let (threshold, origin) = match (args.threshold, loader.threshold(args.embedder.name(&args.finder))?) {
        (Some(given), _) => (given, "given".to_owned()),
        (None, Some(known)) => (known.similarity, format!("false accept rate {} on {}", known.far, known.measured_on)),
        (None, None) => bail!("no threshold was measured for {}: give one with --threshold", embedder.id()),
    };
    let mut vectors = Vec::new();
    for photo in [&args.a, &args.b] {
        let source = args.finder.source(photo, &loader, embedder.as_ref())?;
        let processed = source.process(Encoded::read_all(&scan(photo)?.items))?;
        let (mut rows, skipped) = pipeline::embed::rows(processed, embedder.as_ref())?;
        if let Some(skipped) = skipped.first() {
            bail!("{}: {}", photo.display(), skipped.reason);
        }
        if rows.len() != 1 {
            bail!("{}: expected one photo", photo.display());
        }
        vectors.push(rows.remove(0).vector);
    }
    let similarity: f32 = vectors[0].iter().zip(&vectors[1]).map(|(a, b)| a * b).sum();
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
