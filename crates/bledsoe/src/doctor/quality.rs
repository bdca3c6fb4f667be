//! Faces that are blurred, or turned far.

use super::{Exam, Finding, Fix, Kind, scores};

/// Faces less sharp than `least` (see [`crate::quality::sharpness()`]), the least sharp first.
///
/// Scores: `sharpness`, and `face_width` in pixels: a small face is blurred because it was enlarged.
pub fn blurred(exams: &[Exam], least: f32) -> Vec<Finding> {
    let check = |exam: &Exam| {
        let subject = exam.subject.as_ref()?;
        let scores = scores([("sharpness", subject.sharpness), ("face_width", subject.rect.width())]);
        (subject.sharpness < least).then(|| Finding::of_photo(Kind::Blurred, exam, scores, Fix::Look))
    };
    let mut findings: Vec<Finding> = exams.iter().filter_map(check).collect();
    findings.sort_by(|a, b| a.scores["sharpness"].total_cmp(&b.scores["sharpness"]));
    findings
}

/// Faces turned by more than `most_roll` degrees in the plane of the photo, or by more than `most_yaw` to the side, the
/// farthest first.
///
/// Scores: `roll` and `yaw` in degrees (see [`crate::quality::Pose`]).
pub fn rotated(exams: &[Exam], most_roll: f32, most_yaw: f32) -> Vec<Finding> {
    let check = |exam: &Exam| {
        let pose = exam.subject.as_ref()?.pose?;
        let far = pose.roll.abs() > most_roll || pose.yaw.abs() > most_yaw;
        let scores = scores([("roll", pose.roll), ("yaw", pose.yaw)]);
        far.then(|| Finding::of_photo(Kind::Rotated, exam, scores, Fix::Look))
    };
    let mut findings: Vec<Finding> = exams.iter().filter_map(check).collect();
    let turned = |finding: &Finding| finding.scores["roll"].abs().max(finding.scores["yaw"].abs());
    findings.sort_by(|a, b| turned(b).total_cmp(&turned(a)));
    findings
}
