//! The faces of a dataset, one a photo.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

use crate::{
    Error, Result,
    align::{Affine, warp},
    dataset::{Scan, Skipped},
    embed::{
        Embedder,
        table::{self, FaceRow},
    },
    geometry::Rect,
    photo::{Limits, Photo},
    pipeline::{Counts, Encoded, Monitor, Source, chunks, embed::rows},
};

/// A picture for people is so much wider than the face's box.
const MARGIN: f32 = 1.5;

/// A photo's face.
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    /// Who it is, where the folder tells.
    pub person: Option<String>,
    /// Where it is in the photo; `None` where no face was found.
    pub rect: Option<Rect>,
    /// The embedding, of unit length; `None` where no face was found.
    pub vector: Option<Vec<f32>>,
}

impl Face {
    /// The face with some of what is around it, cut out of its photo, `size` pixels wide, for people to look at; the middle
    /// of the photo where no face was found.
    ///
    /// # Errors
    /// When the photo cannot be read.
    pub fn picture(&self, photo: &Path, size: u32) -> Result<Photo> {
        let photo = Photo::open(photo, &Limits::default())?;
        let (width, height) = (photo.width() as f32, photo.height() as f32);
        let whole = Rect { left: 0.0, top: 0.0, right: width, bottom: height };
        let rect = self.rect.unwrap_or(whole);
        let side = MARGIN * rect.width().max(rect.height()).max(1.0);
        let (scale, middle) = (size as f32 / side, rect.center());
        let shift = |at: f32| (size as f32 - 1.0) / 2.0 - scale * at;
        let crop = Affine { m: [scale, 0.0, shift(middle.x), 0.0, scale, shift(middle.y)] };
        warp(&photo, &crop, size).to_photo()
    }
}

/// The faces of a dataset, by the photo's path relative to its folder, with `/` between folders.
#[derive(Debug, Clone, PartialEq)]
pub struct Faces {
    /// The embedder.
    pub model: String,
    /// Every setting that decided the embeddings.
    pub settings: serde_json::Value,
    /// Photos without a face, and why.
    pub skipped: Vec<Skipped>,
    /// All photos.
    pub by_path: BTreeMap<String, Face>,
}

impl Faces {
    /// Finds and embeds the faces of the photos of `scan` that are in `wanted`, or of all.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a photo wanted is not there; when an engine fails, the run is stopped, or `source` gives several faces of one photo.
    pub fn of_photos(
        scan: &Scan,
        wanted: Option<&HashSet<&str>>,
        source: &dyn Source,
        embedder: &dyn Embedder,
        monitor: &Monitor<'_>,
    ) -> Result<Self> {
        let items: Vec<_> =
            scan.items.iter().filter(|i| wanted.is_none_or(|w| w.contains(i.relative.as_str()))).cloned().collect();
        if let Some(wanted) = wanted
            && items.len() < wanted.len()
        {
            let there: HashSet<&str> = items.iter().map(|item| item.relative.as_str()).collect();
            let missing = wanted.iter().filter(|path| !there.contains(**path)).min();
            return Err(not_there(missing.copied().unwrap_or_default()));
        }
        let settings = serde_json::json!({ "source": source.settings(), "embedder": embedder.settings() });
        let mut faces =
            Self { model: embedder.id().to_owned(), settings, skipped: Vec::new(), by_path: BTreeMap::new() };
        let mut counts = Counts::default();
        for range in chunks(&items) {
            monitor.check()?;
            counts.photos += range.len();
            let people: BTreeMap<String, Option<String>> =
                items[range.clone()].iter().map(|i| (i.relative.clone(), i.person.clone())).collect();
            let (rows, skipped) = rows(source.process(Encoded::read_all(&items[range]))?, embedder)?;
            counts.faces += rows.len();
            counts.skipped += skipped.len();
            faces.add(rows)?;
            faces.add_skipped(skipped, |path| people.get(path).cloned().flatten());
            (monitor.progress)(counts);
        }
        Ok(faces)
    }

    /// The faces of a table that `embed` wrote.
    ///
    /// # Errors
    /// As [`table::read`], and [`Error::Format`] when the table has several faces of one photo.
    pub fn of_table(path: &Path) -> Result<Self> {
        let (origin, rows) = table::read(path)?;
        let settings = serde_json::json!({ "table": path, "version": origin.version, "settings": origin.settings });
        let mut faces = Self { model: origin.model, settings, skipped: Vec::new(), by_path: BTreeMap::new() };
        faces.add(rows).map_err(|e| Error::format(path, e.reason()))?;
        // The folder that a photo lies in is the person's, as in a scan.
        faces.add_skipped(origin.skipped, |path| path.rsplit_once('/').map(|(folder, _)| folder.to_owned()));
        Ok(faces)
    }

    fn add(&mut self, rows: Vec<FaceRow>) -> Result<()> {
        for row in rows {
            let face = Face { person: row.person, rect: Some(row.detection.rect), vector: Some(row.vector) };
            if self.by_path.insert(row.path.clone(), face).is_some() {
                return Err(Error::Invalid(format!(
                    "{}: several faces of one photo; a protocol takes one (embed with --select center or largest)",
                    row.path
                )));
            }
        }
        Ok(())
    }

    fn add_skipped(&mut self, skipped: Vec<Skipped>, person: impl Fn(&str) -> Option<String>) {
        for photo in &skipped {
            self.by_path.insert(photo.path.clone(), Face { person: person(&photo.path), rect: None, vector: None });
        }
        self.skipped.extend(skipped);
    }
}

/// A protocol names a photo that is not in the dataset.
pub(super) fn not_there(path: &str) -> Error {
    Error::Invalid(format!("{path}: the protocol names this photo, but the dataset does not have it"))
}
