//! `bledsoe evaluate`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use bledsoe::{
    classify::{self, ClassifierFile, Tested},
    embed::table,
    evaluate::{Identification, Outcome, identification},
};
use serde_json::json;

use crate::{
    arguments::{AdapterArgs, EngineArgs, FinderArgs, is_table, scan},
    console,
};

/// Measure a classifier on photos that it was not trained on.
///
/// IN is the folder or table that was trained on, or one with new photos of the same people. Photos that were trained on
/// are recognised by their content and left out. The accuracy is over faces found; with failures, a photo without a face
/// counts as an error. The interval is Wilson's, 95 %.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe evaluate lfw --model lfw.bledsoe --json")]
pub struct Args {
    /// Folder of photos or chips, or a table of embeddings (.parquet)
    r#in: PathBuf,
    /// The classifier
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Least probability that names a person (the classifier's own if absent)
    #[arg(long, value_name = "P")]
    min_probability: Option<f32>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    adapter: AdapterArgs,
    #[command(flatten)]
    finder: FinderArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let file = ClassifierFile::load(&args.model)?;
    args.adapter.check(&file.embedder)?;
    let (tested, engine) = if is_table(&args.r#in) {
        let (origin, rows) = table::read(&args.r#in)?;
        (classify::test_table(&file, &origin, &rows, args.min_probability)?, None)
    } else {
        let (tested, engine) = test_photos(&args, &file)?;
        (tested, Some(engine))
    };
    let outcomes: Vec<Outcome> =
        tested.faces.iter().map(|f| Outcome { truth: f.class, predicted: f.answer.best.class }).collect();
    let score = identification(&file.classes, &outcomes, &tested.without_face);
    console::tell_skipped(&tested.skipped, None);
    let unknown = tested.faces.iter().filter(|f| f.answer.name.is_none()).count();
    let wrong = |f: &&classify::TestedFace| f.answer.name.is_some() && f.answer.best.class != f.class;
    let wrong = tested.faces.iter().filter(wrong).count();
    if args.json {
        let mut result = serde_json::to_value(&score)?;
        result["skipped"] = json!(tested.skipped);
        result["with_rejection"] = json!({
            "named_rightly": score.total - unknown - wrong, "named_wrongly": wrong, "unknown": unknown,
            "min_probability": args.min_probability.unwrap_or(file.calibration.min_probability),
        });
        result["held_back"] = json!(tested.held_back);
        result["trained_left_out"] = json!(tested.trained);
        result["not_known_left_out"] = json!(tested.not_known);
        result["model"] = json!({
            "file": args.model, "embedder": file.embedder, "models": file.models, "classifier": file.kind,
            "people": file.classes.len(), "settings": file.settings, "bledsoe": file.bledsoe,
        });
        result["engine"] = json!(engine);
        console::print_json(&result)?;
    } else {
        tell(&score, &tested, unknown, wrong, engine.as_deref());
    }
    Ok(console::exit_code(&tested.skipped))
}

fn test_photos(args: &Args, file: &ClassifierFile) -> Result<(Tested, String)> {
    if args.finder.takes_all() {
        bail!("evaluate takes the one face of each photo that its folder names: use --select center or largest");
    }
    let scan = scan(&args.r#in)?;
    let loader = args.adapter.onto(args.engine.loader()?);
    let embedder = loader.embedder(&file.embedder)?;
    let source = args.finder.source(&args.r#in, &loader, embedder.as_ref())?;
    let tested = console::with_progress(scan.items.len(), console::NOT_KEPT, |monitor| {
        classify::test_photos(file, &scan, source.as_ref(), embedder.as_ref(), args.min_probability, monitor)
    })?;
    Ok((tested, loader.engine().to_owned()))
}

fn tell(score: &Identification, tested: &Tested, unknown: usize, wrong: usize, engine: Option<&str>) {
    let [low, high] = score.interval.map(|v| 100.0 * v);
    say!(
        "accuracy {:.2} % ({} of {} faces; 95 % interval {low:.2} to {high:.2})",
        100.0 * score.accuracy,
        score.correct,
        score.total
    );
    say!(
        "{:.2} % if the {} photos without a face count as errors",
        100.0 * score.accuracy_with_failures,
        score.without_face
    );
    say!(
        "where it may answer \"unknown\": {} named rightly, {wrong} wrongly, {unknown} unknown",
        score.total - unknown - wrong
    );
    say!(
        "{} photos held back in training, {} new; left out: {} trained on, {} of other people",
        tested.held_back,
        (score.total + score.without_face).saturating_sub(tested.held_back),
        tested.trained,
        tested.not_known
    );
    for confusion in score.confusions.iter().take(10) {
        say!("  {} taken for {}: {}", confusion.truth, confusion.predicted, confusion.count);
    }
    if let Some(engine) = engine {
        say!("engine: {engine}");
    }
}
