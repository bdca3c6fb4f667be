//! Training a head on labels of photos.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Result, bail};
use bledsoe::{
    attribute::{Examples, Figures, Head, Joined, Kernel, Task, Training, train},
    dataset::labels::Labels,
    hash::sha256,
};
use clap::ValueEnum;
use serde_json::json;

use super::Args;
use crate::console;

/// Names that `attributes` needs for itself.
const RESERVED: [&str; 3] = ["path", "face", "box"];

#[derive(clap::Args)]
pub struct LabelArgs {
    /// Train a label of the photos instead: a CSV with photos or people in its first column, labels in the others
    #[arg(long, value_name = "FILE", requires = "target", conflicts_with_all = ["min_images", "split", "epochs", "classifier", "c", "gamma", "k", "augment", "search"])]
    pub labels: Option<PathBuf>,
    /// Which column of the labels
    #[arg(long, value_name = "COLUMN", requires = "labels")]
    target: Option<String>,
    /// Whether the label is a class or a number
    #[arg(long, value_name = "TASK", default_value = "auto", requires = "labels")]
    task: AskedTask,
    /// Training photos that new ones are compared with, at most; 0 tries only what is linear in the embedding
    #[arg(long, value_name = "N", default_value_t = 256, requires = "labels")]
    centres: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum AskedTask {
    /// A number where all labels are numbers, more than ten different ones
    Auto,
    /// A class
    Classify,
    /// A number
    Regress,
}

impl From<AskedTask> for Option<Task> {
    fn from(asked: AskedTask) -> Self {
        match asked {
            AskedTask::Auto => None,
            AskedTask::Classify => Some(Task::Classify),
            AskedTask::Regress => Some(Task::Regress),
        }
    }
}

pub fn run(args: &Args, file: &Path) -> Result<ExitCode> {
    let start = Instant::now();
    let asked = &args.labels;
    let target = asked.target.as_deref().unwrap_or_default();
    if RESERVED.contains(&target) {
        bail!("--target {target}: a name that results use already: call the column something else");
    }
    console::check_folder(&args.out)?;
    let labels = Labels::read(file)?;
    if !labels.groupings().iter().any(|name| name == target) {
        bail!("{}: no column {target:?}; there are {}", file.display(), labels.groupings().join(", "));
    }
    let (origin, rows) = args.learning.embeddings(&args.r#in, &args.out.with_added_extension("parquet"), "label")?;
    let (examples, joined) = Examples::join(origin.dim, &rows, &labels, target, asked.task.into())?;
    let training = Training { centres: asked.centres, seed: args.seed };
    let mut head = train(&origin.model, target, &examples, &training)?;
    head.about.training["data"] = json!({
        "in": args.r#in.file_name().map(|name| name.to_string_lossy()), "embedded": origin.settings,
        "labels": file.file_name().map(|name| name.to_string_lossy()), "labels_sha256": sha256(std::fs::read(file)?),
    });
    head.save(&args.out)?;
    console::tell_skipped(&origin.skipped, None);
    if args.json {
        console::print_json(&json!({
            "out": args.out, "about": head.about, "output": head.output, "joined": joined, "skipped": origin.skipped,
            "seconds": start.elapsed().as_secs_f64(),
        }))?;
    } else {
        tell(args, &head, &joined, start.elapsed().as_secs_f64());
    }
    Ok(console::exit_code(&origin.skipped))
}

fn tell(args: &Args, head: &Head, joined: &Joined, seconds: f64) {
    let about = &head.about;
    if joined.without_label + joined.several_faces > 0 {
        say!("left out: {} photos without a label, {} with several faces", joined.without_label, joined.several_faces);
    }
    for row in joined.unmatched.iter().take(5) {
        say!("line {} of the labels, {}: {}", row.line, row.key, row.reason);
    }
    if joined.unmatched.len() > 5 {
        say!("… and {} more lines that name no photo", joined.unmatched.len() - 5);
    }
    match &about.figures {
        Figures::Classify(figures) => {
            let [low, high] = figures.interval.map(|v| 100.0 * v);
            say!(
                "{}: cross-validated on {} faces of {} people: {:.2} % right (95 % interval {low:.2} to {high:.2}), \
                 {:.2} % with all classes weighed alike; always the commonest: {:.2} %",
                about.target,
                figures.faces,
                figures.people,
                100.0 * figures.accuracy,
                100.0 * figures.balanced_accuracy,
                100.0 * figures.baseline
            );
            for (name, class) in &figures.classes {
                say!("  {name}: {} of {} right", class.right, class.faces);
            }
        }
        Figures::Regress(figures) => {
            let [low, high] = figures.interval;
            say!(
                "{}: cross-validated on {} faces of {} people: off by {:.2} on average (95 % interval {low:.2} to {high:.2}), \
                 median {:.2}; always the median: {:.2}",
                about.target,
                figures.faces,
                figures.people,
                figures.mean_absolute_error,
                figures.median_absolute_error,
                figures.baseline
            );
        }
    }
    let kernel = match about.settings.kernel {
        Kernel::Linear => "linear".to_owned(),
        Kernel::Standardised => "linear, standardised".to_owned(),
        Kernel::Rbf { gamma } => format!("RBF, gamma {gamma}, {} centres", head.fitted.basis.width()),
    };
    say!("chosen: {kernel}, penalty {}; {seconds:.1} s", about.settings.penalty);
    say!("wrote {}; embedder {}", args.out.display(), about.embedder);
}
