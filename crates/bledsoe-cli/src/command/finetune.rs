//! `bledsoe finetune`

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Result, bail};
use bledsoe::{
    dataset::Skipped,
    embed::{About, Adapter, table},
    metric::{Examples, LeftOut, Loss, Measure, Mining, Shape, Trained, Training, train},
    model::Threshold,
    report::finetune::{Report, write},
};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::{console, learning::EmbeddingArgs};

/// Learn from your own photos an adapter, which makes an embedder tell your people better apart.
///
/// IN is a folder of photos with one folder a person, a folder of chips that `align` made, or a Parquet table that
/// `embed` wrote; several are taken together, as the same people by a good and by a bad camera. The embedder stays as it
/// is; a small map behind it is trained. Some people are held out: what is kept is the map that does best on them, if
/// need be one that changes nothing. Ctrl-C keeps the best so far. Other commands take it as --adapter.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe finetune door --out door.safetensors --report door.html\n  \
                        bledsoe verify a.jpg b.jpg --adapter door.safetensors")]
pub struct Args {
    /// Folder of photos or chips, or a table of embeddings (.parquet); again for more
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// The adapter to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    loss: LossArgs,
    /// The map: linear, or mlp (one hidden layer, added to the vector)
    #[arg(long, default_value = "linear", value_name = "NAME")]
    shape: AskedShape,
    /// Against harm to other faces: weight of how far vectors are moved
    #[arg(long, value_name = "WEIGHT", default_value_t = Training::default().stay_close)]
    stay_close: f32,
    /// People in a batch
    #[arg(long, value_name = "N", default_value_t = Training::default().people)]
    people: usize,
    /// Photos of each in a batch, at most
    #[arg(long, value_name = "N", default_value_t = Training::default().photos)]
    photos: usize,
    /// Step size
    #[arg(long, value_name = "RATE", default_value_t = Training::default().learning_rate)]
    learning_rate: f64,
    /// Passes over the people, at most
    #[arg(long, value_name = "N", default_value_t = Training::default().epochs)]
    epochs: usize,
    /// Stop after so many passes that were not the best
    #[arg(long, value_name = "N", default_value_t = Training::default().patience)]
    patience: usize,
    /// Share of the people held out
    #[arg(long, value_name = "SHARE", default_value_t = Training::default().held_out)]
    held_out: f64,
    /// Decides who is held out and what the batches are
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Write a report with the curves as one HTML file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    learning: EmbeddingArgs,
}

#[derive(clap::Args)]
struct LossArgs {
    /// What is made small: triplet, arcface or supcon (supervised contrastive)
    #[arg(long, default_value = "triplet", value_name = "NAME")]
    loss: AskedLoss,
    /// triplet: by how much strangers should be farther, in squared distance (0.2 if absent); arcface: the angle in
    /// radians (0.2 if absent)
    #[arg(long, value_name = "MARGIN")]
    margin: Option<f32>,
    /// triplet: which triplets of a batch are learnt from, semi-hard (if absent), hard or all
    #[arg(long, value_name = "WHICH")]
    mining: Option<AskedMining>,
    /// arcface: what cosines are multiplied by (32 if absent)
    #[arg(long, value_name = "SCALE")]
    scale: Option<f32>,
    /// supcon: what cosines are divided by (0.1 if absent)
    #[arg(long, value_name = "T")]
    temperature: Option<f32>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum AskedLoss {
    Triplet,
    Arcface,
    Supcon,
}

#[derive(Clone, Copy, ValueEnum)]
enum AskedMining {
    SemiHard,
    Hard,
    All,
}

#[derive(Clone, Copy, ValueEnum)]
enum AskedShape {
    Linear,
    Mlp,
}

impl LossArgs {
    fn resolve(&self) -> Result<Loss> {
        let only = |flag: &str, given: bool, of: &[AskedLoss]| match given && !of.contains(&self.loss) {
            true => bail!("--{flag} is not for this --loss"),
            false => Ok(()),
        };
        only("margin", self.margin.is_some(), &[AskedLoss::Triplet, AskedLoss::Arcface])?;
        only("mining", self.mining.is_some(), &[AskedLoss::Triplet])?;
        only("scale", self.scale.is_some(), &[AskedLoss::Arcface])?;
        only("temperature", self.temperature.is_some(), &[AskedLoss::Supcon])?;
        let margin = self.margin.unwrap_or(0.2);
        Ok(match self.loss {
            AskedLoss::Triplet => {
                let mining = match self.mining.unwrap_or(AskedMining::SemiHard) {
                    AskedMining::SemiHard => Mining::SemiHard,
                    AskedMining::Hard => Mining::Hard,
                    AskedMining::All => Mining::All,
                };
                Loss::Triplet { margin, mining }
            }
            AskedLoss::Arcface => Loss::Arcface { margin, scale: self.scale.unwrap_or(32.0) },
            AskedLoss::Supcon => Loss::Supcon { temperature: self.temperature.unwrap_or(0.1) },
        })
    }
}

/// The faces of all inputs, of one embedder.
struct Gathered {
    rows: Vec<table::FaceRow>,
    skipped: Vec<Skipped>,
    origin: table::Origin,
    /// What they came from, for the adapter's file.
    inputs: Vec<Value>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let start = Instant::now();
    let training = Training {
        shape: match args.shape {
            AskedShape::Linear => Shape::Linear,
            AskedShape::Mlp => Shape::Mlp,
        },
        loss: args.loss.resolve()?,
        stay_close: args.stay_close,
        people: args.people,
        photos: args.photos,
        learning_rate: args.learning_rate,
        epochs: args.epochs,
        patience: args.patience,
        held_out: args.held_out,
        seed: args.seed,
        device: args.learning.engine.config().device,
    };
    training.check()?;
    if args.learning.embedder.adapter.get().is_some() {
        bail!("--adapter: an adapter is learnt on an embedder without one");
    }
    for file in [Some(&args.out), args.report.as_ref()].into_iter().flatten() {
        console::check_folder(file)?;
    }
    let gathered = gather(&args)?;
    if let Some((base, _)) = Adapter::split(&gathered.origin.model) {
        bail!("these embeddings have an adapter behind them already: finetune on those of {base}");
    }
    let (examples, left_out) = Examples::of_rows(gathered.origin.dim, &gathered.rows)?;
    // A training that was stopped is no error: it gives the best so far.
    let trained = console::with_progress_of("epochs", args.epochs, console::NOT_KEPT, |monitor| {
        train(&examples, &training, monitor)
    })?;
    let adapter = adapter(&gathered, &training, &trained)?;
    adapter.save(&args.out)?;
    console::tell_skipped(&gathered.skipped, None);
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        console::print_json(&json!({
            "out": args.out, "id": adapter.id(), "about": adapter.about(), "before": trained.curve.first(),
            "best": trained.best, "left_out": left_out, "skipped": gathered.skipped, "seconds": seconds,
        }))?;
    } else {
        say!("{}\n{}; {seconds:.1} s", left(&left_out), summary(&trained));
        say!("wrote {}; its embeddings are of {}", args.out.display(), adapter.id());
    }
    if let Some(file) = &args.report {
        let settings = serde_json::to_value(adapter.about())?;
        write(file, &Report { trained: &trained, summary: summary(&trained), settings })?;
        if !args.json {
            say!("report: {}", file.display());
        }
    }
    Ok(console::exit_code(&gathered.skipped))
}

fn adapter(gathered: &Gathered, training: &Training, trained: &Trained) -> Result<Adapter> {
    let [photos, people] = trained.held_out;
    let threshold = match (trained.measure, trained.threshold) {
        (Measure::TarAtFar { far }, Some(similarity)) => Some(Threshold {
            similarity,
            far: far as f32,
            measured_on: format!("{photos} photos of {people} people held out in training"),
        }),
        _ => None,
    };
    let about = About {
        bledsoe: env!("CARGO_PKG_VERSION").to_owned(),
        base: gathered.origin.model.clone(),
        base_settings: gathered.origin.settings.get("embedder").cloned().unwrap_or_default(),
        dim: gathered.origin.dim,
        training: json!({
            "settings": training, "inputs": gathered.inputs, "trained_on": trained.trained_on,
            "held_out": trained.held_out, "measure": trained.measure, "best": trained.best, "curve": trained.curve,
            "stopped": trained.stopped,
        }),
        threshold,
    };
    Ok(Adapter::new(about, trained.map.clone())?)
}

fn gather(args: &Args) -> Result<Gathered> {
    let mut gathered: Option<Gathered> = None;
    let single = args.inputs.len() == 1;
    for (number, input) in args.inputs.iter().enumerate() {
        let extension = if number == 0 { "parquet".to_owned() } else { format!("{}.parquet", number + 1) };
        let kept = args.out.with_added_extension(extension);
        let (origin, mut rows) = args.learning.embeddings(input, &kept, "try")?;
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
        // The same name below another folder is another photo.
        rows.iter_mut().filter(|_| !single).for_each(|row| row.path = format!("{number}/{}", row.path));
        all.rows.extend(rows);
        all.skipped.extend(origin.skipped);
        all.inputs.push(about);
    }
    match gathered {
        Some(gathered) => Ok(gathered),
        None => bail!("nothing to learn from was named"),
    }
}

fn left(left_out: &LeftOut) -> String {
    let LeftOut { without_person, several_faces, one_photo } = left_out;
    format!(
        "left out: {one_photo} people with one photo, {several_faces} photos with several faces, {without_person} of nobody"
    )
}

fn summary(trained: &Trained) -> String {
    let ([photos, people], [held_photos, held_people]) = (trained.trained_on, trained.held_out);
    let figure = |figure: f64| match trained.measure {
        Measure::TarAtFar { .. } => format!("{:.2} %", 100.0 * figure),
        Measure::TripletLoss => format!("{figure:.4}"),
    };
    let before = trained.curve.first().map_or(f64::NAN, |epoch| epoch.figure);
    let outcome = if trained.best.epoch == 0 {
        format!("{}, which no map bettered: the adapter changes nothing", figure(before))
    } else {
        format!("{} before, {} after {} epochs", figure(before), figure(trained.best.figure), trained.best.epoch)
    };
    let stopped = if trained.stopped { "stopped; what was best so far is kept. " } else { "" };
    format!(
        "{stopped}Learnt from {photos} photos of {people} people. {} of {held_people} people held out ({held_photos} photos): {outcome}",
        trained.measure.describe(),
    )
}
