//! Training with settings that are searched for.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Result;
use bledsoe::{
    classify::{
        Trained,
        tuning::{Fixed, Search, Searched, Tuning},
    },
    report::{self, tuning::in_words},
};
use serde_json::json;

use super::{Args, table_of, tell};
use crate::{arguments::is_table, console, learning::Photos};

/// Rows of the table that are printed; all are in the file, in --json and in the report.
const SHOWN: usize = 12;
/// Passes of an augmentation where the user names none: what is tried is embedded anew for each.
const EPOCHS: u32 = 5;

/// What is lost where not even the first rung was finished.
const STOPPED: &str = "no setting was tried enough; embeddings are kept: run the same again";

#[derive(clap::Args)]
pub struct SearchArgs {
    /// Try out which classifier, C, gamma, k, augmentation and, where the embedder is a fusion, which of its members suit
    /// these photos, by cross-validation, and train with the best; of ties the simplest. What --classifier, --c, --gamma,
    /// --k, --augment, --epochs or an embedder named by --embedder, --fast or --accurate says is not varied. The same
    /// seed gives the same answer. Ctrl-C ends with the best so far
    #[arg(long)]
    pub search: bool,
    /// Write what the search tried as one HTML file
    #[arg(long, value_name = "FILE", requires = "search")]
    report: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let start = Instant::now();
    for file in [Some(&args.out), args.search.report.as_ref()].into_iter().flatten() {
        console::check_folder(file)?;
    }
    let search = Search {
        fixed: Fixed {
            classifier: args.classifier.clone(),
            c: args.c,
            gamma: args.gamma,
            k: args.k,
            augment: args.augment,
            embedder: args.learning.embedder.asked(&args.learning.finder).is_some(),
        },
        min_images: args.min_images,
        split: args.split,
        epochs: args.epochs.unwrap_or(EPOCHS),
        seed: args.seed,
        exhaustive: false,
    };
    let (tuning, engine) =
        if is_table(&args.r#in) { (of_table(args, &search)?, None) } else { of_photos(args, &search)? };
    let searched = console::with_progress_of("trials", tuning.trials(), STOPPED, |monitor| tuning.search(monitor))?;
    let trained = tuning.fit(searched.clone())?;
    trained.file.save(&args.out)?;
    let list = args.out.with_added_extension("skipped.csv");
    console::write_skipped(&list, &trained.skipped)?;
    console::tell_skipped(&trained.skipped, Some(&list));
    if let Some(path) = &args.search.report {
        let title = format!("Settings for {}", args.r#in.file_name().unwrap_or_default().to_string_lossy());
        report::tuning::write(path, &title, &searched, &trained.file.settings)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        console::print_json(&as_json(args, &trained, &searched, engine.as_deref(), seconds))?;
    } else {
        table(&searched);
        if let Some(path) = &args.search.report {
            say!("report: {}", path.display());
        }
        tell(args, &trained, seconds, engine.as_deref());
    }
    Ok(console::exit_code(&trained.skipped))
}

fn of_photos(args: &Args, search: &Search) -> Result<(Tuning, Option<String>)> {
    let photos = args.learning.photos(&args.r#in)?;
    let Photos { scan, loader, embedder, source } = &photos;
    let partial = args.out.with_added_extension("partial");
    let tuning = photos.work(|monitor| {
        Tuning::of_photos(scan, source.as_ref(), embedder.as_ref(), loader.engine(), search, &partial, monitor)
    })?;
    Ok((tuning, Some(loader.engine().to_owned())))
}

fn of_table(args: &Args, search: &Search) -> Result<Tuning> {
    let (origin, rows) = table_of(args)?;
    Ok(Tuning::of_table(&origin, &rows, search)?)
}

fn as_json(
    args: &Args,
    trained: &Trained,
    searched: &Searched,
    engine: Option<&str>,
    seconds: f64,
) -> serde_json::Value {
    let mut result = super::as_json(args, trained, engine, seconds);
    result["search"] = json!(searched);
    // The file has no times, so that the same seed gives the same bytes; a reader wants them.
    if let Some(tried) = result["search"]["tried"].as_array_mut() {
        for (tried, of) in tried.iter_mut().zip(&searched.tried) {
            tried["seconds"] = json!(of.seconds);
        }
    }
    result["report"] = json!(args.search.report);
    result
}

fn table(searched: &Searched) {
    for (i, rung) in searched.rungs.iter().enumerate() {
        say!("rung {}: {} settings on {} people, {} photos held out", i + 1, rung.settings, rung.people, rung.photos);
    }
    if searched.copies > 0 {
        say!(
            "{} of {} training photos are near-duplicates of another, held out together",
            searched.copies,
            searched.faces
        );
    }
    say!("{:>5}  {:>8}  {:>6}  {:>8}  {:>8}  setting", "rung", "right", "± s.e.", "log loss", "seconds");
    for tried in searched.tried.iter().take(SHOWN) {
        let Some(score) = tried.scores.last() else { continue };
        say!(
            "{:>5}  {:>6.2} %  {:>6.2}  {:>8.4}  {:>8.2}  {}{}",
            tried.scores.len(),
            100.0 * score.accuracy,
            100.0 * score.standard_error,
            score.log_loss,
            tried.seconds,
            in_words(&tried.setting),
            if tried.setting == searched.chosen { "  <- chosen" } else { "" }
        );
    }
    if searched.tried.len() > SHOWN {
        say!("… and {} more: see --report or --json", searched.tried.len() - SHOWN);
    }
    if let Some(rung) = searched.rungs.last().filter(|_| searched.stopped) {
        say!("stopped: the best so far, on {} people and {} photos held out, is taken", rung.people, rung.photos);
    }
    say!(
        "chosen, of ties the simplest: {}; {:.2} % right, ± {:.2}",
        in_words(&searched.chosen),
        100.0 * searched.score.accuracy,
        100.0 * searched.score.standard_error
    );
}
