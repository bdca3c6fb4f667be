//! `bledsoe benchmark identification`

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::Result;
use bledsoe::{
    benchmark::identification::{Enrol, Match, Search, search},
    evaluate::{
        Bootstrap,
        search::{ClosedSet, OpenSet, closed_set, open_set},
    },
    report::benchmark::{
        About, PicturePair,
        identification::{IdentificationPage, write},
    },
};
use serde_json::{Value, json};

use super::{
    BootstrapArgs,
    faces::{FacesArgs, Loaded, command_line},
};
use crate::console;

/// Which probes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Protocol {
    /// Probes of enrolled people only
    Closed,
    /// People of one photo are strangers among the probes
    Open,
}

/// Who is it, of the people enrolled, or is it a stranger? (1:N)
///
/// Of each person with enough photos, some are enrolled and the rest are searched for. With `open`, people of one photo
/// are strangers. FNIR is the share of enrolled people's probes not named rightly (not first, or below the threshold), at
/// thresholds where the FPIR, the share of strangers named, is 1e-1, 1e-2 and 1e-3. All is repeated over seeds, with
/// another draw of the photos enrolled. Intervals are 95 %, by resampling people.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bledsoe benchmark identification --protocol open --root lfw --enrol 1 --report lfw.html"
)]
pub struct Args {
    /// Without strangers (closed) or with them (open)
    #[arg(long, value_name = "WHICH")]
    protocol: Protocol,
    /// Folder of the images, one folder per person; for LFW's layout the folder above images/ will do
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// Photos enrolled of each person: a number, or a share such as 70%
    #[arg(long, default_value = "1", value_name = "K")]
    enrol: Enrol,
    /// How many draws of the photos enrolled
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
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

pub fn run(args: Args) -> Result<ExitCode> {
    if let Some(report) = &args.report {
        console::check_folder(report)?;
    }
    let bootstrap = Bootstrap::from(args.bootstrap);
    let inner = args.root.join("images");
    let images = if inner.is_dir() { inner } else { args.root.clone() };
    let loaded = args.faces.load(&images, None)?;
    let seeds: Vec<u64> = (0..args.seeds).map(|i| args.bootstrap.seed.wrapping_add(i)).collect();
    let search = search(&loaded.faces, args.enrol, args.protocol == Protocol::Closed, &seeds)?;
    let (open, closed) = match args.protocol {
        Protocol::Open => (Some(open_set(&search.trials, &bootstrap)?), None),
        Protocol::Closed => (None, Some(closed_set(&search.trials, &bootstrap)?)),
    };
    let settings = json!({
        "protocol": if open.is_some() { "open" } else { "closed" }, "enrol": args.enrol.to_string(), "seeds": seeds,
        "bootstrap": bootstrap, "faces": loaded.settings,
    });
    console::tell_skipped(&loaded.faces.skipped, None);
    if args.json {
        let mut json = match (&open, &closed) {
            (Some(open), _) => serde_json::to_value(open)?,
            (_, closed) => serde_json::to_value(closed)?,
        };
        if let Value::Object(json) = &mut json {
            let people = BTreeMap::from([
                ("enrolled", search.enrolled),
                ("strangers", search.strangers),
                ("left_out", search.left_out),
            ]);
            json.insert("people".into(), serde_json::to_value(people)?);
            json.insert("skipped".into(), serde_json::to_value(&loaded.faces.skipped)?);
            json.insert("settings".into(), settings.clone());
        }
        console::print_json(&json)?;
    } else {
        tell(&args, &loaded, &search, open.as_ref(), closed.as_ref());
    }
    // Last: a full disk does not take the figures with it.
    if let Some(path) = &args.report {
        write(path, &page(&args, &loaded, &search, open.as_ref(), closed.as_ref(), &settings)?)?;
        if !args.json {
            say!("report: {}", path.display());
        }
    }
    Ok(console::exit_code(&loaded.faces.skipped))
}

fn percent([low, high]: [f64; 2]) -> String {
    format!("95 % interval {:.2} to {:.2}", 100.0 * low, 100.0 * high)
}

fn tell(args: &Args, loaded: &Loaded, search: &Search, open: Option<&OpenSet>, closed: Option<&ClosedSet>) {
    say!(
        "{} people enrolled by {} photos each, {} strangers, {} people left out for too few photos; {} draws; {}",
        search.enrolled,
        args.enrol,
        search.strangers,
        search.left_out,
        search.trials.len(),
        loaded.faces.model
    );
    if search.nobodys > 0 {
        say!("{} photos lie in no person's folder and were passed over", search.nobodys);
    }
    if let Some(open) = open {
        say!("rank 1: {:.2} % ({})", 100.0 * open.rank1, percent(open.rank1_interval));
        for (fpir, fnir) in &open.fnir_at_fpir {
            let interval = open.intervals.get(fpir).copied().map(percent).unwrap_or_default();
            let threshold = open.thresholds.get(fpir).copied().unwrap_or(f64::NAN);
            say!("FNIR {:.2} % at FPIR {fpir}: similarity {threshold:.4} or more ({interval})", 100.0 * fnir);
        }
        say!("{} probes without a face found; of enrolled people they are misses", open.failures_to_detect);
    }
    if let Some(closed) = closed {
        for (name, value) in [("rank1", closed.rank1), ("rank5", closed.rank5)] {
            let interval = closed.intervals.get(name).copied().map(percent).unwrap_or_default();
            say!("{name}: {:.2} % ({interval})", 100.0 * value);
        }
        say!("{} probes without a face found count as errors", closed.failures_to_detect);
    }
    if let Some(engine) = loaded.settings["engine"].as_str() {
        say!("engine: {engine}");
    }
}

fn page(
    args: &Args,
    loaded: &Loaded,
    search: &Search,
    open: Option<&OpenSet>,
    closed: Option<&ClosedSet>,
    settings: &Value,
) -> Result<IdentificationPage> {
    let pictures = |matches: &[Match], note: &str| -> Result<Vec<PicturePair>> {
        let picture = |m: &Match| {
            Ok(PicturePair {
                left: loaded.picture(&m.probe)?,
                right: loaded.picture(&m.enrolled)?,
                score: m.score,
                note: note.to_owned(),
            })
        };
        matches.iter().map(picture).collect()
    };
    let summary = match (open, closed) {
        (Some(open), _) => format!(
            "{:.2} % of the probes of enrolled people missed where 1 % of strangers are named.",
            100.0 * open.fnir_at_fpir.get("1e-2").copied().unwrap_or(f64::NAN)
        ),
        (_, closed) => {
            format!("{:.2} % found in the first place.", 100.0 * closed.map_or(f64::NAN, |closed| closed.rank1))
        }
    };
    let name = if args.enrol == Enrol::Photos(1) { "1 photo".to_owned() } else { format!("{} photos", args.enrol) };
    Ok(IdentificationPage {
        about: About {
            title: format!("{}, {}", args.root.display(), loaded.faces.model),
            summary,
            notes: format!(
                "{} people enrolled, {} strangers; {} draws. The pictures are of the first draw.",
                search.enrolled,
                search.strangers,
                search.trials.len()
            ),
            command: command_line(),
            models: loaded.model_files(),
            settings: settings.clone(),
        },
        closed: closed.map(|closed| (name.clone(), closed.clone())).into_iter().collect(),
        open: open.map(|open| (name, open.clone())).into_iter().collect(),
        false_alarms: pictures(&search.false_alarms, "not enrolled")?,
        misses: pictures(&search.confusions, "more like somebody else")?,
        failures: loaded.failures(),
    })
}
