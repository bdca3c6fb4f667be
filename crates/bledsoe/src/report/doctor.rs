//! The doctor's report: every finding with its photos, its evidence and the suggested fix.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rayon::prelude::*;

use super::escape;
use crate::{
    Error, Result,
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
/// [`Error::Io`] when the file cannot be written.
pub fn write(path: &Path, report: &Report<'_>) -> Result<()> {
    std::fs::write(path, page(report)?).map_err(|e| Error::io(path, e))
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

const STYLE: &str = "\
a { color: var(--bar); }
.finding { padding: .8rem; margin-bottom: .8rem; }
.shots { display: flex; flex-wrap: wrap; gap: .5rem; align-items: flex-end; margin: .5rem 0; }
.shots figure { width: 8rem; }
.shots img { width: 100%; height: auto; max-height: 9rem; object-fit: contain; border: 3px solid var(--line); }
.shots .fault img { border-color: var(--bad); }
.shots figcaption { font-size: .72rem; overflow-wrap: anywhere; line-height: 1.25; }
.fix { font-weight: 600; font-size: .9rem; margin: 0; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; }
td:last-child { text-align: right; font-variant-numeric: tabular-nums; }
@media print { .finding { break-inside: avoid; } a { color: inherit; text-decoration: none; } }
";

fn page(report: &Report<'_>) -> Result<String> {
    let mut kinds: BTreeMap<Kind, Vec<&Finding>> = BTreeMap::new();
    for finding in report.findings {
        kinds.entry(finding.kind).or_default().push(finding);
    }
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>bledsoe doctor: {folder}</title>\n<style>\n{}{STYLE}</style>\n</head>\n<body>\n<h1>What is wrong with \
         these photos?</h1>\n<p class=\"lead\">{} photos in {folder}; {} findings.</p>\n<table>\n",
        include_str!("style.css"),
        report.photos,
        report.findings.len(),
        folder = escape(&report.folder.display().to_string()),
    );
    for (kind, findings) in &kinds {
        let name = kind.name();
        // Writing to a String cannot fail.
        let _ = writeln!(html, "<tr><td><a href=\"#{name}\">{}</a></td><td>{}</td></tr>", title(*kind), findings.len());
    }
    html += "</table>\n<p class=\"quiet\">A red frame marks the photos at fault; the others are the evidence. These are \
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
    let settings = serde_json::to_string_pretty(report.settings).map_err(|e| Error::Invalid(e.to_string()))?;
    let _ = writeln!(
        html,
        "<details><summary>Settings</summary><pre>{}</pre></details>\n</body>\n</html>",
        escape(&settings)
    );
    Ok(html)
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
    let shown = Photo::open(&file, &Limits::default()).and_then(|photo| photo.thumbnail(THUMBNAIL).to_jpeg(75));
    match shown {
        Ok(jpeg) => {
            format!("<img alt=\"{}\" src=\"data:image/jpeg;base64,{}\">", escape(name), STANDARD.encode(jpeg))
        }
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
        page(&Report { folder, against: None, photos: 7, findings, failed: &failed, settings: &settings }).unwrap()
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
