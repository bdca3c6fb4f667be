//! Faces looked up in a gallery.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use bledsoe::{
    dataset::Skipped,
    gallery::{Decision, Gallery, Probe},
    photo::{Limits, Metadata, Photo},
    quality::Fault,
    regions::{self, FaceRegion},
    report::annotate::{Mark, annotate},
};
use serde_json::json;

use super::Args;
use crate::{
    console,
    gallery::shown,
    portraits::{Found, Inputs, Stages},
};

/// A face with what was said of it.
struct Identified {
    face: Found,
    faults: Vec<Fault>,
    decision: Decision,
}

pub fn run(args: &Args, path: &Path, photos: &[PathBuf]) -> Result<ExitCode> {
    let gallery = args.opening.open(path)?;
    let embedder = gallery.store().model().id.clone();
    args.adapter.check(&embedder)?;
    let inputs = Inputs::open(photos, &embedder)?;
    if let Some(folder) = &args.annotate {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let finder = args.finder.or_all();
    let loader = args.adapter.onto(args.engine.loader_for(inputs.photos())?);
    let stages = Stages::open(&inputs, &finder, &loader, &embedder)?;
    let (identified, skipped) = console::with_progress(inputs.len(), console::NOT_KEPT, |monitor| {
        let mut identified: Vec<Identified> = Vec::new();
        let mut marking: Vec<Skipped> = Vec::new();
        let mut drawn = HashSet::new();
        let mut skipped = inputs.work_through(stages.as_ref(), &embedder, monitor, |faces| {
            for photo in decide(&gallery, faces, args)? {
                marking.extend(mark(&photo, args, &mut drawn));
                identified.extend(photo);
            }
            Ok(())
        })?;
        skipped.extend(marking);
        Ok((identified, skipped))
    })?;
    console::tell_skipped(&skipped, None);
    if args.json {
        let faces: Vec<serde_json::Value> = identified.iter().map(as_json).collect();
        console::print_json(&json!({
            "faces": faces, "skipped": skipped, "rule": args.rule.rule(), "gallery": shown(path), "size": gallery.size()?,
            "calibration": gallery.calibration()?, "embedder": embedder, "engine": loader.engine(),
        }))?;
    } else {
        identified.iter().for_each(tell);
        eprintln!("engine: {}", loader.engine());
    }
    // Last: what was found is printed even if this fails.
    if let Some(file) = &args.csv {
        write_csv(file, &identified)?;
    }
    Ok(console::exit_code(&skipped))
}

/// The decisions, photo by photo: the faces of one photo are of different people.
fn decide(gallery: &Gallery, faces: Vec<Found>, args: &Args) -> bledsoe::Result<Vec<Vec<Identified>>> {
    let rule = args.rule.rule();
    let mut photos: Vec<Vec<Found>> = Vec::new();
    for face in faces {
        match photos.last_mut().filter(|photo| photo.iter().all(|other| other.path == face.path)) {
            Some(photo) => photo.push(face),
            None => photos.push(vec![face]),
        }
    }
    let decided = photos.into_iter().map(|photo| {
        let faults: Vec<Vec<Fault>> = photo.iter().map(Found::faults).collect();
        let probe =
            |(face, faults): (&Found, &Vec<Fault>)| Probe { embedding: face.embedding.clone(), faults: faults.clone() };
        let probes: Vec<Probe> = photo.iter().zip(&faults).map(probe).collect();
        let decisions = gallery.identify_together(&probes, &rule)?;
        let faces = photo.into_iter().zip(faults).zip(decisions);
        Ok(faces.map(|((face, faults), decision)| Identified { face, faults, decision }).collect())
    });
    decided.collect()
}

/// Draws and writes what was asked for; what cannot be written is listed.
fn mark(faces: &[Identified], args: &Args, drawn: &mut HashSet<PathBuf>) -> Vec<Skipped> {
    let Some(first) = faces.first() else { return Vec::new() };
    if args.annotate.is_none() && !args.xmp {
        return Vec::new();
    }
    let path = &first.face.path;
    let failed = |stage: &str, error: anyhow::Error| Skipped {
        path: path.display().to_string(),
        stage: stage.into(),
        reason: format!("{error:#}"),
    };
    let mut skipped = Vec::new();
    if let Some(folder) = &args.annotate {
        skipped
            .extend(draw(faces, path, &folder.join(&first.face.relative), drawn).err().map(|e| failed("annotate", e)));
    }
    if args.xmp {
        skipped.extend(write_regions(faces, path).err().map(|e| failed("xmp", e)));
    }
    skipped
}

fn draw(faces: &[Identified], path: &Path, out: &Path, drawn: &mut HashSet<PathBuf>) -> Result<()> {
    let jpeg = out.extension().is_some_and(|e| e.eq_ignore_ascii_case("jpg"));
    let out = if jpeg { out.to_owned() } else { out.with_added_extension("jpg") };
    if !drawn.insert(out.clone()) {
        bail!("{} is another photo's copy already: give the folder that both are in, or one at a time", out.display());
    }
    let photo = Photo::open(path, &Limits::default())?;
    let marks: Vec<Mark> = faces
        .iter()
        .map(|face| Mark {
            rect: face.face.portrait.row.detection.rect,
            name: face.decision.name.clone(),
            probability: face.decision.probability().map(|p| p as f32),
        })
        .collect();
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    if out.exists() && out.canonicalize()? == path.canonicalize()? {
        bail!("the copy would replace the photo: give --annotate another folder");
    }
    Ok(annotate(&photo, &marks).save(&out)?)
}

fn write_regions(faces: &[Identified], path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let metadata = Metadata::of(&bytes, &Limits::default())?;
    let region = |face: &Identified| FaceRegion {
        name: face.decision.name.clone(),
        rect: face.face.portrait.row.detection.rect,
    };
    let named: Vec<FaceRegion> = faces.iter().map(region).collect();
    regions::write(path, &metadata, &named)?;
    Ok(())
}

fn as_json(face: &Identified) -> serde_json::Value {
    let (rect, decision) = (&face.face.portrait.row.detection.rect, &face.decision);
    json!({
        "path": face.face.path, "face": face.face.portrait.row.face,
        "box": { "left": rect.left, "top": rect.top, "right": rect.right, "bottom": rect.bottom },
        "name": decision.name.as_deref().unwrap_or("unknown"), "known": decision.name.is_some(),
        "probability": decision.probability(), "interval": decision.name.as_ref().and_then(|_| decision.candidates.first()?.interval),
        "doubt": decision.doubt, "candidates": decision.candidates, "threshold": decision.threshold,
        "false_positive_rate": decision.false_positive_rate, "faults": face.faults,
    })
}

fn tell(face: &Identified) {
    let (rect, decision) = (&face.face.portrait.row.detection.rect, &face.decision);
    let place = format!("at {:.0},{:.0} {:.0}x{:.0}", rect.left, rect.top, rect.width(), rect.height());
    let best = decision.candidates.first();
    let sure = |probability: Option<f64>, interval: Option<[f64; 2]>| match (probability, interval) {
        (Some(p), Some([low, high])) => format!(" {:.1} % ({:.1} to {:.1})", 100.0 * p, 100.0 * low, 100.0 * high),
        _ => String::new(),
    };
    let said = match (&decision.name, best, &decision.doubt) {
        (Some(name), Some(best), _) => {
            format!("{name}{}, score {:.3}", sure(best.probability, best.interval), best.score)
        }
        (_, Some(best), Some(doubt)) => {
            format!(
                "unknown ({doubt}; most like {}{}, score {:.3} of {:.3} needed)",
                best.name,
                sure(best.probability, best.interval),
                best.score,
                decision.threshold
            )
        }
        (_, None, Some(doubt)) => format!("unknown ({doubt})"),
        _ => "unknown".into(),
    };
    say!("{}: {said}; {place}", face.face.path.display());
}

fn write_csv(file: &Path, identified: &[Identified]) -> Result<()> {
    let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let number = |x: Option<f64>| x.map_or(String::new(), |x| x.to_string());
    let mut csv =
        String::from("path,face,left,top,right,bottom,name,probability,score,threshold,false_positive_rate,doubt\n");
    for face in identified {
        let (rect, decision) = (&face.face.portrait.row.detection.rect, &face.decision);
        csv += &format!(
            "{},{},{},{},{},{},{},{},{},{},{},{}\n",
            quote(&face.face.path.display().to_string()),
            face.face.portrait.row.face,
            rect.left,
            rect.top,
            rect.right,
            rect.bottom,
            quote(decision.name.as_deref().unwrap_or_default()),
            number(decision.probability()),
            number(decision.candidates.first().map(|c| c.score.into())),
            decision.threshold,
            number(decision.false_positive_rate),
            quote(&decision.doubt.as_ref().map(ToString::to_string).unwrap_or_default()),
        );
    }
    std::fs::write(file, csv).with_context(|| file.display().to_string())
}
