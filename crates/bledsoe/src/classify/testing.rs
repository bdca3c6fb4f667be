//! Trying a classifier on photos that it was not trained on.

use std::collections::{HashMap, HashSet};

use super::{Answer, ClassifierFile};
use crate::{
    Error, Result,
    dataset::{Scan, Skipped},
    embed::{
        Cut, Embedder, Embedding, Members,
        table::{FaceRow, Origin},
    },
    pipeline::{self, Counts, Encoded, Monitor, Source, chunks},
};

/// A face of a known person, and what the classifier said.
#[derive(Debug, Clone, PartialEq)]
pub struct TestedFace {
    /// The photo.
    pub path: String,
    /// The true class.
    pub class: usize,
    /// The answer.
    pub answer: Answer,
}

/// What a test looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tested {
    /// Faces of known people in photos that were not trained on.
    pub faces: Vec<TestedFace>,
    /// The class of each such photo in which no face was found.
    pub without_face: Vec<usize>,
    /// How many of the photos were held back in training; the others are new to the classifier.
    pub held_back: usize,
    /// Photos left out because they were trained on.
    pub trained: usize,
    /// Photos left out because their person is not known to the classifier.
    pub not_known: usize,
    /// Photos that could not be read or show no face, and why.
    pub skipped: Vec<Skipped>,
}

/// What a photo is to a classifier.
enum Part {
    Trained,
    NotKnown,
    Test { class: usize, held_back: bool },
}

/// Tells trained photos from others, by content.
struct Memory<'a> {
    classes: HashMap<&'a str, usize>,
    trained: HashSet<&'a str>,
    trained_paths: HashSet<&'a str>,
    held_back: HashSet<&'a str>,
}

impl<'a> Memory<'a> {
    fn new(file: &'a ClassifierFile) -> Self {
        Self {
            classes: file.classes.iter().enumerate().map(|(k, name)| (name.as_str(), k)).collect(),
            trained: file.trained.iter().map(|i| i.sha256.as_str()).collect(),
            trained_paths: file.trained.iter().map(|i| i.path.as_str()).collect(),
            held_back: file.held_back.iter().map(|i| i.sha256.as_str()).collect(),
        }
    }

    fn part(&self, person: Option<&str>, sha256: &str) -> Part {
        match person.and_then(|p| self.classes.get(p)) {
            _ if self.trained.contains(sha256) => Part::Trained,
            None => Part::NotKnown,
            Some(&class) => Part::Test { class, held_back: self.held_back.contains(sha256) },
        }
    }
}

impl Tested {
    /// Counts a photo; its class if it is to be tested.
    fn sort(&mut self, part: Part) -> Option<usize> {
        match part {
            Part::Trained => self.trained += 1,
            Part::NotKnown => self.not_known += 1,
            Part::Test { class, held_back } => {
                self.held_back += usize::from(held_back);
                return Some(class);
            }
        }
        None
    }

    /// Fails when nothing was tested: an accuracy of nothing would mislead.
    fn checked(self) -> Result<Self> {
        if self.faces.is_empty() && self.without_face.is_empty() {
            return Err(Error::Invalid(format!(
                "nothing to evaluate: no photo of a person known to the classifier that it was not trained on ({} photos \
                 were trained on, {} are of other people). Give the folder that was trained on, whose held-back photos are \
                 taken, or new photos of the same people in folders of the same names",
                self.trained, self.not_known
            )));
        }
        Ok(self)
    }
}

/// Tests on the photos or chips of `scan`.
///
/// # Errors
/// [`Error::Invalid`] when none is of a known person and new to the classifier, [`Error::Mismatch`] for another embedder,
/// [`Error::Interrupted`], [`Error::Engine`].
pub fn test_photos(
    file: &ClassifierFile,
    scan: &Scan,
    source: &dyn Source,
    embedder: &dyn Embedder,
    min_probability: Option<f32>,
    monitor: &Monitor<'_>,
) -> Result<Tested> {
    file.check_embedder(embedder.id())?;
    let memory = Memory::new(file);
    let mut tested = Tested { skipped: scan.skipped.clone(), ..Tested::default() };
    let mut counts = Counts::default();
    for range in chunks(&scan.items) {
        monitor.check()?;
        counts.photos += range.len();
        let mut classes = HashMap::new();
        let mut photos = Vec::new();
        for encoded in Encoded::read_all(&scan.items[range]) {
            let part = memory.part(encoded.item.person.as_deref(), &encoded.sha256);
            if let Some(class) = tested.sort(part) {
                classes.insert(encoded.item.relative.clone(), class);
                photos.push(encoded);
            }
        }
        let (rows, skipped) = pipeline::embed::rows(source.process(photos)?, embedder)?;
        tested.without_face.extend(skipped.iter().filter_map(|s| classes.get(&s.path)));
        tested.skipped.extend(skipped);
        let of_row = |row: &FaceRow| classes.get(&row.path).copied();
        answer(file, &mut tested, rows.iter().filter_map(|row| Some((row, of_row(row)?))), None, min_probability)?;
        counts.faces = tested.faces.len();
        counts.skipped = tested.skipped.len();
        (monitor.progress)(counts);
    }
    tested.checked()
}

/// Tests on the embeddings of a table: of the classifier's embedder, or of a fusion that it is a member of. A photo that the table lists as skipped counts as without face where its folder
/// names a known person; whether it was held back is not known.
///
/// # Errors
/// As [`test_photos`].
pub fn test_table(
    file: &ClassifierFile,
    origin: &Origin,
    rows: &[FaceRow],
    min_probability: Option<f32>,
) -> Result<Tested> {
    let inside = if origin.model == file.embedder { None } else { Members::of(&origin.model, origin.dim)? };
    let cut = inside.map(|members| members.cut(&file.embedder)).transpose()?.flatten();
    file.check_embedder(cut.as_ref().map_or(&origin.model, |cut| &cut.embedder))?;
    let memory = Memory::new(file);
    let mut tested = Tested { skipped: origin.skipped.clone(), ..Tested::default() };
    let mut chosen = Vec::new();
    for row in rows {
        if let Some(class) = tested.sort(memory.part(row.person.as_deref(), &row.sha256)) {
            chosen.push((row, class));
        }
    }
    for skipped in &origin.skipped {
        let person = skipped.path.rsplit_once('/').map(|(folders, _)| folders);
        if let Some(&class) = person.and_then(|p| memory.classes.get(p))
            && !memory.trained_paths.contains(skipped.path.as_str())
        {
            tested.without_face.push(class);
        }
    }
    answer(file, &mut tested, chosen.into_iter(), cut.as_ref(), min_probability)?;
    tested.checked()
}

fn answer<'a>(
    file: &ClassifierFile,
    tested: &mut Tested,
    rows: impl Iterator<Item = (&'a FaceRow, usize)>,
    cut: Option<&Cut>,
    min_probability: Option<f32>,
) -> Result<()> {
    let rows: Vec<(&FaceRow, usize)> = rows.collect();
    let model: std::sync::Arc<str> = file.embedder.as_str().into();
    let embeddings = rows
        .iter()
        .map(|(row, _)| {
            let vector = cut.map_or_else(|| Ok(row.vector.clone()), |cut| cut.apply(&row.vector))?;
            Embedding::new(std::sync::Arc::clone(&model), vector)
        })
        .collect::<Result<Vec<_>>>()?;
    for ((row, class), answer) in rows.into_iter().zip(file.identify(&embeddings, min_probability)?) {
        tested.faces.push(TestedFace { path: row.path.clone(), class, answer });
    }
    Ok(())
}
