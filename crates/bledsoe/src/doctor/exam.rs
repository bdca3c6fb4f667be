//! Examining photos: everything that the findings need to know of each, in one pass over the files.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::{
    Error, Result,
    align::{Template, warp},
    dataset::{Item, Scan, Skipped},
    detect::{Detection, Select},
    embed::{
        Embedder,
        table::{FaceRow, Origin},
    },
    fingerprint::{Fingerprint, PictureHash},
    geometry::Rect,
    landmark::Landmarks,
    model::Registry,
    photo::Photo,
    pipeline::{Counts, Encoded, Finder, Monitor, chunks},
    quality::{Pose, sharpness},
};

/// What is known of one photo.
#[derive(Debug, Clone)]
pub struct Exam {
    /// Its path below the folder, with `/` between folders.
    pub path: String,
    /// Who it is, by its folder.
    pub person: Option<String>,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Hash of the whole picture; `None` for a flat one.
    pub picture: Option<PictureHash>,
    /// All faces found; `None` where only the chosen one is known (from a table of embeddings).
    pub faces: Option<Vec<Rect>>,
    /// The face nearest to the centre.
    pub subject: Option<Subject>,
}

/// The face that a photo is about: the one nearest to its centre.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Where it is.
    pub rect: Rect,
    /// How it is turned.
    pub pose: Option<Pose>,
    /// How sharp it is: see [`sharpness`].
    pub sharpness: f32,
    /// The picture around it.
    pub fingerprint: Option<Fingerprint>,
    /// Its embedding, unit length.
    pub vector: Vec<f32>,
}

/// What a look at a decoded photo gives.
struct Looked {
    size: (u32, u32),
    picture: Option<PictureHash>,
    faces: Vec<Rect>,
    pose: Option<Pose>,
    sharpness: f32,
    fingerprint: Option<Fingerprint>,
}

/// Looks at a photo whose subject has these landmarks, if it has one.
fn look(photo: &Photo, faces: &[Detection], subject: Option<&Landmarks>, template: &Template) -> Looked {
    let map = subject.and_then(|landmarks| template.fit(landmarks, template.size()).ok());
    Looked {
        size: (photo.width(), photo.height()),
        picture: PictureHash::of(photo),
        faces: faces.iter().map(|face| face.rect).collect(),
        pose: subject.and_then(Pose::of),
        sharpness: map.map_or(0.0, |map| sharpness(&warp(photo, &map, template.size()))),
        fingerprint: subject.and_then(|landmarks| Fingerprint::of(photo, landmarks, template)),
    }
}

/// Embeddings made earlier, found again by the content of the photos.
pub struct Known {
    model: String,
    /// Whether the table holds every face of each photo.
    all_faces: bool,
    rows: HashMap<String, Vec<FaceRow>>,
}

impl Known {
    /// The faces of a table that `embed` wrote.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a table of chips or of the largest faces: the doctor looks at photos, and at the face
    /// nearest to the centre.
    pub fn new(origin: &Origin, rows: Vec<FaceRow>) -> Result<Self> {
        let source = &origin.settings["source"];
        let all_faces = source["select"] == "all";
        if !all_faces && source["select"] != "center" {
            return Err(Error::Mismatch(
                "the table is not of photos with --select center or all: leave --embeddings out, or embed the photos anew"
                    .into(),
            ));
        }
        let mut by_content: HashMap<String, Vec<FaceRow>> = HashMap::with_capacity(rows.len());
        for row in rows {
            let faces = by_content.entry(row.sha256.clone()).or_default();
            // The same file under two names has the same rows twice.
            if faces.iter().all(|known| known.face != row.face) {
                faces.push(row);
            }
        }
        Ok(Self { model: origin.model.clone(), all_faces, rows: by_content })
    }
}

/// Examines every photo of `scan`, chunk by chunk. Photos that `known` holds are only decoded; `finder` takes the face
/// nearest to the centre ([`Select::Center`]) and cuts out the chips of `embedder`.
///
/// The second of the pair lists the photos that could not be read or decoded. A photo without a face is no failure: it
/// has an exam without a subject.
///
/// # Errors
/// [`Error::Interrupted`] when the monitor stops the run, [`Error::Mismatch`] when `known` is of another embedder or
/// `finder` takes other faces, [`Error::Engine`].
pub fn examine(
    scan: &Scan,
    finder: &Finder,
    embedder: &dyn Embedder,
    known: Option<&Known>,
    monitor: &Monitor<'_>,
) -> Result<(Vec<Exam>, Vec<Skipped>)> {
    if finder.select != Select::Center {
        return Err(Error::Mismatch("the doctor looks at the face nearest to the centre: use --select center".into()));
    }
    if let Some(known) = known.filter(|known| known.model != embedder.id()) {
        return Err(Error::Mismatch(format!(
            "the table's embeddings are of {}, not of {}: name it with --embedder",
            known.model,
            embedder.id()
        )));
    }
    let template = Registry::embedded()?.template("arcface")?;
    let mut exams = Vec::with_capacity(scan.items.len());
    let mut skipped = scan.skipped.clone();
    let mut counts = Counts { skipped: skipped.len(), ..Counts::default() };
    for range in chunks(&scan.items) {
        monitor.check()?;
        let photos = Encoded::read_all(&scan.items[range.clone()]);
        for exam in chunk(photos, finder, embedder, known, template)? {
            match exam {
                Ok(exam) => {
                    counts.faces += usize::from(exam.subject.is_some());
                    exams.push(exam);
                }
                Err(reason) => skipped.push(reason),
            }
        }
        counts.photos += range.len();
        counts.skipped = skipped.len();
        (monitor.progress)(counts);
    }
    Ok((exams, skipped))
}

/// The exams of a chunk, in order.
fn chunk(
    photos: Vec<Encoded>,
    finder: &Finder,
    embedder: &dyn Embedder,
    known: Option<&Known>,
    template: &Template,
) -> Result<Vec<Result<Exam, Skipped>>> {
    let order: Vec<String> = photos.iter().map(|photo| photo.item.relative.clone()).collect();
    let bytes: HashMap<String, u64> = photos
        .iter()
        .map(|photo| (photo.item.relative.clone(), photo.bytes.as_ref().map_or(0, |b| b.len() as u64)))
        .collect();
    let size_of = |item: &Item| bytes.get(&item.relative).copied().unwrap_or_default();
    let (old, new): (Vec<Encoded>, Vec<Encoded>) =
        photos.into_iter().partition(|photo| known.is_some_and(|known| known.rows.contains_key(&photo.sha256)));

    let mut exams: HashMap<String, Result<Exam, Skipped>> = match known {
        None => HashMap::new(),
        Some(known) => old
            .par_iter()
            .map(|photo| (photo.item.relative.clone(), recall(photo, finder, known, template, size_of(&photo.item))))
            .collect(),
    };

    let examined = finder.examine(new, |photo, faces, chosen| {
        look(photo, faces, chosen.first().map(|face| &face.landmarks), template)
    })?;
    let mut chips = Vec::new();
    let mut found = Vec::with_capacity(examined.len());
    for (processed, looked) in examined {
        let face = match processed.faces {
            Ok(faces) => faces.into_iter().next(),
            // A photo in which no face is found is a finding, not a failure.
            Err(skipped) if looked.is_none() => {
                exams.insert(processed.item.relative, Err(skipped));
                continue;
            }
            Err(_) => None,
        };
        let rect = face.map(|face| {
            chips.push(face.chips);
            face.detection.rect
        });
        if let Some(looked) = looked {
            found.push((processed.item, processed.sha256, looked, rect));
        }
    }
    let mut vectors = embedder.embed(&chips)?.into_iter();
    for (item, sha256, looked, rect) in found {
        let bytes = size_of(&item);
        let vector = rect.and_then(|rect| Some((rect, vectors.next()?.vector)));
        let faces = Some(looked.faces.clone());
        exams.insert(item.relative.clone(), Ok(exam(item, sha256, bytes, looked, faces, vector)));
    }
    Ok(order.iter().filter_map(|path| exams.remove(path)).collect())
}

fn exam(
    item: Item,
    sha256: String,
    bytes: u64,
    looked: Looked,
    faces: Option<Vec<Rect>>,
    face: Option<(Rect, Vec<f32>)>,
) -> Exam {
    let Looked { size, picture, pose, sharpness, fingerprint, .. } = looked;
    let subject = face.map(|(rect, vector)| Subject { rect, pose, sharpness, fingerprint, vector });
    Exam { path: item.relative, person: item.person, sha256, bytes, size, picture, faces, subject }
}

/// The exam of a photo whose faces are known.
fn recall(encoded: &Encoded, finder: &Finder, known: &Known, template: &Template, bytes: u64) -> Result<Exam, Skipped> {
    let skip = |reason: String| Skipped { path: encoded.item.relative.clone(), stage: "decode".into(), reason };
    let content = encoded.bytes.as_ref().map_err(|reason| skip(reason.clone()))?;
    let photo = Photo::decode(content, &finder.limits).map_err(|e| skip(e.reason()))?;
    let rows = known.rows.get(&encoded.sha256).map(Vec::as_slice).unwrap_or_default();
    let faces: Vec<Detection> = rows.iter().map(|row| row.detection.clone()).collect();
    let chosen = Select::Center.choose(faces.clone(), photo.width(), photo.height());
    let row = chosen.first().and_then(|face| rows.iter().find(|row| row.detection == *face));
    let looked = look(&photo, &faces, row.map(|row| &row.landmarks), template);
    let rects = known.all_faces.then(|| looked.faces.clone());
    let face = row.map(|row| (row.detection.rect, row.vector.clone()));
    Ok(exam(encoded.item.clone(), encoded.sha256.clone(), bytes, looked, rects, face))
}
