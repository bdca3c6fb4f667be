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
        "source": source.settings(), "embedder": embedder.settings(), "engine": engine, "training": training,
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
    let without_faces =
        people.into_iter().filter(|p| matrix.classes.binary_search(p).is_err()).map(Into::into).collect();
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

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use super::*;
    use crate::{
        align::{Affine, Template},
        classify::test_photos,
        dataset::scan,
        detect::Detection,
        embed::Embedding,
        geometry::Rect,
        landmark::{Landmarks, Scheme},
        pipeline::{FoundFace, Processed},
    };

    /// Takes the first three bytes of a file for the colour of a face; a shorter file shows none.
    struct Colours;

    impl Source for Colours {
        fn process(&self, photos: Vec<Encoded>) -> Result<Vec<Processed>> {
            let face = |rgb: &[u8]| FoundFace {
                detection: Detection {
                    rect: Rect { left: 0.0, top: 0.0, right: 8.0, bottom: 8.0 },
                    score: 1.0,
                    points: None,
                },
                landmarks: Landmarks { scheme: Scheme::Arcface5, points: Vec::new() },
                chips: vec![FaceChip {
                    size: 8,
                    rgb: rgb.repeat(64),
                    transform: Affine { m: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] },
                }],
            };
            let one = |encoded: Encoded| {
                let path = encoded.item.relative.clone();
                let skipped = Skipped { path, stage: "detect".into(), reason: "no face found".into() };
                let faces = match encoded.bytes.as_deref().ok().and_then(|bytes| bytes.get(..3)) {
                    Some(rgb) => Ok(vec![face(rgb)]),
                    None => Err(skipped),
                };
                Processed { item: encoded.item, sha256: encoded.sha256, faces, seen: Vec::new() }
            };
            Ok(photos.into_iter().map(one).collect())
        }

        fn settings(&self) -> serde_json::Value {
            json!("colours")
        }
    }

    /// Embeds a chip as its mean colour, and counts the chips.
    struct Mean(AtomicUsize);

    impl Embedder for Mean {
        fn id(&self) -> &str {
            "mean"
        }
        fn dim(&self) -> usize {
            3
        }
        fn templates(&self) -> &[Template] {
            &[]
        }
        fn embed(&self, faces: &[Vec<FaceChip>]) -> Result<Vec<Embedding>> {
            self.0.fetch_add(faces.len(), Ordering::Relaxed);
            let mean = |channel: usize, chip: &FaceChip| {
                chip.rgb.iter().skip(channel).step_by(3).map(|&v| f32::from(v)).sum::<f32>() + 1.0
            };
            faces.iter().map(|f| Embedding::new("mean", (0..3).map(|c| mean(c, &f[0])).collect())).collect()
        }
    }

    /// Three people of ten photos in their colours, one of two, and a photo without a face.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let write = |person: &str, number: u8, bytes: &[u8]| {
            fs::create_dir_all(dir.path().join(person)).unwrap();
            fs::write(dir.path().join(person).join(format!("{number}.jpg")), bytes).unwrap();
        };
        for i in 0..10 {
            write("red", i, &[180 + i, 60, 50, i]);
            write("green", i, &[60, 180 + i, 50, i]);
            write("blue", i, &[60, 50, 180 + i, i]);
        }
        write("rare", 0, &[1, 2, 3]);
        write("red", 10, b"");
        dir
    }

    fn training() -> Training {
        Training {
            classifier: ClassifierKind::SvmLinear { c: 10.0 },
            min_images: 10,
            split: 0.7,
            epochs: 3,
            augment: Augmentation::default(),
            seed: 0,
        }
    }

    fn train(photos: &Path, partial: &Path, stop_after: usize) -> Result<Trained> {
        let (stop, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
        let progress = |_: Counts| {
            if calls.fetch_add(1, Ordering::Relaxed) + 1 == stop_after {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let monitor = Monitor { progress: &progress, stop: &stop };
        let embedder = Mean(AtomicUsize::new(0));
        train_photos(&scan(photos).unwrap(), &Colours, &embedder, "none", &training(), partial, &monitor)
    }

    #[test]
    fn photos_become_a_classifier_that_names_those_held_back() {
        let (photos, dir) = (folder(), tempfile::tempdir().unwrap());
        let partial = dir.path().join("partial");
        let trained = train(photos.path(), &partial, usize::MAX).unwrap();
        assert!(!partial.exists());
        let file = &trained.file;
        assert_eq!(file.classes, ["blue", "green", "red"]);
        assert_eq!(trained.dropped, BTreeMap::from([("rare".into(), 1)]));
        assert_eq!(file.trained.len() + file.held_back.len(), 31);
        // 7 of 10 photos of two people, 8 of 11 of the third, of which one may show no face; three passes each.
        assert_eq!(file.trained.len(), 22);
        assert_eq!(trained.samples, 3 * (22 - trained.skipped.len()));

        let stop = AtomicBool::new(false);
        let monitor = Monitor { progress: &|_| {}, stop: &stop };
        let embedder = Mean(AtomicUsize::new(0));
        let tested = test_photos(file, &scan(photos.path()).unwrap(), &Colours, &embedder, None, &monitor).unwrap();
        assert_eq!((tested.held_back, tested.trained, tested.not_known), (9, 22, 1));
        assert_eq!(tested.faces.len() + tested.without_face.len(), 9);
        assert_eq!(embedder.0.load(Ordering::Relaxed), tested.faces.len());
        assert!(tested.faces.iter().all(|f| f.answer.best.class == f.class), "{tested:?}");
    }

    #[test]
    fn a_stopped_run_goes_on_and_ends_alike() {
        let (photos, dir) = (folder(), tempfile::tempdir().unwrap());
        let undisturbed = train(photos.path(), &dir.path().join("a"), usize::MAX).unwrap().file.to_bytes().unwrap();
        let partial = dir.path().join("b");
        assert!(matches!(train(photos.path(), &partial, 1), Err(Error::Interrupted)));
        assert!(partial.exists());
        assert!(train(photos.path(), &partial, usize::MAX).unwrap().file.to_bytes().unwrap() == undisturbed);
    }

    #[test]
    fn fewer_than_two_people_are_refused() {
        let (photos, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(photos.path().join("nobody.jpg"), [1, 2, 3]).unwrap();
        let error = train(photos.path(), dir.path(), usize::MAX).unwrap_err().to_string();
        assert!(error.contains("--min-images"), "{error}");
    }
}
