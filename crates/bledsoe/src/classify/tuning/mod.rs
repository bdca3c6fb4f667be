//! Choosing how to train: embedder, classifier, its parameters and the augmentation, by cross-validation.
//!
//! In: training photos, embedded once in every augmentation that may be tried ([`Tuning::of_photos`]), or a table
//! ([`Tuning::of_table`]). Out: what was tried and what is best ([`Searched`]), and the classifier fitted to all training
//! photos with it ([`Tuning::fit`]).
//!
//! - **Photos held out.** Each person's photos are dealt into five folds, near-duplicates into one; each fold in turn is
//!   named by classifiers trained on the others, always without augmentation of what is named. The photos that `split`
//!   holds back for the evaluation take no part.
//! - **Successive halving.** Three rungs: all settings on half of the people and one fold; the best fifth on half of the
//!   people and three folds; the best twenty-fifth on all people and all folds. Where that is too little to tell settings
//!   apart, there are more people, folds or finalists. Ranked by accuracy, among equals by log loss.
//! - **Ties** go to the simpler: see [`Searched::chosen`].
//!
//! The result is the same for a seed, on any number of cores; only the times differ.
//!
//! ```no_run
//! use bledsoe::{classify::tuning::{Search, Tuning}, embed::table, pipeline::Monitor};
//! # fn search(monitor: &Monitor<'_>) -> bledsoe::Result<()> {
//! let (origin, rows) = table::read("faces.parquet".as_ref())?;
//! let tuning = Tuning::of_table(&origin, &rows, &Search::default())?;
//! let searched = tuning.search(monitor)?;
//! println!("{:?}: {:.2} %", searched.chosen, 100.0 * searched.score.accuracy);
//! tuning.fit(searched)?.file.save("people.bledsoe".as_ref())?;
//! # Ok(())
//! # }
//! ```

mod choice;
mod folds;
mod grid;
mod halving;
mod machines;
mod searched;
mod trial;

use std::{collections::HashMap, ops::Range, path::Path, sync::atomic::Ordering};

pub use choice::Score;
pub use grid::{Fixed, Setting};
pub use searched::{Rung, Searched, Tried};

use choice::{Ballot, choose};
use trial::{Answers, Fold};

use super::{
    Augmentation, ClassifierKind, Gathered, Samples, Trained, Training,
    gathering::{Embedding, Pass, gather_photos, gather_table, passes},
    svm::MAX_PAIRED,
};
use crate::{
    Error, Result,
    dataset::Scan,
    embed::{
        Embedder, Members,
        table::{FaceRow, Origin},
    },
    pipeline::{Counts, Monitor, Source},
};

/// Folds of the cross-validation.
const FOLDS: usize = 5;
/// The first rung has half of the people, but no fewer than these where there are so many.
const FIRST_PEOPLE: usize = 50;
/// Folds and photos held out on the first and second rung, at least; more folds are added until there are so many photos.
const FIRST_FOLDS: [(usize, usize); 2] = [(1, 200), (3, 400)];

/// How to search.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// What is not varied.
    pub fixed: Fixed,
    /// People with fewer photos are dropped.
    pub min_images: usize,
    /// The share of each person's photos that is searched and trained on, above 0 to 1.
    pub split: f64,
    /// Passes of an augmentation, at least 1.
    pub epochs: u32,
    /// Decides the split, the augmentation and the folds.
    pub seed: u64,
    /// Try every setting in full, without halving: the yardstick.
    pub exhaustive: bool,
}

impl Default for Search {
    fn default() -> Self {
        Self { fixed: Fixed::default(), min_images: 10, split: 0.7, epochs: 5, seed: 0, exhaustive: false }
    }
}

impl Search {
    /// The training with these settings.
    fn training(&self, classifier: ClassifierKind, augment: Augmentation, epochs: u32) -> Training {
        Training { classifier, min_images: self.min_images, split: self.split, epochs, augment, seed: self.seed }
    }
}

/// An embedder, and the embeddings of all rows by it.
struct View {
    embedder: String,
    /// `None` for those that were gathered.
    cut: Option<(usize, Vec<f32>)>,
}

/// An augmentation, and which passes are of it.
struct Variation {
    augment: Augmentation,
    epochs: u32,
    passes: Range<usize>,
}

/// What a rung looks at.
#[derive(PartialEq)]
struct Budget {
    /// Classes, ascending.
    people: Vec<usize>,
    /// The first folds, so many.
    folds: usize,
}

/// Training photos, and all that may be tried on them.
pub struct Tuning {
    gathered: Gathered,
    search: Search,
    views: Vec<View>,
    variations: Vec<Variation>,
    /// Passes over each face; the first is without augmentation.
    passes: usize,
    /// Of each face the fold in which it is held out.
    folds: Vec<Option<usize>>,
    /// Faces that are near-duplicates of another.
    copies: usize,
    /// In the order in which ties are decided.
    settings: Vec<Setting>,
    budgets: Vec<Budget>,
}

impl Tuning {
    /// The photos or chips of `scan`, embedded once for each augmentation. What was embedded is kept in the folder
    /// `partial` until [`Tuning::fit`] is done.
    ///
    /// # Errors
    /// As [`train_photos`](super::train_photos); [`Error::Invalid`] when nobody, or only one person, has two training
    /// photos that differ, or a fixed parameter is out of range.
    pub fn of_photos(
        scan: &Scan,
        source: &dyn Source,
        embedder: &dyn Embedder,
        engine: &str,
        search: &Search,
        partial: &Path,
        monitor: &Monitor<'_>,
    ) -> Result<Self> {
        // Told before hours of embedding.
        search.fixed.classifiers(0)?;
        let mut all: Vec<Pass> = passes(Augmentation::NONE, 1);
        let variations = search.fixed.augmentations(search.epochs).into_iter().map(|(augment, epochs)| {
            let first = all.len();
            if augment.is_none() {
                return Variation { augment, epochs, passes: 0..1 };
            }
            all.extend(passes(augment, epochs));
            Variation { augment, epochs, passes: first..all.len() }
        });
        let variations: Vec<Variation> = variations.collect();
        let training = search.training(ClassifierKind::Centroid, Augmentation::NONE, 1);
        let embedding = Embedding { source, embedder, engine, passes: &all, hash_pictures: true };
        let gathered = gather_photos(scan, &embedding, &training, partial, monitor)?;
        Self::new(gathered, search, variations, all.len())
    }

    /// The embeddings of a table, as they are: they cannot be augmented.
    ///
    /// # Errors
    /// As [`Tuning::of_photos`].
    pub fn of_table(origin: &Origin, rows: &[FaceRow], search: &Search) -> Result<Self> {
        let training = search.training(ClassifierKind::Centroid, Augmentation::NONE, 1);
        let gathered = gather_table(origin, rows, &training)?;
        let variations = vec![Variation { augment: Augmentation::NONE, epochs: 1, passes: 0..1 }];
        Self::new(gathered, search, variations, 1)
    }

    fn new(gathered: Gathered, search: &Search, variations: Vec<Variation>, passes: usize) -> Result<Self> {
        let samples = &gathered.samples;
        let faces: Vec<folds::Face<'_>> = (0..samples.len() / passes)
            .map(|face| folds::Face {
                class: samples.class(face * passes),
                photo: samples.photo(face * passes),
                picture: gathered.pictures.get(face).copied().flatten(),
                vector: samples.row(face * passes),
            })
            .collect();
        let groups = folds::groups(&faces, search.seed);
        let copies = groups.iter().enumerate().filter(|(face, group)| face != *group).count();
        let folds = folds::held_out(&faces, &groups, FOLDS, search.seed)?;
        let mut views = vec![View { embedder: gathered.embedder.clone(), cut: None }];
        if !search.fixed.embedder
            && let Some(members) = Members::of(&gathered.embedder, samples.dim())?
        {
            for cut in members.cuts()? {
                let rows = samples.vectors().chunks_exact(samples.dim()).map(|row| cut.apply(row));
                let vectors: Vec<Vec<f32>> = rows.collect::<Result<_>>()?;
                views.push(View { embedder: cut.embedder.clone(), cut: Some((cut.dim(), vectors.concat())) });
            }
        }
        let embedders: Vec<String> = views.iter().map(|view| view.embedder.clone()).collect();
        let augmentations: Vec<(Augmentation, u32)> = variations.iter().map(|v| (v.augment, v.epochs)).collect();
        let settings = grid::settings(&embedders, &search.fixed.classifiers(samples.classes())?, &augmentations);
        let budgets = budgets(&faces, &folds, samples.classes(), search);
        Ok(Self { gathered, search: search.clone(), views, variations, passes, folds, copies, settings, budgets })
    }

    /// Settings that are on each rung.
    fn sizes(&self) -> Vec<usize> {
        halving::sizes(self.settings.len(), self.budgets.len())
    }

    /// How many trials the search makes: of one setting on one fold. Progress counts them as photos.
    pub fn trials(&self) -> usize {
        let sizes = self.sizes();
        let new = |(rung, budget): (usize, &Budget)| {
            let before = rung.checked_sub(1).map(|before| &self.budgets[before]);
            let known = before.filter(|before| before.people == budget.people).map_or(0, |before| before.folds);
            sizes[rung] * (budget.folds - known.min(budget.folds))
        };
        self.budgets.iter().enumerate().map(new).sum()
    }

    /// Tries the settings. Stopped by the monitor, it ends with the best so far if the first rung was done.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when stopped before; [`Error::Invalid`] as [`fit`](super::fit).
    pub fn search(&self, monitor: &Monitor<'_>) -> Result<Searched> {
        let everybody = self.gathered.samples.classes();
        let mut known: HashMap<(usize, bool, usize), Answers> = HashMap::new();
        let mut trials = 0;
        let mut stopped = false;
        let finished = halving::race(&self.sizes(), |rung, on| {
            let budget = &self.budgets[rung];
            let whole = budget.people.len() == everybody;
            for fold in 0..budget.folds {
                for (view, variation, batch) in self.batches(on) {
                    if monitor.stop.load(Ordering::Relaxed) {
                        stopped = true;
                        return Ok(None);
                    }
                    let new: Vec<usize> =
                        batch.into_iter().filter(|&setting| !known.contains_key(&(setting, whole, fold))).collect();
                    if new.is_empty() {
                        continue;
                    }
                    let kinds: Vec<&ClassifierKind> = new.iter().map(|&s| &self.settings[s].classifier).collect();
                    let answers =
                        self.fold(view, variation, &budget.people, fold)?.answers(&kinds, self.search.seed)?;
                    known.extend(new.iter().map(|&setting| (setting, whole, fold)).zip(answers));
                    trials += new.len();
                    (monitor.progress)(Counts { photos: trials, ..Counts::default() });
                }
            }
            let people = self.people(budget);
            Ok(Some(on.iter().map(|&s| ballot(&known, s, whole, budget.folds).score(&people)).collect()))
        })?;
        self.conclude(finished, &known, stopped)
    }

    /// The record of a race.
    fn conclude(
        &self,
        finished: Vec<Vec<(usize, Score)>>,
        known: &HashMap<(usize, bool, usize), Answers>,
        stopped: bool,
    ) -> Result<Searched> {
        let Some((last, budget)) = finished.last().zip(self.budgets.get(finished.len().saturating_sub(1))) else {
            return Err(Error::Interrupted);
        };
        let whole = budget.people.len() == self.gathered.samples.classes();
        let people = self.people(budget);
        let cast: Vec<Cast> = last.iter().map(|(s, _)| ballot(known, *s, whole, budget.folds)).collect();
        let finalists: Vec<(Ballot<'_>, Score)> = cast
            .iter()
            .zip(last)
            .map(|(cast, (_, score))| (Ballot { right: &cast.right, people: &people }, *score))
            .collect();
        let (chosen, score) = choose(&finalists).and_then(|i| last.get(i)).copied().ok_or(Error::Interrupted)?;
        let rungs = finished.iter().zip(&self.budgets).map(|(scores, budget)| Rung {
            settings: scores.len(),
            people: budget.people.len(),
            folds: budget.folds,
            photos: self.people(budget).len(),
        });
        let mut tried: Vec<Tried> = self
            .settings
            .iter()
            .map(|setting| Tried { setting: setting.clone(), scores: Vec::new(), seconds: 0.0 })
            .collect();
        finished.iter().flatten().for_each(|(setting, score)| tried[*setting].scores.push(*score));
        for ((setting, ..), answers) in known {
            tried[*setting].seconds += answers.time.as_secs_f64();
        }
        // Those who came furthest first, among them the best; the first of equals.
        tried.sort_by(|a, b| {
            let rank = |tried: &Tried| (tried.scores.len(), tried.scores.last().copied());
            let ((rungs, own), (other_rungs, other)) = (rank(a), rank(b));
            other_rungs.cmp(&rungs).then_with(|| own.zip(other).map_or(std::cmp::Ordering::Equal, |(a, b)| b.rank(&a)))
        });
        Ok(Searched {
            chosen: self.settings[chosen].clone(),
            score,
            folds: FOLDS,
            seed: self.search.seed,
            faces: self.folds.len(),
            copies: self.copies,
            rungs: rungs.collect(),
            tried,
            stopped,
        })
    }

    /// The classifier with the settings chosen, fitted to all training photos.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for what another search found; else as [`fit`](super::fit).
    pub fn fit(self, searched: Searched) -> Result<Trained> {
        let Setting { embedder, classifier, augment, epochs } = searched.chosen.clone();
        let view = self.views.iter().find(|view| view.embedder == embedder);
        let variation = self.variations.iter().find(|v| v.augment == augment && v.epochs == epochs);
        let (Some(view), Some(variation)) = (view, variation) else {
            return Err(Error::Mismatch("the settings chosen are not of these photos: search them again".into()));
        };
        let samples = self.samples(view, &variation.passes, |_| true)?;
        let training = self.search.training(classifier, augment, epochs);
        self.gathered.finish(Some((embedder, samples)), &training, Some(searched))
    }

    /// Settings on a rung by what their trials share: embedder and augmentation.
    fn batches(&self, on: &[usize]) -> Vec<(&View, &Variation, Vec<usize>)> {
        let mut batches = Vec::new();
        for view in &self.views {
            for variation in &self.variations {
                let own = |setting: &Setting| {
                    setting.embedder == view.embedder
                        && (setting.augment, setting.epochs) == (variation.augment, variation.epochs)
                };
                let batch: Vec<usize> = on.iter().copied().filter(|&s| own(&self.settings[s])).collect();
                if !batch.is_empty() {
                    batches.push((view, variation, batch));
                }
            }
        }
        batches
    }

    /// The row of a face in a pass.
    fn row<'a>(&'a self, view: &'a View, face: usize, pass: usize) -> &'a [f32] {
        let row = face * self.passes + pass;
        match &view.cut {
            Some((dim, vectors)) => &vectors[row * dim..][..*dim],
            None => self.gathered.samples.row(row),
        }
    }

    /// The rows of some faces in some passes. Classes without a face are left out.
    fn samples(&self, view: &View, passes: &Range<usize>, keep: impl Fn(usize) -> bool) -> Result<Samples> {
        let gathered = &self.gathered.samples;
        let dim = view.cut.as_ref().map_or(gathered.dim(), |(dim, _)| *dim);
        let (mut vectors, mut photos, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for class in 0..gathered.classes() {
            let range = gathered.range(class);
            let before = photos.len();
            for face in (range.start / self.passes..range.end / self.passes).filter(|&face| keep(face)) {
                for pass in passes.clone() {
                    vectors.extend_from_slice(self.row(view, face, pass));
                    photos.push(gathered.photo(face * self.passes));
                }
            }
            counts.extend(Some(photos.len() - before).filter(|rows| *rows > 0));
        }
        Samples::new(dim, vectors, &counts, photos)
    }

    fn class(&self, face: usize) -> usize {
        self.gathered.samples.class(face * self.passes)
    }

    /// The faces of `people` that are held out in a fold.
    fn held_out(&self, people: &[usize], fold: usize) -> impl Iterator<Item = usize> {
        let held =
            move |face: &usize| self.folds[*face] == Some(fold) && people.binary_search(&self.class(*face)).is_ok();
        (0..self.folds.len()).filter(held)
    }

    /// The people of the faces that a rung holds out, in the order in which they are asked about.
    fn people(&self, budget: &Budget) -> Vec<usize> {
        (0..budget.folds).flat_map(|fold| self.held_out(&budget.people, fold)).map(|face| self.class(face)).collect()
    }

    fn fold(&self, view: &View, variation: &Variation, people: &[usize], fold: usize) -> Result<Fold> {
        let trained = |face: usize| self.folds[face] != Some(fold) && people.binary_search(&self.class(face)).is_ok();
        let train = self.samples(view, &variation.passes, trained)?;
        let held: Vec<usize> = self.held_out(people, fold).collect();
        let asked = held.iter().flat_map(|&face| self.row(view, face, 0)).copied().collect();
        // Everybody of `people` is trained on: a fold never holds all groups of a person.
        let truth = held.iter().filter_map(|&face| people.binary_search(&self.class(face)).ok()).collect();
        let paired = self.gathered.samples.classes() <= MAX_PAIRED;
        Ok(Fold { train, asked, truth, paired })
    }
}

/// What a setting answered on all folds of a rung.
struct Cast {
    right: Vec<bool>,
    log_loss: f64,
}

impl Cast {
    fn score(&self, people: &[usize]) -> Score {
        Ballot { right: &self.right, people }.score(self.log_loss)
    }
}

fn ballot(known: &HashMap<(usize, bool, usize), Answers>, setting: usize, whole: bool, folds: usize) -> Cast {
    let answers: Vec<&Answers> = (0..folds).filter_map(|fold| known.get(&(setting, whole, fold))).collect();
    Cast {
        right: answers.iter().flat_map(|answers| answers.right.iter().copied()).collect(),
        log_loss: answers.iter().map(|answers| answers.log_loss).sum(),
    }
}

/// What each rung looks at, without rungs that are like the next.
fn budgets(faces: &[folds::Face<'_>], folds: &[Option<usize>], classes: usize, search: &Search) -> Vec<Budget> {
    let everybody: Vec<usize> = (0..classes).collect();
    if search.exhaustive {
        return vec![Budget { people: everybody, folds: FOLDS }];
    }
    let mut drawn = everybody.clone();
    fastrand::Rng::with_seed(search.seed).shuffle(&mut drawn);
    drawn.truncate((classes / 2).max(FIRST_PEOPLE.min(classes)));
    drawn.sort_unstable();
    let enough = |people: Vec<usize>, (least, photos): (usize, usize)| {
        let held = |folds_: usize| {
            let own = |(face, fold): (&folds::Face<'_>, &Option<usize>)| {
                fold.is_some_and(|fold| fold < folds_) && people.binary_search(&face.class).is_ok()
            };
            faces.iter().zip(folds).filter(|pair| own(*pair)).count()
        };
        let folds = (least..FOLDS).find(|&folds| held(folds) >= photos).unwrap_or(FOLDS);
        Budget { people, folds }
    };
    let mut budgets = vec![
        enough(drawn.clone(), FIRST_FOLDS[0]),
        enough(drawn, FIRST_FOLDS[1]),
        Budget { people: everybody, folds: FOLDS },
    ];
    budgets.dedup();
    budgets
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    use super::*;
    use crate::{
        classify::test_table,
        detect::Detection,
        geometry::Rect,
        hash::sha256,
        landmark::{Landmarks, Scheme},
    };

    fn row(person: usize, photo: usize, vector: Vec<f32>) -> FaceRow {
        let path = format!("{person:03}/{photo}.jpg");
        let rect = Rect { left: 0.0, top: 0.0, right: 9.0, bottom: 9.0 };
        FaceRow {
            sha256: sha256(&path),
            path,
            person: Some(format!("{person:03}")),
            face: 0,
            detection: Detection { rect, score: 1.0, points: None },
            landmarks: Landmarks { scheme: Scheme::Arcface5, points: Vec::new() },
            vector,
        }
    }

    fn origin(model: &str, dim: usize) -> Origin {
        Origin {
            version: "0".into(),
            model: model.into(),
            dim,
            scheme: Scheme::Arcface5,
            settings: serde_json::json!({}),
            skipped: Vec::new(),
        }
    }

    fn unit(v: Vec<f32>) -> Vec<f32> {
        let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
        v.iter().map(|x| x / norm).collect()
    }

    /// People at random on the sphere, their photos scattered.
    fn people(people: usize, photos: usize, dim: usize, noise: f32) -> Vec<FaceRow> {
        let mut random = fastrand::Rng::with_seed(2);
        let mut rows = Vec::new();
        for person in 0..people {
            let centre: Vec<f32> = (0..dim).map(|_| random.f32() - 0.5).collect();
            for photo in 0..photos {
                rows.push(row(person, photo, unit(centre.iter().map(|x| x + noise * (random.f32() - 0.5)).collect())));
            }
        }
        rows
    }

    fn search(exhaustive: bool) -> Search {
        Search { min_images: 2, split: 1.0, exhaustive, ..Search::default() }
    }

    fn run(tuning: &Tuning) -> Searched {
        let stop = AtomicBool::new(false);
        tuning.search(&Monitor { progress: &|_| {}, stop: &stop }).unwrap()
    }

    /// Without the times, which no two runs share.
    fn timeless(searched: &Searched) -> Searched {
        let tried = searched.tried.iter().map(|tried| Tried { seconds: 0.0, ..tried.clone() });
        Searched { tried: tried.collect(), ..searched.clone() }
    }

    #[test]
    fn cross_validated_accuracies_are_those_of_scikit_learn() {
        const TRAIN: usize = 12;
        // The numbers of tools/reference/svm.py.
        let splitmix = |n: u64| {
            let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let gauss = |n: usize| {
            let sum: f64 = (0..12).map(|j| (splitmix(12 * n as u64 + j) >> 40) as f64).sum();
            sum / f64::from(1 << 24) - 6.0
        };
        let vector = |k: usize, i: usize| -> Vec<f32> {
            let x: Vec<f64> = (0..32)
                .map(|d| gauss(k * 32 + d) + 1.125 * gauss(1_000_000 + (k * (TRAIN + 25) + i) * 32 + d))
                .collect();
            let length = x.iter().fold(0.0, |sum, v| sum + v * v).sqrt();
            x.iter().map(|v| (v / length) as f32).collect()
        };
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/agreement/golden/tuning.json")).unwrap();
        let rows: Vec<FaceRow> = (0..40).flat_map(|k| (0..TRAIN).map(move |i| row(k, i, vector(k, i)))).collect();
        let first: Vec<f32> = serde_json::from_value(golden["first"].clone()).unwrap();
        assert_eq!(rows[0].vector[..4], first);
        let mut tuning = Tuning::of_table(&origin("made up", 32), &rows, &search(true)).unwrap();
        // Held out as there. Rows of a person are in the order of the table.
        tuning.folds = (0..rows.len()).map(|i| Some(i % TRAIN % FOLDS)).collect();
        let searched = run(&tuning);
        for (name, kind) in [
            ("centroid", ClassifierKind::Centroid),
            ("knn_1", ClassifierKind::Knn { k: 1 }),
            ("linear_c0.1", ClassifierKind::SvmLinear { c: 0.1 }),
            ("linear_c1", ClassifierKind::SvmLinear { c: 1.0 }),
            ("linear_c10", ClassifierKind::SvmLinear { c: 10.0 }),
            ("rbf_c1_gamma0.5", ClassifierKind::SvmRbf { c: 1.0, gamma: Some(0.5) }),
            ("rbf_c3_gamma2", ClassifierKind::SvmRbf { c: 3.0, gamma: Some(2.0) }),
        ] {
            let expected = golden["accuracy"][name].as_f64().unwrap();
            let found = searched.tried.iter().find(|tried| tried.setting.classifier == kind).unwrap();
            let found = found.scores[0].accuracy;
            // Two photos of 480: solutions within the solvers' tolerance of each other.
            assert!((found - expected).abs() < 0.0043, "{name}: {found}, scikit-learn {expected}");
        }
    }

    #[test]
    fn the_search_finds_what_the_exhaustive_one_finds() {
        let rows = people(80, 10, 16, 1.1);
        let (search_all, search_some) = (search(true), search(false));
        let tuning = |search| Tuning::of_table(&origin("made up", 16), &rows, search).unwrap();
        let (all, some) = (run(&tuning(&search_all)), run(&tuning(&search_some)));
        assert_eq!((all.rungs.len(), some.rungs.len()), (1, 3), "{:?}", some.rungs);
        let accuracy = |setting: &Setting| {
            all.tried.iter().find(|tried| tried.setting == *setting).map(|tried| tried.scores[0].accuracy).unwrap()
        };
        let most = all.tried.iter().map(|tried| tried.scores[0].accuracy).fold(0.0, f64::max);
        let least = all.tried.iter().map(|tried| tried.scores[0].accuracy).fold(1.0, f64::min);
        assert!(most - least > 0.05, "nothing to be chosen: {least} to {most}");
        assert!(accuracy(&some.chosen) >= most - 0.002, "{:?}: {} of {most}", some.chosen, accuracy(&some.chosen));
        assert_eq!(some.score.accuracy, accuracy(&some.chosen), "the last rung is the whole cross-validation");
    }

    #[test]
    fn the_same_seed_gives_the_same_answer_on_any_number_of_cores() {
        let rows = people(30, 6, 16, 1.1);
        let on = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let tuning = Tuning::of_table(&origin("x", 16), &rows, &Search { seed, ..search(false) }).unwrap();
                let searched = run(&tuning);
                (timeless(&searched), tuning.fit(searched).unwrap().file.to_bytes().unwrap())
            })
        };
        let ((one, bytes), (three, same)) = (on(1, 4), on(3, 4));
        assert_eq!(one, three);
        assert!(bytes == same);
        assert_ne!(one, on(1, 5).0);
    }

    #[test]
    fn a_stopped_search_ends_with_the_best_so_far() {
        let rows = people(80, 10, 16, 1.1);
        let tuning = Tuning::of_table(&origin("x", 16), &rows, &search(false)).unwrap();
        let stop_after = |trials: usize| {
            let (stop, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
            let progress = |counts: Counts| {
                seen.store(counts.photos, Ordering::Relaxed);
                stop.store(counts.photos >= trials, Ordering::Relaxed);
            };
            (tuning.search(&Monitor { progress: &progress, stop: &stop }), seen.into_inner())
        };
        let first_rung = tuning.settings.len() * tuning.budgets[0].folds;
        assert!(matches!(stop_after(1).0, Err(Error::Interrupted)));
        let stopped = stop_after(first_rung).0.unwrap();
        assert!(stopped.stopped && stopped.rungs.len() == 1);
        assert_eq!(stopped.tried.len(), tuning.settings.len());
        let (whole, trials) = stop_after(usize::MAX);
        assert!(!whole.unwrap().stopped);
        assert_eq!(trials, tuning.trials(), "progress ends at its end");
    }

    #[test]
    fn the_member_that_tells_people_apart_is_taken_and_its_file_reads_the_fusions_table() {
        // Noise where mobilefacenet's numbers are, people where dlib's are.
        let mut random = fastrand::Rng::with_seed(9);
        let half = 0.5f32.sqrt();
        let mut rows = people(12, 8, 128, 0.8);
        for row in &mut rows {
            let noise = unit((0..192).map(|_| random.f32() - 0.5).collect());
            row.vector = noise.iter().chain(&row.vector).map(|x| x * half).collect();
        }
        let origin = origin("mobilefacenet+dlib", 320);
        let knn = Some(ClassifierKind::Knn { k: 1 });
        let fixed = Fixed { classifier: knn, k: Some(1), ..Fixed::default() };
        let searching = Search { fixed: fixed.clone(), split: 0.7, ..search(false) };
        let tuning = Tuning::of_table(&origin, &rows, &searching).unwrap();
        let searched = run(&tuning);
        assert_eq!(searched.tried.len(), 3);
        assert_ne!(searched.chosen.embedder, "mobilefacenet");
        // Whatever was best: a classifier of a member alone is tested on the fusion's table.
        let dlib = searched.tried.iter().find(|tried| tried.setting.embedder == "dlib").unwrap().setting.clone();
        let file = tuning.fit(Searched { chosen: dlib, ..searched }).unwrap().file;
        assert_eq!((file.embedder.as_str(), file.guard.dim), ("dlib", 128));
        let tested = test_table(&file, &origin, &rows, None).unwrap();
        assert!(tested.faces.iter().all(|face| face.answer.best.class == face.class));
        let foreign = super::tests::origin("facenet", 320);
        assert!(matches!(test_table(&file, &foreign, &rows, None), Err(Error::Mismatch(_))));
        let as_it_is = Search { fixed: Fixed { embedder: true, ..fixed }, ..searching };
        assert_eq!(Tuning::of_table(&origin, &rows, &as_it_is).unwrap().settings.len(), 1);
    }
}
