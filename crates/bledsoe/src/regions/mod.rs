//! Names on faces, as photo managers keep them: XMP face regions of the Metadata Working Group.
//!
//! In: a photo's file, and the sidecar beside it. Out: the faces marked there, in pixels of the upright photo; and the
//! other way, faces written into the sidecar `photo.jpg.xmp`, which digiKam and exiftool read. The photo itself is
//! never written.
//!
//! A region is stored as the middle, width and height of a rectangle, as shares of the *stored* picture: the EXIF
//! orientation is applied after it is read (Metadata Working Group, *Guidelines for Handling Image Metadata*, version
//! 2.0, section 5.9). Beside the regions stand the width and height of the picture they were made for. Some programs
//! make them for the upright picture instead; where the sides say so, they are read as such. Where the sides fit
//! neither, the photo was cut since, and the regions are of no use: an error says so.
//!
//! ```
//! use bledsoe::{
//!     geometry::Rect,
//!     photo::{Limits, Metadata, Photo},
//!     regions::{self, FaceRegion},
//! };
//!
//! # fn main() -> bledsoe::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! let file = folder.path().join("photo.jpg");
//! let bytes = Photo::new(64, 48, vec![128; 3 * 64 * 48])?.to_jpeg(90)?;
//! std::fs::write(&file, &bytes).unwrap();
//! let metadata = Metadata::of(&bytes, &Limits::default())?;
//!
//! let rect = Rect { left: 10.0, top: 10.0, right: 30.0, bottom: 34.0 };
//! let written = regions::write(&file, &metadata, &[FaceRegion { name: Some("Ada".into()), rect }])?;
//! assert_eq!(written.added, 1);
//! assert_eq!(regions::read(&file, &metadata)?[0].name.as_deref(), Some("Ada"));
//! # Ok(())
//! # }
//! ```

mod merge;
mod packet;

use std::path::{Path, PathBuf};

pub use merge::{Merged, merge};
pub use packet::parse;

use crate::{Error, Result, geometry::Rect, photo::Metadata, whole_file};

/// A face marked in a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceRegion {
    /// Whose it is; none where nobody has said.
    pub name: Option<String>,
    /// Where it is, in pixels of the upright photo.
    pub rect: Rect,
}

/// What [`write()`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// New regions in the sidecar.
    pub added: usize,
    /// New regions left out, because the user has named that face already.
    pub kept: usize,
}

/// The sidecar that [`write()`] writes: the photo's name with `.xmp` added.
pub fn sidecar(photo: &Path) -> PathBuf {
    photo.with_added_extension("xmp")
}

/// The faces marked in the photo at `photo`: of the first that has regions of `photo.jpg.xmp`, `photo.xmp` and the
/// photo itself. None where nothing is marked.
///
/// # Errors
/// [`Error::Io`] when a sidecar cannot be read, [`Error::Format`] when XMP is damaged, too large or not in UTF-8,
/// [`Error::Mismatch`] when the regions were made for a picture of another shape.
pub fn read(photo: &Path, metadata: &Metadata) -> Result<Vec<FaceRegion>> {
    let file = sidecar(photo);
    if let Some(text) = contents(&file)?
        && let Some(regions) = parse(&text, &metadata.stored, &file)?
    {
        return Ok(regions);
    }
    Ok(elsewhere(photo, metadata)?.unwrap_or_default())
}

/// The faces marked in `photo.xmp` or the photo itself.
fn elsewhere(photo: &Path, metadata: &Metadata) -> Result<Option<Vec<FaceRegion>>> {
    let file = photo.with_extension("xmp");
    if let Some(text) = contents(&file)?
        && let Some(regions) = parse(&text, &metadata.stored, &file)?
    {
        return Ok(Some(regions));
    }
    match &metadata.xmp {
        Some(xmp) => parse(xmp, &metadata.stored, photo),
        None => Ok(None),
    }
}

/// Writes `regions` into the photo's sidecar, whole or not at all. Whatever else the sidecar says stays as it is, byte
/// for byte:
///
/// - regions that an earlier call wrote are replaced by these;
/// - a face that somebody else has named keeps that name, and a new region over it is left out;
/// - a face that somebody else has marked without a name gives way to a new region over it that has one;
/// - where the sidecar has no regions yet, but `photo.xmp` or the photo itself has, their faces are copied into it
///   first, or programs that prefer the sidecar would no longer see them.
///
/// # Errors
/// As for [`read`]; also [`Error::Format`] when the sidecar is such that it cannot be changed without losing something,
/// and [`Error::Invalid`] for a name with characters that XML cannot hold or a rectangle without area. The sidecar is
/// then as it was.
pub fn write(photo: &Path, metadata: &Metadata, regions: &[FaceRegion]) -> Result<Written> {
    let file = sidecar(photo);
    let before = contents(&file)?;
    let others = || elsewhere(photo, metadata).map(Option::unwrap_or_default);
    let merged = merge(before.as_deref(), &metadata.stored, regions, others, &file)?;
    if merged.text.as_bytes() != before.as_deref().unwrap_or_default() {
        whole_file::write(&file, merged.text.as_bytes())?;
    }
    Ok(merged.written)
}

/// A file's bytes; none where there is no such file.
fn contents(file: &Path) -> Result<Option<Vec<u8>>> {
    use std::io::Read;
    let opened = match std::fs::File::open(file) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| Error::io(file, e))?,
    };
    let mut bytes = Vec::new();
    // One more than may be: the reader of the packet refuses it.
    opened.take(packet::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|e| Error::io(file, e))?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::{Limits, Photo, Stored, Turn};
    use proptest::prelude::*;

    const FILE: &str = "photo.jpg.xmp";

    fn stored(width: u32, height: u32, orientation: u8) -> Stored {
        Stored { width, height, orientation: Turn::from_exif(orientation).unwrap() }
    }

    fn face(name: impl Into<Option<&'static str>>, left: f32, top: f32) -> FaceRegion {
        let rect = Rect { left, top, right: left + 40.0, bottom: top + 50.0 };
        FaceRegion { name: name.into().map(str::to_owned), rect }
    }

    fn merged(before: &str, stored: &Stored, regions: &[FaceRegion]) -> Result<Merged> {
        merge(Some(before.as_bytes()), stored, regions, || Ok(Vec::new()), FILE.as_ref())
    }

    fn parsed(text: &str, stored: &Stored) -> Result<Option<Vec<FaceRegion>>> {
        parse(text.as_bytes(), stored, FILE.as_ref())
    }

    fn names(regions: &[FaceRegion]) -> Vec<Option<&str>> {
        regions.iter().map(|region| region.name.as_deref()).collect()
    }

    /// A sidecar as `program` might have left it, with `regions` as the items of its list.
    fn sidecar_of(program: &str, dimensions: (u32, u32), items: &str) -> String {
        let (w, h) = dimensions;
        format!(
            "<x:xmpmeta xmlns:x='adobe:ns:meta/'><r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
             <r:Description r:about='uuid:1' xmlns:m='http://www.metadataworkinggroup.com/schemas/regions/' \
             xmlns:d='http://ns.adobe.com/xap/1.0/sType/Dimensions#' xmlns:a='http://ns.adobe.com/xmp/sType/Area#' \
             xmlns:xmp='urn:not-xmp' xmp:Program='{program}'><m:Regions><r:Description>\
             <m:AppliedToDimensions d:w='{w}' d:h='{h}' d:unit='pixel'/><m:RegionList><r:Bag>{items}</r:Bag>\
             </m:RegionList></r:Description></m:Regions></r:Description></r:RDF></x:xmpmeta>"
        )
    }

    fn item_of(name: &str, x: f32, y: f32) -> String {
        format!(
            "<r:li><r:Description m:Name='{name}' m:Type='Face'>\
             <m:Area a:x='{x}' a:y='{y}' a:w='0.1' a:h='0.125' a:unit='normalized'/></r:Description></r:li>"
        )
    }

    #[test]
    fn what_others_wrote_stays_byte_for_byte() {
        let focus =
            "<!-- keep --><r:li r:parseType='Resource'><m:Type>Focus</m:Type><m:Area a:x='.5' a:y='.5'/></r:li>";
        let before = sidecar_of("other", (400, 400), &(item_of("Ada &amp; Co", 0.25, 0.25) + focus));
        let upright = stored(400, 400, 1);
        let over_ada = face("Grace", 79.5, 74.5);
        let result = merged(&before, &upright, &[over_ada, face("Linus", 200.0, 200.0)]).unwrap();
        assert_eq!(result.written, Written { added: 1, kept: 1 });
        let (head, tail) = before.split_at(before.find("</r:Bag>").unwrap());
        assert!(result.text.starts_with(head) && result.text.ends_with(tail), "{}", result.text);
        let found = parsed(&result.text, &upright).unwrap().unwrap();
        assert_eq!(names(&found), [Some("Ada & Co"), Some("Linus")]);

        // A second run takes its own regions back, and nobody else's.
        assert_eq!(merged(&result.text, &upright, &[face("Linus", 200.0, 200.0)]).unwrap().text, result.text);
        let none = merged(&result.text, &upright, &[]).unwrap();
        assert_eq!(names(&parsed(&none.text, &upright).unwrap().unwrap()), [Some("Ada & Co")]);
        assert!(none.text.contains(focus));
    }

    #[test]
    fn an_unnamed_face_gives_way_to_its_name() {
        let before = sidecar_of("other", (400, 400), &item_of("", 0.25, 0.25));
        let upright = stored(400, 400, 1);
        assert_eq!(names(&parsed(&before, &upright).unwrap().unwrap()), [None]);
        let result = merged(&before, &upright, &[face("Ada", 79.5, 74.5)]).unwrap();
        assert_eq!(names(&parsed(&result.text, &upright).unwrap().unwrap()), [Some("Ada")]);
        // Without a name to give, the other's rectangle stays.
        let result = merged(&before, &upright, &[face(None, 79.5, 74.5)]).unwrap();
        assert_eq!((result.written.kept, result.text), (1, before));
    }

    #[test]
    fn sidecars_without_regions_are_added_to() {
        let upright = stored(400, 400, 1);
        let rdf = "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'";
        for before in [
            format!("<rdf:RDF {rdf}/>"),
            format!("<rdf:RDF {rdf}></rdf:RDF>"),
            format!("\u{feff}<?xml version='1.0'?><rdf:RDF {rdf}><rdf:Description rdf:about='a&amp;b'/></rdf:RDF>"),
        ] {
            let result = merged(&before, &upright, &[face("Ada", 10.0, 10.0)]).unwrap();
            assert_eq!(parsed(&result.text, &upright).unwrap().unwrap().len(), 1, "{}", result.text);
            assert_eq!(result.text.contains("a&amp;b"), before.contains("a&amp;b"));
            assert_eq!(result.text.matches("rdf:about=\"a&amp;b\"").count(), before.matches("a&amp;b").count());
            assert_eq!(merged(&before, &upright, &[]).unwrap().text, before);
        }
        let listless = sidecar_of("other", (400, 400), "").replace("<r:Bag></r:Bag>", "");
        assert!(matches!(merged(&listless, &upright, &[face("Ada", 1.0, 1.0)]), Err(Error::Format { .. })));
        assert!(matches!(merged("<a/>", &upright, &[face("Ada", 1.0, 1.0)]), Err(Error::Format { .. })));
    }

    #[test]
    fn regions_of_the_upright_picture_are_known_by_its_sides() {
        let on_its_side = stored(400, 300, 6);
        let items = item_of("Ada", 0.2, 0.4);
        let of = |sides| parsed(&sidecar_of("other", sides, &items), &on_its_side);
        let found = |sides| of(sides).unwrap().unwrap()[0].rect.center();
        // Turned by a quarter, (0.2, 0.4) is at (0.6, 0.2).
        let (turned, upright) = (found((800, 600)), found((300, 400)));
        assert!((turned.x - 179.5).abs() < 0.01 && (turned.y - 79.5).abs() < 0.01, "{turned:?}");
        assert!((upright.x - 59.5).abs() < 0.01 && (upright.y - 159.5).abs() < 0.01, "{upright:?}");
        assert!(matches!(of((300, 300)), Err(Error::Mismatch(_))));
        // What is added is measured as the rest of the list is.
        let before = sidecar_of("other", (300, 400), &items);
        let new = face("Grace", 200.0, 300.0);
        let result = merged(&before, &on_its_side, std::slice::from_ref(&new)).unwrap();
        let rect = parsed(&result.text, &on_its_side).unwrap().unwrap()[1].rect;
        assert!(rect.iou(&new.rect) > 0.999, "{rect:?}");
    }

    #[test]
    fn the_sidecar_is_preferred_and_the_rest_is_copied_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let photo = folder.path().join("photo.jpg");
        let bytes = Photo::new(400, 400, vec![9; 480_000]).unwrap().to_jpeg(90).unwrap();
        std::fs::write(&photo, &bytes).unwrap();
        let mut metadata = Metadata::of(&bytes, &Limits::default()).unwrap();
        assert_eq!(read(&photo, &metadata).unwrap(), []);
        assert_eq!(write(&photo, &metadata, &[]).unwrap(), Written { added: 0, kept: 0 });
        assert!(!sidecar(&photo).exists());

        metadata.xmp = Some(sidecar_of("camera", (400, 400), &item_of("Inside", 0.2, 0.2)).into_bytes());
        assert_eq!(names(&read(&photo, &metadata).unwrap()), [Some("Inside")]);
        let beside = sidecar_of("raw", (400, 400), &item_of("Beside", 0.2, 0.2));
        std::fs::write(folder.path().join("photo.xmp"), &beside).unwrap();
        assert_eq!(names(&read(&photo, &metadata).unwrap()), [Some("Beside")]);

        assert_eq!(write(&photo, &metadata, &[face("New", 300.0, 300.0)]).unwrap(), Written { added: 1, kept: 0 });
        assert_eq!(names(&read(&photo, &metadata).unwrap()), [Some("Beside"), Some("New")]);
        assert_eq!(std::fs::read_to_string(folder.path().join("photo.xmp")).unwrap(), beside);
        assert_eq!(std::fs::read(&photo).unwrap(), bytes);
        write(&photo, &metadata, &[]).unwrap();
        assert_eq!(names(&read(&photo, &metadata).unwrap()), [Some("Beside")]);
        // A sidecar that cannot be changed is not.
        std::fs::write(sidecar(&photo), "<broken").unwrap();
        assert!(write(&photo, &metadata, &[face("New", 300.0, 300.0)]).is_err());
        assert_eq!(std::fs::read_to_string(sidecar(&photo)).unwrap(), "<broken");
    }

    #[test]
    fn hostile_packets_end_in_an_error() {
        let upright = stored(400, 400, 1);
        let deep = "<a>".repeat(300_000);
        let entities = "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>";
        for text in [deep.as_str(), entities, "<a", "&", "<a></b>"] {
            assert!(matches!(parsed(text, &upright), Err(Error::Format { .. })), "{:.20}", text);
        }
        assert!(parse(&[0xff, 0xfe, 0, b'<'], &upright, FILE.as_ref()).is_err());
        assert!(parse(&vec![b' '; packet::MAX_BYTES + 1], &upright, FILE.as_ref()).is_err());
        for wrong in ["a:x='nan'", "a:x='1e999'", "a:x='7'", "a:x='x'", "a:w='-1'", "a:unit='pixel'"] {
            let (name, value) = wrong.split_once('=').unwrap();
            let item = item_of("Ada", 0.2, 0.2);
            let at = item.find(name).unwrap();
            let end = at + name.len() + 2 + item[at + name.len() + 2..].find('\'').unwrap() + 1;
            let item = format!("{}{name}={value}{}", &item[..at], &item[end..]);
            assert!(parsed(&sidecar_of("other", (400, 400), &item), &upright).is_err(), "{wrong}");
        }
        let many = item_of("Ada", 0.2, 0.2).repeat(10_001);
        assert!(parsed(&sidecar_of("other", (400, 400), &many), &upright).is_err());
        for name in ["\0", "a\u{ffff}", " "] {
            assert!(matches!(merged("", &upright, &[face(name, 1.0, 1.0)]), Err(Error::Invalid(_))));
        }
        assert!(merged("", &upright, &[face("Ada", 1000.0, 1.0)]).is_err());
        assert!(merged("", &upright, &[face("Ada", f32::NAN, 1.0)]).is_err());
    }

    #[test]
    fn extended_xmp_is_read() {
        let upright = stored(400, 400, 1);
        let first = "<?xpacket begin=''?><x:xmpmeta xmlns:x='adobe:ns:meta/'/><?xpacket end='w'?>";
        let both = format!("{first}{}\0", sidecar_of("other", (400, 400), &item_of("Ada", 0.2, 0.2)));
        assert_eq!(names(&parsed(&both, &upright).unwrap().unwrap()), [Some("Ada")]);
        assert_eq!(parsed(first, &upright).unwrap(), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            width in 50u32..9000, height in 50u32..9000, orientation in 1u8..=8,
            (x, y, w, h) in (0.0f32..1.0, 0.0f32..1.0, 0.01f32..1.0, 0.01f32..1.0),
            name in proptest::option::of("[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ufffe\\uffff\\s][^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ufffe\\uffff]{0,20}"),
        ) {
            let stored = stored(width, height, orientation);
            let (across, down) = stored.upright_size();
            let (x, y) = (x * across as f32 - 0.5, y * down as f32 - 0.5);
            let (w, h) = (w * across as f32 / 2.0, h * down as f32 / 2.0);
            let region = FaceRegion { name, rect: Rect { left: x - w, top: y - h, right: x + w, bottom: y + h } };
            let text = merged("", &stored, std::slice::from_ref(&region)).unwrap().text;
            let found = parsed(&text, &stored).unwrap().unwrap();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(&found[0].name, &region.name);
            let (a, b) = (found[0].rect, region.rect);
            for (a, b) in [(a.left, b.left), (a.top, b.top), (a.right, b.right), (a.bottom, b.bottom)] {
                prop_assert!((a - b).abs() < 0.05, "{} {}", a, b);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text: String, cut in 0usize..2000, put in ".{0,3}") {
            let upright = stored(400, 400, 6);
            let _ = parsed(&text, &upright);
            let whole = sidecar_of("other", (400, 400), &item_of("Ada", 0.2, 0.2));
            let at = whole.floor_char_boundary(cut % whole.len());
            let damaged = format!("{}{put}{}", &whole[..at], &whole[at..]);
            if let Ok(result) = merged(&damaged, &upright, &[face("Grace", 200.0, 200.0)]) {
                prop_assert!(parsed(&result.text, &upright).unwrap().is_some());
            }
        }
    }
}
