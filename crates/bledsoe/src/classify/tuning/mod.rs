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
