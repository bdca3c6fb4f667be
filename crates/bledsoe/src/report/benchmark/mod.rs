//! The report of a benchmark: figures with intervals, plots, the worst errors as pictures, and all it takes to repeat it.
//!
//! In: results of [`evaluate`](crate::evaluate) and pictures of the errors. Out: one HTML file. See
//! [`verification::write`] and [`identification::write`].

pub mod identification;
#[cfg(test)]
mod sample;
pub mod verification;

use super::page::{Tile, escape, figure, settings, similarity, table, thumbnail_url, tiles};
use crate::{Result, photo::Photo};

/// Pictures are made to fit a square of so many pixels: sharp on a phone, and forty pairs take about 1 MB.
const THUMBNAIL: u32 = 200;
/// Longer lists are folded away.
const FOLD_FROM: usize = 12;

/// What was measured, and how to repeat it. All fields are text, not HTML.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// The heading: `LFW View 2, mobilefacenet`.
    pub title: String,
    /// One sentence on the outcome, shown first.
    pub summary: String,
    /// What a reader must know besides; may be empty.
    pub notes: String,
    /// The command line that repeats it.
    pub command: String,
    /// Every network used.
    pub models: Vec<Model>,
    /// Every setting.
    pub settings: serde_json::Value,
}

/// A model used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What for: `detector`, `embedder`.
    pub role: String,
    /// Its id.
    pub id: String,
    /// SHA-256 of its file, in hexadecimal.
    pub sha256: String,
}

/// A photo with its path or name.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Shown below the photo.
    pub caption: String,
    /// Any size; shown small.
    pub photo: Photo,
}

/// Two photos that were compared.
#[derive(Debug, Clone)]
pub struct PicturePair {
    /// For a search: the probe.
    pub left: Picture,
    /// For a search: the person enrolled.
    pub right: Picture,
    /// Their similarity.
    pub score: f64,
    /// One line on what happened, such as who was named instead; may be empty.
    pub note: String,
}

/// A photo in which no face was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its path.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Pairs of pictures under a heading; nothing if there are none.
fn pairs(heading: &str, explanation: &str, pairs: &[PicturePair]) -> Result<String> {
    if pairs.is_empty() {
        return Ok(String::new());
    }
    let mut html = format!("<h2>{heading}</h2>\n<p class=\"quiet\">{explanation}</p>\n<div class=\"pairs\">\n");
    for pair in pairs {
        html += "<article class=\"pair\">";
        for picture in [&pair.left, &pair.right] {
            let caption = escape(&picture.caption);
            // Paths may break where a reader expects it.
            let broken = caption.replace('/', "/<wbr>").replace('_', "_<wbr>");
            html += &format!(
                "<figure><img alt=\"{caption}\" src=\"{}\"><figcaption>{broken}</figcaption></figure>",
                thumbnail_url(&picture.photo, THUMBNAIL)?
            );
        }
        html += &format!(
            "<p>similarity <b>{}</b> <span class=\"note\">{}</span></p></article>\n",
            similarity(pair.score),
            escape(&pair.note)
        );
    }
    Ok(html + "</div>\n")
}

/// Photos without a face.
fn failures(failures: &[Failure]) -> String {
    if failures.is_empty() {
        return String::new();
    }
    let list = table(
        "words",
        &["photo", "reason"],
        failures.iter().map(|failure| vec![escape(&failure.path), escape(&failure.reason)]),
    );
    let html = "<h2>No face found</h2>\n";
    if failures.len() < FOLD_FROM {
        return format!("{html}{list}");
    }
    format!("{html}<details><summary>{} photos</summary>{list}</details>\n", failures.len())
}

/// How to repeat it: the end of every page.
fn about(about: &About) -> Result<String> {
    let mut html = String::from("<h2>To repeat it</h2>\n");
    if !about.notes.is_empty() {
        html += &format!("<p>{}</p>\n", escape(&about.notes));
    }
    html += &format!("<pre class=\"command\">{}</pre>\n", escape(&about.command));
    if !about.models.is_empty() {
        html += &table(
            "words",
            &["model", "for", "SHA-256"],
            about.models.iter().map(|model| {
                vec![escape(&model.id), escape(&model.role), format!("<code>{}</code>", escape(&model.sha256))]
            }),
        );
    }
    Ok(html + &settings(&about.settings)?)
}

/// A rate's key in results (`1e-3`) as per cent: `0.1 %`. A key that is no number stays as it is.
fn rate(key: &str) -> String {
    match key.parse::<f64>() {
        Ok(rate) if rate.is_finite() => {
            let text = format!("{:.6}", 100.0 * rate);
            format!("{}\u{a0}%", text.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => escape(key),
    }
}

/// Keys of rates, the largest rate first.
fn rates<'a>(keys: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut keys: Vec<&str> = keys.map(String::as_str).collect();
    let value = |key: &str| key.parse::<f64>().unwrap_or(0.0);
    keys.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.cmp(b)));
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_written_as_per_cent_and_sorted() {
        assert_eq!(["1e-1", "1e-4", "1", "a<b"].map(rate), ["10\u{a0}%", "0.01\u{a0}%", "100\u{a0}%", "a&lt;b"]);
        let keys = ["1e-3", "1e-1", "1e-2", "1e-1"].map(String::from);
        assert_eq!(rates(keys.iter()), ["1e-1", "1e-2", "1e-3"]);
    }

    #[test]
    fn long_lists_of_failures_are_folded() {
        let failed = |n| vec![Failure { path: "<a>.jpg".into(), reason: "no face".into() }; n];
        assert_eq!(failures(&[]), "");
        let short = failures(&failed(2));
        assert!(short.contains("&lt;a&gt;.jpg") && !short.contains("<details>"));
        assert!(failures(&failed(40)).contains("<details><summary>40 photos"));
    }
}
