//! `bledsoe bench`

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Result, bail};
use bledsoe::{
    benchmark::speed::{
        self, Photos, Speed, Timing, Unit,
        machine::{self, Peak},
        networks::{self, NetworkSpeed},
    },
    dataset::Item,
    model::Registry,
    pipeline::{Encoded, Loader, Source},
};
use serde_json::json;

use super::demo;
use crate::{
    arguments::{EmbedderArgs, EngineArgs, FinderArgs, scan},
    console,
};

/// Times each example photo this often over, so that networks get as many faces at once as they do in a folder.
const COPIES: usize = 6;

/// Measure the speed of each stage on this machine: read, decode, detect, align, embed, and all of them as `embed` runs
/// them.
///
/// Besides: what the machine can do at most, and how much of it each network reaches. Without DIR the photos of the
/// demo are taken. Give the flags that you mean to run `embed` with; --threads 1 times one core. Reading is timed on
/// files that the system has in memory already. (For accuracy: `bledsoe benchmark`.)
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  bledsoe bench\n  bledsoe bench lfw --fast --threads 1 --json\n  bledsoe bench lfw --engine ort --device cuda --batch 1,8,64,512"
)]
pub struct Args {
    /// Folder of photos, or one photo
    dir: Option<PathBuf>,
    /// Take at most N photos of the folder, evenly spread
    #[arg(long, default_value_t = 256, value_name = "N")]
    photos: usize,
    /// Measure each figure N times; medians are told
    #[arg(long, default_value_t = 5, value_name = "N")]
    repeats: usize,
    /// Measure each embedder's network with N faces at once, or with each of several numbers
    #[arg(long, default_values_t = [networks::CHIPS], value_delimiter = ',', value_name = "N,…")]
    batch: Vec<usize>,
    /// Print the result as JSON, with every repeat
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    embedder: EmbedderArgs,
    #[command(flatten)]
    finder: FinderArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if args.photos == 0 || args.repeats == 0 || args.batch.contains(&0) {
        bail!("--photos, --repeats and --batch: expected at least 1");
    }
    let items = match &args.dir {
        Some(dir) => spread(scan(dir)?.items, args.photos),
        None => Vec::new(),
    };
    let examples: Vec<Encoded> = (0..COPIES).flat_map(|_| demo::EXAMPLES.iter().map(demo::Example::encoded)).collect();
    let photos = if args.dir.is_some() { Photos::Files(&items) } else { Photos::Memory(&examples) };

    let start = Instant::now();
    let loader = args.embedder.adapter.onto(args.engine.loader()?);
    let engine_seconds = start.elapsed().as_secs_f64();
    let name = args.embedder.name(&args.finder);
    loader.preload(Some(args.finder.detector()), &name);
    let embedder = loader.embedder(&name)?;
    let templates = embedder.templates().iter().map(|t| (t.clone(), t.size())).collect();
    let finder = args.finder.finder(&loader, templates)?;
    let start_up = StartUp { engine: engine_seconds, models: start.elapsed().as_secs_f64() - engine_seconds };

    let count = if args.dir.is_some() { items.len() } else { examples.len() };
    let speed = console::with_progress(count * 2 * (args.repeats + 1), console::NOT_KEPT, |monitor| {
        speed::run(photos, &finder, embedder.as_ref(), args.repeats, monitor)
    })?;
    let networks = networks(&args, &loader)?;
    let peak = machine::peak();

    if args.json {
        console::print_json(&json!({
            "dir": args.dir, "repeats": args.repeats, "speed": speed, "start_up_seconds": start_up, "machine": peak,
            "networks": networks, "engine": loader.engine(), "embedder": embedder.id(), "finder": finder.settings(),
            "bledsoe": env!("CARGO_PKG_VERSION"),
        }))?;
    } else {
        say!("{}; engine: {}; medians of {} repeats", embedder.id(), loader.engine(), args.repeats);
        print_stages(&speed, args.dir.is_none());
        say!("\nstart-up, once: engine {:.2} s, models {:.2} s", start_up.engine, start_up.models);
        print_machine(&peak, &networks);
    }
    Ok(ExitCode::from(u8::from(speed.undecodable > 0)))
}

/// Seconds until the first photo can be taken.
#[derive(serde::Serialize)]
struct StartUp {
    engine: f64,
    models: f64,
}

/// At most `count` of `items`, evenly spread.
fn spread(items: Vec<Item>, count: usize) -> Vec<Item> {
    let (total, count) = (items.len(), count.min(items.len()));
    let wanted = (0..count).map(|i| i * total / count);
    let mut items = items.into_iter().map(Some).collect::<Vec<_>>();
    wanted.filter_map(|i| items[i].take()).collect()
}

/// The networks that were loaded, those of the registry.
fn networks(args: &Args, loader: &Loader) -> Result<Vec<NetworkSpeed>> {
    let registry = Registry::embedded()?;
    let loaded = loader.models();
    let contracts = registry.models().iter().filter(|model| loaded.contains_key(&model.id));
    let (store, config) = (args.engine.store(), args.engine.config());
    let timed = contracts.map(|contract| networks::run(contract, &store, &config, args.repeats, &args.batch));
    Ok(timed.collect::<bledsoe::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn print_stages(speed: &Speed, examples: bool) {
    let which = if examples { format!(": the demo's, {COPIES} times over") } else { String::new() };
    say!("{} photos{which}; {} faces, {} photos unreadable\n", speed.photos, speed.faces, speed.undecodable);
    say!("{:<10} {:>12}  {:>20}  {:>16}", "stage", "ms", "least to most", "in a second");
    for timing in &speed.stages {
        print_timing(&timing.name, timing);
    }
    print_timing("all", &speed.whole);
}

fn print_timing(name: &str, timing: &Timing) {
    let unit = match timing.unit {
        Unit::Photo => "photo",
        Unit::Face => "face",
        Unit::Input => "input",
    };
    let (Some(ms), Some(rate), Some((least, most))) = (timing.milliseconds, timing.per_second, timing.range()) else {
        return say!("{name:<10} {:>12}", "-");
    };
    let (range, each, rate) =
        (format!("{least:.3} to {most:.3}"), format!("{ms:.3}/{unit}"), format!("{rate:.0} {unit}s"));
    say!("{name:<10} {each:>12}  {range:>20}  {rate:>16}");
}

fn print_machine(peak: &Peak, networks: &[NetworkSpeed]) {
    say!(
        "this machine, at most: {:.0} GFLOP/s of f32 ({}, {} threads), {:.1} GB/s read from memory",
        peak.gflops,
        peak.instructions,
        peak.threads,
        peak.gigabytes_per_second
    );
    if networks.is_empty() {
        return;
    }
    say!(
        "\n{:<16} {:<20} {:>12} {:>10} {:>10} {:>12}",
        "network",
        "input",
        "GFLOP each",
        "ms each",
        "GFLOP/s",
        "of the most"
    );
    for network in networks {
        let shape = network.shape.map(|length| length.to_string()).join(" x ");
        let (ms, gflops) = (network.timing.milliseconds.unwrap_or_default(), network.gflops.unwrap_or_default());
        let (each, share) = (network.million_multiply_adds * 2e-3, 100.0 * gflops / peak.gflops);
        say!("{:<16} {shape:<20} {each:>12.3} {ms:>10.3} {gflops:>10.1} {share:>10.0} %", network.id);
    }
    say!("(of the processor's most in f32: an engine that computes in bf16, or on a GPU, may pass 100 %)");
}
