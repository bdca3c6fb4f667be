//! `bledsoe doctor`

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::AtomicBool,
};

use anyhow::{Result, bail};
use bledsoe::{
    dataset::Skipped,
    detect::Select,
    doctor::{self, Exam, Finding, Kind, Known, Thresholds, moves},
    embed::{Embedder, table},
    pipeline::{Alignment, FAST_EMBEDDER, Finder, Loader, Source},
    report,
};
use serde_json::json;

use crate::{
    arguments::{AdapterArgs, EngineArgs, FinderArgs, scan},
    console,
};

/// Find what is wrong with a folder of photos: wrong labels, duplicates, blur, leaks between training and test.
///
/// DIR has one folder a person. Lists likely mislabelled photos, people split over two folders or merged in one,
/// near-duplicates, photos with several faces or none, blurred and far turned faces, each with its evidence and a
/// suggested fix. Nothing is moved until you say so: --plan writes the fixes as a list (one JSON object a line) that you
/// can read and edit, --apply carries it out and writes PLAN.undo first, --undo takes it back. No photo is ever deleted:
/// what is taken out goes to DIR/.bledsoe-quarantine.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    bledsoe doctor lfw --report lfw.html --plan fixes.jsonl\n  \
    bledsoe doctor lfw --apply fixes.jsonl\n  \
    bledsoe doctor lfw --undo fixes.jsonl.undo\n  \
    bledsoe doctor train --against test --only leak")]
pub struct Args {
    /// Folder of photos, one folder a person
    dir: PathBuf,
    /// A second folder, say the test photos: list photos of DIR that are also there
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// List only these: mislabelled, split, merged, duplicate, leak, no-face, several-faces, blurred, rotated
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    only: Vec<Kind>,
    /// Write a page with the photos
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Write the suggested fixes as a list
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Carry out a list that --plan wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["undo", "plan", "report", "against", "only", "embeddings"])]
    apply: Option<PathBuf>,
    /// Take back what --apply did: FILE is PLAN.undo
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plan", "report", "against", "only", "embeddings"])]
    undo: Option<PathBuf>,
    /// Take embeddings from a table that `embed` wrote, for photos with the same content
    #[arg(long, value_name = "FILE.parquet")]
    embeddings: Option<PathBuf>,
    /// Embedder: mobilefacenet, facenet, dlib, an ONNX file with its contract beside it, or several joined by +
    /// (if absent that of the table, or mobilefacenet, by which the doctor's limits were measured)
    #[arg(long, value_name = "NAME")]
    embedder: Option<String>,
    /// Similarity from which two faces count as one person (the embedder's own if absent)
    #[arg(long, value_name = "SIMILARITY", allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    adapter: AdapterArgs,
    #[command(flatten)]
    finder: FinderArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if let Some(list) = &args.apply {
        return move_photos(&args, list, moves::apply);
    }
    if let Some(list) = &args.undo {
        return move_photos(&args, list, moves::undo);
    }
    diagnose(&args)
}

/// Carries out a list, or takes it back.
fn move_photos(
    args: &Args,
    list: &Path,
    work: fn(&Path, &Path, &AtomicBool) -> bledsoe::Result<moves::Moved>,
) -> Result<ExitCode> {
    let total = moves::read(list)?.len();
    let if_stopped = "between two photos: run the same again, or take it back with --undo";
    let moved = console::with_progress(total, if_stopped, |monitor| work(&args.dir, list, monitor.stop))?;
    console::tell_skipped(&moved.failed, None);
    let undo = args.apply.as_deref().map(moves::undo_list);
    if args.json {
        console::print_json(&json!({ "dir": args.dir, "list": list, "undo": undo, "moved": moved }))?;
    } else {
        say!(
            "{} photos moved, {} had been moved before, {} left alone",
            moved.moved,
            moved.already,
            moved.failed.len()
        );
        if let Some(undo) = undo {
            say!("take it back: bledsoe doctor {} --undo {}", args.dir.display(), undo.display());
        }
    }
    Ok(console::exit_code(&moved.failed))
}

/// What the photos are examined with.
struct Instruments {
    loader: Loader,
    finder: Finder,
    embedder: Box<dyn Embedder>,
    known: Option<Known>,
    thresholds: Thresholds,
}

impl Instruments {
    fn new(args: &Args) -> Result<Self> {
        let table = args.embeddings.as_deref().map(table::read).transpose()?;
        let name = match (&args.embedder, &table, args.adapter.get()) {
            (Some(name), _, Some(adapter)) => adapter.id_on(name),
            (Some(name), _, None) => name.clone(),
            (None, Some((origin, _)), _) => origin.model.clone(),
            (None, None, Some(adapter)) => adapter.id(),
            // The limits of the doctor were measured with this one.
            (None, None, None) => FAST_EMBEDDER.to_owned(),
        };
        let loader = args.adapter.onto(args.engine.loader()?);
        let embedder = loader.embedder(&name)?;
        let templates = embedder.templates().iter().map(|t| (t.clone(), t.size())).collect();
        let finder = args.finder.finder(&loader, templates)?;
        if finder.select != Select::Center {
            bail!("the doctor looks at the face nearest to the centre, and counts the others: leave --select out");
        }
        let threshold = match args.threshold {
            Some(similarity) => Some(similarity),
            None => loader.threshold(&name)?.map(|threshold| threshold.similarity),
        };
        let Some(threshold) = threshold else {
            bail!("{name}: no threshold is known of this embedder: give one with --threshold");
        };
        let known = table.map(|(origin, rows)| Known::new(&origin, rows)).transpose()?;
        Ok(Self { loader, finder, embedder, known, thresholds: Thresholds::new(threshold)? })
    }

    fn examine(&self, dir: &Path) -> Result<(Vec<Exam>, Vec<Skipped>)> {
        if Alignment::of_folder(dir)?.is_some() {
            bail!("{}: holds chips that `align` cut out; the doctor looks at the photos they came from", dir.display());
        }
        let scan = scan(dir)?;
        console::with_progress(scan.items.len(), console::EMBED_FIRST, |monitor| {
            doctor::examine(&scan, &self.finder, self.embedder.as_ref(), self.known.as_ref(), monitor)
        })
    }
}

fn diagnose(args: &Args) -> Result<ExitCode> {
    if let Some(plan) = args.plan.as_ref().filter(|plan| plan.exists()) {
        bail!("{}: is there already; name another file for the plan", plan.display());
    }
    for file in [&args.plan, &args.report].into_iter().flatten() {
        console::check_folder(file)?;
    }
    let instruments = Instruments::new(args)?;
    let (exams, mut failed) = instruments.examine(&args.dir)?;
    let against = args.against.as_deref().map(|dir| instruments.examine(dir)).transpose()?;
    let (against, failed_there) = against.map_or((None, Vec::new()), |(exams, failed)| (Some(exams), failed));
    let mut findings = doctor::diagnose(&exams, against.as_deref(), &instruments.thresholds)?;
    findings.retain(|finding| args.only.is_empty() || args.only.contains(&finding.kind));

    let hashes: HashMap<String, String> = exams.iter().map(|exam| (exam.path.clone(), exam.sha256.clone())).collect();
    let plan = moves::plan(&args.dir, &findings, &hashes);
    let settings = json!({
        "photos": instruments.finder.settings(), "embedder": instruments.embedder.settings(),
        "embeddings": args.embeddings, "thresholds": instruments.thresholds, "engine": instruments.loader.engine(),
        "bledsoe": env!("CARGO_PKG_VERSION"),
    });
    console::tell_skipped(&failed, None);
    console::tell_skipped(&failed_there, None);
    // Of a table with one face a photo nobody knows how many there were.
    let not_counted = exams.iter().filter(|exam| exam.faces.is_none()).count();
    if args.json {
        console::print_json(&json!({
            "dir": args.dir, "against": args.against, "photos": exams.len(), "findings": findings,
            "moves": plan.len(), "plan": args.plan, "report": args.report, "faces_not_counted": not_counted,
            "skipped": failed, "skipped_against": failed_there, "settings": settings,
        }))?;
    } else {
        tell(&exams, &findings, &plan, not_counted);
    }
    // Last: a full disk does not take the findings with it.
    if let Some(file) = &args.plan {
        moves::write(file, &plan)?;
        if !args.json {
            say!("read the plan, then: bledsoe doctor {} --apply {}", args.dir.display(), file.display());
        }
    }
    if let Some(file) = &args.report {
        report::doctor::write(
            file,
            &report::doctor::Report {
                folder: &args.dir,
                against: args.against.as_deref(),
                photos: exams.len(),
                findings: &findings,
                failed: &failed,
                settings: &settings,
            },
        )?;
        if !args.json {
            say!("report: {}", file.display());
        }
    }
    failed.extend(failed_there);
    Ok(console::exit_code(&failed))
}

fn tell(exams: &[Exam], findings: &[Finding], plan: &[moves::Move], not_counted: usize) {
    const SHOWN: usize = 20;
    let mut kinds: BTreeMap<Kind, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        kinds.entry(finding.kind).or_default().push(finding);
    }
    for (kind, findings) in kinds {
        say!("{}: {} ({})", report::doctor::title(kind), findings.len(), kind.name());
        for finding in findings.iter().take(SHOWN) {
            say!(
                "  {}: {} -> {}",
                finding.photos.first().map_or("", String::as_str),
                report::doctor::describe(finding),
                report::doctor::advise(&finding.fix)
            );
        }
        if findings.len() > SHOWN {
            say!("  … and {} more: see --report or --json", findings.len() - SHOWN);
        }
    }
    say!("{} photos, {} findings, {} photos to move", exams.len(), findings.len(), plan.len());
    if not_counted > 0 {
        say!("several faces: not looked for in {not_counted} photos, of which the table has only the chosen face");
    }
}
