//! `bledsoe plot`

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail};
use bledsoe::{
    align::{Affine, warp},
    dataset::labels::Labels,
    geometry::Rect,
    photo::{Limits, Photo},
    pipeline::Counts,
    projection::{Perplexity, pca, tsne},
    report::space::{self, Space, SpacePoint, THUMBNAIL},
};
use rayon::prelude::*;
use serde_json::json;

use crate::{
    arguments::{EmbedderArgs, EngineArgs, FinderArgs},
    console,
    portraits::{Found, Inputs, Stages, embedder_of},
};

/// Show embeddings as points in space: one HTML file to turn, zoom and search, which works offline.
///
/// People are coloured by their folder, or by a column of a file of labels. Pointing at a face shows it, where its
/// photo is at hand. t-SNE keeps neighbours together; PCA keeps distances as far as it can, and takes a second.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  bledsoe plot photos/ --out space.html\n  bledsoe plot faces.parquet --photos photos/ --out space.html --png space.png"
)]
pub struct Args {
    /// Photos, a folder of photos or chips, or a table that `embed` wrote
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// The page
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A picture of the two dimensions besides
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// How to project: tsne or pca
    #[arg(long, value_enum, default_value_t = Method::Tsne)]
    method: Method,
    /// t-SNE: how many neighbours a face is to keep, about
    #[arg(long, value_name = "N", default_value_t = Perplexity::default().0)]
    perplexity: f32,
    /// t-SNE: steps
    #[arg(long, value_name = "N", default_value_t = 750)]
    epochs: usize,
    /// CSV of labels: a column of photos or people, then one a label
    #[arg(long, value_name = "FILE", requires = "colour")]
    labels: Option<PathBuf>,
    /// The column of --labels to colour by
    #[arg(long, value_name = "COLUMN", requires = "labels")]
    colour: Option<String>,
    /// Where the photos of a table are, for thumbnails
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    embedder: EmbedderArgs,
    #[command(flatten)]
    finder: FinderArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

/// How embeddings become points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    /// t-SNE
    Tsne,
    /// Principal components
    Pca,
}

/// Fewer faces than this have no neighbourhoods: they are shown by PCA.
const LEAST_TSNE: usize = 10;
/// The still's side in pixels.
const STILL: u32 = 1200;
/// Photos opened at a time for thumbnails.
const TOGETHER: usize = 256;
/// How much wider than the face a thumbnail is.
const AROUND: f32 = 1.25;

pub fn run(args: Args) -> Result<ExitCode> {
    console::check_folder(&args.out)?;
    if !(args.perplexity >= 2.0 && args.perplexity.is_finite()) || args.epochs == 0 {
        bail!("--perplexity: 2 or more, --epochs: 1 or more");
    }
    let embedder = embedder_of(&args.inputs, &args.embedder, &args.finder)?;
    let inputs = Inputs::open(&args.inputs, &embedder)?;
    let loader = args.embedder.adapter.onto(args.engine.loader_for(inputs.photos())?);
    let stages = Stages::open(&inputs, &args.finder, &loader, &embedder)?;
    let (faces, skipped) = inputs.faces(stages.as_ref(), &embedder, console::NOT_KEPT)?;
    console::tell_skipped(&skipped, None);
    let groups = groups(&faces, &args)?;
    let vectors: Vec<Vec<f32>> = faces.iter().map(|face| face.embedding.vector.clone()).collect();
    let method = if vectors.len() < LEAST_TSNE { Method::Pca } else { args.method };
    let (solid, flat) = project(&vectors, method, &args)?;
    let thumbnails = console::with_progress_of("pictures", faces.len(), console::NOT_KEPT, |monitor| {
        let mut thumbnails: Vec<Option<Photo>> = Vec::with_capacity(faces.len());
        for some in faces.chunks(TOGETHER) {
            monitor.check()?;
            thumbnails.par_extend(some.par_iter().map(|face| thumbnail(face, args.photos.as_deref())));
            (monitor.progress)(Counts { photos: thumbnails.len(), ..Counts::default() });
        }
        Ok(thumbnails)
    })?;
    let without = thumbnails.iter().filter(|thumbnail| thumbnail.is_none()).count();
    let points: Vec<SpacePoint> = faces
        .iter()
        .zip(groups)
        .zip(solid.into_iter().zip(flat).zip(thumbnails))
        .map(|((face, group), ((solid, flat), thumbnail))| SpacePoint {
            solid,
            flat,
            group,
            caption: face.portrait.row.path.clone(),
            thumbnail,
        })
        .collect();
    if let Some(png) = &args.png {
        space::still(&points, STILL)?.save(png)?;
    }
    let named: std::collections::BTreeSet<&str> = points.iter().map(|point| point.group.as_str()).collect();
    let how = if method == Method::Pca { "principal components" } else { "t-SNE" };
    let summary = format!("{} faces of {} groups, embedded by {embedder}, by {how}.", points.len(), named.len());
    let settings = json!({
        "inputs": args.inputs, "embedder": embedder, "method": how, "perplexity": args.perplexity, "epochs": args.epochs,
        "labels": args.labels, "colour": args.colour, "version": env!("CARGO_PKG_VERSION"),
    });
    let groups = named.len();
    space::write(&args.out, &Space { points, summary: summary.clone(), settings: settings.clone() })?;
    if args.json {
        console::print_json(&json!({
            "out": args.out, "png": args.png, "faces": faces.len(), "groups": groups, "without_thumbnail": without,
            "skipped": skipped, "settings": settings,
        }))?;
    } else {
        say!("{summary}\nPage: {}", args.out.display());
        if without > 0 {
            say!(
                "{without} faces have no picture{}",
                if args.photos.is_none() { ": say where the photos are with --photos" } else { "" }
            );
        }
    }
    Ok(console::exit_code(&skipped))
}

/// What each face is coloured by.
fn groups(faces: &[Found], args: &Args) -> Result<Vec<String>> {
    let person = |face: &Found| face.portrait.row.person.clone().unwrap_or_else(|| "nobody named".into());
    let (Some(file), Some(column)) = (&args.labels, &args.colour) else {
        return Ok(faces.iter().map(person).collect());
    };
    let labels = Labels::read(file)?;
    let Some(at) = labels.groupings().iter().position(|name| name == column) else {
        bail!("{}: no column {column:?}; there are {}", file.display(), labels.groupings().join(", "));
    };
    let keys: Vec<(&str, Option<&str>)> =
        faces.iter().map(|face| (face.portrait.row.path.as_str(), face.portrait.row.person.as_deref())).collect();
    let label =
        |found: &Option<&[Option<String>]>| found.and_then(|row| row[at].clone()).unwrap_or_else(|| "no label".into());
    Ok(labels.of(&keys).photos.iter().map(label).collect())
}

type Points = (Vec<[f32; 3]>, Vec<[f32; 2]>);

fn project(vectors: &[Vec<f32>], method: Method, args: &Args) -> Result<Points> {
    if method == Method::Pca {
        return Ok((pca(vectors)?, pca(vectors)?));
    }
    let perplexity = Perplexity(args.perplexity);
    console::with_progress_of("steps", 2 * args.epochs, console::NOT_KEPT, |monitor| {
        let step = |done: usize| (monitor.progress)(Counts { photos: done, ..Counts::default() });
        let solid = tsne(vectors, perplexity, args.epochs, |epoch| step(epoch + 1))?;
        Ok((solid, tsne(vectors, perplexity, args.epochs, |epoch| step(args.epochs + epoch + 1))?))
    })
}

/// The face, cut out of its photo; `None` where the photo cannot be read.
fn thumbnail(face: &Found, photos: Option<&Path>) -> Option<Photo> {
    let path = photos.map_or_else(|| face.path.clone(), |folder| folder.join(&face.portrait.row.path));
    let photo = Photo::open(&path, &Limits::default()).ok()?;
    let rect = &face.portrait.row.detection.rect;
    let side = AROUND * rect.width().max(rect.height()).max(1.0);
    let scale = THUMBNAIL as f32 / side;
    let center = Rect::center(rect);
    let shift = |middle: f32| THUMBNAIL as f32 / 2.0 - scale * middle;
    let map = Affine { m: [scale, 0.0, shift(center.x), 0.0, scale, shift(center.y)] };
    warp(&photo, &map, THUMBNAIL).to_photo().ok()
}
