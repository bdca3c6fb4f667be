//! `bledsoe enroll`

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use bledsoe::{
    dataset::Skipped,
    embed::table::FaceRow,
    gallery::{Enrolment, Face, Gallery, store::Model},
    photo::{Limits, Metadata},
    pipeline::Loader,
    regions::{self, FaceRegion},
};
use serde_json::json;

use crate::{
    arguments::{EmbedderArgs, EngineArgs, FinderArgs},
    console,
    gallery::{GalleryArgs, shown},
    portraits::{Found, Inputs, Stages, embedder_given},
};

/// Another face at least so wide, as a share of the one taken, might be meant instead.
const OTHER_FACE: f32 = 0.6;
/// Least share (intersection over union) that a face and a marked region have in common. Photo managers mark more
/// loosely than detectors do.
const LEAST_OVERLAP: f32 = 0.2;
/// What a stopped run keeps.
const KEPT: &str = "who was enrolled so far is kept: the same again goes on, and enrolls nothing twice";

/// Enroll people in a gallery: one person from photos, or a folder with one folder per person.
///
/// The gallery is made if it is not there. Faces that are too small, blurred, turned away or not alone in their photo
/// are refused and listed, as are those that seem to be of somebody enrolled under another name; --force enrolls them
/// anyway. A face that is enrolled already is not enrolled twice. Nobody else has to be enrolled or trained anew.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  bledsoe enroll staff.gallery ada1.jpg ada2.jpg --name \"Ada Lovelace\"\n  bledsoe enroll staff.gallery photos/\n  bledsoe enroll family.gallery album/ --xmp"
)]
pub struct Args {
    /// The gallery
    gallery: PathBuf,
    /// Photos of one person, or a folder with one folder per person, or a table that `embed` wrote
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    /// The person's name; without it, each photo's folder says who it is
    #[arg(long)]
    name: Option<String>,
    /// Take the names from the faces that photo managers have marked in the photos, or in the files PHOTO.xmp beside
    /// them (XMP regions of the Metadata Working Group): each face with a name is enrolled
    #[arg(long, conflicts_with = "name")]
    xmp: bool,
    /// Something else to keep of the person: KEY=VALUE; again for more
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// Enroll poor faces, and people who seem to be enrolled under another name, too
    #[arg(long)]
    force: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    embedder: EmbedderArgs,
    #[command(flatten)]
    opening: GalleryArgs,
    #[command(flatten)]
    finder: FinderArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// What became of the faces.
#[derive(Default)]
struct Outcome {
    enrolled: BTreeMap<String, usize>,
    already: usize,
    refused: Vec<Skipped>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if args.finder.takes_all() {
        bail!("enroll takes one face of a photo: use --select center or largest, or --xmp for those that are marked");
    }
    let finder = if args.xmp { args.finder.or_all() } else { args.finder.clone() };
    let mut gallery = args.opening.find(&args.gallery)?;
    let embedder = match &gallery {
        Some(gallery) => embedder_given(&gallery.store().model().id, &args.embedder, &args.finder)?,
        None => args.embedder.name(&args.finder),
    };
    let inputs = Inputs::open(&args.photos, &embedder)?;
    let loader = args.embedder.adapter.onto(args.engine.loader_for(inputs.photos())?);
    let stages = Stages::open(&inputs, &finder, &loader, &embedder)?;
    let mut outcome = Outcome::default();
    let skipped = console::with_progress(inputs.len(), KEPT, |monitor| {
        inputs.work_through(stages.as_ref(), &embedder, monitor, |faces| {
            let Some(first) = faces.first() else { return Ok(()) };
            let gallery = match &mut gallery {
                Some(gallery) => gallery,
                None => {
                    let model = Model { id: embedder.clone(), dim: first.embedding.vector.len() };
                    let made = args.opening.create(&args.gallery, &model);
                    gallery.insert(made.map_err(|e| bledsoe::Error::Invalid(format!("{e:#}")))?)
                }
            };
            enroll(gallery, faces, &args, &mut outcome)
        })
    })?;
    tell(&args, &loader, gallery.as_ref(), &outcome, skipped)
}

/// Enrolls the faces that may be.
fn enroll(gallery: &mut Gallery, faces: Vec<Found>, args: &Args, outcome: &mut Outcome) -> bledsoe::Result<()> {
    let mut people: BTreeMap<String, Vec<Face>> = BTreeMap::new();
    let mut marks = Marks::default();
    for found in faces {
        let row = &found.portrait.row;
        let path = found.path.display().to_string();
        let mut refuse =
            |reason: String| outcome.refused.push(Skipped { path: path.clone(), stage: "enroll".into(), reason });
        let name = match args.xmp.then(|| marks.name(&found)).transpose() {
            // Where faces are marked, those without a name are nobody's to enroll.
            Ok(Some(None)) => continue,
            Ok(marked) => marked.flatten().or_else(|| args.name.clone()).or_else(|| row.person.clone()),
            Err(reason) => {
                refuse(reason);
                continue;
            }
        };
        let Some(name) = name else {
            refuse("whose face is it? Give --name, or put the photo into a folder of that name".into());
            continue;
        };
        if is_enrolled(gallery, &name, row)? {
            outcome.already += 1;
            continue;
        }
        if !args.force {
            let others = found.portrait.seen.iter().filter(|rect| **rect != row.detection.rect);
            let several = others.filter(|rect| rect.width() >= OTHER_FACE * row.detection.rect.width()).count();
            let mut reasons: Vec<String> = found.faults().iter().map(ToString::to_string).collect();
            if several > 0 && !args.xmp {
                reasons.push(format!("not alone ({several} other faces as large)"));
            }
            if !reasons.is_empty() {
                refuse(format!("too poor to enroll: {}; --force enrolls it", reasons.join(", ")));
                continue;
            }
            if let Some(like) = gallery.resembles(&name, std::slice::from_ref(&found.embedding))? {
                refuse(format!(
                    "seems to be {}, who is enrolled (score {:.3}, reached by {:.1e} of strangers): `bledsoe merge` makes two people \
                     one, --force enrolls it as {name}",
                    like.name, like.score, like.false_positive_rate
                ));
                continue;
            }
        }
        people.entry(name).or_default().push(found.into());
    }
    let labels: BTreeMap<String, String> = args.label.iter().cloned().collect();
    let people: Vec<Enrolment> =
        people.into_iter().map(|(name, faces)| Enrolment { name, labels: labels.clone(), faces }).collect();
    gallery.enroll_many(&people, |_| true)?;
    for person in people {
        *outcome.enrolled.entry(person.name).or_default() += person.faces.len();
    }
    Ok(())
}

/// The faces marked in the photo last looked at.
#[derive(Default)]
struct Marks {
    photo: PathBuf,
    regions: Vec<FaceRegion>,
}

impl Marks {
    /// The name that the photo's regions give a face, if they do.
    fn name(&mut self, found: &Found) -> Result<Option<String>, String> {
        if self.photo != found.path {
            // What failed is told once: for the first face.
            (self.photo, self.regions) = (found.path.clone(), Vec::new());
            let bytes = std::fs::read(&found.path).map_err(|e| e.to_string())?;
            let metadata = Metadata::of(&bytes, &Limits::default()).map_err(|e| e.reason())?;
            self.regions = regions::read(&found.path, &metadata).map_err(|e| e.reason())?;
        }
        let rect = &found.portrait.row.detection.rect;
        let overlap = |region: &&FaceRegion| region.rect.iou(rect);
        let best = self.regions.iter().max_by(|a, b| overlap(a).total_cmp(&overlap(b)));
        Ok(best.filter(|region| overlap(region) >= LEAST_OVERLAP).and_then(|region| region.name.clone()))
    }
}

/// Whether this face of this photo, or the same file under another name, is a template of the person.
fn is_enrolled(gallery: &Gallery, name: &str, row: &FaceRow) -> bledsoe::Result<bool> {
    let Some(person) = gallery.store().person(name)? else { return Ok(false) };
    let templates = gallery.store().templates(person.id)?;
    Ok(templates.iter().any(|known| {
        let known = &known.template.origin;
        known.sha256 == row.sha256 && known.rect == Some(row.detection.rect)
    }))
}

fn tell(
    args: &Args,
    loader: &Loader,
    gallery: Option<&Gallery>,
    outcome: &Outcome,
    mut skipped: Vec<Skipped>,
) -> Result<ExitCode> {
    skipped.extend(outcome.refused.iter().cloned());
    console::tell_skipped(&skipped, None);
    let faces: usize = outcome.enrolled.values().sum();
    let size = gallery.map(Gallery::size).transpose()?;
    if args.json {
        console::print_json(&json!({
            "gallery": shown(&args.gallery), "enrolled": outcome.enrolled, "faces": faces, "already_enrolled": outcome.already,
            "skipped": skipped, "size": size, "embedder": gallery.map(|g| g.store().model()), "engine": loader.engine(),
        }))?;
    } else if let Some(size) = size {
        say!(
            "{faces} faces of {} people enrolled, {} were already, {} skipped; {} now holds {} people",
            outcome.enrolled.len(),
            outcome.already,
            skipped.len(),
            shown(&args.gallery),
            size.people
        );
    } else {
        say!("no face was found: no gallery was made");
    }
    Ok(match faces + outcome.already {
        0 => ExitCode::from(2),
        _ => console::exit_code(&skipped),
    })
}
