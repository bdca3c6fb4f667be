//! Training a classifier from a folder of photos or chips, or from a table of embeddings.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use serde_json::json;

use super::{
    Augmentation, Calibration, ClassifierFile, ClassifierKind, Gathered, Guard, Samples, fit,
    gathering::{Embedding, gather_photos, gather_table, passes},
    tuning::Searched,
};
use crate::{
    Result,
    dataset::{Scan, Skipped},
    embed::{
        Embedder,
        table::{FaceRow, Origin},
    },
    pipeline::{Monitor, Source},
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

/// Trains on the photos or chips of `scan`.
///
/// People and split are decided by the files, before any face is looked for; photos of dropped people and photos held
/// back are not opened further. Embedded chunks are kept in the folder `partial` until training is done, so that a
/// stopped run goes on where it was.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) when photos are not in folders by person, fewer than two people remain, or a
/// parameter is out of range; [`Error::Interrupted`](crate::Error::Interrupted) when the monitor stops the run;
/// [`Error::Engine`](crate::Error::Engine), [`Error::Io`](crate::Error::Io).
pub fn train_photos(
    scan: &Scan,
    source: &dyn Source,
    embedder: &dyn Embedder,
    engine: &str,
    training: &Training,
    partial: &Path,
    monitor: &Monitor<'_>,
) -> Result<Trained> {
    let passes = &passes(training.augment, training.epochs);
    let embedding = Embedding { source, embedder, engine, passes, hash_pictures: false };
    gather_photos(scan, &embedding, training, partial, monitor)?.fit(training)
}

/// Trains on the embeddings of a table, as they are: they cannot be augmented.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) when rows name no person, fewer than two people remain, or a parameter is out
/// of range.
pub fn train_table(origin: &Origin, rows: &[FaceRow], training: &Training) -> Result<Trained> {
    gather_table(origin, rows, training)?.fit(training)
}

impl Gathered {
    /// Fits classifier and guard to all that was gathered.
    fn fit(self, training: &Training) -> Result<Trained> {
        self.finish(None, training, None)
    }

    /// Fits classifier and guard to `samples`, embeddings of `embedder`, where a search chose them; else to all.
    pub(super) fn finish(
        self,
        chosen: Option<(String, Samples)>,
        training: &Training,
        search: Option<Searched>,
    ) -> Result<Trained> {
        let (embedder, samples) = chosen.unwrap_or((self.embedder, self.samples));
        let fitted = fit(&training.classifier, &samples, training.seed)?;
        let (guard, rates) = Guard::fit(&samples.one_a_photo()?);
        let mut settings = self.settings;
        settings["training"] = json!(training);
        let file = ClassifierFile {
            bledsoe: env!("CARGO_PKG_VERSION").to_owned(),
            models: ClassifierFile::models_of(&embedder)?,
            embedder,
            settings,
            kind: training.classifier.clone(),
            classes: self.classes,
            calibration: Calibration::new(&fitted.held_out, rates),
            trained: self.trained,
            held_back: self.held_back,
            model: fitted.model,
            guard,
            search,
        };
        if let Some(journal) = self.journal {
            journal.remove()?;
        }
        Ok(Trained {
            file,
            samples: samples.len(),
            dropped: self.dropped,
            without_faces: self.without_faces,
            skipped: self.skipped,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use super::*;
    use crate::{
        Error,
        align::{Affine, FaceChip, Template},
        classify::test_photos,
        dataset::scan,
        detect::Detection,
        embed::Embedding,
        geometry::Rect,
        landmark::{Landmarks, Scheme},
        pipeline::{Counts, Encoded, FoundFace, Processed},
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
