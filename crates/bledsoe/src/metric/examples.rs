//! What is learnt from: embeddings, and whose they are.

use std::{collections::BTreeMap, ops::Range};

use candle_core::{Device, Result as CandleResult, Tensor};
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    Error, Result,
    components::Components,
    embed::{dot, table::FaceRow},
};

/// Faces of two people that are so alike are one picture under two names.
const SAME_PICTURE: f32 = 0.995;
/// With fewer people nothing is learnt that holds for others.
pub const LEAST_PEOPLE: usize = 8;

/// Embeddings of one embedder, person by person; everybody has at least two.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    dim: usize,
    vectors: Vec<f32>,
    /// Of each row.
    people: Vec<usize>,
    /// Of each row, its number where it was taken from.
    sources: Vec<usize>,
    /// Of each person the first row; then the number of rows.
    starts: Vec<usize>,
}

/// Rows of a table that are not learnt from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Photos of nobody in particular: in no folder of a person's own.
    pub without_person: usize,
    /// Photos with several faces, of which nobody knows whose is the person's.
    pub several_faces: usize,
    /// People of whom there is one photo.
    pub one_photo: usize,
}

impl Examples {
    /// Of `people.len()` vectors of `dim` numbers, row by row and each of unit length. People are numbers from 0 without
    /// gaps, ascending.
    ///
    /// # Errors
    /// [`Error::Invalid`] when these do not fit together, or somebody has but one vector.
    pub fn new(dim: usize, vectors: Vec<f32>, people: Vec<usize>) -> Result<Self> {
        let mut starts = Vec::new();
        for (row, &person) in people.iter().enumerate() {
            if person == starts.len() {
                starts.push(row);
            } else if person + 1 != starts.len() {
                return Err(Error::Invalid(format!("row {row}: people must be numbered from 0, in their order")));
            }
        }
        starts.push(people.len());
        if dim == 0 || people.len().checked_mul(dim) != Some(vectors.len()) {
            return Err(Error::Invalid(format!("{} numbers for {} vectors of {dim}", vectors.len(), people.len())));
        }
        if starts.windows(2).any(|pair| pair[1] - pair[0] < 2) {
            return Err(Error::Invalid("everybody needs two photos or more".into()));
        }
        let sources = (0..people.len()).collect();
        Ok(Self { dim, vectors, people, sources, starts })
    }

    /// Of a table's rows; what cannot be learnt from is left out and counted.
    ///
    /// # Errors
    /// [`Error::Invalid`] when fewer than [`LEAST_PEOPLE`] people have two photos or more.
    pub fn of_rows(dim: usize, rows: &[FaceRow]) -> Result<(Self, LeftOut)> {
        let mut left_out = LeftOut::default();
        let mut faces: BTreeMap<&str, usize> = BTreeMap::new();
        rows.iter().for_each(|row| *faces.entry(&row.path).or_default() += 1);
        left_out.several_faces = faces.values().filter(|&&faces| faces > 1).count();
        let mut by_person: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, row) in rows.iter().enumerate().filter(|(_, row)| faces.get(row.path.as_str()) == Some(&1)) {
            match &row.person {
                Some(person) => by_person.entry(person).or_default().push(number),
                None => left_out.without_person += 1,
            }
        }
        let seen = by_person.len();
        by_person.retain(|_, rows| rows.len() >= 2);
        left_out.one_photo = seen - by_person.len();
        if by_person.len() < LEAST_PEOPLE {
            return Err(Error::Invalid(format!(
                "{} people with two photos or more (and {} with one): at least {LEAST_PEOPLE} are needed, some of whom \
                 are held out; hundreds do better",
                by_person.len(),
                left_out.one_photo
            )));
        }
        let sources: Vec<usize> = by_person.values().flatten().copied().collect();
        let vectors = sources.iter().flat_map(|&number| rows[number].vector.iter().copied()).collect();
        let people = by_person.values().enumerate().flat_map(|(i, rows)| std::iter::repeat_n(i, rows.len())).collect();
        Ok((Self { sources, ..Self::new(dim, vectors, people)? }, left_out))
    }

    /// Vectors.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Length of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// People.
    pub fn people(&self) -> usize {
        self.starts.len() - 1
    }

    /// The rows of a person.
    pub fn rows(&self, person: usize) -> Range<usize> {
        self.starts[person]..self.starts[person + 1]
    }

    /// Whose a row is.
    pub fn person(&self, row: usize) -> usize {
        self.people[row]
    }

    /// A row's vector.
    pub fn vector(&self, row: usize) -> &[f32] {
        &self.vectors[row * self.dim..][..self.dim]
    }

    /// A row's number among those that [`Examples::of_rows`] or [`Examples::new`] was given.
    pub fn source(&self, row: usize) -> usize {
        self.sources[row]
    }

    /// Some rows' vectors as one tensor, n x dim.
    pub(super) fn tensor(&self, rows: &[usize], device: &Device) -> CandleResult<Tensor> {
        let values: Vec<f32> = rows.iter().flat_map(|&row| self.vector(row).iter().copied()).collect();
        Tensor::from_vec(values, (rows.len(), self.dim), device)
    }

    /// In two: about `share` of the people, at least two, are held out. People who share a picture (one photo under two
    /// names) stay together.
    ///
    /// # Errors
    /// [`Error::Invalid`] when that leaves fewer than two people on a side.
    pub fn split(&self, share: f64, seed: u64) -> Result<(Self, Self)> {
        let mut together = self.sharing_pictures();
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        (0..self.people()).for_each(|person| groups.entry(together.find(person)).or_default().push(person));
        let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut groups);
        // A crowd that shares pictures is never what is held out, if it can be helped.
        groups.sort_by_key(|group| group.len() > 1);
        let wanted = ((share * self.people() as f64).round() as usize).max(2);
        let mut held = vec![false; self.people()];
        let mut count = 0;
        for group in groups {
            if count < wanted {
                count += group.len();
                group.into_iter().for_each(|person| held[person] = true);
            }
        }
        if self.people() - count < 2 {
            return Err(Error::Invalid(format!(
                "{} people share pictures: too few are left to hold some out; `bledsoe doctor` finds photos under two names",
                self.people()
            )));
        }
        Ok((self.subset(|person| !held[person])?, self.subset(|person| held[person])?))
    }

    fn sharing_pictures(&self) -> Components {
        let pairs: Vec<(usize, usize)> = (0..self.len())
            .into_par_iter()
            .flat_map_iter(|row| {
                let own = self.vector(row);
                let others = self.rows(self.person(row)).end..self.len();
                others.filter(move |&other| dot(own, self.vector(other)) > SAME_PICTURE).map(move |other| (row, other))
            })
            .collect();
        let mut components = Components::new(self.people());
        pairs.into_iter().for_each(|(a, b)| components.link(self.person(a), self.person(b)));
        components
    }

    fn subset(&self, keep: impl Fn(usize) -> bool) -> Result<Self> {
        let (mut vectors, mut people, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        for (number, person) in (0..self.people()).filter(|&person| keep(person)).enumerate() {
            let rows = self.rows(person);
            people.extend(rows.clone().map(|_| number));
            vectors.extend_from_slice(&self.vectors[rows.start * self.dim..rows.end * self.dim]);
            sources.extend_from_slice(&self.sources[rows]);
        }
        Ok(Self { sources, ..Self::new(self.dim, vectors, people)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        detect::Detection,
        geometry::Rect,
        landmark::{Landmarks, Scheme},
    };

    fn row(path: &str, person: Option<&str>) -> FaceRow {
        let rect = Rect { left: 0.0, top: 0.0, right: 9.0, bottom: 9.0 };
        FaceRow {
            path: path.into(),
            person: person.map(Into::into),
            sha256: String::new(),
            face: 0,
            detection: Detection { rect, score: 1.0, points: None },
            landmarks: Landmarks { scheme: Scheme::Arcface5, points: Vec::new() },
            vector: vec![0.6, 0.8],
        }
    }

    #[test]
    fn what_cannot_be_learnt_from_is_left_out_and_counted() {
        let mut rows: Vec<FaceRow> =
            (0..2 * LEAST_PEOPLE).map(|i| row(&format!("p{}/{i}.jpg", i / 2), Some(&format!("p{}", i / 2)))).collect();
        rows.extend([row("alone/1.jpg", Some("alone")), row("1.jpg", None)]);
        rows.extend([row("p0/two.jpg", Some("p0")), row("p0/two.jpg", Some("p0"))]);
        let (examples, left_out) = Examples::of_rows(2, &rows).unwrap();
        assert_eq!((examples.len(), examples.people()), (2 * LEAST_PEOPLE, LEAST_PEOPLE));
        assert_eq!(left_out, LeftOut { without_person: 1, several_faces: 1, one_photo: 1 });
        let few = Examples::of_rows(2, &rows[2..]).unwrap_err().to_string();
        assert!(few.starts_with("7 people with two photos or more (and 1 with one)"), "{few}");
    }

    #[test]
    fn people_are_held_out_whole_and_with_those_who_share_a_picture() {
        // Twenty people of two photos, each in a direction of their own; 18 and 19 share a picture.
        let axis = |person: usize, i: usize| if (person, i) == (19, 1) { 18 } else { person };
        let vectors =
            (0..40).flat_map(|r| (0..20).map(move |d| f32::from(u8::from(axis(r / 2, r % 2) == d)))).collect();
        let examples = Examples::new(20, vectors, (0..40).map(|row| row / 2).collect()).unwrap();
        for seed in 0..20 {
            let (rest, held) = examples.split(0.2, seed).unwrap();
            assert_eq!((rest.people(), held.people()), (16, 4));
            let on = |side: &Examples, d: usize| (0..side.len()).any(|row| side.vector(row)[d] > 0.5);
            assert!((0..20).all(|d| on(&rest, d) != on(&held, d)));
        }
        assert_ne!(examples.split(0.2, 1).unwrap(), examples.split(0.2, 2).unwrap());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(Examples::new(2, vec![0.0; 8], vec![0, 0, 1, 1]).is_ok());
        assert!(Examples::new(2, vec![0.0; 7], vec![0, 0, 1, 1]).is_err());
        assert!(Examples::new(2, vec![0.0; 8], vec![0, 0, 0, 1]).is_err());
        assert!(Examples::new(2, vec![0.0; 8], vec![0, 0, 2, 2]).is_err());
        assert!(Examples::new(2, vec![0.0; 8], vec![0, 1, 0, 1]).is_err());
        assert!(Examples::new(0, vec![], vec![0, 0]).is_err());
    }
}
