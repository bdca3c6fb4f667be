//! Training a classifier from a folder of photos or chips, or from a table of embeddings.

use std::{collections::BTreeMap, path::Path};

use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::{Augmentation, ClassifierFile, ClassifierKind, augment};
use crate::{
    Error, Result,
    align::FaceChip,
    dataset::{Scan, Skipped, split::{Split, split}},
    embed::{Embedder, table::{FaceRow, Origin}},
    pipeline::{Counts, Encoded, Journal, Monitor, Source, chunks},
};

/// Chips augmented and embedded together; bounds the memory of an epoch.
const BATCH: usize = 1024;

/// How to train.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Training {
    /// The classifier and its parameters.
    pub classifier: ClassifierKind,
    /// People with fewer faces are dropped.
    pub min_images: usize,
    /// The share of each person's photos that is trained on, 0 to 1; the rest is held back for evaluation.
    pub split: f64,
    /// Passes over the training photos, each with fresh augmentation. Without augmentation one pass is made.
    pub epochs: u32,
    /// What is varied in each pass.
    pub augment: Augmentation,
    /// Decides the split and the augmentation.
    pub seed: u64,
}

/// A trained classifier and what happened on the way.
pub struct Trained {
    /// To be saved.
    pub file: ClassifierFile,
    /// Photos trained on.
    pub train_images: usize,
    /// Photos held back.
    pub held_back: usize,
    /// Embeddings the classifier was fitted to: photos times passes.
    pub samples: usize,
    /// People with too few photos, with their number of photos.
    pub dropped: BTreeMap<String, usize>,
    /// Photos without a face, and why.
    pub skipped: Vec<Skipped>,
}

/// One face with its person.
struct Face {
    path: String,
    person: String,
    sha256: String,
    chips: Vec<FaceChip>,
}

/// Trains on the photos or chips of `scan`.
///
/// Embedded epochs are kept in `partial` until training is done, so that a stopped run goes on where it was.
///
/// # Errors
/// [`Error::Invalid`] when photos are not in folders by person or fewer than two people remain,
/// [`Error::Interrupted`] when the monitor stops the run, [`Error::Engine`], [`Error::Io`].
pub fn train_photos(
    scan: &Scan,
    source: &dyn Source,
    embedder: &dyn Embedder,
    engine: &str,
    training: &Training,
    partial: &Path,
    monitor: &Monitor<'_>,
) -> Result<Trained> {
    let (faces, skipped) = gather(scan, source, monitor)?;
    let split = split_people(faces.iter().map(|f| (f.person.as_str(), f.path.as_str())), training)?;
    let train: Vec<&Face> = split.train.iter().map(|&i| &faces[i]).collect();
    let settings = json!({
        "source": source.settings(), "embedder": embedder.id(), "engine": engine, "training": training,
    });
    let journal = Journal::open(partial, true)?;
    let epochs = if training.augment.is_none() { 1 } else { training.epochs.max(1) };
    let mut vectors = Vec::new();
    for epoch in 0..epochs {
        let key = epoch_key(&settings, &train, epoch);
        let known = journal.get(&key).filter(|b| b.len() == 4 * embedder.dim() * train.len());
        match known {
            Some(bytes) => vectors.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))),
            None => {
                let pass = embed_epoch(&train, embedder, training, epoch, monitor)?;
                journal.put(&key, &pass.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())?;
                vectors.extend(pass);
            }
        }
        let photos = train.len() * (epoch as usize + 1);
        (monitor.progress)(Counts { photos, faces: photos, ..Counts::default() });
    }
    Ok(Trained { skipped, ..fit(&faces, &split, epochs as usize, vectors, embedder, settings, training)? })
}

/// Trains on the embeddings of a table, as they are: they cannot be augmented.
///
/// # Errors
/// [`Error::Invalid`] when rows name no person or fewer than two people remain.
pub fn train_table(origin: &Origin, rows: &[FaceRow], training: &Training) -> Result<Trained> {
    let faces = rows
        .iter()
        .map(|row| {
            let person = row.person.clone().ok_or_else(|| no_person(&row.path))?;
            Ok(Face { path: row.path.clone(), person, sha256: row.sha256.clone(), chips: Vec::new() })
        })
        .collect::<Result<Vec<Face>>>()?;
    let split = split_people(faces.iter().map(|f| (f.person.as_str(), f.path.as_str())), training)?;
    let vectors = split.train.iter().flat_map(|&i| rows[i].vector.iter().copied()).collect();
    let settings = json!({ "table": origin.settings, "training": training });
    let trained = fit(&faces, &split, 1, vectors, &origin.model, origin.dim, settings, training)?;
    Ok(Trained { skipped: origin.skipped.clone(), ..trained })
}

fn no_person(path: &str) -> Error {
    Error::Invalid(format!("{path}: nobody's photo: put the photos of each person in a folder of their name"))
}

/// The one face of every photo, with its chips.
fn gather(scan: &Scan, source: &dyn Source, monitor: &Monitor<'_>) -> Result<(Vec<Face>, Vec<Skipped>)> {
    let mut faces = Vec::new();
    let mut skipped = scan.skipped.clone();
    let mut counts = Counts::default();
    for range in chunks(&scan.items) {
        monitor.check()?;
        counts.photos += range.len();
        for photo in source.process(Encoded::read_all(&scan.items[range]))? {
            match photo.faces {
                Err(reason) => skipped.push(reason),
                Ok(found) => {
                    let person = photo.item.person.ok_or_else(|| no_person(&photo.item.relative))?;
                    faces.extend(found.into_iter().map(|face| Face {
                        path: photo.item.relative.clone(),
                        person: person.clone(),
                        sha256: photo.sha256.clone(),
                        chips: face.chips,
                    }));
                }
            }
        }
        counts.faces = faces.len();
        counts.skipped = skipped.len();
        (monitor.progress)(counts);
    }
    Ok((faces, skipped))
}

fn embed_epoch(
    train: &[&Face],
    embedder: &dyn Embedder,
    training: &Training,
    epoch: u32,
    monitor: &Monitor<'_>,
) -> Result<Vec<f32>> {
    let mut vectors = Vec::with_capacity(train.len() * embedder.dim());
    for (batch, faces) in train.chunks(BATCH).enumerate() {
        monitor.check()?;
        let chips: Vec<Vec<FaceChip>> = faces
            .par_iter()
            .enumerate()
            .map(|(i, face)| {
                let index = batch * BATCH + i;
                face.chips.iter().map(|c| augment(c, &training.augment, training.seed, epoch, index)).collect()
            })
            .collect();
        vectors.extend(embedder.embed(&chips)?.into_iter().flat_map(|e| e.vector));
    }
    Ok(vectors)
}
