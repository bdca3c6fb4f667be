//! The doctor's report: every finding with its photos, its evidence and the suggested fix.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::page::{self, count, escape, table, thumbnail_url};
use crate::{
    Result,
    dataset::Skipped,
    doctor::{Finding, Fix, Kind},
    photo::{Limits, Photo},
};

/// Most findings of a kind that are shown with pictures: a page of thousands opens on no phone.
const SHOWN: usize = 150;

/// Most photos shown of each side of a finding.
const PHOTOS: usize = 6;

/// Longest side of a thumbnail, in pixels.
const THUMBNAIL: u32 = 144;

/// Everything on the page.
pub struct Report<'a> {
    /// The folder examined.
    pub folder: &'a Path,
    /// The folder that leaks were looked for in.
    pub against: Option<&'a Path>,
    /// How many photos were examined.
    pub photos: usize,
    /// What was found.
    pub findings: &'a [Finding],
    /// Photos that could not be read.
    pub failed: &'a [Skipped],
    /// Every setting, so that anyone can repeat it.
    pub settings: &'a serde_json::Value,
}

/// Writes the report to `path`: one HTML file with everything in it.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) when the file cannot be written.
pub fn write(path: &Path, report: &Report<'_>) -> Result<()> {
    page::write(path, &html(report)?)
}

/// The heading of a kind.
pub fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Mislabelled => "Likely in the wrong folder",
        Kind::Split => "One person in two folders",
        Kind::Merged => "Two people in one folder",
        Kind::Duplicate => "The same picture twice",
        Kind::Leak => "Also in the other folder",
        Kind::NoFace => "No face found",
        Kind::SeveralFaces => "Several faces",
        Kind::Blurred => "Blurred faces",
        Kind::Rotated => "Faces turned far",
    }
}

/// One sentence on a finding: what, and by which numbers.
pub fn describe(finding: &Finding) -> String {
    let score = |name: &str| finding.scores.get(name).copied().unwrap_or_default();
    let person = |i: usize| finding.people.get(i).map_or("?", String::as_str);
    match finding.kind {
        Kind::Mislabelled if finding.people.len() > 1 => format!(
            "looks like {} (similarity {:.2}), not like {} ({:.2})",
            person(1),
            score("other"),
            person(0),
            score("own")
        ),
        Kind::Mislabelled => format!(
            "does not look like the other photos of {} (similarity {:.2}), which look alike ({:.2})",
            person(0),
            score("own"),
            score("folder")
        ),
        Kind::Split => {
            format!("{} and {} look like one person (similarity {:.2})", person(0), person(1), score("similarity"))
        }
        Kind::Merged => format!(
            "{}: two groups of photos that do not look alike (similarity {:.2})",
            person(0),
            score("similarity")
        ),
        Kind::Duplicate | Kind::Leak if score("equal_files") > 0.0 => "the same file".into(),
        Kind::Duplicate | Kind::Leak => format!("the same picture (agreement {:.2})", score("agreement")),
        Kind::NoFace => "no face was found".into(),
        Kind::SeveralFaces => {
            format!(
                "{:.0} faces, another one {:.1} times as wide as the subject's",
                score("faces"),
                score("size_ratio")
            )
        }
        Kind::Blurred => {
            format!("sharpness {:.4}, the face is {:.0} pixels wide", score("sharpness"), score("face_width"))
        }
        Kind::Rotated => format!("roll {:.0}°, yaw about {:.0}°", score("roll"), score("yaw")),
    }
}

/// What is suggested, in words.
pub fn advise(fix: &Fix) -> String {
    match fix {
        Fix::Relabel { person } => format!("move to {person}"),
        Fix::Quarantine => "take out".into(),
        Fix::Look => "look at it".into(),
    }
}

fn html(report: &Report<'_>) -> Result<String> {
    let mut kinds: BTreeMap<Kind, Vec<&Finding>> = BTreeMap::new();
    for finding in report.findings {
        kinds.entry(finding.kind).or_default().push(finding);
    }
    let counts = kinds.iter().map(|(kind, findings)| {
        vec![format!("<a href=\"#{}\">{}</a>", kind.name(), title(*kind)), count(findings.len())]
    });
    let mut html = table("figures", &["finding", "count"], counts);
    html += "<p class=\"quiet\">A red frame marks the photos at fault; the others are the evidence. These are \
             suggestions: look before you move anything.</p>\n";
    for (kind, findings) in &kinds {
        let _ = writeln!(html, "<h2 id=\"{}\">{}: {}</h2>", kind.name(), title(*kind), findings.len());
        let shown = &findings[..findings.len().min(SHOWN)];
        html.extend(shown.par_iter().map(|finding| card(report, finding)).collect::<Vec<String>>());
        if findings.len() > SHOWN {
            let _ = writeln!(html, "<p class=\"quiet\">… and {} more: see --json.</p>", findings.len() - SHOWN);
        }
    }
    if !report.failed.is_empty() {
        let _ = writeln!(html, "<h2>Could not be read: {}</h2>\n<ul>", report.failed.len());
        for photo in report.failed {
            let _ = writeln!(html, "<li class=\"quiet\">{}: {}</li>", escape(&photo.path), escape(&photo.reason));
        }
        html += "</ul>\n";
    }
    html += &page::settings(report.settings)?;
    let lead =
        format!("{} photos in {}; {} findings.", count(report.photos), report.folder.display(), report.findings.len());
    Ok(page::page("What is wrong with these photos?", &lead, &html))
}

fn card(report: &Report<'_>, finding: &Finding) -> String {
    let elsewhere = report.against.filter(|_| finding.kind == Kind::Leak).unwrap_or(report.folder);
    let mut html = format!(
        "<article class=\"card finding\"><p class=\"fix\">{}</p>\n<div class=\"shots\">",
        escape(&describe(finding))
    );
    let sides = [("fault", report.folder, &finding.photos), ("other", elsewhere, &finding.others)];
    for (class, folder, photos) in sides {
        for path in photos.iter().take(PHOTOS) {
            let _ = write!(
                html,
                "<figure class=\"{class}\">{}<figcaption>{}</figcaption></figure>",
                picture(folder.join(path), path),
                escape(path)
            );
        }
        if photos.len() > PHOTOS {
            let _ = write!(html, "<p class=\"quiet\">and {} more</p>", photos.len() - PHOTOS);
        }
    }
    let _ = writeln!(html, "</div><p class=\"quiet\">Suggested: {}</p></article>", escape(&advise(&finding.fix)));
    html
}

/// The photo as a thumbnail, or a word that it cannot be shown.
fn picture(file: PathBuf, name: &str) -> String {
    match Photo::open(&file, &Limits::default()).and_then(|photo| thumbnail_url(&photo, THUMBNAIL)) {
        Ok(url) => format!("<img alt=\"{}\" src=\"{url}\">", escape(name)),
        Err(_) => "<p class=\"quiet\">cannot be shown</p>".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(kind: Kind, photo: &str, scores: &[(&'static str, f32)]) -> Finding {
        Finding {
            kind,
            photos: vec![photo.into()],
            people: vec!["A & B".into(), "C".into()],
            others: vec!["gone.jpg".into()],
            scores: scores.iter().copied().collect(),
            fix: Fix::Relabel { person: "C".into() },
        }
    }

    fn html(folder: &Path, findings: &[Finding]) -> String {
        let failed = [Skipped { path: "<bad>.jpg".into(), stage: "decode".into(), reason: "damaged".into() }];
        let settings = serde_json::json!({ "threshold": 0.4 });
        super::html(&Report { folder, against: None, photos: 7, findings, failed: &failed, settings: &settings })
            .unwrap()
    }

    #[test]
    fn shows_each_finding_with_its_photo_and_needs_nothing_from_outside() {
        let dir = tempfile::tempdir().unwrap();
        Photo::new(300, 200, vec![90; 180_000]).unwrap().save(&dir.path().join("a.png")).unwrap();
        let found = finding(Kind::Mislabelled, "a.png", &[("own", 0.12), ("other", 0.81)]);
        let html = html(dir.path(), &[found]);
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("<script"));
        assert_eq!(html.matches("data:image/jpeg;base64,").count(), 1);
        assert!(html.contains("cannot be shown") && html.contains("&lt;bad&gt;.jpg"));
        assert!(
            html.contains("looks like C (similarity 0.81), not like A &amp; B (0.12)") && html.contains("move to C")
        );
    }

    #[test]
    fn thousands_of_findings_are_cut_short_and_counted() {
        let findings = vec![finding(Kind::Blurred, "none.jpg", &[]); SHOWN + 5];
        let html = html(Path::new("/nowhere"), &findings);
        assert_eq!(html.matches("<article").count(), SHOWN);
        assert!(html.contains("and 5 more") && html.contains(">155<"));
    }

    #[test]
    fn every_kind_has_its_sentence() {
        for kind in Kind::ALL {
            assert!(!describe(&finding(kind, "a.jpg", &[])).is_empty() && !title(kind).is_empty());
        }
    }
}
