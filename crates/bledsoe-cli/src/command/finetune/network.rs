//! The last layers of a network, learnt from photos: a network of its own.

use std::{process::ExitCode, time::Instant};

use anyhow::{Result, bail};
use bledsoe::{
    dataset::Skipped,
    embed::{Embedder, Features, NetworkEmbedder, table::FaceRow},
    metric::{Examples, Trained, Training, train_network},
    model::{
        graph::Graph,
        tuned::{self, Tuned},
    },
    pipeline::{self, Loader},
};
use serde_json::{Value, json};

use super::{Args, left, pace, record, renamed, report, summary, threshold};
use crate::{
    arguments::{is_table, scan},
    console,
};

/// The faces of all inputs, with what the frozen layers give of them.
struct Gathered {
    rows: Vec<FaceRow>,
    features: Features,
    skipped: Vec<Skipped>,
    /// What they came from, for the record.
    inputs: Vec<Value>,
}

pub fn run(args: &Args, layers: usize, training: &Training) -> Result<ExitCode> {
    let start = Instant::now();
    tuned::check_name(&args.out)?;
    if let Some(table) = args.inputs.iter().find(|input| is_table(input)) {
        bail!("{}: layers are learnt from photos, of which a table has none", table.display());
    }
    if args.learning.finder.takes_all() {
        bail!("one face of each photo is learnt from: use --select center or largest");
    }
    let loader = args.learning.engine.loader()?;
    let name = args.learning.embedder.name(&args.learning.finder);
    if name.contains('+') {
        bail!("{name}: layers are learnt of one network at a time: name it with --embedder");
    }
    let (base, onnx) = loader.onnx(&name)?;
    let graph = Graph::read(&onnx, &base.id)?;
    let end = graph.end(layers)?;
    let embedder = loader.embedder_of(&base, graph.with_outputs(&[graph.output(), &end.tensor]))?;
    let Gathered { rows, features, skipped, inputs } = gather(args, &loader, &embedder)?;
    let seconds_in_front = start.elapsed().as_secs_f64();
    let (examples, left_out) = Examples::of_rows(embedder.dim(), &rows)?;
    eprintln!(
        "engine: {}\n{} layers are learnt, behind {}; what is in front gives {:?} numbers of each of {} faces, {:.0} MB",
        loader.engine(),
        end.layers,
        end.tensor,
        features.shape(),
        features.len(),
        features.bytes() as f64 / 1e6
    );
    // A training that was stopped is no error: it gives the best so far.
    let Trained { learnt, course } = console::with_progress_of("epochs", args.epochs, console::NOT_KEPT, |monitor| {
        train_network(&graph, &end, &features, &examples, training, monitor)
    })?;
    let parameters: usize = learnt.values().map(Vec::len).sum();
    let mut record = record(training, &inputs, &course);
    record["bledsoe"] = env!("CARGO_PKG_VERSION").into();
    record["base"] = embedder.settings();
    record["unfrozen"] = json!({ "layers": end.layers, "behind": end.tensor, "parameters": parameters });
    let how = format!(
        "its last {} layers learnt by bledsoe finetune {}: {}",
        end.layers,
        env!("CARGO_PKG_VERSION"),
        record["settings"]
    );
    let threshold = threshold(&course);
    let tuned = Tuned { base: &base, graph: &graph, learnt: &learnt, how: &how, record: &record, threshold };
    let contract = tuned.save(&args.out)?;
    console::tell_skipped(&skipped, None);
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        console::print_json(&json!({
            "out": args.out, "id": contract.id, "about": record, "before": course.curve.first(), "best": course.best,
            "left_out": left_out, "skipped": skipped, "feature_bytes": features.bytes(), "device": training.device,
            "seconds_in_front": seconds_in_front, "seconds_per_epoch": course.seconds_per_epoch, "seconds": seconds,
        }))?;
    } else {
        say!("{}\n{}; {}", left(&left_out), summary(&course), pace(&course, training.device, seconds));
        let contract_file = args.out.with_extension("toml");
        say!(
            "wrote {} and its contract {}; its embeddings are of {}",
            args.out.display(),
            contract_file.display(),
            contract.id
        );
    }
    report(args, &course, record)?;
    Ok(console::exit_code(&skipped))
}

/// Runs what is frozen over all photos, once.
fn gather(args: &Args, loader: &Loader, embedder: &NetworkEmbedder) -> Result<Gathered> {
    if !(0.0..=1e6).contains(&args.memory) {
        bail!("--memory: {} GB is out of its range", args.memory);
    }
    let mut features = Features::new((args.memory * 1e9) as u64);
    let (mut all, mut skipped, mut inputs) = (Vec::new(), Vec::new(), Vec::new());
    for (number, input) in args.inputs.iter().enumerate() {
        let scan = scan(input)?;
        let source = args.learning.finder.source(input, loader, embedder)?;
        let (mut rows, without) = console::with_progress(scan.items.len(), console::NOT_KEPT, |monitor| {
            pipeline::features(&scan, source.as_ref(), embedder, &mut features, monitor)
        })?;
        renamed(args, number, &mut rows);
        inputs.push(json!({
            "in": input.file_name().map(|name| name.to_string_lossy()), "photos": rows.len(), "source": source.settings(),
        }));
        all.extend(rows);
        skipped.extend(without);
    }
    Ok(Gathered { rows: all, features, skipped, inputs })
}
