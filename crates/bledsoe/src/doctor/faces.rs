//! Photos with several faces, or none.

use super::{Exam, Finding, Fix, Kind, scores};

/// Photos in which no face was found. A drawing, a landscape, a face turned away or upside down.
pub fn none(exams: &[Exam]) -> Vec<Finding> {
    let without = exams.iter().filter(|exam| exam.subject.is_none());
    without.map(|exam| Finding::of_photo(Kind::NoFace, exam, scores([]), Fix::Quarantine)).collect()
}

/// Photos with another face at least `least_size` times as wide as the subject's, which might be meant instead.
/// Bystanders smaller than that do no harm. Photos of which only one face is known are passed over. The largest others come first.
///
/// Scores: `faces` (all that were found) and `size_ratio` (width of the largest other face over the subject's).
pub fn several(exams: &[Exam], least_size: f32) -> Vec<Finding> {
    let check = |exam: &Exam| {
        let (faces, subject) = (exam.faces.as_ref()?, exam.subject.as_ref()?);
        let others = faces.iter().filter(|rect| **rect != subject.rect);
        let ratio = others.map(|rect| rect.width() / subject.rect.width().max(1.0)).fold(0.0, f32::max);
        let scores = scores([("faces", faces.len() as f32), ("size_ratio", ratio)]);
        (ratio >= least_size).then(|| Finding::of_photo(Kind::SeveralFaces, exam, scores, Fix::Look))
    };
    let mut findings: Vec<Finding> = exams.iter().filter_map(check).collect();
    findings.sort_by(|a, b| b.scores["size_ratio"].total_cmp(&a.scores["size_ratio"]));
    findings
}
