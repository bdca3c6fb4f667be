//! Galleries out to files that other programs read, and back.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{
    Gallery,
    enrolment::Enrolment,
    store::{Model, NewTemplate, Origin, Role},
};
use crate::{
    Error, Result,
    detect::Detection,
    embed::{
        Embedding,
        table::{self, FaceRow, TableWriter},
    },
    landmark::{Landmarks, Scheme},
    whole_file,
};

/// The version of the JSON file.
const VERSION: u32 = 1;
/// Templates written to a table at a time.
const ROWS: usize = 4096;

/// People and templates outside of a gallery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    version: u32,
    /// Which embedder the vectors are of.
    pub model: Model,
    /// Everybody.
    pub people: Vec<ExportedPerson>,
}

/// A person outside of a gallery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportedPerson {
    /// The name.
    pub name: String,
    /// Whatever else was kept.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The templates.
    pub templates: Vec<ExportedTemplate>,
}

/// A template outside of a gallery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportedTemplate {
    /// What it says.
    pub role: Role,
    /// Unit length.
    pub vector: Vec<f32>,
    /// Where it came from.
    #[serde(default)]
    pub origin: Origin,
}

impl Exported {
    /// Reads what [`Gallery::export_json`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] when it is damaged or of a later version.
    pub fn read_json(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        Self::parse_json(BufReader::new(file), path)
    }

    /// The same from bytes of any kind; `path` is for errors.
    ///
    /// # Errors
    /// As [`Exported::read_json`].
    pub fn parse_json(input: impl Read, path: &Path) -> Result<Self> {
        let exported: Self = serde_json::from_reader(input)
            .map_err(|e| Error::format(path, format!("not a gallery that `bledsoe export` wrote: {e}")))?;
        if exported.version > VERSION {
            return Err(Error::format(
                path,
                format!("version {} of the format, and this program knows {VERSION}", exported.version),
            ));
        }
        Ok(exported)
    }

    /// Reads a table of embeddings; rows of nobody are passed over.
    ///
    /// # Errors
    /// As [`table::read`].
    pub fn read_table(path: &Path) -> Result<Self> {
        let (origin, rows) = table::read(path)?;
        let mut people: BTreeMap<String, Vec<ExportedTemplate>> = BTreeMap::new();
        for row in rows {
            let Some(name) = row.person else { continue };
            let origin =
                Origin { photo: row.path, sha256: row.sha256, rect: Some(row.detection.rect), ..Origin::default() };
            people.entry(name).or_default().push(ExportedTemplate { role: Role::Enrolled, vector: row.vector, origin });
        }
        let person = |(name, templates)| ExportedPerson { name, labels: BTreeMap::new(), templates };
        Ok(Self {
            version: VERSION,
            model: Model { id: origin.model, dim: origin.dim },
            people: people.into_iter().map(person).collect(),
        })
    }
}

impl Gallery {
    /// Writes everybody with all templates as JSON. It is not encrypted.
    ///
    /// # Errors
    /// [`Error::Io`]; when the store cannot be read.
    pub fn export_json(&self, path: &Path) -> Result<()> {
        let mut people = Vec::new();
        for person in self.store().people()? {
            let templates = self.store().templates(person.id)?.into_iter().map(|stored| {
                let NewTemplate { role, vector, origin } = stored.template;
                ExportedTemplate { role, vector, origin }
            });
            people.push(ExportedPerson { name: person.name, labels: person.labels, templates: templates.collect() });
        }
        let exported = Exported { version: VERSION, model: self.store().model().clone(), people };
        let text = serde_json::to_vec(&exported).map_err(|e| Error::Invalid(e.to_string()))?;
        whole_file::write(path, &text)
    }

    /// Writes the enrolled templates as a table of embeddings, which `train`, pandas and others read; labels and
    /// templates of who somebody is not are left out. It is not encrypted.
    ///
    /// # Errors
    /// [`Error::Io`]; when the store cannot be read.
    pub fn export_table(&self, path: &Path) -> Result<()> {
        let model = self.store().model().clone();
        let names: BTreeMap<_, _> = self.store().people()?.into_iter().map(|person| (person.id, person.name)).collect();
        whole_file::replace(path, |unfinished| {
            let file = File::create(unfinished).map_err(|e| Error::io(unfinished, e))?;
            let mut writer = TableWriter::new(file, path, &model.id, model.dim)?;
            let mut rows = Vec::new();
            self.store().visit(&mut |stored| {
                if stored.template.role == Role::Enrolled {
                    let NewTemplate { vector, origin, .. } = stored.template;
                    rows.push(row(names.get(&stored.person).cloned(), origin, vector));
                }
                if rows.len() == ROWS {
                    writer.write(&std::mem::take(&mut rows))?;
                }
                Ok(())
            })?;
            writer.write(&rows)?;
            let settings = serde_json::json!({ "exported_from": self.store().describe() });
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let origin = table::Origin {
                version,
                model: model.id.clone(),
                dim: model.dim,
                scheme: Scheme::Arcface5,
                settings,
                skipped: Vec::new(),
            };
            writer.finish(&origin).map(|_| ())
        })
    }

    /// Enrolls everybody of `exported`, a thousand people at a time; see [`Gallery::enroll_many`] for `done`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for another embedder's vectors, [`Error::Invalid`] for nonsense among them; as
    /// [`Gallery::enroll_many`].
    pub fn import(&mut self, exported: Exported, done: impl FnMut(usize) -> bool) -> Result<()> {
        let model = self.store().model().clone();
        if exported.model != model {
            return Err(Error::Mismatch(format!(
                "embeddings of {} cannot go into a gallery of {}",
                exported.model.id, model.id
            )));
        }
        let (mut people, mut rejected) = (Vec::new(), Vec::new());
        for person in exported.people {
            let face = |template: ExportedTemplate| -> Result<(Role, super::Face)> {
                let embedding = Embedding::new(&*model.id, template.vector)
                    .map_err(|e| Error::Invalid(format!("{}: {e}", person.name)))?;
                Ok((template.role, super::Face { embedding, origin: template.origin }))
            };
            let faces = person.templates.into_iter().map(face).collect::<Result<Vec<_>>>()?;
            let (not, faces): (Vec<_>, Vec<_>) = faces.into_iter().partition(|(role, _)| *role == Role::Rejected);
            let strip = |faces: Vec<(Role, super::Face)>| faces.into_iter().map(|(_, face)| face).collect::<Vec<_>>();
            if !not.is_empty() {
                rejected.push((person.name.clone(), strip(not)));
            }
            people.push(Enrolment { name: person.name, labels: person.labels, faces: strip(faces) });
        }
        self.enroll_many(&people, done)?;
        rejected.iter().try_for_each(|(name, faces)| self.reject(name, faces))
    }
}

fn row(person: Option<String>, origin: Origin, vector: Vec<f32>) -> FaceRow {
    FaceRow {
        path: origin.photo,
        person,
        sha256: origin.sha256,
        face: 0,
        detection: Detection { rect: origin.rect.unwrap_or_default(), score: 1.0, points: None },
        landmarks: Landmarks { scheme: Scheme::Arcface5, points: Vec::new() },
        vector,
    }
}
