//! Training a classifier from a folder of photos or chips, or from a table of embeddings.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Augmentation, Calibration, ClassifierFile, ClassifierKind, Draw, Guard, Image, Samples, augment, fit};
use crate::{
    Error, Result,
    align::FaceChip,
    dataset::{
        Item, Scan, Skipped,
        split::{Entry, Split, photos_per_person, split},
    },
    embed::{
        Embedder,
        table::{FaceRow, Origin},
    },
    pipeline::{self, Counts, Encoded, Journal, Monitor, Source, chunks},
};

/// How to train.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Training {
    /// The classifier and its parameters.
    pub classifier: ClassifierKind,
    /// People with fewer photos are dropped.
    pub min_images: usize,
    /// The share of each person's photos that is trained on, above 0 to 1; the rest is held back for evaluation.
    pub split: f64,
    /// Passes over the training photos, each with fresh augmentation. Without augmentation one pass is made.
    pub epochs: u32,
    /// What is varied in each pass.
    pub augment: Augmentation,
    /// Decides the split, the augmentation and the order of the solver.
    pub seed: u64,
}

/// A trained classifier and what happened on the way.
#[derive(Debug)]
pub struct Trained {
    /// To be saved.
    pub file: ClassifierFile,
    /// Embeddings the classifier was fitted to: faces times passes.
    pub samples: usize,
    /// People with too few photos, with their number of photos.
    pub dropped: BTreeMap<String, usize>,
    /// People none of whose training photos shows a face; dropped too.
    pub without_faces: Vec<String>,
    /// Photos left out, and why.
    pub skipped: Vec<Skipped>,
}

/// A training face, without its embeddings.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Face {
    /// Which of the training photos.
    photo: usize,
    sha256: String,
}

/// What the journal holds of a chunk. The embeddings follow: all faces of the first pass, then of the second, ….
#[derive(Serialize, Deserialize)]
struct Chunk {
    faces: Vec<Face>,
    skipped: Vec<Skipped>,
}

/// A photo of a known person, before it is looked at.
struct Photo {
    item: Item,
    person: String,
    sha256: String,
}

/// Trains on the photos or chips of `scan`.
///
/// People and split are decided by the files, before any face is looked for; photos of dropped people and photos held
/// back are not opened further. Embedded chunks are kept in the folder `partial` until training is done, so that a
/// stopped run goes on where it was.
///
/// # Errors
/// [`Error::Invalid`] when photos are not in folders by person, fewer than two people remain, or a parameter is out of
/// range; [`Error::Interrupted`] when the monitor stops the run; [`Error::Engine`], [`Error::Io`].
pub fn train_photos(
    scan: &Scan,
    source: &dyn Source,
    embedder: &dyn Embedder,
    engine: &str,
    training: &Training,
    partial: &Path,
    monitor: &Monitor<'_>,
) -> Result<Trained> {
    let (photos, mut skipped) = hash_files(scan, monitor)?;
    let entries: Vec<Entry> = photos.iter().map(|p| Entry { person: &p.person, sha256: &p.sha256 }).collect();
    let (parts, dropped) = choose(&entries, training)?;
    let settings = json!({
        "source": source.settings(), "embedder": embedder.id(), "engine": engine, "training": training,
    });
    let train: Vec<Item> = parts.train.iter().map(|&i| photos[i].item.clone()).collect();
    let passes = if training.augment.is_none() { 1 } else { training.epochs.max(1) };
    let journal = Journal::open(partial, true)?;
    let mut chunk_keys = Vec::new();
    let mut faces: Vec<Face> = Vec::new();
    // Photos that are not trained on count as done, so that progress is that of the whole folder.
    let left_out = scan.items.len().saturating_sub(train.len());
    let mut counts = Counts { photos: left_out, skipped: skipped.len(), ..Counts::default() };
    for range in chunks(&train) {
        monitor.check()?;
        let encoded = Encoded::read_all(&train[range.clone()]);
        let key = pipeline::key(&settings, &encoded);
        let known = journal.get(&key).and_then(|bytes| decode(&bytes, embedder.dim(), passes));
        let (chunk, _) = match known {
            Some(known) => {
                counts.resumed += range.len();
                known
            }
            None => {
                let work = Work { source, embedder, training, passes, monitor };
                let made = work.chunk(encoded, counts)?;
                journal.put(&key, &encode(&made.0, &made.1)?)?;
                made
            }
        };
        counts.photos += range.len();
        counts.faces += chunk.faces.len();
        counts.skipped += chunk.skipped.len();
        skipped.extend(chunk.skipped);
        faces.extend(chunk.faces.into_iter().map(|face| Face { photo: range.start + face.photo, ..face }));
        chunk_keys.push(key);
        (monitor.progress)(counts);
    }
    let people: Vec<&str> = faces.iter().map(|f| photos[parts.train[f.photo]].person.as_str()).collect();
    let hashes: Vec<&str> = faces.iter().map(|f| f.sha256.as_str()).collect();
    let mut matrix = Matrix::new(&people, &hashes, embedder.dim(), passes as usize);
    let mut first = 0;
    for key in chunk_keys {
        let (chunk, vectors) = journal
            .get(&key)
            .and_then(|bytes| decode(&bytes, embedder.dim(), passes))
            .ok_or_else(|| Error::format(partial, "the journal was changed during the run; run again"))?;
        matrix.fill(first, chunk.faces.len(), &vectors);
        first += chunk.faces.len();
    }
    let records = |indices: &[usize]| indices.iter().map(|&i| (&*photos[i].item.relative, entries[i])).collect();
    let (seen, held_back) = (records(&parts.train), records(&parts.held_back));
    let trained = finish(matrix, seen, held_back, dropped, embedder.id(), settings, training)?;
    journal.remove()?;
    Ok(Trained { skipped, ..trained })
}

/// Trains on the embeddings of a table, as they are: they cannot be augmented.
///
/// # Errors
/// [`Error::Invalid`] when rows name no person, fewer than two people remain, or a parameter is out of range.
pub fn train_table(origin: &Origin, rows: &[FaceRow], training: &Training) -> Result<Trained> {
    let (named, nameless): (Vec<&FaceRow>, Vec<&FaceRow>) = rows.iter().partition(|row| row.person.is_some());
    let entry = |row: &&'_ FaceRow| -> (String, String) { (row.person.clone().unwrap_or_default(), row.sha256.clone()) };
    let owned: Vec<(String, String)> = named.iter().map(entry).collect();
    let entries: Vec<Entry> = owned.iter().map(|(person, sha256)| Entry { person, sha256 }).collect();
    let (parts, dropped) = choose(&entries, training)?;
    let people: Vec<&str> = parts.train.iter().map(|&i| entries[i].person).collect();
    let hashes: Vec<&str> = parts.train.iter().map(|&i| entries[i].sha256).collect();
    let mut matrix = Matrix::new(&people, &hashes, origin.dim, 1);
    for (n, &i) in parts.train.iter().enumerate() {
        matrix.fill(n, 1, &named[i].vector);
    }
    let settings = json!({ "table": origin.settings, "training": training });
    let records = |indices: &[usize]| indices.iter().map(|&i| (&*named[i].path, entries[i])).collect();
    let (seen, held_back) = (records(&parts.train), records(&parts.held_back));
    let trained = finish(matrix, seen, held_back, dropped, &origin.model, settings, training)?;
    let skipped = origin.skipped.iter().cloned().chain(nameless.iter().map(|row| nobody(&row.path))).collect();
    Ok(Trained { skipped, ..trained })
}

fn nobody(path: &str) -> Skipped {
    Skipped {
        path: path.to_owned(),
        stage: "scan".into(),
        reason: "nobody's photo: put the photos of each person into a folder of their name".into(),
    }
}

/// Every file with its hash and person.
fn hash_files(scan: &Scan, monitor: &Monitor<'_>) -> Result<(Vec<Photo>, Vec<Skipped>)> {
    let mut skipped = scan.skipped.clone();
    let mut photos = Vec::with_capacity(scan.items.len());
    for range in chunks(&scan.items) {
        monitor.check()?;
        for encoded in Encoded::read_all(&scan.items[range]) {
            match (encoded.bytes, &encoded.item.person) {
                (Err(reason), _) => {
                    skipped.push(Skipped { path: encoded.item.relative, stage: "decode".into(), reason });
                }
                (Ok(_), None) => skipped.push(nobody(&encoded.item.relative)),
                (Ok(_), Some(person)) => {
                    photos.push(Photo { person: person.clone(), sha256: encoded.sha256, item: encoded.item });
                }
            }
        }
    }
    Ok((photos, skipped))
}

/// Drops people with too few photos, and splits the rest.
fn choose(entries: &[Entry<'_>], training: &Training) -> Result<(Split, BTreeMap<String, usize>)> {
    let (kept, dropped): (BTreeMap<_, _>, BTreeMap<_, _>) =
        photos_per_person(entries).into_iter().partition(|(_, photos)| *photos >= training.min_images);
    if kept.len() < 2 {
        return Err(Error::Invalid(format!(
            "{} people have at least {} photos, and a classifier needs two: put the photos of each person into a folder \
             of their name, add photos, or lower --min-images",
            kept.len(),
            training.min_images
        )));
    }
    let indices: Vec<usize> = (0..entries.len()).filter(|&i| kept.contains_key(entries[i].person)).collect();
    let chosen: Vec<Entry> = indices.iter().map(|&i| entries[i]).collect();
    let parts = split(&chosen, training.split, training.seed)?;
    let original = |part: Vec<usize>| part.into_iter().map(|i| indices[i]).collect();
    Ok((Split { train: original(parts.train), held_back: original(parts.held_back) }, dropped))
}

/// What a chunk needs.
struct Work<'a> {
    source: &'a dyn Source,
    embedder: &'a dyn Embedder,
    training: &'a Training,
    passes: u32,
    monitor: &'a Monitor<'a>,
}

impl Work<'_> {
    /// Finds the faces of a chunk and embeds them, varied afresh in each pass.
    fn chunk(&self, encoded: Vec<Encoded>, counts: Counts) -> Result<(Chunk, Vec<f32>)> {
        let photos = encoded.len();
        let mut chunk = Chunk { faces: Vec::new(), skipped: Vec::new() };
        let mut chips: Vec<Vec<FaceChip>> = Vec::new();
        for (photo, processed) in self.source.process(encoded)?.into_iter().enumerate() {
            match processed.faces {
                Err(reason) => chunk.skipped.push(reason),
                Ok(found) => {
                    for face in found {
                        chunk.faces.push(Face { photo, sha256: processed.sha256.clone() });
                        chips.push(face.chips);
                    }
                }
            }
        }
        let mut vectors = Vec::with_capacity(chips.len() * self.embedder.dim() * self.passes as usize);
        for pass in 0..self.passes {
            self.monitor.check()?;
            let varied: Vec<Vec<FaceChip>> = chips
                .par_iter()
                .zip(&chunk.faces)
                .map(|(chips, face)| {
                    let draw = Draw::new(self.training.seed, pass, &face.sha256);
                    chips.iter().map(|chip| augment(chip, &self.training.augment, &draw)).collect()
                })
                .collect::<Result<_>>()?;
            vectors.extend(self.embedder.embed(&varied)?.into_iter().flat_map(|e| e.vector));
            let share = photos * (pass as usize + 1) / self.passes as usize;
            (self.monitor.progress)(Counts { photos: counts.photos + share, ..counts });
        }
        Ok((chunk, vectors))
    }
}

fn encode(chunk: &Chunk, vectors: &[f32]) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(chunk).map_err(|e| Error::Invalid(e.to_string()))?;
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json);
    bytes.extend(vectors.iter().flat_map(|v| v.to_le_bytes()));
    Ok(bytes)
}

fn decode(bytes: &[u8], dim: usize, passes: u32) -> Option<(Chunk, Vec<f32>)> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (json, vectors) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let chunk: Chunk = serde_json::from_slice(json).ok()?;
    let vectors: Vec<f32> = vectors.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    (vectors.len() == chunk.faces.len() * dim * passes as usize).then_some((chunk, vectors))
}

/// The training matrix while it is filled: rows by class, then photo, then face, then pass.
struct Matrix<'a> {
    dim: usize,
    passes: usize,
    vectors: Vec<f32>,
    /// The first row of each face, in the order given.
    places: Vec<usize>,
    classes: Vec<&'a str>,
    counts: Vec<usize>,
    photos: Vec<u32>,
}

impl<'a> Matrix<'a> {
    /// Room for one face each of `people`, in photos of these hashes.
    fn new(people: &[&'a str], hashes: &[&str], dim: usize, passes: usize) -> Self {
        let classes: Vec<&str> = people.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut numbers = HashMap::new();
        let photos: Vec<u32> = hashes
            .iter()
            .map(|&hash| {
                let next = numbers.len() as u32;
                *numbers.entry(hash).or_insert(next)
            })
            .collect();
        let mut order: Vec<usize> = (0..people.len()).collect();
        order.sort_by_key(|&i| (people[i], photos[i], i));
        let mut matrix = Self {
            dim,
            passes,
            vectors: vec![0.0; people.len() * passes * dim],
            places: vec![0; people.len()],
            counts: vec![0; classes.len()],
            photos: Vec::with_capacity(people.len() * passes),
            classes,
        };
        for (place, face) in order.into_iter().enumerate() {
            matrix.places[face] = place * passes;
            matrix.photos.extend(std::iter::repeat_n(photos[face], passes));
            if let Ok(class) = matrix.classes.binary_search(&people[face]) {
                matrix.counts[class] += passes;
            }
        }
        matrix
    }

    /// Puts in the embeddings of `faces` faces from number `first` on: all of the first pass, then of the second, ….
    fn fill(&mut self, first: usize, faces: usize, vectors: &[f32]) {
        for (row, vector) in vectors.chunks_exact(self.dim).enumerate() {
            let (pass, face) = (row / faces, row % faces);
            let place = self.places[first + face] + pass;
            self.vectors[place * self.dim..][..self.dim].copy_from_slice(vector);
        }
    }
}

type Record<'a> = (&'a str, Entry<'a>);

/// Fits classifier and guard.
fn finish(
    matrix: Matrix<'_>,
    seen: Vec<Record<'_>>,
    held_back: Vec<Record<'_>>,
    dropped: BTreeMap<String, usize>,
    embedder: &str,
    settings: serde_json::Value,
    training: &Training,
) -> Result<Trained> {
    let classes: Vec<String> = matrix.classes.iter().map(|&c| c.to_owned()).collect();
    let people: BTreeSet<&str> = seen.iter().map(|(_, entry)| entry.person).collect();
    let without_faces = people.into_iter().filter(|p| matrix.classes.binary_search(p).is_err()).map(Into::into).collect();
    let images = |records: Vec<Record<'_>>| -> Vec<Image> {
        let image = |(path, entry): Record<'_>| {
            let class = matrix.classes.binary_search(&entry.person).ok()?;
            Some(Image { path: path.to_owned(), sha256: entry.sha256.to_owned(), class })
        };
        records.into_iter().filter_map(image).collect()
    };
    let (trained, held_back) = (images(seen), images(held_back));
    let samples = Samples::new(matrix.dim, matrix.vectors, &matrix.counts, matrix.photos)?;
    let fitted = fit(&training.classifier, &samples, training.seed)?;
    let (guard, rates) = Guard::fit(&samples.one_a_photo()?);
    let file = ClassifierFile {
        bledsoe: env!("CARGO_PKG_VERSION").to_owned(),
        embedder: embedder.to_owned(),
        models: ClassifierFile::models_of(embedder)?,
        settings,
        kind: training.classifier.clone(),
        classes,
        calibration: Calibration::new(&fitted.held_out, rates),
        trained,
        held_back,
        model: fitted.model,
        guard,
    };
    Ok(Trained { file, samples: samples.len(), dropped, without_faces, skipped: Vec::new() })
}
