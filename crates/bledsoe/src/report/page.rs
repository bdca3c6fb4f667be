//! What all reports share: the page around the content, pictures inside it, figures as text.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use crate::{Error, Result, photo::Photo};

/// Text made safe inside HTML elements and attributes.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A whole page: `heading` and `lead` are text, `body` is HTML.
///
/// The policy in its head has the browser itself refuse scripts and anything from outside.
pub(super) fn page(heading: &str, lead: &str, body: &str) -> String {
    with_policy(heading, lead, body, "")
}

/// The same, with a script of ours at the end of the body: the policy lets this one run, and no other.
pub(super) fn page_with_script(heading: &str, lead: &str, body: &str, script: &str) -> String {
    let digest = STANDARD.encode(Sha256::digest(script));
    let body = format!("{body}<script>{script}</script>\n");
    with_policy(heading, lead, &body, &format!("; script-src 'sha256-{digest}'"))
}

fn with_policy(heading: &str, lead: &str, body: &str, scripts: &str) -> String {
    let heading = escape(heading);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'{scripts}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{heading} · bledsoe</title>\n<style>\n{}</style>\n</head>\n<body>\n<h1>{heading}</h1>\n\
         <p class=\"lead\">{}</p>\n{body}</body>\n</html>\n",
        include_str!("style.css"),
        escape(lead),
    )
}

/// Writes a page to `path`.
pub(super) fn write(path: &Path, html: &str) -> Result<()> {
    std::fs::write(path, html).map_err(|e| Error::io(path, e))
}

/// All settings, folded away.
pub(super) fn settings(settings: &serde_json::Value) -> Result<String> {
    let text = serde_json::to_string_pretty(settings).map_err(|e| Error::Invalid(e.to_string()))?;
    Ok(format!("<details><summary>Settings</summary><pre>{}</pre></details>\n", escape(&text)))
}

/// A photo as the address of a picture, in it whole.
pub(super) fn data_url(photo: &Photo) -> Result<String> {
    Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(photo.to_jpeg(88)?)))
}

/// [`data_url`] of a photo made to fit a square of `side` pixels; smaller ones stay as they are.
pub(super) fn thumbnail_url(photo: &Photo, side: u32) -> Result<String> {
    data_url(&photo.thumbnail(side))
}

/// A share as text: `99.42 %`; a dash if it is not a number.
pub(super) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.2}\u{a0}%", 100.0 * share) } else { "–".into() }
}

/// An interval of shares as text: `99.12–99.60 %`.
pub(super) fn percents([low, high]: [f64; 2]) -> String {
    if low.is_finite() && high.is_finite() {
        format!("{:.2}–{:.2}\u{a0}%", 100.0 * low, 100.0 * high)
    } else {
        "–".into()
    }
}

/// A similarity as text: `0.431`; a dash if it is not a number.
pub(super) fn similarity(score: f64) -> String {
    if score.is_finite() { format!("{score:.3}") } else { "–".into() }
}

/// A count as text: `13,233`.
pub(super) fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A table of cells that are HTML already. The first column names the row. `class` is one of the style sheet:
/// `figures`, `gaps` (figures whose last row sums up) or `words`.
pub(super) fn table(class: &str, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut html = format!("<div class=\"scroll\"><table class=\"{class}\">\n<thead><tr>");
    for title in head {
        html += &format!("<th scope=\"col\">{title}</th>");
    }
    html += "</tr></thead>\n<tbody>\n";
    for row in rows {
        html += "<tr>";
        for (i, cell) in row.iter().enumerate() {
            html += &if i == 0 { format!("<th scope=\"row\">{cell}</th>") } else { format!("<td>{cell}</td>") };
        }
        html += "</tr>\n";
    }
    html + "</tbody>\n</table></div>\n"
}

/// A figure shown large, with what it is and what must be known of it. Each is HTML.
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) detail: String,
}

pub(super) fn tiles(tiles: impl IntoIterator<Item = Tile>) -> String {
    let mut html = String::from("<div class=\"tiles\">\n");
    for Tile { name, value, detail } in tiles {
        html += &format!("<div class=\"tile\"><h3>{name}</h3><p class=\"figure\">{value}</p><p>{detail}</p></div>\n");
    }
    html + "</div>\n"
}

/// A plot with its legend and one sentence of how to read it; all are HTML.
pub(super) fn figure(plot: &str, legend: &str, caption: &str) -> String {
    format!("<figure class=\"chart\">\n{plot}{legend}<figcaption>{caption}</figcaption></figure>\n")
}

/// A share with its interval below it, as a table's cell; a dash for what is missing.
pub(super) fn estimate(share: Option<f64>, interval: Option<[f64; 2]>) -> String {
    let Some(share) = share.filter(|share| share.is_finite()) else { return "–".into() };
    let interval = interval.map_or_else(String::new, |interval| format!("<small>{}</small>", percents(interval)));
    percent(share) + &interval
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_stays_text() {
        assert_eq!(escape("<b a=\"&\">"), "&lt;b a=&quot;&amp;&quot;&gt;");
        let html = page("a < b", "c & d", "<p>e</p>\n");
        assert!(html.contains("<h1>a &lt; b</h1>") && html.contains("c &amp; d") && html.contains("<p>e</p>"));
    }

    #[test]
    fn figures_as_text() {
        assert_eq!(percent(0.994_2), "99.42\u{a0}%");
        assert_eq!(percents([0.5, 1.0]), "50.00–100.00\u{a0}%");
        assert_eq!(similarity(-0.25), "-0.250");
        assert_eq!(
            (percent(f64::NAN), percents([0.1, f64::NAN]), similarity(f64::INFINITY)),
            ("–".into(), "–".into(), "–".into())
        );
        assert_eq!(estimate(Some(0.5), Some([0.25, 0.75])), "50.00\u{a0}%<small>25.00–75.00\u{a0}%</small>");
        assert_eq!((estimate(None, Some([0.0, 1.0])), estimate(Some(f64::NAN), None)), ("–".into(), "–".into()));
        assert_eq!([0, 999, 1_000, 13_233, 1_234_567].map(count), ["0", "999", "1,000", "13,233", "1,234,567"]);
    }

    #[test]
    fn a_thumbnail_keeps_the_shape_and_is_never_larger_than_the_photo() {
        let decode = |url: String| {
            let bytes = STANDARD.decode(url.strip_prefix("data:image/jpeg;base64,").unwrap()).unwrap();
            let photo = Photo::decode(&bytes, &Default::default()).unwrap();
            (photo.width(), photo.height())
        };
        let photo = |w: u32, h: u32| Photo::new(w, h, vec![90; (w * h * 3) as usize]).unwrap();
        assert_eq!(decode(thumbnail_url(&photo(400, 200), 100).unwrap()), (100, 50));
        assert_eq!(decode(thumbnail_url(&photo(2, 900), 100).unwrap()), (1, 100));
        assert_eq!(decode(thumbnail_url(&photo(60, 40), 100).unwrap()), (60, 40));
    }
}
