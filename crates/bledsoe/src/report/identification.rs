//! The report of an identification run: who was enrolled, and what was decided of each probe.

use std::{fmt::Write, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::escape;
use crate::{Error, Result, detect::Detection, gallery::Decision, photo::Photo};

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
    /// One sentence on engine and time.
    pub summary: String,
    /// Every setting, so that anyone can repeat it.
    pub settings: serde_json::Value,
}

/// Writes the report to `path`.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written, [`Error::Photo`] when a picture cannot be encoded.
pub fn write(path: &Path, report: &Report) -> Result<()> {
    let html = page(report)?;
    std::fs::write(path, html).map_err(|e| Error::io(path, e))
}

fn page(report: &Report) -> Result<String> {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>bledsoe: identification</title>\n<style>\n{}</style>\n<h1>bledsoe: identification</h1>\n<p class=\"lead\">{}</p>\n",
        include_str!("style.css"),
        escape(&report.summary)
    );
    html += "<h2>Enrolled</h2>\n<div class=\"cards\">\n";
    for person in &report.enrolled {
        html += "<div class=\"card\"><div class=\"text\">";
        html += &format!("<strong>{}</strong><div class=\"chips\">", escape(&person.name));
        for chip in &person.chips {
            html += &format!("<img alt=\"face chip of {}\" src=\"{}\">", escape(&person.name), data_url(chip)?);
        }
        html += "</div></div></div>\n";
    }
    html += "</div>\n<h2>Photos never enrolled</h2>\n<div class=\"cards\">\n";
    for probe in &report.probes {
        card(&mut html, probe)?;
    }
    let settings = serde_json::to_string_pretty(&report.settings).map_err(|e| Error::Invalid(e.to_string()))?;
    html += &format!("</div>\n<h2>Settings</h2>\n<pre>{}</pre>\n</html>\n", escape(&settings));
    Ok(html)
}

fn card(html: &mut String, probe: &Probe) -> Result<()> {
    let right = probe.truth == probe.decision.name;
    let said = probe.decision.name.as_deref().unwrap_or("unknown");
    let truth = probe.truth.as_deref().unwrap_or("a stranger: not enrolled");
    let (width, height) = (probe.photo.width(), probe.photo.height());
    let rect = &probe.detection.rect;
    // Writing to a String cannot fail.
    let _ = write!(
        html,
        "<div class=\"card {}\"><div class=\"photo\"><svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\
         <image href=\"{}\" width=\"{width}\" height=\"{height}\"/>\
         <rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></svg></div>\
         <div class=\"text\"><strong>{}</strong> {}<div class=\"quiet\">{} · truly {}</div><table>",
        if right { "right" } else { "wrong" },
        escape(&probe.caption),
        data_url(&probe.photo)?,
        rect.left,
        rect.top,
        rect.width(),
        rect.height(),
        escape(said),
        if right { "✓" } else { "✗" },
        escape(&probe.caption),
        escape(truth),
    );
    for (name, similarity) in &probe.decision.candidates {
        let _ = write!(
            html,
            "<tr><td>{}<div class=\"bar\"><i style=\"width:{:.0}%\"></i><b style=\"left:{:.0}%\" title=\"threshold\"></b></div></td><td>{similarity:.3}</td></tr>",
            escape(name),
            100.0 * similarity.clamp(0.0, 1.0),
            100.0 * probe.decision.threshold.clamp(0.0, 1.0),
        );
    }
    *html += "</table></div></div>\n";
    Ok(())
}

fn data_url(photo: &Photo) -> Result<String> {
    Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(photo.to_jpeg(88)?)))
}
