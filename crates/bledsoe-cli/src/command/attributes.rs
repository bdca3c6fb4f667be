//! `bledsoe attributes`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use bledsoe::{
    attribute::{Answer, EMBEDDER, Head, Output},
    embed::table,
};
use serde_json::{Value, json};

use crate::{
    arguments::{AdapterArgs, EngineArgs, FinderArgs, is_table},
    console,
    portraits::{Found, Inputs, Stages},
};

/// What heads come with bledsoe for.
const BUILTIN: [&str; 2] = ["gender", "age"];

/// Say of each face its gender and age, or whatever heads of your own were trained on.
///
/// PHOTO is a photo, a folder, or a table that `embed` wrote. All faces of a photo are looked at. Gender and age are
/// guesses, and worse for children and the old: MODELS.md has the errors by group. The age's range holds the true age
/// eight times in ten. They are best from photos, or from a table of mobilefacenet-spatial+dlib-spatial; other tables
/// and heads of your own mostly hold embeddings for telling people apart, which say less of gender and age.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe attributes party.jpg\n  \
                        bledsoe attributes staff --model glasses.head --csv staff.csv")]
pub struct Args {
    /// Photos, folders of photos or chips, tables of embeddings (.parquet)
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    /// A head that `train --labels` wrote; may be given several times. One for gender or age takes the place of
    /// bledsoe's
    #[arg(long, value_name = "FILE")]
    model: Vec<PathBuf>,
    /// Write the result as CSV too
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
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

/// A face, with what each head says of it.
struct Described {
    face: Found,
    answers: Vec<Answer>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let own = args.model.iter().map(|file| Ok((file, Head::load(file)?))).collect::<Result<Vec<_>>>()?;
    let embedder = embedder(&own, &args.photos)?;
    args.adapter.check(&embedder)?;
    let heads = heads(own, &embedder)?;
    if let Some(file) = &args.csv {
        console::check_folder(file)?;
    }
    let inputs = Inputs::open(&args.photos, &embedder)?;
    let finder = args.finder.or_all();
    let loader = args.adapter.onto(args.engine.loader_for(inputs.photos())?);
    let stages = Stages::open(&inputs, &finder, &loader, &embedder)?;
    let (described, skipped) = console::with_progress(inputs.len(), console::NOT_KEPT, |monitor| {
        let mut described = Vec::new();
        let skipped = inputs.work_through(stages.as_ref(), &embedder, monitor, |faces| {
            let vectors: Vec<&[f32]> = faces.iter().map(|face| face.embedding.vector.as_slice()).collect();
            let said = heads.iter().map(|head| head.answer(&vectors)).collect::<bledsoe::Result<Vec<_>>>()?;
            let answers = |i: usize| said.iter().filter_map(|answers| answers.get(i).cloned()).collect();
            let answers: Vec<Vec<Answer>> = (0..faces.len()).map(answers).collect();
            described.extend(faces.into_iter().zip(answers).map(|(face, answers)| Described { face, answers }));
            Ok(())
        })?;
        Ok((described, skipped))
    })?;
    console::tell_skipped(&skipped, None);
    if let Some(file) = &args.csv {
        std::fs::write(file, csv(&heads, &described)).with_context(|| file.display().to_string())?;
    }
    let engine = stages.is_some().then(|| loader.engine());
    if args.json {
        let faces: Vec<Value> = described.iter().map(|face| as_json(&heads, face)).collect::<Result<_>>()?;
        let abouts: Vec<_> = heads.iter().map(|head| &head.about).collect();
        console::print_json(&json!({
            "faces": faces, "skipped": skipped, "heads": abouts, "embedder": embedder, "engine": engine,
        }))?;
    } else {
        described.iter().for_each(|face| tell(&heads, face));
        if let Some(engine) = engine {
            eprintln!("engine: {engine}");
        }
    }
    Ok(console::exit_code(&skipped))
}

/// The embedder of the user's heads; without any, that of the tables, or that of bledsoe's best heads.
fn embedder(own: &[(&PathBuf, Head)], photos: &[PathBuf]) -> Result<String> {
    if let Some((_, first)) = own.first() {
        let embedder = &first.about.embedder;
        if let Some((file, other)) = own.iter().find(|(_, head)| head.about.embedder != *embedder) {
            bail!(
                "{}: a head for embeddings of {}, others are for {embedder}: give them in separate runs",
                file.display(),
                other.about.embedder
            );
        }
        return Ok(embedder.clone());
    }
    match photos.iter().find(|photo| is_table(photo)) {
        Some(table) => Ok(table::read(table)?.0.model),
        None => Ok(EMBEDDER.to_owned()),
    }
}

/// The heads that answer for embeddings of `embedder`: bledsoe's, unless the user's take their place, then the user's.
fn heads(own: Vec<(&PathBuf, Head)>, embedder: &str) -> Result<Vec<Head>> {
    let mut heads: Vec<Head> = Vec::new();
    for target in BUILTIN {
        if own.iter().any(|(_, own)| own.about.target == target) {
            eprintln!("{target}: by your own head");
            continue;
        }
        let builtin = Head::builtin(target)?;
        let known = builtin.iter().map(|head| head.about.embedder.clone()).collect::<Vec<_>>().join(" or ");
        match builtin.into_iter().find(|head| head.about.embedder == embedder) {
            Some(head) => {
                head.check_embedder(embedder)?;
                heads.push(head);
            }
            None => eprintln!("{target}: left out, for it needs embeddings of {known}, not of {embedder}"),
        }
    }
    for (file, head) in own {
        head.check_embedder(embedder).with_context(|| file.display().to_string())?;
        if heads.iter().any(|other| other.about.target == head.about.target) {
            bail!("{}: another head is for {:?} too", file.display(), head.about.target);
        }
        heads.push(head);
    }
    if heads.is_empty() {
        bail!("no head answers for embeddings of {embedder}: embed with {EMBEDDER}, or give --model");
    }
    Ok(heads)
}

fn as_json(heads: &[Head], described: &Described) -> Result<Value> {
    let (row, rect) = (&described.face.portrait.row, &described.face.portrait.row.detection.rect);
    let mut face = json!({
        "path": described.face.path, "face": row.face,
        "box": { "left": rect.left, "top": rect.top, "right": rect.right, "bottom": rect.bottom },
    });
    for (head, answer) in heads.iter().zip(&described.answers) {
        face[&head.about.target] = serde_json::to_value(answer)?;
    }
    Ok(face)
}

fn tell(heads: &[Head], described: &Described) {
    let rect = &described.face.portrait.row.detection.rect;
    let said = heads.iter().zip(&described.answers).map(|(head, answer)| {
        let target = &head.about.target;
        match answer {
            Answer::Class { label, probability } => format!("{target} {label} ({:.1} %)", 100.0 * probability),
            Answer::Number { value, low, high } => format!("{target} {value:.1} ({low:.1} to {high:.1})"),
        }
    });
    say!(
        "{}: {}; at {:.0},{:.0} {:.0}x{:.0}",
        described.face.path.display(),
        said.collect::<Vec<_>>().join(", "),
        rect.left,
        rect.top,
        rect.width(),
        rect.height()
    );
}

fn csv(heads: &[Head], described: &[Described]) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut csv = String::from("path,face,left,top,right,bottom");
    for head in heads {
        let target = &head.about.target;
        let columns = match &head.output {
            Output::Classify { .. } => vec![target.clone(), format!("{target}_probability")],
            Output::Regress { .. } => vec![target.clone(), format!("{target}_low"), format!("{target}_high")],
        };
        columns.iter().for_each(|column| csv += &format!(",{}", quote(column)));
    }
    csv.push('\n');
    for face in described {
        let (row, rect) = (&face.face.portrait.row, &face.face.portrait.row.detection.rect);
        let path = quote(&face.face.path.display().to_string());
        csv += &format!("{path},{},{},{},{},{}", row.face, rect.left, rect.top, rect.right, rect.bottom);
        for answer in &face.answers {
            match answer {
                Answer::Class { label, probability } => csv += &format!(",{},{probability}", quote(label)),
                Answer::Number { value, low, high } => csv += &format!(",{value},{low},{high}"),
            }
        }
        csv.push('\n');
    }
    csv
}
