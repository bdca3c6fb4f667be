//! `bledsoe benchmark verification`

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use bledsoe::{
    benchmark::verification::{self, Groups, Match},
    dataset::{
        labels::Labels,
        protocol::{self, PairProtocol, View},
    },
    evaluate::{
        Bootstrap,
        verification::{Comparison, Verification},
    },
    report::benchmark::{
        About, PicturePair,
        verification::{Grouping, VerificationPage, write},
    },
};
use serde_json::{Value, json};

use super::{
    BootstrapArgs,
    faces::{FacesArgs, Loaded, command_line},
};
use crate::console;

/// The FAR whose threshold is drawn in the report.
const SHOWN_FAR: &str = "1e-3";

/// Are two photos of one person? (1:1)
///
/// The accuracy is LFW's: each fold is tested by the threshold that is best on the other folds. A pair in which a face
/// was not found is an error, and is also counted apart. Intervals are 95 %, by resampling people.
/// The faces are embedded anew each time; for several protocols on one folder, `bledsoe embed` it first (that can be
/// stopped and resumed), then give the table as --embeddings.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  bledsoe benchmark verification --protocol lfw --root lfw --report lfw.html\n  \
                        bledsoe benchmark verification --protocol pairs.csv --root photos --labels gender.csv --json")]
pub struct Args {
    /// `lfw`, or a CSV file with a header: image_a,image_b,same[,fold]
    #[arg(long, value_name = "NAME|FILE")]
    protocol: String,
    /// Folder of the images; for `lfw` with the images in it or in images/, pairs.txt beside them or in protocols/
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// LFW's view: 1 to choose by (pairsDevTest.txt), 2 to report (pairs.txt)
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=2))]
    view: u8,
    /// A CSV file of groups, a column each: image (a path or a person),gender,…; every figure is also given by group
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Write a report as one HTML file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bootstrap: BootstrapArgs,
    #[command(flatten)]
    faces: FacesArgs,
}

/// All there is to tell.
struct Run {
    protocol: PairProtocol,
    comparisons: Vec<Comparison>,
    result: Verification,
    groups: Groups,
    loaded: Loaded,
    settings: Value,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if let Some(report) = &args.report {
        console::check_folder(report)?;
    }
    let view = if args.view == 1 { View::Development } else { View::Reporting };
    let protocol = match args.protocol.as_str() {
        "lfw" => protocol::lfw(&args.root, view)?,
        file => protocol::csv(Path::new(file), &args.root)?,
    };
    let labels = args.labels.as_deref().map(Labels::read).transpose()?;
    let bootstrap = Bootstrap::from(args.bootstrap);
    let wanted: HashSet<&str> = protocol.pairs.iter().flat_map(|p| [p.a.as_str(), p.b.as_str()]).collect();
    let loaded = args.faces.load(&protocol.images, Some(&wanted))?;
    let comparisons = verification::compare(&protocol, &loaded.faces)?;
    let result = bledsoe::evaluate::verification::verification(&comparisons, &bootstrap)?;
    let groups = match &labels {
        Some(labels) => verification::by_group(&protocol, &comparisons, &result, labels, &loaded.faces, &bootstrap)?,
        None => Groups::default(),
    };
    let settings = json!({
        "protocol": args.protocol, "view": (args.protocol == "lfw").then_some(args.view), "labels": args.labels,
        "people_from": protocol.people_from,
        "bootstrap": bootstrap, "faces": loaded.settings,
    });
    let run = Run { protocol, comparisons, result, groups, loaded, settings };
    console::tell_skipped(&run.loaded.faces.skipped, None);
    if args.json {
        let mut json = serde_json::to_value(&run.result)?;
        if let Value::Object(json) = &mut json {
            json.insert("skipped".into(), serde_json::to_value(&run.loaded.faces.skipped)?);
            json.insert("by_group".into(), serde_json::to_value(&run.groups)?);
            json.insert("settings".into(), run.settings.clone());
        }
        console::print_json(&json)?;
    } else {
        tell(&run);
    }
    // Last: a full disk does not take the figures with it.
    if let Some(path) = &args.report {
        write(path, &page(&args, &run)?)?;
        if !args.json {
            say!("report: {}", path.display());
        }
    }
    Ok(console::exit_code(&run.loaded.faces.skipped))
}

fn tell(run: &Run) {
    let result = &run.result;
    let percent = |[low, high]: [f64; 2]| format!("95 % interval {:.2} to {:.2}", 100.0 * low, 100.0 * high);
    say!(
        "accuracy {:.2} % ± {:.2} ({} pairs, {}; {})",
        100.0 * result.accuracy_mean,
        100.0 * result.accuracy_stderr,
        result.pairs,
        run.loaded.faces.model,
        percent(result.intervals.accuracy_mean)
    );
    say!("area under the ROC curve {:.5}, equal error rate {:.2} %", result.auc, 100.0 * result.eer);
    for (far, tar) in &result.tar_at_far {
        let interval = result.intervals.tar_at_far.get(far).copied().map(percent).unwrap_or_default();
        let threshold = result.thresholds.get(far).copied().unwrap_or(f64::NAN);
        say!("TAR {:.2} % at FAR {far}: similarity {threshold:.4} or more ({interval})", 100.0 * tar);
    }
    say!("{} pairs with a face not found count as errors", result.failures_to_detect);
    for group in &run.groups.groups {
        let own = group.own.as_ref().map_or("too few pairs".to_owned(), |own| {
            let tar = own.tar_at_far.get(SHOWN_FAR).copied().unwrap_or(f64::NAN);
            format!("accuracy {:.2} %, TAR {:.2} % at FAR {SHOWN_FAR}", 100.0 * own.accuracy_mean, 100.0 * tar)
        });
        say!("{} {}: {own} ({} same, {} different pairs)", group.label, group.value, group.same, group.different);
    }
    for gap in run.groups.gaps.iter().filter(|gap| gap.figure == "accuracy_mean") {
        let (lowest, highest) = (&gap.lowest, &gap.highest);
        let points = 100.0 * (highest.1 - lowest.1);
        say!("worst gap by {}: accuracy of {} {points:.2} points below {}", gap.label, lowest.0, highest.0);
    }
    for row in run.groups.unmatched.iter().take(10) {
        say!("labels, line {}: {}: {}", row.line, row.key, row.reason);
    }
    if run.groups.unmatched.len() > 10 {
        say!("… and {} more rows without a photo in the protocol", run.groups.unmatched.len() - 10);
    }
    if let Some(engine) = run.loaded.settings["engine"].as_str() {
        say!("engine: {engine}");
    }
}

fn page(args: &Args, run: &Run) -> Result<VerificationPage> {
    let result = &run.result;
    let name = if args.protocol == "lfw" { format!("LFW View {}", args.view) } else { args.protocol.clone() };
    let scores = |same: bool| run.comparisons.iter().filter(|c| c.same == same).filter_map(|c| c.score).collect();
    let threshold = result.thresholds.get(SHOWN_FAR).copied().unwrap_or(f64::NAN);
    let (alike, unlike) = verification::worst(&run.protocol, &run.comparisons);
    let pictures = |matches: Vec<Match>| -> Result<Vec<PicturePair>> {
        let picture = |m: Match| {
            Ok(PicturePair {
                left: run.loaded.picture(&m.a)?,
                right: run.loaded.picture(&m.b)?,
                score: m.score,
                note: String::new(),
            })
        };
        matches.into_iter().map(picture).collect()
    };
    let mut groupings: Vec<Grouping> = Vec::new();
    for group in &run.groups.groups {
        let Some(own) = &group.own else { continue };
        let entry = (group.value.clone(), own.clone());
        match groupings.iter_mut().find(|grouping| grouping.label == group.label) {
            Some(grouping) => grouping.groups.push(entry),
            None => groupings.push(Grouping { label: group.label.clone(), groups: vec![entry] }),
        }
    }
    Ok(VerificationPage {
        about: About {
            title: format!("{name}, {}", run.loaded.faces.model),
            summary: format!(
                "{:.2} % of {} pairs told right, ± {:.2}.",
                100.0 * result.accuracy_mean,
                result.pairs,
                100.0 * result.accuracy_stderr
            ),
            notes: "A pair in which a face was not found counts as an error. Similarities are cosines.".into(),
            command: command_line(),
            models: run.loaded.model_files(),
            settings: run.settings.clone(),
        },
        result: result.clone(),
        same_scores: scores(true),
        different_scores: scores(false),
        threshold,
        threshold_origin: format!("a FAR of {SHOWN_FAR} on these pairs"),
        false_matches: pictures(alike.into_iter().filter(|m| m.score >= threshold).collect())?,
        false_non_matches: pictures(unlike.into_iter().filter(|m| m.score < threshold).collect())?,
        failures: run.loaded.failures(),
        groupings,
    })
}
