//! The data set doctor: what is wrong with a folder of photos, and how to mend it.
//!
//! In: photos, one folder a person, and the stages that look at them. Out: [`Finding`]s, each with the photos at fault,
//! the scores that say so, and a suggested [`Fix`].
//!
//! [`examine`] reads each photo once and keeps an [`Exam`] of it; [`diagnose`] compares the exams; [`moves`] carries
//! the fixes out, and takes them back. Time is quadratic in the photos (some seconds for ten thousand), memory linear.
//!
//! Labels are judged by embeddings. A photo's likeness to a person is the mean of the upper quarter of its similarities
//! to that person's photos. It is likely mislabelled when the likeness to its own folder is below the embedder's
//! threshold and that to another person is clearly above it. Who else it shows is only said where the likeness is
//! beyond what right photos reach by chance in this data set.
//!
//! ```no_run
//! use bledsoe::{
//!     dataset::scan,
//!     doctor::{self, Thresholds},
//!     engine::EngineConfig,
//!     pipeline::{DEFAULT_EMBEDDER, Finder, Loader, Monitor},
//! };
//!
//! # fn look(finder: &Finder, monitor: &Monitor<'_>) -> bledsoe::Result<()> {
//! let loader = Loader::new(&EngineConfig::default(), None)?;
//! let embedder = loader.embedder(DEFAULT_EMBEDDER)?;
//! let scan = scan("photos".as_ref())?;
//! let (exams, failed) = doctor::examine(&scan, finder, embedder.as_ref(), None, monitor)?;
//! for finding in doctor::diagnose(&exams, None, &Thresholds::new(0.46)?)? {
//!     println!("{:?}: {:?} -> {:?}", finding.kind, finding.photos, finding.fix);
//! }
//! # Ok(())
//! # }
//! ```

mod duplicates;
mod exam;
mod faces;
mod labels;
pub mod moves;
mod quality;
mod similarity;

use std::{collections::BTreeMap, str::FromStr};

use serde::{Deserialize, Serialize};

pub use crate::fingerprint::{Fingerprint, PictureHash};
pub use exam::{Exam, Known, Subject, examine};

use crate::{Error, Result};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A photo in the folder of another person.
    Mislabelled,
    /// One person in two folders.
    Split,
    /// Two people in one folder.
    Merged,
    /// The same picture twice.
    Duplicate,
    /// A picture that is also in the other folder.
    Leak,
    /// No face found.
    NoFace,
    /// Another face that might be meant.
    SeveralFaces,
    /// A face that is not sharp.
    Blurred,
    /// A face turned far.
    Rotated,
}

impl Kind {
    /// All, in the order in which findings are listed.
    pub const ALL: [Self; 9] = [
        Self::Mislabelled,
        Self::Split,
        Self::Merged,
        Self::Duplicate,
        Self::Leak,
        Self::NoFace,
        Self::SeveralFaces,
        Self::Blurred,
        Self::Rotated,
    ];

    /// Its name in lists and options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mislabelled => "mislabelled",
            Self::Split => "split",
            Self::Merged => "merged",
            Self::Duplicate => "duplicate",
            Self::Leak => "leak",
            Self::NoFace => "no-face",
            Self::SeveralFaces => "several-faces",
            Self::Blurred => "blurred",
            Self::Rotated => "rotated",
        }
    }
}

impl FromStr for Kind {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == s).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
            Error::Invalid(format!("finding {s:?}: expected one of {}", known.join(", ")))
        })
    }
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Fix {
    /// Move the photos to this person's folder.
    Relabel {
        /// The person.
        person: String,
    },
    /// Take the photos out of the data set.
    Quarantine,
    /// Let a person decide.
    Look,
}

/// Something that is wrong, with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// The photos at fault, as paths below the folder.
    pub photos: Vec<String>,
    /// The people concerned: whose folder it is, then the other person.
    pub people: Vec<String>,
    /// Photos that show it: of the person whom the photos look like, or the copies that stay. Of the other folder for a
    /// leak.
    pub others: Vec<String>,
    /// The numbers that say so; each kind's own, see the functions that find it.
    pub scores: BTreeMap<&'static str, f32>,
    /// What to do.
    pub fix: Fix,
}

impl Finding {
    /// A finding about one photo alone.
    fn of_photo(kind: Kind, exam: &Exam, scores: BTreeMap<&'static str, f32>, fix: Fix) -> Self {
        let people = exam.person.iter().cloned().collect();
        Self { kind, photos: vec![exam.path.clone()], people, others: Vec::new(), scores, fix }
    }
}

fn scores<const N: usize>(scores: [(&'static str, f32); N]) -> BTreeMap<&'static str, f32> {
    scores.into()
}

/// From where on something is a finding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Thresholds {
    /// Cosine similarity of one person's faces, by the embedder's contract: strangers reach it once in a thousand
    /// pairs.
    pub similarity: f32,
    /// Cosine similarity of one face in the same picture.
    pub same_face: f32,
    /// Least agreement of two fingerprints of one picture, 0 to 1.
    pub same_picture: f32,
    /// Most distance of two hashes of one picture, 0 to 1.
    pub same_hash: f32,
    /// Least width of another face, as a share of the subject's.
    pub other_face: f32,
    /// Least sharpness.
    pub sharpness: f32,
    /// Most roll in degrees.
    pub roll: f32,
    /// Most yaw in degrees.
    pub yaw: f32,
}

impl Thresholds {
    /// The doctor's own, with the embedder's `similarity`.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless 0 < `similarity` < 1.
    pub fn new(similarity: f32) -> Result<Self> {
        if !(similarity > 0.0 && similarity < 1.0) {
            return Err(Error::Invalid(format!("threshold {similarity}: the doctor needs one between 0 and 1")));
        }
        Ok(Self {
            similarity,
            // Copies of a photo are far more alike than two photos of a person: four fifths of the way to equal.
            same_face: similarity + 0.8 * (1.0 - similarity),
            same_picture: 0.9,
            same_hash: PictureHash::SAME,
            other_face: 0.6,
            sharpness: 0.0065,
            roll: 35.0,
            yaw: 50.0,
        })
    }
}

/// All findings among `exams`, and, with `against`, the photos that are also there. Sorted by kind, the surest first.
///
/// # Errors
/// [`Error::Mismatch`] when embeddings are of different lengths.
pub fn diagnose(exams: &[Exam], against: Option<&[Exam]>, thresholds: &Thresholds) -> Result<Vec<Finding>> {
    let dims = exams.iter().chain(against.unwrap_or_default()).filter_map(|exam| exam.subject.as_ref());
    let mut dims = dims.map(|subject| subject.vector.len());
    let first = dims.next().unwrap_or_default();
    if dims.any(|dim| dim != first) {
        return Err(Error::Mismatch("embeddings of different lengths cannot be compared".into()));
    }
    let mut findings = labels::check(exams, thresholds);
    findings.extend(duplicates::find(exams, thresholds));
    findings.extend(against.map(|other| duplicates::leaks(exams, other, thresholds)).unwrap_or_default());
    findings.extend(faces::none(exams));
    findings.extend(faces::several(exams, thresholds.other_face));
    findings.extend(quality::blurred(exams, thresholds.sharpness));
    findings.extend(quality::rotated(exams, thresholds.roll, thresholds.yaw));
    findings.sort_by_key(|finding| finding.kind);
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{geometry::Rect, quality::Pose};

    fn square(left: f32, side: f32) -> Rect {
        Rect { left, top: 0.0, right: left + side, bottom: side }
    }

    /// An exam of a photo in which nothing is wrong, with a face of this embedding.
    pub(super) fn exam(path: &str, person: Option<&str>, vector: Option<Vec<f32>>) -> Exam {
        let subject = vector.map(|vector| Subject {
            rect: square(10.0, 100.0),
            pose: Some(Pose { roll: 0.0, yaw: 0.0 }),
            sharpness: 0.1,
            fingerprint: None,
            vector,
        });
        Exam {
            path: path.into(),
            person: person.map(Into::into),
            sha256: crate::hash::sha256(path),
            bytes: 1000,
            size: (120, 120),
            picture: None,
            faces: Some(subject.iter().map(|subject| subject.rect).collect()),
            subject,
        }
    }

    #[test]
    fn each_fault_is_found_once_and_a_good_photo_has_none() {
        let good = || exam("a/good.jpg", Some("a"), Some(vec![1.0, 0.0]));
        let faulty = |path: &str, fault: &dyn Fn(&mut Exam)| {
            let mut exam = exam(path, Some("a"), Some(vec![1.0, 0.0]));
            fault(&mut exam);
            exam
        };
        let pose = |exam: &mut Exam, roll: f32, yaw: f32| {
            exam.subject.iter_mut().for_each(|subject| subject.pose = Some(Pose { roll, yaw }));
        };
        let exams = [
            good(),
            faulty("a/blur.jpg", &|e| e.subject.iter_mut().for_each(|subject| subject.sharpness = 0.001)),
            faulty("a/roll.jpg", &|e| pose(e, -80.0, 0.0)),
            faulty("a/yaw.jpg", &|e| pose(e, 0.0, 70.0)),
            faulty("a/two.jpg", &|e| e.faces.iter_mut().for_each(|faces| faces.push(square(0.0, 90.0)))),
            faulty("a/bystander.jpg", &|e| e.faces.iter_mut().for_each(|faces| faces.push(square(0.0, 20.0)))),
            faulty("a/unknown.jpg", &|e| e.faces = None),
            faulty("a/none.jpg", &|e| e.subject = None),
        ];
        let findings = diagnose(&exams, None, &Thresholds::new(0.5).unwrap()).unwrap();
        let found: Vec<(Kind, &str)> = findings.iter().map(|f| (f.kind, f.photos[0].as_str())).collect();
        assert_eq!(
            found,
            [
                (Kind::NoFace, "a/none.jpg"),
                (Kind::SeveralFaces, "a/two.jpg"),
                (Kind::Blurred, "a/blur.jpg"),
                (Kind::Rotated, "a/roll.jpg"),
                (Kind::Rotated, "a/yaw.jpg"),
            ]
        );
        assert_eq!(findings[1].scores, scores([("faces", 2.0), ("size_ratio", 0.9)]));
    }

    #[test]
    fn embeddings_of_two_lengths_are_an_error() {
        let exams = [exam("a/1.jpg", Some("a"), Some(vec![1.0, 0.0])), exam("a/2.jpg", Some("a"), Some(vec![1.0]))];
        assert!(diagnose(&exams, None, &Thresholds::new(0.5).unwrap()).is_err());
        assert!(diagnose(&exams[..1], Some(&exams[1..]), &Thresholds::new(0.5).unwrap()).is_err());
        for threshold in [0.0, 1.0, -0.2, f32::NAN] {
            assert!(Thresholds::new(threshold).is_err());
        }
    }

    #[test]
    fn kinds_are_read_by_the_names_that_they_are_written_with() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse::<Kind>().unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert!("dog".parse::<Kind>().unwrap_err().to_string().contains("mislabelled"));
    }
}
