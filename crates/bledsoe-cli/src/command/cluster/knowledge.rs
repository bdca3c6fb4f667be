//! What the user says beforehand: pairs, and people known.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use anyhow::{Result, bail};
use bledsoe::{
    cluster::{Face, Knowledge, Named},
    dataset::clusters::{self, NamedFace},
    gallery::{Gallery, store::Role},
};

use super::{Args, Item};

/// The faces, and where they are found by what users call them.
pub struct Faces<'a> {
    items: &'a [Item],
    /// Places of the faces of each photo.
    photos: HashMap<&'a str, Vec<usize>>,
    /// The photo's number of each face.
    numbers: Vec<usize>,
}

impl<'a> Faces<'a> {
    pub fn new(items: &'a [Item]) -> Self {
        let mut photos: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut numbers = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let faces = photos.entry(&item.path).or_default();
            faces.push(i);
            numbers.push(faces[0]);
        }
        Self { items, photos, numbers }
    }

    /// As the library wants them.
    pub fn faces(&self) -> Vec<Face<'a>> {
        let face = |(item, &photo): (&'a Item, &usize)| Face { vector: &item.vector, photo };
        self.items.iter().zip(&self.numbers).map(face).collect()
    }

    /// All that is known.
    pub fn knowledge(&self, args: &Args, gallery: Option<&Gallery>) -> Result<Knowledge> {
        let pairs = |file: &Option<_>| file.as_deref().map_or(Ok(Vec::new()), |file| self.pairs(file));
        let named = match (gallery, &args.known) {
            (Some(gallery), _) => enrolled(gallery)?,
            (None, Some(known)) => self.earlier(known)?,
            (None, None) => Vec::new(),
        };
        Ok(Knowledge { same: pairs(&args.same)?, different: pairs(&args.different)?, named })
    }

    fn pairs(&self, file: &Path) -> Result<Vec<[usize; 2]>> {
        let mut pairs = Vec::new();
        for pair in clusters::read_pairs(file)? {
            let place = |face| {
                self.place(face).map_err(|reason| anyhow::anyhow!("{}: line {}: {reason}", file.display(), pair.line))
            };
            let [first, second] = &pair.faces;
            pairs.push([place(first)?, place(second)?]);
        }
        Ok(pairs)
    }

    fn place(&self, face: &NamedFace) -> Result<usize, String> {
        let path = &face.path;
        let Some(faces) = self.photos.get(&**path) else {
            return Err(format!("{path} is not among the photos with a face"));
        };
        match (face.face, faces.as_slice()) {
            (Some(number), _) => faces
                .iter()
                .copied()
                .find(|&i| self.items[i].face == number)
                .ok_or_else(|| format!("{path} has {} faces, and none of number {number}", faces.len())),
            (None, [one]) => Ok(*one),
            (None, _) => Err(format!("{path} has {} faces: say which by {path}#0, {path}#1 …", faces.len())),
        }
    }

    /// The clusters of an earlier run, in its order, with those of their faces that are still there.
    fn earlier(&self, file: &Path) -> Result<Vec<Named>> {
        let mut order: Vec<Named> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for row in clusters::read(file)? {
            let face = NamedFace { path: row.path, face: Some(row.face) };
            let Ok(face) = self.place(&face) else { continue };
            let place = *places.entry(row.cluster.clone()).or_insert_with(|| {
                order.push(Named { name: row.cluster, ..Named::default() });
                order.len() - 1
            });
            order[place].faces.push(face);
        }
        if order.is_empty() {
            bail!(
                "{}: none of its photos is among these; name them as then, for they are found by their path",
                file.display()
            );
        }
        Ok(order)
    }
}

/// The people of a gallery.
fn enrolled(gallery: &Gallery) -> Result<Vec<Named>> {
    let store = gallery.store();
    let named = |person: bledsoe::gallery::store::Person| {
        let templates = store.templates(person.id)?.into_iter().filter(|known| known.template.role == Role::Enrolled);
        let templates = templates.map(|known| known.template.vector).collect();
        Ok(Named { name: person.name, faces: Vec::new(), templates })
    };
    store.people()?.into_iter().map(named).collect()
}
