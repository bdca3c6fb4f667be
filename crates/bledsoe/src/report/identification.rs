//! The report of an identification run: who was enrolled, and what was decided of each probe.

use std::{fmt::Write, path::Path};

use super::page::{self, data_url, escape};
use crate::{Result, detect::Detection, gallery::Decision, photo::Photo};

/// One enrolled person with their face chips.
pub struct Enrolled {
    /// The name.
    pub name: String,
    /// The chips, as photos.
    pub chips: Vec<Photo>,
}

/// One probe and what was decided.
pub struct Probe {
    /// Where the photo came from.
    pub caption: String,
    /// The whole photo.
    pub photo: Photo,
    /// The face that was looked at.
    pub detection: Detection,
    /// Who it really is, if enrolled.
    pub truth: Option<String>,
    /// What was decided.
    pub decision: Decision,
}

/// Everything on the page.
pub struct Report {
    /// The people enrolled.
    pub enrolled: Vec<Enrolled>,
    /// The probes, in the order shown.
    pub probes: Vec<Probe>,
    /// One sentence on the outcome, shown first.
    pub summary: String,
    /// What a reader must know besides: where the threshold and the photos come from.
    pub notes: String,
    /// Every setting, so that anyone can repeat it.
    pub settings: serde_json::Value,
}

/// Writes the report to `path`: one HTML file with everything in it.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) when the file cannot be written, [`Error::Photo`](crate::Error::Photo) when a
/// picture cannot be encoded.
pub fn write(path: &Path, report: &Report) -> Result<()> {
    page::write(path, &page(report)?)
}

fn page(report: &Report) -> Result<String> {
    let mut html = String::from("<h2>Enrolled</h2>\n<div class=\"people\">\n");
    for person in &report.enrolled {
        html += "<figure>";
        for chip in &person.chips {
            html += &format!("<img alt=\"the aligned face of {}\" src=\"{}\">", escape(&person.name), data_url(chip)?);
        }
        html += &format!("<figcaption>{}</figcaption></figure>\n", escape(&person.name));
    }
    html += "</div>\n<h2>New photos</h2>\n<p class=\"quiet\">A bar is the score against a person enrolled, from 0 \
             to 1; the mark on it is the threshold. Below the threshold a face is called a stranger.</p>\n\
             <div class=\"cards\">\n";
    for probe in &report.probes {
        card(&mut html, probe)?;
    }
    html += &format!("</div>\n<p class=\"quiet\">{}</p>\n{}", escape(&report.notes), page::settings(&report.settings)?);
    Ok(page::page("Who is it?", &report.summary, &html))
}

fn card(html: &mut String, probe: &Probe) -> Result<()> {
    let right = probe.truth == probe.decision.name;
    let said = probe.decision.name.as_deref().unwrap_or("A stranger");
    let truth = probe.truth.as_deref().map_or("not enrolled".to_owned(), |name| format!("truly {name}"));
    let (width, height) = (probe.photo.width(), probe.photo.height());
    let rect = &probe.detection.rect;
    // Writing to a String cannot fail.
    let _ = writeln!(
        html,
        "<article class=\"card {}\"><svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\
         <image href=\"{}\" width=\"{width}\" height=\"{height}\"/>\
         <rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></svg>\
         <div class=\"text\"><h3>{} <span class=\"verdict\">{}</span></h3><p class=\"quiet\">{} ({})</p>",
        if right { "right" } else { "wrong" },
        escape(&probe.caption),
        data_url(&probe.photo)?,
        rect.left,
        rect.top,
        rect.width(),
        rect.height(),
        escape(said),
        if right { "✓ right" } else { "✗ wrong" },
        escape(&probe.caption),
        escape(&truth),
    );
    for candidate in &probe.decision.candidates {
        let sure = candidate.probability.map_or(String::new(), |p| format!(", {:.1} %", 100.0 * p));
        let _ = writeln!(
            html,
            "<div class=\"score\"><span>{}</span><span>{:.3}{sure}</span></div>\
             <div class=\"bar\"><i style=\"width:{:.0}%\"></i><b style=\"left:{:.0}%\" title=\"threshold {:.3}\"></b></div>",
            escape(&candidate.name),
            candidate.score,
            100.0 * candidate.score.clamp(0.0, 1.0),
            100.0 * probe.decision.threshold.clamp(0.0, 1.0),
            probe.decision.threshold,
        );
    }
    *html += "</div></article>\n";
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{gallery::Candidate, geometry::Rect};

    fn candidate(name: &str, score: f32, probability: Option<f64>) -> Candidate {
        Candidate { person: 1, name: name.into(), score, templates: 1, probability, interval: None }
    }

    fn probe(truth: Option<&str>, said: Option<&str>) -> Probe {
        Probe {
            caption: "a <new> photo".into(),
            photo: Photo::new(8, 6, vec![90; 8 * 6 * 3]).unwrap(),
            detection: Detection {
                rect: Rect { left: 1.0, top: 1.0, right: 5.0, bottom: 5.0 },
                score: 1.0,
                points: None,
            },
            truth: truth.map(Into::into),
            decision: Decision {
                name: said.map(Into::into),
                doubt: None,
                candidates: vec![candidate("Ada & Co", 0.73, Some(0.98)), candidate("Bob", -0.2, None)],
                threshold: 0.4,
                false_positive_rate: None,
            },
        }
    }

    fn report(probes: Vec<Probe>) -> Report {
        Report {
            enrolled: vec![Enrolled { name: "Ada & Co".into(), chips: vec![Photo::new(4, 4, vec![9; 48]).unwrap()] }],
            probes,
            summary: "1 < 2".into(),
            notes: "notes".into(),
            settings: serde_json::json!({"threshold": 0.4}),
        }
    }

    #[test]
    fn right_and_wrong_decisions_are_told_apart() {
        let known = "Ada & Co";
        for (truth, said, class) in [
            (Some(known), Some(known), "right"),
            (None, None, "right"),
            (Some(known), None, "wrong"),
            (None, Some(known), "wrong"),
            (Some(known), Some("Bob"), "wrong"),
        ] {
            let html = page(&report(vec![probe(truth, said)])).unwrap();
            assert!(html.contains(&format!("<article class=\"card {class}\">")), "{truth:?} {said:?}");
        }
    }

    #[test]
    fn the_page_needs_nothing_from_outside_and_escapes_names() {
        let html = page(&report(vec![probe(None, None)])).unwrap();
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("<script"));
        assert!(html.contains("Ada &amp; Co") && !html.contains("Ada & Co"));
        assert!(html.contains("a &lt;new&gt; photo") && html.contains("1 &lt; 2"));
        assert!(
            html.contains("0.730, 98.0 %")
                && html.contains("width:73%")
                && html.contains("width:0%")
                && html.contains("left:40%")
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = write(Path::new("/no/such/folder/report.html"), &report(Vec::new())).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder"));
    }
}
