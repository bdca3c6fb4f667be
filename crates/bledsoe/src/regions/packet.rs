//! Reading an XMP packet: RDF as XML, in all the ways that XMP may write a structure.

use std::path::Path;

use roxmltree::{Document, Node, ParsingOptions};

use super::FaceRegion;
use crate::{Error, Result, geometry::Rect, photo::Stored};

/// Most bytes of a packet or sidecar; some programs keep the whole history of a photo in it.
pub(super) const MAX_BYTES: usize = 16 << 20;
/// Most elements, texts and comments.
const MAX_NODES: u32 = 1_000_000;
/// Most regions of a photo.
const MAX_REGIONS: usize = 10_000;
/// How far the ratio of the sides may be off, as a share, for pictures of one shape: a small copy's sides are rounded.
const SAME_SHAPE: f64 = 0.01;

pub(super) const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
pub(super) const REGIONS: &str = "http://www.metadataworkinggroup.com/schemas/regions/";
pub(super) const AREA: &str = "http://ns.adobe.com/xmp/sType/Area#";
pub(super) const DIMENSIONS: &str = "http://ns.adobe.com/xap/1.0/sType/Dimensions#";
pub(super) const XMP: &str = "http://ns.adobe.com/xap/1.0/";
/// What our regions name as their tool, so that a later run knows them.
pub(super) const TOOL: &str = "bledsoe";

/// The faces that a packet marks, in pixels of the upright photo; none where it says nothing of regions. `file` is
/// named in errors.
///
/// Regions of other things than faces, and points, are passed over.
///
/// # Errors
/// [`Error::Format`] when it is damaged, too large or not in UTF-8, [`Error::Mismatch`] when the regions were made for
/// a picture of another shape.
pub fn parse(xmp: &[u8], stored: &Stored, file: &Path) -> Result<Option<Vec<FaceRegion>>> {
    for text in packets(decode(xmp, file)?) {
        let document = document(text, file)?;
        if let Some(regions) = Regions::of(&document, stored, file)? {
            return Ok(Some(regions.faces.into_iter().map(|face| face.region).collect()));
        }
    }
    Ok(None)
}

/// The bytes as text.
pub(super) fn decode<'a>(xmp: &'a [u8], file: &Path) -> Result<&'a str> {
    if xmp.len() > MAX_BYTES {
        return Err(Error::format(file, format!("XMP of more than {} MB", MAX_BYTES >> 20)));
    }
    let text = std::str::from_utf8(xmp).map_err(|_| Error::format(file, "XMP that is not in UTF-8"))?;
    // Some programs end the packet with a zero byte.
    Ok(text.trim_end_matches('\0'))
}

/// The packet, and what extended XMP appends to it.
fn packets(text: &str) -> impl Iterator<Item = &str> {
    let end = text.find("<?xpacket end").and_then(|at| Some(at + text[at..].find("?>")? + 2));
    let (first, rest) = text.split_at(end.unwrap_or(text.len()));
    [first, rest].into_iter().filter(|text| !text.trim().is_empty())
}

/// The XML tree. Document types are refused, and with them entities.
pub(super) fn document<'a>(text: &'a str, file: &Path) -> Result<Document<'a>> {
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|e| Error::format(file, format!("damaged XMP: {e}")))
}

/// In which picture regions are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// The picture as the file stores it, as the guidelines want it.
    Stored,
    /// The picture turned upright.
    Upright,
}

impl Frame {
    /// The frame that a picture of the sides `applied` was.
    fn of(applied: Option<(f64, f64)>, stored: &Stored, file: &Path) -> Result<Self> {
        let Some((width, height)) = applied else { return Ok(Self::Stored) };
        let alike = |(w, h): (u32, u32)| {
            let (one, other) = (width * f64::from(h), height * f64::from(w));
            (one - other).abs() <= SAME_SHAPE * one.max(other)
        };
        if alike((stored.width, stored.height)) {
            Ok(Self::Stored)
        } else if alike(stored.upright_size()) {
            Ok(Self::Upright)
        } else {
            Err(Error::Mismatch(format!(
                "{}: the regions are of a picture of {width}x{height} pixels, the photo has {}x{}: it was cut since",
                file.display(),
                stored.width,
                stored.height
            )))
        }
    }

    fn size(self, stored: &Stored) -> (u32, u32) {
        match self {
            Self::Stored => (stored.width, stored.height),
            Self::Upright => stored.upright_size(),
        }
    }
}

/// Middle, width and height, as shares of the picture's sides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

impl Area {
    /// In pixels of the upright photo. Pixels' centres are at whole numbers, so the picture begins at -0.5.
    fn to_rect(self, frame: Frame, stored: &Stored) -> Rect {
        let (width, height) = frame.size(stored);
        let x = |share: f64| (share * f64::from(width) - 0.5) as f32;
        let y = |share: f64| (share * f64::from(height) - 0.5) as f32;
        let rect = Rect {
            left: x(self.x - self.w / 2.0),
            top: y(self.y - self.h / 2.0),
            right: x(self.x + self.w / 2.0),
            bottom: y(self.y + self.h / 2.0),
        };
        if frame == Frame::Stored { stored.to_upright(rect) } else { rect }
    }

    /// The inverse of [`Self::to_rect`].
    pub fn of_rect(rect: Rect, frame: Frame, stored: &Stored) -> Self {
        let rect = if frame == Frame::Stored { stored.from_upright(rect) } else { rect };
        let (width, height) = frame.size(stored);
        let x = |pixel: f32| (f64::from(pixel) + 0.5) / f64::from(width);
        let y = |pixel: f32| (f64::from(pixel) + 0.5) / f64::from(height);
        let (left, top, right, bottom) = (x(rect.left), y(rect.top), x(rect.right), y(rect.bottom));
        Self { x: (left + right) / 2.0, y: (top + bottom) / 2.0, w: right - left, h: bottom - top }
    }
}

/// A face region in the tree.
pub(super) struct Face<'a, 'i> {
    /// Its item of the list.
    pub item: Node<'a, 'i>,
    pub region: FaceRegion,
    /// Whether we wrote it.
    pub ours: bool,
}

/// The regions of a tree.
pub(super) struct Regions<'a, 'i> {
    /// The list that they are the items of; none where the structure has no list.
    pub list: Option<Node<'a, 'i>>,
    pub frame: Frame,
    pub faces: Vec<Face<'a, 'i>>,
}

impl<'a, 'i> Regions<'a, 'i> {
    pub fn of(document: &'a Document<'i>, stored: &Stored, file: &Path) -> Result<Option<Self>> {
        let Some(regions) = document.descendants().find(|node| node.has_tag_name((REGIONS, "Regions"))) else {
            return Ok(None);
        };
        let applied = match child(regions, (REGIONS, "AppliedToDimensions")) {
            Some(sides) => number(sides, (DIMENSIONS, "w"), file)?
                .zip(number(sides, (DIMENSIONS, "h"), file)?)
                .filter(|&(width, height)| width > 0.0 && height > 0.0),
            None => None,
        };
        let list = child(regions, (REGIONS, "RegionList"));
        let list = list.and_then(|list| list.children().find(|node| is_list(*node)));
        let items: Vec<_> = list.map_or(Vec::new(), |list| {
            list.children().filter(|node| node.has_tag_name((RDF, "li"))).take(MAX_REGIONS + 1).collect()
        });
        if items.len() > MAX_REGIONS {
            return Err(Error::format(file, format!("more than {MAX_REGIONS} regions")));
        }
        let frame = Frame::of(applied, stored, file)?;
        let mut faces = Vec::new();
        for item in items {
            let (Some(area), Some("Face")) = (area(item, file)?, text(item, (REGIONS, "Type")).map(str::trim)) else {
                continue;
            };
            let name = text(item, (REGIONS, "Name")).filter(|name| !name.trim().is_empty()).map(str::to_owned);
            let ours = child(item, (REGIONS, "Extensions"))
                .is_some_and(|extensions| text(extensions, (XMP, "CreatorTool")) == Some(TOOL));
            faces.push(Face { item, region: FaceRegion { name, rect: area.to_rect(frame, stored) }, ours });
        }
        Ok(Some(Self { list, frame, faces }))
    }
}

fn is_list(node: Node<'_, '_>) -> bool {
    ["Bag", "Seq", "Alt"].into_iter().any(|kind| node.has_tag_name((RDF, kind)))
}

/// The rectangle of a region; none for a point or a circle.
fn area(item: Node<'_, '_>, file: &Path) -> Result<Option<Area>> {
    let Some(area) = child(item, (REGIONS, "Area")) else { return Ok(None) };
    let number = |name| number(area, (AREA, name), file);
    let (Some(x), Some(y), Some(w), Some(h)) = (number("x")?, number("y")?, number("w")?, number("h")?) else {
        return Ok(None);
    };
    if text(area, (AREA, "unit")).is_some_and(|unit| unit.trim() != "normalized") {
        return Err(Error::format(
            file,
            "a region that is not measured in shares of the picture (unit \"normalized\")",
        ));
    }
    // A face may reach out of the picture, but its middle is in it.
    let inside = |middle: f64, length: f64| (0.0..=1.0).contains(&middle) && length > 0.0 && length <= 2.0;
    if !inside(x, w) || !inside(y, h) {
        return Err(Error::format(file, format!("a region outside the picture: middle {x}, {y}, size {w} x {h}")));
    }
    Ok(Some(Area { x, y, w, h }))
}

/// The elements that a structure's fields may be in: its own, or that of a description inside it.
fn bodies<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    std::iter::once(node).chain(node.children().filter(|child| child.has_tag_name((RDF, "Description"))))
}

/// A field of a structure that is a structure itself.
fn child<'a, 'i>(node: Node<'a, 'i>, name: (&'static str, &'static str)) -> Option<Node<'a, 'i>> {
    bodies(node).find_map(|body| body.children().find(|child| child.has_tag_name(name)))
}

/// A field of a structure that is text.
fn text<'a>(node: Node<'a, '_>, name: (&'static str, &'static str)) -> Option<&'a str> {
    bodies(node).find_map(|body| body.attribute(name)).or_else(|| child(node, name)?.text())
}

/// A field of a structure that is a number.
fn number(node: Node<'_, '_>, name: (&'static str, &'static str), file: &Path) -> Result<Option<f64>> {
    let Some(text) = text(node, name) else { return Ok(None) };
    match text.trim().parse() {
        Ok(number) if f64::is_finite(number) => Ok(Some(number)),
        _ => Err(Error::format(file, format!("a region's {} is {text:?}, not a number", name.1))),
    }
}
