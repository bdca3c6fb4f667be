//! What a head learns from: embeddings and labels, joined.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    components::Components,
    dataset::labels::{Labels, Unmatched},
    embed::table::FaceRow,
};

/// A label of so many different numbers, or fewer, is taken for classes.
const MOST_NUMBERED_CLASSES: usize = 10;

/// Whether a label is a class or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// A class, such as `M` or `F`.
    Classify,
    /// A number, such as an age.
    Regress,
}

/// What is true of each row.
#[derive(Debug, Clone, PartialEq)]
pub enum Truth {
    /// The classes' names, and the class of each row.
    Classes {
        /// Each once.
        names: Vec<String>,
        /// Below the number of names.
        of: Vec<usize>,
    },
    /// The number of each row.
    Numbers(Vec<f64>),
}

/// Embeddings with labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    dim: usize,
    vectors: Vec<f32>,
    truth: Truth,
    groups: Vec<usize>,
}

/// What became of photos and labels when they were joined.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Joined {
    /// Photos with a label.
    pub labelled: usize,
    /// Photos without one; left out.
    pub without_label: usize,
    /// Photos of which several faces were embedded, so that nobody knows whose label it is; left out.
    pub several_faces: usize,
    /// Lines of the file that name no photo.
    pub unmatched: Vec<Unmatched>,
}

impl Examples {
    /// Rows of `dim` numbers, with what is true of each and its group. Groups (people, as a rule) are never on both
    /// sides of a cross-validation.
    ///
    /// # Errors
    /// [`Error::Invalid`] when lengths do not fit, a number is not finite, there are fewer than two classes, a class
    /// has fewer than two groups, or numbers have fewer than ten.
    pub fn new(dim: usize, vectors: Vec<f32>, truth: Truth, groups: Vec<usize>) -> Result<Self> {
        let rows = groups.len();
        let (labels, finite) = match &truth {
            Truth::Classes { of, .. } => (of.len(), true),
            Truth::Numbers(numbers) => (numbers.len(), numbers.iter().all(|x| x.is_finite())),
        };
        if dim == 0 || labels != rows || rows.checked_mul(dim) != Some(vectors.len()) {
            return Err(Error::Invalid(format!("{} numbers are not {labels} examples of {dim}", vectors.len())));
        }
        if !finite || vectors.iter().any(|x| !x.is_finite()) {
            return Err(Error::Invalid("an example holds a number that is not finite".into()));
        }
        let examples = Self { dim, vectors, truth, groups };
        examples.check_groups()?;
        Ok(examples)
    }

    fn check_groups(&self) -> Result<()> {
        match &self.truth {
            Truth::Classes { names, of } => {
                let mut groups: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); names.len()];
                for (&class, &group) in of.iter().zip(&self.groups) {
                    let own = groups.get_mut(class);
                    own.ok_or_else(|| Error::Invalid(format!("class {class} has no name")))?.insert(group);
                }
                if names.len() < 2 {
                    let found = names.first().map_or("no label".into(), |only| format!("only the label {only:?}"));
                    return Err(Error::Invalid(format!("{found}: at least two classes are needed")));
                }
                match names.iter().zip(&groups).find(|(_, groups)| groups.len() < 2) {
                    Some((name, _)) => Err(Error::Invalid(format!(
                        "{name:?} is the label of fewer than two people: label more photos, or drop it"
                    ))),
                    None => Ok(()),
                }
            }
            Truth::Numbers(_) => match self.groups.iter().collect::<BTreeSet<_>>().len() {
                0..10 => Err(Error::Invalid("numbers need the photos of at least ten people to learn from".into())),
                _ => Ok(()),
            },
        }
    }

    /// Joins the rows of a table with column `target` of `labels`. A row's group is its person, and photos of the same
    /// bytes; without a person it is its photo. Without a `task`, a label is a number where all are, and more than ten
    /// different ones.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such column, for a number that is none, and as [`Examples::new`].
    pub fn join(
        dim: usize,
        rows: &[FaceRow],
        labels: &Labels,
        target: &str,
        task: Option<Task>,
    ) -> Result<(Self, Joined)> {
        let column = labels.groupings().iter().position(|name| name == target).ok_or_else(|| {
            let known = labels.groupings().join(", ");
            Error::Invalid(format!("the labels have no column {target:?}; there are {known}"))
        })?;
        let mut faces: BTreeMap<&str, usize> = BTreeMap::new();
        rows.iter().for_each(|row| *faces.entry(&row.path).or_default() += 1);
        let single: Vec<&FaceRow> = rows.iter().filter(|row| faces.get(row.path.as_str()) == Some(&1)).collect();
        let photos: Vec<(&str, Option<&str>)> = single.iter().map(|row| (&*row.path, row.person.as_deref())).collect();
        let found = labels.of(&photos);
        let label = |labels: &Option<&[Option<String>]>| labels.and_then(|l| l.get(column)?.clone());
        let labelled: Vec<(&FaceRow, String)> =
            single.iter().zip(&found.photos).filter_map(|(row, labels)| Some((*row, label(labels)?))).collect();
        let joined = Joined {
            labelled: labelled.len(),
            without_label: single.len() - labelled.len(),
            several_faces: faces.values().filter(|&&n| n > 1).count(),
            unmatched: found.unmatched,
        };
        let words: Vec<&str> = labelled.iter().map(|(_, label)| label.as_str()).collect();
        let truth = match task.unwrap_or_else(|| natural_task(&words)) {
            Task::Classify => {
                let names: Vec<String> =
                    words.iter().copied().collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect();
                let of =
                    words.iter().filter_map(|word| names.binary_search_by(|n| n.as_str().cmp(word)).ok()).collect();
                Truth::Classes { names, of }
            }
            Task::Regress => {
                let read = |(row, label): &(&FaceRow, String)| {
                    number(label).ok_or_else(|| {
                        Error::Invalid(format!(
                            "{target} of {}: {label:?} is not a number: use --task classify",
                            row.path
                        ))
                    })
                };
                Truth::Numbers(labelled.iter().map(read).collect::<Result<_>>()?)
            }
        };
        if let Some((row, _)) = labelled.iter().find(|(row, _)| row.vector.len() != dim) {
            return Err(Error::Mismatch(format!("{}: an embedding that is not of {dim} numbers", row.path)));
        }
        let vectors = labelled.iter().flat_map(|(row, _)| row.vector.iter().copied()).collect();
        let groups = groups(&labelled.iter().map(|(row, _)| *row).collect::<Vec<_>>());
        Ok((Self::new(dim, vectors, truth, groups)?, joined))
    }

    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Never: there are two classes or ten numbers at least.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// What is true of each row.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Whose each row is.
    pub fn groups(&self) -> &[usize] {
        &self.groups
    }

    /// All rows, one after the other.
    pub fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    /// What rows are dealt to folds by: the class, or the number.
    pub(super) fn key(&self, row: usize) -> f64 {
        match &self.truth {
            Truth::Classes { of, .. } => of[row] as f64,
            Truth::Numbers(numbers) => numbers[row],
        }
    }

    /// The rows that `keep` takes. Classes keep their numbers, so that one may have no row.
    pub(super) fn subset(&self, keep: impl Fn(usize) -> bool) -> Self {
        let rows: Vec<usize> = (0..self.len()).filter(|&row| keep(row)).collect();
        let truth = match &self.truth {
            Truth::Classes { names, of } => {
                Truth::Classes { names: names.clone(), of: rows.iter().map(|&row| of[row]).collect() }
            }
            Truth::Numbers(numbers) => Truth::Numbers(rows.iter().map(|&row| numbers[row]).collect()),
        };
        Self {
            dim: self.dim,
            vectors: rows.iter().flat_map(|&row| &self.vectors[row * self.dim..][..self.dim]).copied().collect(),
            truth,
            groups: rows.iter().map(|&row| self.groups[row]).collect(),
        }
    }

    /// Whole groups at random, at most `most` rows where the groups are smaller than that.
    pub(super) fn at_most(&self, most: usize, seed: u64) -> Self {
        if self.len() <= most {
            return self.clone();
        }
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        self.groups.iter().for_each(|&group| *sizes.entry(group).or_default() += 1);
        let mut order: Vec<(usize, usize)> = sizes.into_iter().collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut order);
        let (mut kept, mut rows) = (BTreeSet::new(), 0);
        for (group, size) in order {
            if kept.is_empty() || rows + size <= most {
                kept.insert(group);
                rows += size;
            }
        }
        self.subset(|row| kept.contains(&self.groups[row]))
    }
}

/// A number where all labels are numbers, and of more than a few kinds.
fn natural_task(labels: &[&str]) -> Task {
    let numbers = labels.iter().all(|label| number(label).is_some());
    let kinds = labels.iter().collect::<BTreeSet<_>>().len();
    if numbers && kinds > MOST_NUMBERED_CLASSES { Task::Regress } else { Task::Classify }
}

fn number(label: &str) -> Option<f64> {
    label.trim().parse().ok().filter(|x: &f64| x.is_finite())
}

/// One number for all rows of a person, and of photos with the same bytes.
fn groups(rows: &[&FaceRow]) -> Vec<usize> {
    let mut components = Components::new(rows.len());
    let mut first: BTreeMap<(bool, &str), usize> = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        let keys = [row.person.as_deref().map(|person| (true, person)), Some((false, row.sha256.as_str()))];
        for key in keys.into_iter().flatten() {
            components.link(i, *first.entry(key).or_insert(i));
        }
    }
    (0..rows.len()).map(|i| components.find(i)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        detect::Detection,
        geometry::Rect,
        landmark::{Landmarks, Scheme},
    };

    fn row(path: &str, person: Option<&str>, sha256: &str) -> FaceRow {
        let rect = Rect { left: 0.0, top: 0.0, right: 9.0, bottom: 9.0 };
        FaceRow {
            path: path.into(),
            person: person.map(Into::into),
            sha256: sha256.into(),
            face: 0,
            detection: Detection { rect, score: 1.0, points: None },
            landmarks: Landmarks { scheme: Scheme::Arcface5, points: Vec::new() },
            vector: vec![1.0],
        }
    }

    fn labels(text: &str) -> Labels {
        Labels::parse(text, Path::new("labels.csv")).unwrap()
    }

    #[test]
    fn people_and_copies_of_a_photo_are_one_group() {
        let rows = [
            row("ada/1.jpg", Some("ada"), "a"),
            row("ada/2.jpg", Some("ada"), "b"),
            row("copy.jpg", None, "b"),
            row("bob/1.jpg", Some("bob"), "c"),
            row("crowd.jpg", None, "d"),
            row("crowd.jpg", None, "d"),
            row("x.jpg", None, "e"),
        ];
        let labels = labels("image,hat\nada,yes\ncopy.jpg,no\nbob,no\ncrowd.jpg,no\nx.jpg,yes\nghost,no\n");
        let (examples, joined) = Examples::join(1, &rows, &labels, "hat", None).unwrap();
        let groups = examples.groups();
        assert_eq!(groups.len(), 5);
        assert!(groups[0] == groups[1] && groups[1] == groups[2]);
        assert!(groups[3] != groups[0] && groups[3] != groups[4]);
        assert_eq!((joined.labelled, joined.several_faces), (5, 1));
        let Truth::Classes { names, of } = examples.truth() else { panic!() };
        assert_eq!((names.join(" "), of.as_slice()), ("no yes".into(), [1, 1, 0, 0, 1].as_slice()));
        // The crowd's line names a photo, but not one of a single face.
        let unmatched: Vec<&str> = joined.unmatched.iter().map(|row| row.key.as_str()).collect();
        assert_eq!(unmatched, ["crowd.jpg", "ghost"]);
    }

    #[test]
    fn numbers_of_many_kinds_are_numbers() {
        let rows: Vec<FaceRow> = (0..12).map(|i| row(&format!("{i}.jpg"), None, &i.to_string())).collect();
        let csv = |label: fn(i32) -> String| {
            (0..12).fold("image,x\n".to_owned(), |csv, i| csv + &format!("{i}.jpg,{}\n", label(i)))
        };
        let truth = |text: &str, task| {
            Examples::join(1, &rows, &labels(text), "x", task).map(|(examples, _)| examples.truth().clone())
        };
        assert!(matches!(truth(&csv(|i| format!("{i}.5")), None).unwrap(), Truth::Numbers(n) if n[3] == 3.5));
        assert!(matches!(truth(&csv(|i| (i % 2).to_string()), None).unwrap(), Truth::Classes { .. }));
        assert!(matches!(truth(&csv(|i| (i % 2).to_string()), Some(Task::Regress)).unwrap(), Truth::Numbers(_)));
        let says = |text: &str, task, what: &str| {
            let error = truth(text, task).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        };
        says(&csv(|i| format!("b{i}")), None, "fewer than two people");
        says(&csv(|i| format!("b{i}")), Some(Task::Regress), "not a number");
        says(&csv(|_| "a".into()), None, "only the label \"a\"");
        says("image,x\n1.jpg,1\n", Some(Task::Regress), "at least ten people");
    }

    #[test]
    fn whole_people_are_left_out_of_too_many() {
        let truth = Truth::Numbers((0..60).map(f64::from).collect());
        let examples = Examples::new(1, vec![0.0; 60], truth, (0..60).map(|i| i / 3).collect()).unwrap();
        let few = examples.at_most(31, 0);
        assert_eq!(few.len(), 30);
        assert!(few.groups().chunks(3).all(|of| of[0] == of[2]));
    }
}
