//! `bledsoe demo`

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context, Result, bail};
use bledsoe::{
    dataset::Item,
    detect::Select,
    gallery::{
        Decision, Face, Gallery, Probe as Looked, Rule,
        store::{FileStore, Model},
    },
    hash,
    photo::{Limits, Photo},
    pipeline::{DEFAULT_DETECTOR, DEFAULT_EMBEDDER, DetectorOptions, Encoded, Finder, FoundFace, Source},
    report::identification::{self, Enrolled, Probe, Report},
};
use serde::Serialize;
use serde_json::json;

use crate::{arguments::EngineArgs, console};

/// Recognise people in public-domain photos, offline, and write a report with the faces and scores.
///
/// Two people are enrolled from one photo each. Then new photos come: of one of them, and of two strangers, who must
/// be rejected. Models and photos are inside the program. Exit code 1 means that a decision was wrong.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe demo --out /tmp/demo")]
pub struct Args {
    /// Folder for report.html; made if absent
    #[arg(long, value_name = "DIR", default_value = "bledsoe-demo")]
    out: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

/// What a photo is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Its person is made known by it.
    Enrol,
    /// A new photo of a person enrolled.
    Known,
    /// A photo of a person not enrolled.
    Stranger,
}

/// A photo compiled in.
pub(super) struct Example {
    person: &'static str,
    path: &'static str,
    bytes: &'static [u8],
    role: Role,
}

macro_rules! example {
    ($role:ident, $person:literal, $folder:literal, $file:literal) => {
        Example {
            person: $person,
            path: concat!($folder, "/", $file),
            bytes: include_bytes!(concat!("../../../../examples/photos/", $folder, "/", $file)),
            role: Role::$role,
        }
    };
}

/// The photos and where they come from are described in `examples/photos/README.md`.
pub(super) const EXAMPLES: [Example; 6] = [
    example!(Enrol, "Barack Obama", "Barack_Obama", "2012-oval-office.jpg"),
    example!(Enrol, "Eileen Collins", "Eileen_Collins", "nasa-portrait.jpg"),
    example!(Known, "Barack Obama", "Barack_Obama", "2009-congress.jpg"),
    example!(Known, "Barack Obama", "Barack_Obama", "2010-blue-room.jpg"),
    example!(Stranger, "Joe Biden", "Joe_Biden", "2010-blue-room.jpg"),
    example!(Stranger, "Grace Hopper", "Grace_Hopper", "1984-us-navy.jpg"),
];

impl Example {
    pub(super) fn encoded(&self) -> Encoded {
        Encoded {
            item: Item { path: self.path.into(), relative: self.path.into(), person: Some(self.person.into()) },
            bytes: Ok(self.bytes.to_vec()),
            sha256: hash::sha256(self.bytes),
        }
    }

    /// The name to be said: the person's, or nobody's for a stranger.
    fn truth(&self) -> Option<&'static str> {
        (self.role != Role::Stranger).then_some(self.person)
    }
}

/// One decision, as printed.
#[derive(Serialize)]
struct Outcome {
    photo: &'static str,
    person: &'static str,
    enrolled: bool,
    right: bool,
    decision: Decision,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let start = Instant::now();
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let loader = args.engine.loader()?;
    let embedder = loader.embedder(DEFAULT_EMBEDDER)?;
    let templates: Vec<_> = embedder.templates().iter().map(|t| (t.clone(), t.size())).collect();
    let finder = Finder {
        detector: loader.detector(DEFAULT_DETECTOR, &DetectorOptions::default())?,
        landmarker: loader.landmarker("auto", DEFAULT_DETECTOR, &templates)?,
        select: Select::Largest,
        limits: Limits::default(),
        templates,
        models: loader.models(),
    };
    let mut faces = faces(&finder)?;
    let chips: Vec<_> = faces.iter_mut().map(|face| std::mem::take(&mut face.chips)).collect();
    let embeddings = embedder.embed(&chips)?;

    let model = Model { id: embedder.id().into(), dim: embedder.dim() };
    let mut gallery = Gallery::new(Box::new(FileStore::in_memory(&model)?))?;
    let rule = Rule::default();
    let mut enrolled: Vec<Enrolled> = Vec::new();
    for ((example, embedding), chips) in EXAMPLES.iter().zip(&embeddings).zip(&chips) {
        if example.role == Role::Enrol {
            gallery.enroll(example.person, &BTreeMap::new(), &[Face::of(embedding.clone())])?;
            let chips = chips.iter().take(1).map(|chip| chip.to_photo()).collect::<bledsoe::Result<_>>()?;
            enrolled.push(Enrolled { name: example.person.into(), chips });
        }
    }
    let (mut outcomes, mut probes) = (Vec::new(), Vec::new());
    for ((example, embedding), face) in EXAMPLES.iter().zip(&embeddings).zip(faces) {
        if example.role == Role::Enrol {
            continue;
        }
        let probe = Looked { embedding: embedding.clone(), faults: Vec::new() };
        let decision = gallery.identify(&[probe], &rule)?.pop().context("the gallery gave no decision")?;
        probes.push(Probe {
            caption: example.path.into(),
            photo: Photo::decode(example.bytes, &Limits::default())?,
            detection: face.detection,
            truth: example.truth().map(Into::into),
            decision: decision.clone(),
        });
        outcomes.push(Outcome {
            photo: example.path,
            person: example.person,
            enrolled: example.truth().is_some(),
            right: decision.name.as_deref() == example.truth(),
            decision,
        });
    }

    let right = outcomes.iter().filter(|outcome| outcome.right).count();
    let settings = json!({
        "embedder": embedder.id(), "engine": loader.engine(), "finder": finder.settings(),
        "rule": rule, "calibration": gallery.calibration()?,
    });
    let seconds = start.elapsed().as_secs_f64();
    let summary = format!(
        "{right} of {} decisions are right. {} photos in {seconds:.1} s, offline, with {}.",
        outcomes.len(),
        EXAMPLES.len(),
        loader.engine()
    );
    let path = args.out.join("report.html");
    let notes = format!(
        "The threshold is the score in this gallery, with {}, that one stranger of a hundred is expected to reach. Photos: works of the United States federal government, in the \
         public domain. Nobody shown has approved this software.",
        embedder.id()
    );
    identification::write(
        &path,
        &Report { enrolled, probes, summary: summary.clone(), notes, settings: settings.clone() },
    )?;

    if args.json {
        console::print_json(&json!({
            "correct": right, "total": outcomes.len(), "decisions": outcomes, "report": path, "seconds": seconds,
            "settings": settings,
        }))?;
    } else {
        print_table(&outcomes);
        say!("\n{summary}\nReport: {}", path.display());
    }
    Ok(ExitCode::from(u8::from(right < outcomes.len())))
}

/// The face of each example, in order.
fn faces(finder: &Finder) -> Result<Vec<FoundFace>> {
    let processed = finder.process(EXAMPLES.iter().map(Example::encoded).collect())?;
    processed
        .into_iter()
        .map(|photo| match photo.faces {
            Err(skipped) => bail!("{}: {}", skipped.path, skipped.reason),
            Ok(faces) => faces.into_iter().next().with_context(|| format!("{}: no face", photo.item.relative)),
        })
        .collect()
}

fn print_table(outcomes: &[Outcome]) {
    let enrolled = EXAMPLES.iter().filter(|e| e.role == Role::Enrol).map(|e| e.person).collect::<Vec<_>>().join(", ");
    let threshold = outcomes.first().map_or(1.0, |outcome| outcome.decision.threshold);
    say!(
        "Enrolled, one photo each: {enrolled}\nA face is named when its score is at least {threshold:.3}: one stranger of a hundred \
         is expected to reach that.\n"
    );
    say!("{:<34} {:<15} {:>6} {:>12}  {:<15}", "new photo", "nearest", "score", "probability", "decision");
    for outcome in outcomes {
        let best = outcome.decision.candidates.first();
        let (nearest, score) = best.map_or(("", 0.0), |best| (best.name.as_str(), best.score));
        let probability = 100.0 * best.and_then(|best| best.probability).unwrap_or(f64::NAN);
        let said = outcome.decision.name.as_deref().unwrap_or("stranger");
        let mark = if outcome.right { "right" } else { "WRONG" };
        say!("{:<34} {nearest:<15} {score:>6.3} {probability:>10.1} %  {said:<15} {mark}", outcome.photo);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_photos_compiled_in_are_readable_and_named_by_their_folders() {
        for example in &EXAMPLES {
            let photo = Photo::decode(example.bytes, &Limits::default()).unwrap();
            assert!(photo.width().max(photo.height()) <= 640, "{}", example.path);
            assert_eq!(example.path.split('/').next().unwrap(), example.person.replace(' ', "_"));
        }
    }

    #[test]
    fn known_people_are_enrolled_and_strangers_are_not() {
        let enrolled: Vec<_> = EXAMPLES.iter().filter(|e| e.role == Role::Enrol).map(|e| e.person).collect();
        for example in &EXAMPLES {
            assert_eq!(enrolled.contains(&example.person), example.role != Role::Stranger, "{}", example.path);
        }
    }
}
