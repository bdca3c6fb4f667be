//! An adapter: a map behind the embedder, learnt from its embeddings.

use std::{process::ExitCode, time::Instant};

use anyhow::{Result, bail};
use bledsoe::{
    dataset::Skipped,
    embed::{About, Adapter, table},
    metric::{Examples, Shape, Trained, Training, train},
};
use serde_json::{Value, json};

use super::{Args, AskedShape, left, pace, record, renamed, report, summary, threshold};
use crate::console;

/// The faces of all inputs, of one embedder.
struct Gathered {
    rows: Vec<table::FaceRow>,
    skipped: Vec<Skipped>,
    origin: table::Origin,
    /// What they came from, for the adapter's file.
    inputs: Vec<Value>,
}

pub fn run(args: &Args, training: &Training) -> Result<ExitCode> {
    let start = Instant::now();
    let shape = match args.shape {
        Some(AskedShape::Linear) | None => Shape::Linear,
        Some(AskedShape::Mlp) => Shape::Mlp,
    };
    let gathered = gather(args)?;
    if let Some((base, _)) = Adapter::split(&gathered.origin.model) {
        bail!("these embeddings have an adapter behind them already: finetune on those of {base}");
    }
    let (examples, left_out) = Examples::of_rows(gathered.origin.dim, &gathered.rows)?;
    // A training that was stopped is no error: it gives the best so far.
    let Trained { learnt, course } = console::with_progress_of("epochs", args.epochs, console::NOT_KEPT, |monitor| {
        train(&examples, shape, training, monitor)
    })?;
    let mut record = record(training, &gathered.inputs, &course);
    record["shape"] = json!(shape);
    let about = About {
        bledsoe: env!("CARGO_PKG_VERSION").to_owned(),
        base: gathered.origin.model.clone(),
        base_settings: gathered.origin.settings.get("embedder").cloned().unwrap_or_default(),
        dim: gathered.origin.dim,
        training: record,
        threshold: threshold(&course),
    };
    let adapter = Adapter::new(about, learnt)?;
    adapter.save(&args.out)?;
    console::tell_skipped(&gathered.skipped, None);
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        console::print_json(&json!({
            "out": args.out, "id": adapter.id(), "about": adapter.about(), "before": course.curve.first(),
            "best": course.best, "left_out": left_out, "skipped": gathered.skipped, "device": training.device,
            "seconds_per_epoch": course.seconds_per_epoch, "seconds": seconds,
        }))?;
    } else {
        say!("{}\n{}; {}", left(&left_out), summary(&course), pace(&course, training.device, seconds));
        say!("wrote {}; its embeddings are of {}", args.out.display(), adapter.id());
    }
    report(args, &course, serde_json::to_value(adapter.about())?)?;
    Ok(console::exit_code(&gathered.skipped))
}

fn gather(args: &Args) -> Result<Gathered> {
    let mut gathered: Option<Gathered> = None;
    for (number, input) in args.inputs.iter().enumerate() {
        let extension = if number == 0 { "parquet".to_owned() } else { format!("{}.parquet", number + 1) };
        let kept = args.out.with_added_extension(extension);
        let (origin, mut rows) = args.learning.embeddings(input, &kept, "try")?;
        renamed(args, number, &mut rows);
        let about = json!({
            "in": input.file_name().map(|name| name.to_string_lossy()), "photos": rows.len(), "embedded": origin.settings,
        });
        let Some(all) = &mut gathered else {
            gathered = Some(Gathered { rows, skipped: origin.skipped.clone(), origin, inputs: vec![about] });
            continue;
        };
        if origin.model != all.origin.model || origin.settings.get("embedder") != all.origin.settings.get("embedder") {
            bail!(
                "{}: embeddings of {}, those before are of {}, or of another version of it",
                input.display(),
                origin.model,
                all.origin.model
            );
        }
        all.rows.extend(rows);
        all.skipped.extend(origin.skipped);
        all.inputs.push(about);
    }
    match gathered {
        Some(gathered) => Ok(gathered),
        None => bail!("nothing to learn from was named"),
    }
}
