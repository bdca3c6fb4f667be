//! Writing regions into a sidecar: pieces of its text are cut out and put in, all other bytes stay.

use std::{fmt::Write, ops::Range, path::Path};

use roxmltree::Node;

use super::{
    FaceRegion, Written,
    packet::{AREA, Area, DIMENSIONS, Frame, RDF, REGIONS, Regions, TOOL, XMP, decode, document},
};
use crate::{Error, Result, photo::Stored};

/// Intersection over union from which two rectangles are of one face: programs draw them tighter or wider.
const SAME_FACE: f32 = 0.3;
/// How far apart two rectangles may be, in pixels, that are the same but for rounding.
const ROUNDING: f32 = 0.1;

/// A sidecar with regions in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// The whole text; empty where there is nothing to say and was no sidecar.
    pub text: String,
    /// What was put in.
    pub written: Written,
}

/// The sidecar `before` (none where there is none yet) with `regions` in it: see [`write`](super::write()). `elsewhere`
/// gives the faces that the photo's other metadata mark; it is asked only if the sidecar has no regions. `file` is
/// named in errors.
///
/// # Errors
/// See [`write`](super::write()).
pub fn merge(
    before: Option<&[u8]>,
    stored: &Stored,
    regions: &[FaceRegion],
    elsewhere: impl FnOnce() -> Result<Vec<FaceRegion>>,
    file: &Path,
) -> Result<Merged> {
    regions.iter().try_for_each(check)?;
    let text = decode(before.unwrap_or_default(), file)?;
    if text.trim().is_empty() {
        let (others, new, written) = choose(regions, elsewhere()?);
        if others.is_empty() && new.is_empty() {
            return Ok(Merged { text: text.to_owned(), written });
        }
        let body = description("", &[], stored, &others, &new)?;
        return Ok(Merged { text: packet(&body), written });
    }

    let tree = document(text, file)?;
    let mut edits = Vec::new();
    let (expected, written) = match Regions::of(&tree, stored, file)? {
        Some(found) => {
            let list = found.list.ok_or_else(|| {
                Error::format(file, "its mwg-rs:Regions is not a list of regions: bledsoe cannot add to it; remove it")
            })?;
            let (mut others, mut overlaid) = (Vec::new(), Vec::new());
            for face in &found.faces {
                if face.ours || face.region.name.is_none() && is_named_by(regions, &face.region) {
                    overlaid.push(face.item);
                } else {
                    others.push(face.region.clone());
                }
            }
            let (others, new, written) = choose(regions, others);
            edits.extend(overlaid.into_iter().map(|item| (with_space_before(text, item.range()), String::new())));
            if !new.is_empty() {
                let undeclared = undeclared(list);
                let items = new.iter().map(|region| item(region, found.frame, stored, &undeclared, true));
                edits.push(append(text, list, &items.collect::<Result<String>>()?, file)?);
            }
            ([others, new].concat(), written)
        }
        None => {
            let (others, new, written) = choose(regions, elsewhere()?);
            if !others.is_empty() || !new.is_empty() {
                let rdf = tree.descendants().find(|node| node.has_tag_name((RDF, "RDF")));
                let rdf = rdf.ok_or_else(|| Error::format(file, "no XMP: there is no rdf:RDF in it"))?;
                // All descriptions of a packet are about the same thing, by the same words.
                let about = rdf.children().find_map(|child| child.attribute((RDF, "about"))).unwrap_or_default();
                let body = description(about, &undeclared(rdf), stored, &others, &new)?;
                edits.push(append(text, rdf, &body, file)?);
            }
            ([others, new].concat(), written)
        }
    };
    let text = apply(text, edits);
    if !says(&text, &expected, stored, file)? {
        return Err(Error::format(file, "bledsoe cannot add regions to it without losing something: left as it was"));
    }
    Ok(Merged { text, written })
}

/// Of the faces that others have marked, those that stay; of the new regions, those that are written.
fn choose(regions: &[FaceRegion], others: Vec<FaceRegion>) -> (Vec<FaceRegion>, Vec<FaceRegion>, Written) {
    let others: Vec<_> =
        others.into_iter().filter(|other| other.name.is_some() || !is_named_by(regions, other)).collect();
    let taken = |region: &&FaceRegion| !others.iter().any(|other| is_same_face(region, other));
    let new: Vec<_> = regions.iter().filter(taken).cloned().collect();
    let written = Written { added: new.len(), kept: regions.len() - new.len() };
    (others, new, written)
}

fn is_same_face(one: &FaceRegion, other: &FaceRegion) -> bool {
    one.rect.iou(&other.rect) >= SAME_FACE
}

/// Whether a new region gives `other` a name.
fn is_named_by(regions: &[FaceRegion], other: &FaceRegion) -> bool {
    regions.iter().any(|region| region.name.is_some() && is_same_face(region, other))
}

fn check(region: &FaceRegion) -> Result<()> {
    let FaceRegion { name, rect } = region;
    let sides = [rect.left, rect.top, rect.right, rect.bottom];
    if !(rect.width() > 0.0 && rect.height() > 0.0 && sides.iter().all(|side| side.is_finite())) {
        return Err(Error::Invalid(format!("a face region without area: {rect:?}")));
    }
    // Characters that XML 1.0 has no way to write.
    let unspeakable =
        |c: char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    match name {
        Some(name) if name.trim().is_empty() || name.contains(unspeakable) => {
            Err(Error::Invalid(format!("{name:?} cannot be written as a name in XMP")))
        }
        _ => Ok(()),
    }
}

/// Whether the text marks these faces and no others.
fn says(text: &str, expected: &[FaceRegion], stored: &Stored, file: &Path) -> Result<bool> {
    let tree = document(text, file)?;
    let found = Regions::of(&tree, stored, file)?.map(|regions| regions.faces).unwrap_or_default();
    let alike = |one: &FaceRegion, other: &FaceRegion| {
        let off = |a: f32, b: f32| (a - b).abs() > ROUNDING;
        let (a, b) = (one.rect, other.rect);
        let moved = off(a.left, b.left) || off(a.top, b.top) || off(a.right, b.right) || off(a.bottom, b.bottom);
        one.name == other.name && !moved
    };
    let mut left: Vec<_> = found.iter().map(|face| &face.region).collect();
    for region in expected {
        let Some(at) = left.iter().position(|other| alike(region, other)) else { return Ok(false) };
        left.swap_remove(at);
    }
    Ok(left.is_empty())
}

type Edit = (Range<usize>, String);

/// Puts in and cuts out; the edits' ranges are apart.
fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let (mut after, mut done) = (String::with_capacity(text.len()), 0);
    for (range, new) in edits {
        after.push_str(&text[done..range.start]);
        after.push_str(&new);
        done = range.end;
    }
    after.push_str(&text[done..]);
    after
}

/// Puts `content` at the end of an element.
fn append(text: &str, node: Node<'_, '_>, content: &str, file: &Path) -> Result<Edit> {
    let range = node.range();
    let element = &text[range.clone()];
    if let Some(open) = element.strip_suffix("/>") {
        let name = open[1..].split(|c: char| c.is_whitespace()).next().unwrap_or_default();
        return Ok((range.end - 2..range.end, format!(">{content}\n</{name}>")));
    }
    let end = element.rfind("</").ok_or_else(|| Error::format(file, "damaged XMP: an element has no end"))?;
    let at = range.start + end;
    // The end tag keeps its indentation.
    let at = at - (text[..at].len() - text[..at].trim_end_matches([' ', '\t']).len());
    let newline = if text[..at].ends_with('\n') { "" } else { "\n" };
    Ok((at..at, format!("{newline}{}\n", content.trim_start_matches('\n'))))
}

/// A range with the white space before it.
fn with_space_before(text: &str, range: Range<usize>) -> Range<usize> {
    text[..range.start].trim_end().len()..range.end
}

const PREFIXES: [(&str, &str); 5] =
    [("rdf", RDF), ("mwg-rs", REGIONS), ("stArea", AREA), ("stDim", DIMENSIONS), ("xmp", XMP)];

/// The name spaces that must be declared inside `node`: elsewhere its prefixes may mean something else.
fn undeclared(node: Node<'_, '_>) -> Vec<(&'static str, &'static str)> {
    PREFIXES.into_iter().filter(|(prefix, uri)| node.lookup_namespace_uri(Some(prefix)) != Some(uri)).collect()
}

fn declarations(prefixes: &[(&str, &str)]) -> String {
    prefixes.iter().fold(String::new(), |text, (prefix, uri)| format!("{text} xmlns:{prefix}=\"{uri}\""))
}

/// Text made safe inside elements and attributes, so that it is read back as it was.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\r' => safe.push_str("&#13;"),
            other => safe.push(other),
        }
    }
    safe
}

/// An item of the list of regions.
fn item(region: &FaceRegion, frame: Frame, stored: &Stored, undeclared: &[(&str, &str)], ours: bool) -> Result<String> {
    let Area { x, y, w, h } = Area::of_rect(region.rect, frame, stored);
    if !((0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y) && w <= 2.0 && h <= 2.0) {
        return Err(Error::Invalid(format!("a face region outside the photo: {:?}", region.rect)));
    }
    let mut text = format!("\n     <rdf:li rdf:parseType=\"Resource\"{}>", declarations(undeclared));
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n      <mwg-rs:Area stArea:x=\"{x:.6}\" stArea:y=\"{y:.6}\" stArea:w=\"{w:.6}\" stArea:h=\"{h:.6}\" \
         stArea:unit=\"normalized\"/>\n      <mwg-rs:Type>Face</mwg-rs:Type>"
    );
    if let Some(name) = &region.name {
        let _ = write!(text, "\n      <mwg-rs:Name>{}</mwg-rs:Name>", escape(name));
    }
    if ours {
        let _ = write!(text, "\n      <mwg-rs:Extensions xmp:CreatorTool=\"{TOOL}\"/>");
    }
    Ok(text + "\n     </rdf:li>")
}

/// A description of a photo that has no regions yet.
fn description(
    about: &str,
    undeclared: &[(&'static str, &'static str)],
    stored: &Stored,
    others: &[FaceRegion],
    new: &[FaceRegion],
) -> Result<String> {
    let items = others.iter().map(|region| (region, false)).chain(new.iter().map(|region| (region, true)));
    let items =
        items.map(|(region, ours)| item(region, Frame::Stored, stored, &[], ours)).collect::<Result<String>>()?;
    Ok(format!(
        "\n <rdf:Description rdf:about=\"{}\"{}>\
         \n  <mwg-rs:Regions rdf:parseType=\"Resource\">\
         \n   <mwg-rs:AppliedToDimensions stDim:w=\"{}\" stDim:h=\"{}\" stDim:unit=\"pixel\"/>\
         \n   <mwg-rs:RegionList>\
         \n    <rdf:Bag>{items}\
         \n    </rdf:Bag>\
         \n   </mwg-rs:RegionList>\
         \n  </mwg-rs:Regions>\
         \n </rdf:Description>",
        escape(about),
        declarations(undeclared),
        stored.width,
        stored.height,
    ))
}

/// A whole sidecar around a description.
fn packet(description: &str) -> String {
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\" x:xmptk=\"bledsoe\">\n\
         <rdf:RDF{}>{description}\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"w\"?>\n",
        declarations(&PREFIXES)
    )
}
