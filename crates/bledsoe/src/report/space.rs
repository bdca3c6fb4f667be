//! The space of embeddings as a page: points to turn, zoom, search and look at.

use std::{collections::BTreeMap, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::page::{self, escape};
use crate::{Error, Result, photo::Photo};

/// Side of a thumbnail in pixels.
pub const THUMBNAIL: u32 = 48;
/// Thumbnails in a row of the picture that holds them.
const ROW: usize = 40;
/// Thumbnails in one picture.
const SHEET: usize = ROW * ROW;
/// Groups that have a colour of their own, the largest first.
const COLOURS: [&str; 12] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#7f3fbf", "#b8a000", "#17a2a2",
    "#e6194b", "#4d7c0f",
];
const GREY: &str = "#9a9a9a";

/// A face in space.
#[derive(Debug, Clone, PartialEq)]
pub struct SpacePoint {
    /// Its place in three dimensions.
    pub solid: [f32; 3],
    /// Its place in two.
    pub flat: [f32; 2],
    /// What it is coloured by: the person, or a label.
    pub group: String,
    /// Shown with it: the photo.
    pub caption: String,
    /// Its face, [`THUMBNAIL`] pixels wide, if there is a picture.
    pub thumbnail: Option<Photo>,
}

/// Everything on the page.
#[derive(Debug, Clone)]
pub struct Space {
    /// The points.
    pub points: Vec<SpacePoint>,
    /// One sentence on what is shown.
    pub summary: String,
    /// Every setting, so that anyone can repeat it.
    pub settings: serde_json::Value,
}

/// Writes the page to `path`: one HTML file with everything in it.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written, [`Error::Photo`] when a thumbnail cannot be encoded.
pub fn write(path: &Path, space: &Space) -> Result<()> {
    page::write(path, &page(space)?)
}

fn page(space: &Space) -> Result<String> {
    let (groups, of) = groups(&space.points);
    let coordinates: Vec<u8> =
        space.points.iter().flat_map(|p| p.solid.into_iter().chain(p.flat)).flat_map(f32::to_le_bytes).collect();
    let captions: Vec<&str> = space.points.iter().map(|p| p.caption.as_str()).collect();
    let data = serde_json::json!({
        "points": STANDARD.encode(coordinates), "groups": groups, "group": of, "captions": captions,
        "colours": COLOURS, "grey": GREY, "sheets": sheets(&space.points)?, "side": THUMBNAIL, "row": ROW, "sheet": SHEET,
    });
    // Inside a script element nothing may look like its end.
    let data = data.to_string().replace('<', "\\u003c");
    let body = format!(
        "<p><label>Search <input id=\"search\" type=\"search\" list=\"names\" autocomplete=\"off\"></label> \
         <label><input id=\"flat\" type=\"checkbox\"> two dimensions</label> \
         <label><input id=\"turn\" type=\"checkbox\"> turn</label> <span id=\"found\" class=\"quiet\"></span></p>\n\
         <datalist id=\"names\">{}</datalist>\n\
         <div style=\"position:relative\"><canvas id=\"space\" style=\"width:100%;height:70vh;touch-action:none\" \
         role=\"img\" aria-label=\"{} points\"></canvas>\
         <div id=\"tip\" hidden style=\"position:absolute;pointer-events:none;background:#fffe;color:#111;border:1px solid \
         #888;border-radius:4px;padding:4px 6px;font-size:13px\"></div></div>\n\
         <p class=\"quiet\">Drag to turn, scroll to zoom, point at a face to see it. The largest groups have a colour, all \
         others are grey.</p>\n<p id=\"legend\"></p>\n{}\
         <script type=\"application/json\" id=\"data\">{data}</script>\n",
        groups.iter().map(|group| format!("<option value=\"{}\">", escape(group))).collect::<String>(),
        space.points.len(),
        page::settings(&space.settings)?,
    );
    Ok(page::page_with_script("Embedding space", &space.summary, &body, include_str!("space.js")))
}

/// The names of all groups, the largest first, and each point's.
fn groups(points: &[SpacePoint]) -> (Vec<&str>, Vec<usize>) {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    points.iter().for_each(|p| *sizes.entry(&p.group).or_default() += 1);
    let mut names: Vec<(&str, usize)> = sizes.into_iter().collect();
    names.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let places: BTreeMap<&str, usize> = names.iter().enumerate().map(|(i, (name, _))| (*name, i)).collect();
    (names.iter().map(|(name, _)| *name).collect(), points.iter().map(|p| places[p.group.as_str()]).collect())
}

/// All thumbnails, a few large pictures instead of thousands of small ones; a point without one has a grey place.
fn sheets(points: &[SpacePoint]) -> Result<Vec<String>> {
    if points.iter().all(|p| p.thumbnail.is_none()) {
        return Ok(Vec::new());
    }
    let side = THUMBNAIL as usize;
    points
        .chunks(SHEET)
        .map(|chunk| {
            let (width, height) = (side * ROW, side * chunk.len().div_ceil(ROW));
            let mut rgb = vec![200; 3 * width * height];
            for (i, thumbnail) in chunk.iter().enumerate().filter_map(|(i, p)| Some((i, p.thumbnail.as_ref()?))) {
                let (left, top) = (side * (i % ROW), side * (i / ROW));
                let (w, h) = ((thumbnail.width() as usize).min(side), (thumbnail.height() as usize).min(side));
                for y in 0..h {
                    let from = 3 * y * thumbnail.width() as usize;
                    let to = 3 * ((top + y) * width + left);
                    rgb[to..to + 3 * w].copy_from_slice(&thumbnail.rgb()[from..from + 3 * w]);
                }
            }
            page::data_url(&Photo::new(width as u32, height as u32, rgb)?)
        })
        .collect()
}

/// A still of the two dimensions, `side` pixels wide and high, coloured as the page is.
///
/// # Errors
/// [`Error::Invalid`] for a side of 0.
pub fn still(points: &[SpacePoint], side: u32) -> Result<Photo> {
    let (_, of) = groups(points);
    let mut rgb = vec![255; 3 * side as usize * side as usize];
    let radius = (side as f32 / 400.0).max(1.0);
    // Grey first, so that the coloured stay on top.
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(of[i]));
    for i in order {
        let colour = colour(COLOURS.get(of[i]).copied().unwrap_or(GREY));
        let place = |x: f32| (0.5 + 0.48 * x) * side as f32;
        let (x, y) = (place(points[i].flat[0]), place(-points[i].flat[1]));
        for py in
            (y - radius).floor().max(0.0) as u32..=((y + radius).ceil().max(0.0) as u32).min(side.saturating_sub(1))
        {
            for px in
                (x - radius).floor().max(0.0) as u32..=((x + radius).ceil().max(0.0) as u32).min(side.saturating_sub(1))
            {
                if (px as f32 - x).hypot(py as f32 - y) <= radius {
                    let at = 3 * (py as usize * side as usize + px as usize);
                    rgb[at..at + 3].copy_from_slice(&colour);
                }
            }
        }
    }
    Photo::new(side, side, rgb).map_err(|_| Error::Invalid("a still of no pixels".into()))
}

/// The bytes of `#rrggbb`.
fn colour(hex: &str) -> [u8; 3] {
    let digits = u32::from_str_radix(hex.trim_start_matches('#'), 16).unwrap_or_default();
    [(digits >> 16) as u8, (digits >> 8) as u8, digits as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(group: &str, flat: [f32; 2], thumbnail: bool) -> SpacePoint {
        let thumbnail = thumbnail.then(|| Photo::new(THUMBNAIL, THUMBNAIL, vec![90; 3 * 48 * 48]).unwrap());
        SpacePoint {
            solid: [flat[0], flat[1], 0.0],
            flat,
            group: group.into(),
            caption: format!("{group}.jpg"),
            thumbnail,
        }
    }

    #[test]
    fn the_page_needs_nothing_from_outside_and_lets_no_name_run() {
        let bad = "</script><script>alert(1)</script>";
        let points = vec![point(bad, [0.0, 1.0], true), point("Ada", [1.0, 0.0], false)];
        let space = Space { points, summary: "1 < 2".into(), settings: serde_json::json!({}) };
        let html = page(&space).unwrap();
        assert!(!html.contains(bad) && html.contains("\\u003c/script>") && html.contains("1 &lt; 2"));
        assert!(html.contains("script-src 'sha256-") && !html.contains("src=\"http"));
        assert_eq!(html.matches("data:image/jpeg").count(), 1);
    }

    #[test]
    fn groups_go_by_size_then_name() {
        let points: Vec<_> = ["b", "c", "a", "c", "b"].map(|g| point(g, [0.0, 0.0], false)).to_vec();
        assert_eq!(groups(&points), (vec!["b", "c", "a"], vec![0, 1, 2, 1, 0]));
        assert!(sheets(&points).unwrap().is_empty());
    }

    #[test]
    fn a_still_shows_the_points_where_they_are() {
        let still = still(&[point("a", [1.0, 0.0], false), point("a", [0.0, 1.0], false)], 100).unwrap();
        let at = |x: usize, y: usize| &still.rgb()[3 * (100 * y + x)..][..3];
        assert_eq!((at(98, 50), at(50, 2)), (&[0, 0x72, 0xb2][..], &[0, 0x72, 0xb2][..]));
        assert_eq!(at(50, 50), [255; 3]);
        assert!(super::still(&[], 0).is_err());
    }
}
