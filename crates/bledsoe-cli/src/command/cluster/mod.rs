//! `bledsoe cluster`

mod knowledge;
mod output;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail};
use bledsoe::{
    cluster::{self, Clustering, Method, Options},
    evaluate::clustering::{Agreement, agreement},
    geometry::Rect,
    pipeline::Counts,
};
use serde_json::json;

use self::{knowledge::Faces, output::Output};
use crate::{
    arguments::{EmbedderArgs, EngineArgs, FinderArgs, is_table},
    console,
    gallery::{GalleryArgs, shown},
    portraits::{Found, Inputs, Stages, embedder_given, embedder_of},
};

/// Below this probability, a face is shown apart.
const DOUBTFUL: f64 = 0.9;

/// Put the faces of unlabelled photos together by person.
///
/// How alike two faces must be to count as one person is calibrated to the faces at hand: the more there are, the more
/// alike. Two faces of one photo are two people. Writes DIR/clusters.csv, a folder with links to the photos for each
/// person, and DIR/clusters.html, where doubtful faces are shown apart. Correct what is wrong, by --same and
/// --different or in clusters.csv, and give that as --known: names and corrections stay, also when photos are added.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    bledsoe cluster photos --out people\n  \
    bledsoe cluster photos --out people2 --known people/clusters.csv --different wrong.csv\n  \
    bledsoe cluster lfw.parquet --photos lfw/images --out people --evaluate --json")]
pub struct Args {
    /// Photos, folders of photos or chips, or tables that `embed` wrote
    #[arg(required = true, value_name = "DIR")]
    inputs: Vec<PathBuf>,
    /// Folder for the result; it must be new or empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Method: agglomerative (average linkage), whispers (Chinese whispers), dbscan or hdbscan
    #[arg(long, default_value = "agglomerative", value_name = "NAME")]
    method: Method,
    /// Similarity that the method goes by (calibrated if absent; needed for an embedder of your own)
    #[arg(long, value_name = "SIMILARITY", allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// CSV of pairs of photos that show one person: two columns; `photo.jpg#1` is the second face of a photo
    #[arg(long, value_name = "FILE.csv")]
    same: Option<PathBuf>,
    /// CSV of pairs of photos that show two people
    #[arg(long, value_name = "FILE.csv")]
    different: Option<PathBuf>,
    /// People known before: an earlier clusters.csv, or a gallery. They keep their names
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// The folder where the photos of a table lie, for links and pictures
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// Copy photos instead of linking to them
    #[arg(long)]
    copy: bool,
    /// Compare with the people whom the photos' folders name; of photos with one face
    #[arg(long)]
    evaluate: bool,
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

/// A face to be put with others: what is kept of a portrait.
struct Item {
    /// The photo, as the user would name it.
    path: String,
    /// Its file, if it is known.
    file: Option<PathBuf>,
    face: u32,
    rect: Rect,
    person: Option<String>,
    vector: Vec<f32>,
}

impl Item {
    fn new(found: Found, args: &Args) -> Self {
        let row = found.portrait.row;
        // Only of a table the path is not where the photo is.
        let file = match &args.photos {
            Some(photos) if !found.path.exists() => photos.join(&row.path),
            _ => found.path.clone(),
        };
        Self {
            path: found.path.display().to_string(),
            file: file.exists().then_some(file),
            face: row.face,
            rect: row.detection.rect,
            person: row.person,
            vector: found.embedding.vector,
        }
    }
}

pub fn run(args: Args) -> Result<ExitCode> {
    output::check(&args.out, args.copy)?;
    let gallery =
        args.known.as_deref().filter(|known| !is_csv(known)).map(|known| args.opening.open(known)).transpose()?;
    let embedder = match &gallery {
        Some(gallery) => embedder_given(&gallery.store().model().id, &args.embedder, &args.finder)?,
        None => embedder_of(&args.inputs, &args.embedder, &args.finder)?,
    };
    let inputs = Inputs::open(&args.inputs, &embedder)?;
    let loader = args.embedder.adapter.onto(args.engine.loader_for(inputs.photos())?);
    let finder = args.finder.or_all();
    let stages = Stages::open(&inputs, &finder, &loader, &embedder)?;
    let (found, skipped) = inputs.faces(stages.as_ref(), &embedder, console::EMBED_FIRST)?;
    let items: Vec<Item> = found.into_iter().map(|found| Item::new(found, &args)).collect();
    drop(stages);
    if items.is_empty() {
        console::tell_skipped(&skipped, None);
        bail!("no face was found");
    }

    let faces = Faces::new(&items);
    let known = faces.knowledge(&args, gallery.as_ref())?;
    let options = Options { method: args.method, threshold: args.threshold, false_links: None };
    let clustering = console::with_progress(items.len(), console::EMBED_FIRST, |monitor| {
        cluster::cluster(&embedder, &faces.faces(), &known, &options, &mut |done, _| {
            (monitor.progress)(Counts { photos: done, faces: done, ..Counts::default() });
            monitor.check()
        })
    })?;
    let settings = json!({
        "method": args.method, "threshold": clustering.threshold, "calibrated": clustering.calibrated, "embedder": embedder,
        "finder": args.inputs.iter().any(|input| !is_table(input)).then(|| finder.detector()), "engine": loader.engine(),
        "known": args.known.as_deref().map(shown), "same": args.same, "different": args.different,
        "bledsoe": env!("CARGO_PKG_VERSION"),
    });
    let scores = if args.evaluate { Some(evaluate(&items, &clustering)?) } else { None };
    let output = Output::new(&items, &clustering);
    let summary = output.summary();
    let unlinked = output.write(&args.out, args.copy, &summary, &settings)?;
    console::tell_skipped(&skipped, None);
    if args.json {
        let mut result = json!({
            "out": args.out, "faces": items.len(), "people": output.people(), "alone": output.alone(),
            "doubtful": output.doubtful(), "threshold": clustering.threshold, "calibrated": clustering.calibrated,
            "photos_not_linked": unlinked, "skipped": skipped, "settings": settings,
        });
        if let Some((scores, left_out)) = &scores {
            result["scores"] = json!(scores);
            result["scores"]["left_out"] = json!(left_out);
        }
        console::print_json(&result)?;
    } else {
        tell(&args, &clustering, &summary, unlinked, scores);
    }
    Ok(console::exit_code(&skipped))
}

fn is_csv(file: &Path) -> bool {
    file.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"))
}

/// The scores, and how many faces they are without: those of photos with several faces or of nobody.
fn evaluate(items: &[Item], clustering: &Clustering) -> Result<(Agreement, usize)> {
    let mut faces: HashMap<&str, usize> = HashMap::new();
    items.iter().for_each(|item| *faces.entry(&item.path).or_default() += 1);
    let labelled = items.iter().zip(&clustering.clusters).filter(|(item, _)| faces[&*item.path] == 1);
    let (people, clusters): (Vec<&str>, Vec<usize>) =
        labelled.filter_map(|(item, &cluster)| Some((item.person.as_deref()?, cluster))).unzip();
    if people.is_empty() {
        bail!("--evaluate: no photo lies in a folder that names its one person");
    }
    Ok((agreement(&people, &clusters)?, items.len() - people.len()))
}

fn tell(args: &Args, clustering: &Clustering, summary: &str, unlinked: usize, scores: Option<(Agreement, usize)>) {
    say!("{summary}");
    let from = if clustering.calibrated { "calibrated to these faces" } else { "as given" };
    say!("{} clusters at a similarity of {:.3}, {from}", args.method.clusterer().name(), clustering.threshold);
    if let Some((scores, left_out)) = scores {
        for (name, score) in [("pairwise", scores.pairwise), ("BCubed", scores.bcubed)] {
            say!("{name} F {:.4} (precision {:.4}, recall {:.4})", score.f, score.precision, score.recall);
        }
        say!("  of {} faces of {} people; {left_out} left out", scores.faces, scores.people);
    }
    if unlinked > 0 {
        say!(
            "{unlinked} photos are not where they were said to be and have no link: --photos says where those of a table are"
        );
    }
    say!("see {}", args.out.join(output::SHEET).display());
}
