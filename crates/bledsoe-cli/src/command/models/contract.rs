//! `bledsoe models verify --benchmark`

use std::{path::Path, process::ExitCode};

use anyhow::Result;
use bledsoe::{
    benchmark::{
        contract::{self, Evidence, Examination},
        specimens::{self, Specimens},
    },
    dataset::Skipped,
    engine::EngineConfig,
    model::{Contract, Registry, Store, Task},
    pipeline::Loader,
};
use serde_json::json;

use super::Common;
use crate::{arguments::scan, command::demo::EXAMPLES, console};

pub fn run(id: Option<&str>, root: Option<&Path>, common: &Common) -> Result<ExitCode> {
    let loader = Loader::new(&EngineConfig::default(), common.models.as_deref())?;
    let names = match id {
        Some(id) => vec![id.to_owned()],
        None => here(common)?,
    };
    let mut examinations = Vec::new();
    let mut skipped = Vec::new();
    for name in names {
        let (examination, without) = examine(&name, root, &loader)?;
        if !common.json {
            console::tell_skipped(&without, None);
            tell(&examination);
        }
        examinations.push(examination);
        skipped.extend(without);
    }
    let ok = examinations.iter().all(|examination| examination.mistakes.is_empty());
    if common.json {
        console::print_json(&json!({
            "ok": ok, "models": examinations, "skipped": skipped, "root": root, "engine": loader.engine(),
            "sha256": loader.models(),
        }))?;
    }
    Ok(ExitCode::from(u8::from(!ok || !skipped.is_empty())))
}

/// The embedders on this machine that are to tell people apart; those with a tap are for attributes.
fn here(common: &Common) -> Result<Vec<String>> {
    let store = Store::new(common.models.as_deref());
    let is_for_people = |model: &&Contract| {
        model.task == Task::Embed && model.output.as_ref().is_none_or(|output| output.tap.is_none())
    };
    let embedders = Registry::embedded()?.models().iter().filter(is_for_people);
    Ok(embedders.filter(|model| store.place(model).is_some()).map(|model| model.id.clone()).collect())
}

fn examine(name: &str, root: Option<&Path>, loader: &Loader) -> Result<(Examination, Vec<Skipped>)> {
    let (contract, session) = loader.network(name)?;
    let specimens = match root {
        Some(root) => {
            let scan = scan(root)?;
            let photos = specimens::count(&scan)?;
            console::with_progress(photos, console::NOT_KEPT, |monitor| {
                Specimens::of_folder(loader, &contract, &scan, monitor)
            })?
        }
        None => {
            let photos = EXAMPLES.iter().map(|example| example.encoded()).collect();
            Specimens::of_photos(loader, &contract, photos)?
        }
    };
    let examination = contract::examine(&contract, session, &specimens.templates, &specimens.faces)?;
    Ok((examination, specimens.skipped))
}

fn tell(examination: &Examination) {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    say!(
        "{}: tells {} people apart by d' {} ({} faces, {} pairs of one person, {} of two)",
        examination.model,
        examination.people,
        number(examination.separation),
        examination.faces,
        examination.genuine,
        examination.impostor
    );
    for trial in &examination.trials {
        let interval = trial.interval.map_or(String::new(), |[low, high]| format!(" ({low:+.2} to {high:+.2})"));
        say!("  {:<30} {:>6}  x {}{interval}", trial.change.name(), number(trial.separation), number(trial.gain));
    }
    for mistake in &examination.mistakes {
        say!("LIKELY MISTAKE: with {} it separates better: {}", mistake.change.name(), mistake.change.advice());
    }
    if examination.mistakes.is_empty() {
        say!("no mistake found in the contract");
    }
    match examination.evidence {
        Evidence::Weak => say!(
            "evidence: weak. With {} people only gross mistakes show; for more give --root DIR with photos of at least 50 \
             people, a folder each",
            examination.people
        ),
        Evidence::Fair => say!("evidence: fair, of {} people; 50 or more show smaller mistakes", examination.people),
        Evidence::Strong => {
            say!(
                "evidence: strong, of {} people; in brackets the 99 % interval of the difference, people resampled",
                examination.people
            )
        }
    }
}
