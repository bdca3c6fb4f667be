//! `bledsoe train`

mod labels;
mod search;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Result, bail};
use bledsoe::{
    classify::{self, Augmentation, ClassifierKind, Trained, Training},
    embed::table::{FaceRow, Origin},
};
use serde_json::json;

use crate::{
    arguments::is_table,
    console,
    learning::{EmbeddingArgs, Photos},
};

/// Passes of an augmentation where the user names none.
const EPOCHS: u32 = 25;

/// Train a classifier on the people of a folder.
///
/// IN is a folder of photos with one folder a person, a folder of chips that `align` made, or a Parquet table that
/// `embed` wrote. People with too few photos are left out and named. Part of each person's photos is held back for
/// `evaluate`. A run that was stopped goes on where it was.
///
/// With --search, the settings are chosen by cross-validation on the training photos; near-duplicates of a person are held
/// out together. What was tried is printed and kept in the classifier's file.
///
/// With --labels, what is trained is not who it is but a label of the photos: gender, age, glasses, whatever column the
/// file has. `attributes` answers with it.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe train lfw --out lfw.bledsoe --min-images 10 --epochs 25\n  \
                        bledsoe evaluate lfw --model lfw.bledsoe\n  \
                        bledsoe train lfw.parquet --search --out lfw.bledsoe --report lfw.html\n  \
                        bledsoe train staff --labels staff.csv --target glasses --out glasses.head\n  \
                        bledsoe attributes party.jpg --model glasses.head")]
pub struct Args {
    /// Folder of photos or chips, or a table of embeddings (.parquet)
    r#in: PathBuf,
    /// The classifier to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Leave out people with fewer photos
    #[arg(long, default_value_t = 10, value_name = "N")]
    min_images: usize,
    /// Share of each person's photos to train on; the rest is held back for `evaluate`
    #[arg(long, default_value_t = 0.7, value_name = "SHARE")]
    split: f64,
    /// Passes over the training photos, each freshly augmented (25 if absent, 5 with --search; one pass for a table or
    /// without augmentation)
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,
    /// Decides the split and the augmentation
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// svm-linear, svm-rbf, knn or centroid (svm-linear if absent)
    #[arg(long, value_name = "NAME")]
    classifier: Option<ClassifierKind>,
    /// SVM: penalty of a training photo on the wrong side (1 if absent)
    #[arg(long, value_name = "C")]
    c: Option<f64>,
    /// svm-rbf: kernel width (1 / (dimensions x variance) if absent)
    #[arg(long, value_name = "GAMMA")]
    gamma: Option<f64>,
    /// knn: number of photos that vote (5 if absent)
    #[arg(long, value_name = "K")]
    k: Option<usize>,
    /// What to vary in each pass: flip, brightness, contrast, crop, joined by commas, or none (all if absent)
    #[arg(long, value_name = "LIST")]
    augment: Option<Augmentation>,
    #[command(flatten)]
    search: search::SearchArgs,
    #[command(flatten)]
    labels: labels::LabelArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    learning: EmbeddingArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if let Some(file) = &args.labels.labels {
        return labels::run(&args, file);
    }
    if args.epochs == Some(0) {
        bail!("--epochs 0: expected at least 1");
    }
    if args.search.search {
        return search::run(&args);
    }
    let start = Instant::now();
    let training = Training {
        classifier: args
            .classifier
            .clone()
            .unwrap_or(ClassifierKind::SvmLinear { c: 1.0 })
            .with(args.c, args.gamma, args.k)?,
        min_images: args.min_images,
        split: args.split,
        epochs: args.epochs.unwrap_or(EPOCHS),
        augment: args.augment.unwrap_or_default(),
        seed: args.seed,
    };
    let (trained, engine) = if is_table(&args.r#in) {
        (train_table(&args, &Training { augment: Augmentation::NONE, epochs: 1, ..training })?, None)
    } else {
        let (trained, engine) = train_photos(&args, &training)?;
        (trained, Some(engine))
    };
    trained.file.save(&args.out)?;
    let list = args.out.with_added_extension("skipped.csv");
    console::write_skipped(&list, &trained.skipped)?;
    console::tell_skipped(&trained.skipped, Some(&list));
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        console::print_json(&as_json(&args, &trained, engine.as_deref(), seconds))?;
    } else {
        tell(&args, &trained, seconds, engine.as_deref());
    }
    Ok(console::exit_code(&trained.skipped))
}

fn as_json(args: &Args, trained: &Trained, engine: Option<&str>, seconds: f64) -> serde_json::Value {
    let file = &trained.file;
    json!({
        "out": args.out, "embedder": file.embedder, "engine": engine, "settings": file.settings,
        "classifier": file.kind, "people": file.classes.len(), "train_images": file.trained.len(),
        "held_back": file.held_back.len(), "samples": trained.samples, "calibration": file.calibration,
        "dropped": trained.dropped, "without_faces": trained.without_faces, "skipped": trained.skipped,
        "seconds": seconds,
    })
}

fn train_photos(args: &Args, training: &Training) -> Result<(Trained, String)> {
    let photos = args.learning.photos(&args.r#in)?;
    let Photos { scan, loader, embedder, source } = &photos;
    let partial = args.out.with_added_extension("partial");
    let trained = photos.work(|monitor| {
        classify::train_photos(scan, source.as_ref(), embedder.as_ref(), loader.engine(), training, &partial, monitor)
    })?;
    Ok((trained, loader.engine().to_owned()))
}

fn train_table(args: &Args, training: &Training) -> Result<Trained> {
    let (origin, rows) = table_of(args)?;
    Ok(classify::train_table(&origin, &rows, training)?)
}

/// The table to train on, unless more is asked for than a table can give.
fn table_of(args: &Args) -> Result<(Origin, Vec<FaceRow>)> {
    if args.augment.is_some_and(|a| !a.is_none()) {
        bail!("embeddings cannot be augmented: give the photos instead of {}", args.r#in.display());
    }
    args.learning.table(&args.r#in)
}

fn tell(args: &Args, trained: &Trained, seconds: f64, engine: Option<&str>) {
    let file = &trained.file;
    if !trained.dropped.is_empty() {
        let names: Vec<String> = trained.dropped.iter().take(10).map(|(name, n)| format!("{name} ({n})")).collect();
        let more = trained.dropped.len().saturating_sub(10);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        say!("left out, fewer than {} photos: {}{more}", args.min_images, names.join(", "));
    }
    if !trained.without_faces.is_empty() {
        say!("left out, no face found: {}", trained.without_faces.join(", "));
    }
    say!(
        "{} people, {} photos trained on ({} samples), {} held back, {} skipped; {seconds:.1} s",
        file.classes.len(),
        file.trained.len(),
        trained.samples,
        file.held_back.len(),
        trained.skipped.len()
    );
    let calibration = &file.calibration;
    match calibration.accuracy {
        Some(accuracy) => say!(
            "cross-validated on the training photos: {:.2} % right; unknown below probability {:.2}",
            100.0 * accuracy,
            calibration.min_probability
        ),
        None => say!("probabilities are a guess: nobody has two photos to fit them to"),
    }
    say!("wrote {}; embedder {}", args.out.display(), file.embedder);
    if let Some(engine) = engine {
        say!("engine: {engine}");
    }
}
