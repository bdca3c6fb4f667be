//! Gathering what is trained on: the training photos of a folder, embedded in every pass, or the rows of a table.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Augmentation, Draw, Image, Samples, Training, augment};
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
    fingerprint::PictureHash,
    photo::{self, Limits, Reduction},
    pipeline::{self, Counts, Encoded, Journal, Monitor, Source, chunks},
};

/// Pixels that a picture's hash is made of, along the shorter side, at least.
const HASHED: u32 = 128;

/// One pass over the training photos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Pass {
    /// What is varied.
    pub augment: Augmentation,
    /// Numbers the passes of one augmentation, so that each draws anew.
    pub number: u32,
}

/// So many passes, each freshly augmented; one where nothing is varied.
pub(super) fn passes(augment: Augmentation, epochs: u32) -> Vec<Pass> {
    let n = if augment.is_none() { 1 } else { epochs.max(1) };
    (0..n).map(|number| Pass { augment, number }).collect()
}

/// Photos to train on, as embeddings, and all that a classifier's file remembers of them.
#[derive(Debug)]
pub struct Gathered {
    /// The embedder's id.
    pub(super) embedder: String,
    /// The people, sorted.
    pub(super) classes: Vec<String>,
    /// Rows by class, then photo, then face, then pass.
    pub(super) samples: Samples,
    /// The hash of each face's picture, in the order of the rows, where pictures were hashed and have one.
    pub(super) pictures: Vec<Option<PictureHash>>,
    /// What was looked at, and how.
    pub(super) settings: serde_json::Value,
    pub(super) trained: Vec<Image>,
    pub(super) held_back: Vec<Image>,
    pub(super) dropped: BTreeMap<String, usize>,
    pub(super) without_faces: Vec<String>,
    pub(super) skipped: Vec<Skipped>,
    /// Removed when the classifier is fitted.
    pub(super) journal: Option<Journal>,
}

/// A training face, without its embeddings.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Face {
    /// Which of the training photos.
    photo: usize,
    sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picture: Option<PictureHash>,
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

/// The photos or chips of `scan` that `training` takes, embedded.
pub(super) fn gather_photos(
    scan: &Scan,
    embedding: &Embedding<'_>,
    training: &Training,
    partial: &Path,
    monitor: &Monitor<'_>,
) -> Result<Gathered> {
    let Embedding { source, embedder, engine, passes, hash_pictures } = *embedding;
    let (photos, mut skipped) = hash_files(scan, monitor)?;
    let entries: Vec<Entry> = photos.iter().map(|p| Entry { person: &p.person, sha256: &p.sha256 }).collect();
    let (parts, dropped) = choose(&entries, training)?;
    let settings = json!({ "source": source.settings(), "embedder": embedder.settings(), "engine": engine });
    let work = Work { embedding, seed: training.seed, monitor };
    let keyed = json!({ "of": settings, "passes": passes, "seed": training.seed, "hash_pictures": hash_pictures });
    let train: Vec<Item> = parts.train.iter().map(|&i| photos[i].item.clone()).collect();
    let journal = Journal::open(partial, true)?;
    let mut chunk_keys = Vec::new();
    let mut faces: Vec<Face> = Vec::new();
    // Photos that are not trained on count as done, so that progress is that of the whole folder.
    let left_out = scan.items.len().saturating_sub(train.len());
    let mut counts = Counts { photos: left_out, skipped: skipped.len(), ..Counts::default() };
    for range in chunks(&train) {
        monitor.check()?;
        let encoded = Encoded::read_all(&train[range.clone()]);
        let key = pipeline::key(&keyed, &encoded);
        let known = journal.get(&key).and_then(|bytes| decode(&bytes, embedder.dim(), passes.len()));
        let (chunk, _) = match known {
            Some(known) => {
                counts.resumed += range.len();
                known
            }
            None => {
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
    let mut matrix = Matrix::new(&people, &hashes, embedder.dim(), passes.len());
    let mut first = 0;
    for key in chunk_keys {
        let (chunk, vectors) = journal
            .get(&key)
            .and_then(|bytes| decode(&bytes, embedder.dim(), passes.len()))
            .ok_or_else(|| Error::format(partial, "the journal was changed during the run; run again"))?;
        matrix.fill(first, chunk.faces.len(), &vectors);
        first += chunk.faces.len();
    }
    let records = |indices: &[usize]| indices.iter().map(|&i| (&*photos[i].item.relative, entries[i])).collect();
    let (seen, held_back) = (records(&parts.train), records(&parts.held_back));
    let pictures: Vec<Option<PictureHash>> = faces.iter().map(|face| face.picture).collect();
    let gathered = matrix.gather(&pictures, seen, held_back, dropped, embedder.id(), settings)?;
    Ok(Gathered { skipped, journal: Some(journal), ..gathered })
}

/// The rows of a table that `training` takes.
pub(super) fn gather_table(origin: &Origin, rows: &[FaceRow], training: &Training) -> Result<Gathered> {
    let (named, nameless): (Vec<&FaceRow>, Vec<&FaceRow>) = rows.iter().partition(|row| row.person.is_some());
    let entry =
        |row: &&'_ FaceRow| -> (String, String) { (row.person.clone().unwrap_or_default(), row.sha256.clone()) };
    let owned: Vec<(String, String)> = named.iter().map(entry).collect();
    let entries: Vec<Entry> = owned.iter().map(|(person, sha256)| Entry { person, sha256 }).collect();
    let (parts, dropped) = choose(&entries, training)?;
    let people: Vec<&str> = parts.train.iter().map(|&i| entries[i].person).collect();
    let hashes: Vec<&str> = parts.train.iter().map(|&i| entries[i].sha256).collect();
    let mut matrix = Matrix::new(&people, &hashes, origin.dim, 1);
    for (n, &i) in parts.train.iter().enumerate() {
        matrix.fill(n, 1, &named[i].vector);
    }
    let settings = json!({ "table": origin.settings });
    let records = |indices: &[usize]| indices.iter().map(|&i| (&*named[i].path, entries[i])).collect();
    let (seen, held_back) = (records(&parts.train), records(&parts.held_back));
    let pictures = vec![None; parts.train.len()];
    let gathered = matrix.gather(&pictures, seen, held_back, dropped, &origin.model, settings)?;
    let skipped = origin.skipped.iter().cloned().chain(nameless.iter().map(|row| nobody(&row.path))).collect();
    Ok(Gathered { skipped, ..gathered })
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

/// How photos become embeddings.
#[derive(Clone, Copy)]
pub(super) struct Embedding<'a> {
    pub source: &'a dyn Source,
    pub embedder: &'a dyn Embedder,
    /// For the settings.
    pub engine: &'a str,
    pub passes: &'a [Pass],
    /// Whether near-duplicates will be looked for.
    pub hash_pictures: bool,
}

/// What a chunk needs.
struct Work<'a> {
    embedding: &'a Embedding<'a>,
    seed: u64,
    monitor: &'a Monitor<'a>,
}

impl Work<'_> {
    /// Finds the faces of a chunk and embeds them, varied afresh in each pass.
    fn chunk(&self, encoded: Vec<Encoded>, counts: Counts) -> Result<(Chunk, Vec<f32>)> {
        let Embedding { source, embedder, passes, hash_pictures, .. } = *self.embedding;
        let photos = encoded.len();
        let mut pictures: Vec<Option<PictureHash>> =
            if hash_pictures { encoded.par_iter().map(picture).collect() } else { vec![None; photos] };
        let mut chunk = Chunk { faces: Vec::new(), skipped: Vec::new() };
        let mut chips: Vec<Vec<FaceChip>> = Vec::new();
        for (photo, processed) in source.process(encoded)?.into_iter().enumerate() {
            match processed.faces {
                Err(reason) => chunk.skipped.push(reason),
                Ok(found) => {
                    for face in found {
                        let picture = pictures.get_mut(photo).and_then(Option::take);
                        chunk.faces.push(Face { photo, sha256: processed.sha256.clone(), picture });
                        chips.push(face.chips);
                    }
                }
            }
        }
        let mut vectors = Vec::with_capacity(chips.len() * embedder.dim() * passes.len());
        for (n, pass) in passes.iter().enumerate() {
            self.monitor.check()?;
            let varied: Vec<Vec<FaceChip>> = chips
                .par_iter()
                .zip(&chunk.faces)
                .map(|(chips, face)| {
                    let draw = Draw::new(self.seed, pass.number, &face.sha256);
                    chips.iter().map(|chip| augment(chip, &pass.augment, &draw)).collect()
                })
                .collect::<Result<_>>()?;
            vectors.extend(embedder.embed(&varied)?.into_iter().flat_map(|e| e.vector));
            let share = photos * (n + 1) / passes.len();
            (self.monitor.progress)(Counts { photos: counts.photos + share, ..counts });
        }
        Ok((chunk, vectors))
    }
}

/// The hash of a photo's picture; `None` for one that cannot be decoded, which is told where its face is looked for.
fn picture(encoded: &Encoded) -> Option<PictureHash> {
    let bytes = encoded.bytes.as_ref().ok()?;
    let (width, height) = photo::Header::of(bytes).size;
    let reduction = Reduction::within((width.min(height) / HASHED) as f32);
    PictureHash::of(&photo::Photo::decode_reduced(bytes, &Limits::default(), reduction).ok()?.photo)
}

fn encode(chunk: &Chunk, vectors: &[f32]) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(chunk).map_err(|e| Error::Invalid(e.to_string()))?;
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json);
    bytes.extend(vectors.iter().flat_map(|v| v.to_le_bytes()));
    Ok(bytes)
}

fn decode(bytes: &[u8], dim: usize, passes: usize) -> Option<(Chunk, Vec<f32>)> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (json, vectors) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let chunk: Chunk = serde_json::from_slice(json).ok()?;
    let vectors: Vec<f32> = vectors.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    (vectors.len() == chunk.faces.len() * dim * passes).then_some((chunk, vectors))
}

/// The training matrix while it is filled: rows by class, then photo, then face, then pass.
struct Matrix<'a> {
    dim: usize,
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

    /// The matrix with what is remembered of its photos; `pictures` are in the order that the people were given in.
    fn gather(
        self,
        pictures: &[Option<PictureHash>],
        seen: Vec<Record<'_>>,
        held_back: Vec<Record<'_>>,
        dropped: BTreeMap<String, usize>,
        embedder: &str,
        settings: serde_json::Value,
    ) -> Result<Gathered> {
        let people: BTreeSet<&str> = seen.iter().map(|(_, entry)| entry.person).collect();
        let without_faces =
            people.into_iter().filter(|p| self.classes.binary_search(p).is_err()).map(Into::into).collect();
        let images = |records: Vec<Record<'_>>| -> Vec<Image> {
            let image = |(path, entry): Record<'_>| {
                let class = self.classes.binary_search(&entry.person).ok()?;
                Some(Image { path: path.to_owned(), sha256: entry.sha256.to_owned(), class })
            };
            records.into_iter().filter_map(image).collect()
        };
        let (trained, held_back) = (images(seen), images(held_back));
        let mut placed: Vec<(usize, Option<PictureHash>)> =
            self.places.iter().copied().zip(pictures.iter().copied()).collect();
        placed.sort_by_key(|(place, _)| *place);
        Ok(Gathered {
            embedder: embedder.to_owned(),
            classes: self.classes.iter().map(|&c| c.to_owned()).collect(),
            samples: Samples::new(self.dim, self.vectors, &self.counts, self.photos)?,
            pictures: placed.into_iter().map(|(_, picture)| picture).collect(),
            settings,
            trained,
            held_back,
            dropped,
            without_faces,
            skipped: Vec::new(),
            journal: None,
        })
    }
}

/// A photo's path, and whose it is.
type Record<'a> = (&'a str, Entry<'a>);
