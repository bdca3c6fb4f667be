//! What a gallery says of a face.

use serde::Serialize;

use super::store::PersonId;
use crate::{Error, Result, embed::Embedding, quality::Fault};

/// A face that is looked up.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Its embedding.
    pub embedding: Embedding,
    /// What is wrong with its picture.
    pub faults: Vec<Fault>,
}

/// How like somebody a face must be to be named.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// So like that at most this share of strangers would be named (false positive identification rate), 0 to 1, both
    /// excluded. In verification: the false accept rate.
    FalsePositiveRate(f64),
    /// At least this score, -1 to 1, whatever that means in this gallery.
    Score(f32),
}

/// How to decide.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rule {
    /// Who is named.
    pub limit: Limit,
    /// Which share of the faces that will be looked up is of people enrolled, 0 to 1, both excluded: probabilities
    /// depend on it, names do not.
    pub prior: f64,
}

impl Default for Rule {
    /// One stranger of a hundred may be named; every second face is of somebody enrolled.
    fn default() -> Self {
        Self { limit: Limit::FalsePositiveRate(0.01), prior: super::PRIOR }
    }
}

impl Rule {
    pub(super) fn check(&self) -> Result<()> {
        let within = |x: f64| x > 0.0 && x < 1.0;
        match self.limit {
            Limit::FalsePositiveRate(rate) if !within(rate) => {
                Err(Error::Invalid(format!("a false positive rate of {rate}: it lies between 0 and 1")))
            }
            Limit::Score(score) if !(-1.0..=1.0).contains(&score) => {
                Err(Error::Invalid(format!("threshold {score}: a similarity lies between -1 and 1")))
            }
            _ if !within(self.prior) => {
                Err(Error::Invalid(format!("a prior of {}: it lies between 0 and 1", self.prior)))
            }
            _ => Ok(()),
        }
    }
}

/// Somebody that a face may be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// The person's number.
    pub person: PersonId,
    /// The name.
    pub name: String,
    /// How like the person the face is: half the similarity to the nearest template, half that to the mean of all; -1
    /// to 1.
    pub score: f32,
    /// Templates that the score comes from.
    pub templates: usize,
    /// The probability that this is the person; absent where the gallery could not be calibrated.
    pub probability: Option<f64>,
    /// The 95 % interval of `probability`: what is not known of the strangers and mates that it was fitted to.
    pub interval: Option<[f64; 2]>,
}

/// Why nobody is named.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Doubt {
    /// Nobody is enrolled.
    EmptyGallery,
    /// The face is too unlike the best candidate.
    TooFar,
    /// The face is as like a second person as the first.
    Ambiguous {
        /// The second person.
        other: String,
    },
    /// The best candidate was said not to be this face (see [`super::Gallery::reject`]).
    NotThisPerson {
        /// The candidate.
        name: String,
    },
    /// The best candidate is another face of the same photo.
    Taken {
        /// The candidate.
        name: String,
    },
    /// The picture is too poor, and the face not like enough to make up for it.
    PoorFace {
        /// What is wrong with it.
        faults: Vec<Fault>,
    },
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EmptyGallery => write!(f, "nobody is enrolled"),
            Self::TooFar => write!(f, "too far from everybody"),
            Self::Ambiguous { other } => write!(f, "as like {other}"),
            Self::NotThisPerson { name } => write!(f, "said before not to be {name}"),
            Self::Taken { name } => write!(f, "{name} is another face of this photo"),
            Self::PoorFace { faults } => {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                write!(f, "face too poor: {}", faults.join(", "))
            }
        }
    }
}

/// Who a face is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// The person, or `None` for nobody known.
    pub name: Option<String>,
    /// Why nobody is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
    /// The people whom the face is most like, best first.
    pub candidates: Vec<Candidate>,
    /// The least score that names somebody.
    pub threshold: f32,
    /// The share of strangers who would be as like somebody in this gallery as this face is; absent where the gallery
    /// could not be calibrated, or is empty.
    pub false_positive_rate: Option<f64>,
}

impl Decision {
    /// The probability that the name is right, or, where nobody is named, that the face is nobody's enrolled.
    pub fn probability(&self) -> Option<f64> {
        match self.name {
            Some(_) => self.candidates.first()?.probability,
            None => Some(1.0 - self.candidates.iter().map(|c| c.probability).sum::<Option<f64>>()?.min(1.0)),
        }
    }
}

/// Whether a face is a certain person's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// Whether it is.
    pub same: bool,
    /// How like the person the face is, as [`Candidate::score`].
    pub score: f32,
    /// The least score of the same person.
    pub threshold: f32,
    /// The probability that it is the person, with its 95 % interval; absent where the gallery could not be calibrated.
    pub probability: Option<f64>,
    /// See [`Candidate::interval`].
    pub interval: Option<[f64; 2]>,
    /// The share of strangers who are as like this person.
    pub false_accept_rate: Option<f64>,
    /// What is wrong with the picture.
    pub faults: Vec<Fault>,
}

/// Somebody that a face seems to be already.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resemblance {
    /// The person.
    pub name: String,
    /// How like them the face is: see [`Candidate::score`].
    pub score: f32,
    /// The share of strangers who would be as like somebody.
    pub false_positive_rate: f64,
}
