//! `bledsoe finetune`: the arguments, and what an adapter's training and a network's have in common.

mod adapter;
mod network;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use bledsoe::{
    embed::table::FaceRow,
    engine::Device,
    metric::{Course, LeftOut, Loss, Measure, Mining, Training},
    model::Threshold,
    report::finetune::{Report, write},
};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::{console, learning::EmbeddingArgs};

/// Learn from your own photos an adapter, which makes an embedder tell your people better apart; or the embedder's last
/// layers.
///
/// IN is a folder of photos with one folder a person, a folder of chips that `align` made, or a Parquet table that
/// `embed` wrote; several are taken together, as the same people by a good and by a bad camera. The embedder stays as it
/// is; a small map behind it is trained. Some people are held out: what is kept is the map that does best on them, if
/// need be one that changes nothing. Ctrl-C keeps the best so far. Other commands take it as --adapter.
///
/// With --unfreeze the last layers of one network are trained instead, from photos, and a network of its own is written,
/// which other commands take as --embedder.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  bledsoe finetune door --out door.safetensors --report door.html\n  \
                        bledsoe verify a.jpg b.jpg --adapter door.safetensors\n  \
                        bledsoe finetune door --embedder facenet --unfreeze 6 --out door.onnx\n  \
                        bledsoe verify a.jpg b.jpg --embedder door.onnx")]
pub struct Args {
    /// Folder of photos or chips, or a table of embeddings (.parquet); again for more
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// The adapter to write; with --unfreeze the network (.onnx), whose contract (.toml) is written beside it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    loss: LossArgs,
    /// The map: linear (if absent), or mlp (one hidden layer, added to the vector)
    #[arg(long, value_name = "NAME", conflicts_with = "unfreeze")]
    shape: Option<AskedShape>,
    /// Train no map but the embedder's own last N layers with weights, or as many more as lie behind the next place
    /// where all goes through one tensor
    #[arg(long, value_name = "N")]
    unfreeze: Option<usize>,
    /// Most memory in GB for what the frozen layers give of the photos
    #[arg(long, value_name = "GB", default_value_t = 4.0, requires = "unfreeze")]
    memory: f64,
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

pub fn run(mut args: Args) -> Result<ExitCode> {
    let training = Training {
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
    args.learning.engine = args.learning.engine.before_training();
    if args.learning.embedder.adapter.get().is_some() {
        bail!("--adapter: what is learnt, is learnt on an embedder without one");
    }
    for file in [Some(&args.out), args.report.as_ref()].into_iter().flatten() {
        console::check_folder(file)?;
    }
    match args.unfreeze {
        Some(layers) => network::run(&args, layers, &training),
        None => adapter::run(&args, &training),
    }
}

/// What is remembered of a training; of the same seed the same.
fn record(training: &Training, inputs: &[Value], course: &Course) -> Value {
    json!({
        "settings": training, "inputs": inputs, "trained_on": course.trained_on, "held_out": course.held_out,
        "measure": course.measure, "best": course.best, "curve": course.curve, "stopped": course.stopped,
    })
}

/// The threshold that the people held out give, if they are enough for a rate.
fn threshold(course: &Course) -> Option<Threshold> {
    let [photos, people] = course.held_out;
    let (Measure::TarAtFar { far }, Some(similarity)) = (course.measure, course.threshold) else { return None };
    let measured_on = format!("{photos} photos of {people} people held out in training");
    Some(Threshold { similarity, far: far as f32, measured_on })
}

/// Writes the report, if one was asked for.
fn report(args: &Args, course: &Course, settings: Value) -> Result<()> {
    if let Some(file) = &args.report {
        write(file, &Report { course, summary: summary(course), settings })?;
        if !args.json {
            say!("report: {}", file.display());
        }
    }
    Ok(())
}

/// Renames the photos of one of several inputs: the same name below another folder is another photo.
fn renamed(args: &Args, number: usize, rows: &mut [FaceRow]) {
    if args.inputs.len() > 1 {
        rows.iter_mut().for_each(|row| row.path = format!("{number}/{}", row.path));
    }
}

fn left(left_out: &LeftOut) -> String {
    let LeftOut { without_person, several_faces, one_photo } = left_out;
    format!(
        "left out: {one_photo} people with one photo, {several_faces} photos with several faces, {without_person} of nobody"
    )
}

fn summary(course: &Course) -> String {
    let ([photos, people], [held_photos, held_people]) = (course.trained_on, course.held_out);
    let figure = |figure: f64| match course.measure {
        Measure::TarAtFar { .. } => format!("{:.2} %", 100.0 * figure),
        Measure::TripletLoss => format!("{figure:.4}"),
    };
    let before = course.curve.first().map_or(f64::NAN, |epoch| epoch.figure);
    let outcome = if course.best.epoch == 0 {
        format!("{}, which no epoch bettered: nothing is changed", figure(before))
    } else {
        format!("{} before, {} after {} epochs", figure(before), figure(course.best.figure), course.best.epoch)
    };
    let stopped = if course.stopped { "stopped; what was best so far is kept. " } else { "" };
    format!(
        "{stopped}Learnt from {photos} photos of {people} people. {} of {held_people} people held out ({held_photos} photos): {outcome}",
        course.measure.describe(),
    )
}

/// How long it all took.
fn pace(course: &Course, device: Device, seconds: f64) -> String {
    let device = if device == Device::Cuda { "cuda" } else { "cpu" };
    let epochs = course.seconds_per_epoch.map_or(String::new(), |each| format!(", {each:.2} s an epoch on {device}"));
    format!("{seconds:.1} s{epochs}")
}
