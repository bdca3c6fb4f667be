//! The contact sheet of a clustering: who was put together, with the doubtful faces apart.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::page::{self, count, escape, percent, thumbnail_url};
use crate::{
    Result,
    geometry::Rect,
    photo::{Limits, Photo},
};

/// Most clusters with pictures: a page of thousands opens on no phone.
const CLUSTERS: usize = 300;
/// Most faces of a cluster.
const FACES: usize = 12;
/// Most doubtful faces.
const DOUBTFUL: usize = 200;
/// Longest side of a picture, in pixels.
const THUMBNAIL: u32 = 112;
/// What is shown around a face, as a share of its size.
const MARGIN: f32 = 0.3;

/// A face on the sheet.
#[derive(Debug, Clone)]
pub struct Shot {
    /// The photo's file.
    pub file: PathBuf,
    /// What it is called.
    pub path: String,
    /// Where the face is, in pixels.
    pub rect: Rect,
    /// The cluster that it was put into.
    pub cluster: String,
    /// How many faces that has.
    pub size: usize,
    /// The probability that it belongs there, 0 to 1, where it is known.
    pub confidence: Option<f64>,
    /// The other cluster that it is most like.
    pub rival: Option<String>,
}

/// Faces put together.
#[derive(Debug, Clone)]
pub struct Group {
    /// The cluster's name.
    pub name: String,
    /// Its faces, the surest first.
    pub faces: Vec<Shot>,
}

/// Everything on the page.
pub struct Report<'a> {
    /// Clusters of two faces or more, the largest first.
    pub groups: &'a [Group],
    /// Faces that may belong elsewhere, the most doubtful first.
    pub doubtful: &'a [Shot],
    /// Faces that are alone.
    pub alone: usize,
    /// One sentence on the outcome, shown first.
    pub summary: &'a str,
    /// Every setting, so that anyone can repeat it.
    pub settings: &'a serde_json::Value,
}

/// Writes the sheet to `path`: one HTML file with everything in it.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) when the file cannot be written.
pub fn write(path: &Path, report: &Report<'_>) -> Result<()> {
    page::write(path, &html(report)?)
}

fn html(report: &Report<'_>) -> Result<String> {
    let mut html = String::new();
    if !report.doubtful.is_empty() {
        let _ = writeln!(
            html,
            "<h2 id=\"doubtful\">Doubtful: {}</h2>\n<p class=\"quiet\">Is it the right person? The percentage is how likely. Say \
             so in a file of pairs (--same, --different), or put the right name into clusters.csv and give it as --known.</p>",
            count(report.doubtful.len())
        );
        let shown = &report.doubtful[..report.doubtful.len().min(DOUBTFUL)];
        html += &shots(shown, &|shot| {
            let put = if shot.size > 1 { format!("put with {}", shot.cluster) } else { "left alone".into() };
            let rival = shot.rival.as_ref().map_or(String::new(), |rival| format!(", like {rival}"));
            format!("{}{put}{rival}", sure(shot.confidence))
        });
        more(&mut html, report.doubtful.len(), shown.len(), "faces");
    }
    let _ = writeln!(html, "<h2>People: {}</h2>", count(report.groups.len()));
    let shown = &report.groups[..report.groups.len().min(CLUSTERS)];
    for group in shown {
        let _ = writeln!(
            html,
            "<article class=\"card finding\"><p class=\"fix\">{}: {} faces</p>",
            escape(&group.name),
            count(group.faces.len())
        );
        let few = &group.faces[..group.faces.len().min(FACES)];
        html += &shots(few, &|shot| shot.path.clone());
        more(&mut html, group.faces.len(), few.len(), "faces");
        html += "</article>\n";
    }
    more(&mut html, report.groups.len(), shown.len(), "people");
    let _ = writeln!(html, "<p class=\"quiet\">Faces that are like no other: {}.</p>", count(report.alone));
    html += &page::settings(report.settings)?;
    Ok(page::page("Who is with whom?", report.summary, &html))
}

fn sure(confidence: Option<f64>) -> String {
    confidence.map_or(String::new(), |confidence| format!("{}: ", percent(confidence)))
}

fn more(html: &mut String, all: usize, shown: usize, what: &str) {
    if all > shown {
        let _ = writeln!(html, "<p class=\"quiet\">… and {} more {what}: see clusters.csv.</p>", count(all - shown));
    }
}

fn shots(shots: &[Shot], caption: &(dyn Fn(&Shot) -> String + Sync)) -> String {
    let figure = |shot: &Shot| {
        let picture = match picture(shot) {
            Ok(url) => format!("<img alt=\"{}\" src=\"{url}\">", escape(&shot.path)),
            Err(_) => "<p class=\"quiet\">cannot be shown</p>".into(),
        };
        format!(
            "<figure title=\"{}\">{picture}<figcaption>{}</figcaption></figure>",
            escape(&shot.path),
            escape(&caption(shot))
        )
    };
    let figures: Vec<String> = shots.par_iter().map(figure).collect();
    format!("<div class=\"shots\">{}</div>\n", figures.concat())
}

/// The face with something around it.
fn picture(shot: &Shot) -> Result<String> {
    let photo = Photo::open(&shot.file, &Limits::default())?;
    let Rect { left, top, right, bottom } = shot.rect;
    let margin = MARGIN * shot.rect.width().max(shot.rect.height());
    let inside = |edge: f32, side: u32| edge.round().clamp(0.0, side as f32) as u32;
    let (x, y) = (inside(left - margin, photo.width()), inside(top - margin, photo.height()));
    let (width, height) = (
        inside(right + margin, photo.width()).saturating_sub(x),
        inside(bottom + margin, photo.height()).saturating_sub(y),
    );
    let row = |row: u32| {
        let start = 3 * (row as usize * photo.width() as usize + x as usize);
        &photo.rgb()[start..start + 3 * width as usize]
    };
    let pixels: Vec<u8> = (y..y + height).flat_map(row).copied().collect();
    thumbnail_url(&Photo::new(width, height, pixels)?, THUMBNAIL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shot(file: PathBuf, rect: [f32; 4], confidence: Option<f64>) -> Shot {
        let [left, top, right, bottom] = rect;
        Shot {
            file,
            path: "<a>.jpg".into(),
            rect: Rect { left, top, right, bottom },
            cluster: "Ada & co".into(),
            size: 2,
            confidence,
            rival: Some("Bob".into()),
        }
    }

    fn html(groups: &[Group], doubtful: &[Shot]) -> String {
        let settings = serde_json::json!({});
        super::html(&Report { groups, doubtful, alone: 1234, summary: "s", settings: &settings }).unwrap()
    }

    #[test]
    fn faces_are_shown_wherever_they_lie_and_doubtful_ones_apart() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.png");
        Photo::new(90, 60, vec![90; 90 * 60 * 3]).unwrap().save(&file).unwrap();
        let gone = dir.path().join("gone.png");
        // Inside, over the edge, and beside the photo, where there is nothing to be seen.
        let faces = vec![
            shot(file.clone(), [10.0, 10.0, 40.0, 50.0], None),
            shot(file.clone(), [-20.0, -9.0, 120.0, 80.0], None),
            shot(file.clone(), [300.0, 300.0, 310.0, 310.0], None),
            shot(gone, [0.0; 4], None),
        ];
        let group = Group { name: "Ada & co".into(), faces };
        let html = html(&[group], &[shot(file, [0.0, 0.0, 9.0, 9.0], Some(0.625))]);
        assert_eq!(html.matches("data:image/jpeg;base64,").count(), 3);
        assert_eq!(html.matches("cannot be shown").count(), 2);
        assert!(html.contains("62.50\u{a0}%: put with Ada &amp; co, like Bob") && html.contains("1,234"));
        assert!(!html.contains("<a>") && !html.contains("http:") && !html.contains("<script"));
        assert!(html.find("Doubtful: 1").unwrap() < html.find("People: 1").unwrap());
    }

    #[test]
    fn thousands_are_cut_short_and_counted() {
        let group = Group { name: "x".into(), faces: vec![shot("none".into(), [0.0; 4], None); FACES + 2] };
        let html = html(&vec![group; CLUSTERS + 5], &[]);
        assert_eq!(html.matches("<article").count(), CLUSTERS);
        assert!(html.contains("and 5 more people") && html.contains("and 2 more faces") && !html.contains("Doubtful"));
    }
}
