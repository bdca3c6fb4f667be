//! Faces to examine a contract on: of the photos compiled in, or of a folder with people's photos.

use std::collections::BTreeMap;

use super::{
    contract::{Face, number_people},
    variants::variants,
};
use crate::{
    Error, Result,
    align::{FaceChip, Template, warp},
    dataset::{Item, Scan, Skipped},
    detect::Select,
    landmark::Scheme,
    model::{Contract, Registry},
    photo::{Limits, Photo},
    pipeline::{
        Counts, DEFAULT_DETECTOR, DetectorOptions, Encoded, Finder, FoundFace, Loader, Monitor, Source, chunks,
    },
};

/// People taken of a folder: more would not change the verdict.
const PEOPLE: usize = 100;
/// Photos taken of each.
const PHOTOS: usize = 4;

/// Faces cut out by all templates at the size of a network's input.
#[derive(Debug, Clone)]
pub struct Specimens {
    /// The templates of the faces' chips.
    pub templates: Vec<Template>,
    /// The faces.
    pub faces: Vec<Face>,
    /// Photos without.
    pub skipped: Vec<Skipped>,
}

impl Specimens {
    /// The faces of a few photos, each also darker, blurred, in other light and a little turned.
    ///
    /// # Errors
    /// [`Error::Model`] when a stage cannot be opened, [`Error::Engine`].
    pub fn of_photos(loader: &Loader, contract: &Contract, photos: Vec<Encoded>) -> Result<Self> {
        let cutter = Cutter::new(loader, contract)?;
        let decoded: Vec<Option<Photo>> =
            photos.iter().map(|p| Photo::decode(p.bytes.as_deref().ok()?, &Limits::default()).ok()).collect();
        let names: Vec<String> = photos.iter().map(|photo| photo.item.relative.clone()).collect();
        let (found, skipped) = cutter.find(photos)?;
        let people = number_people(found.iter().map(|photo| photo.person.as_str()));
        let mut faces = Vec::new();
        for (person, photo) in people.into_iter().zip(&found) {
            let Some(decoded) = names.iter().position(|name| *name == photo.name).and_then(|i| decoded[i].as_ref())
            else {
                continue;
            };
            faces.extend(cutter.on_other_days(decoded, &photo.faces)?.into_iter().map(|chips| Face { person, chips }));
        }
        Ok(Self { templates: cutter.templates, faces, skipped })
    }

    /// The faces of at most 100 people of a folder with one folder a person, at most 4 photos of each. People of one photo
    /// are left out; of more people every second or third … is taken, by name.
    ///
    /// # Errors
    /// [`Error::Invalid`] when fewer than two people have two photos, [`Error::Model`] when a stage cannot be opened,
    /// [`Error::Interrupted`], [`Error::Engine`].
    pub fn of_folder(loader: &Loader, contract: &Contract, scan: &Scan, monitor: &Monitor<'_>) -> Result<Self> {
        let items = choose(scan)?;
        let cutter = Cutter::new(loader, contract)?;
        let (mut cut, mut skipped, mut counts) = (Vec::new(), Vec::new(), Counts::default());
        for range in chunks(&items) {
            monitor.check()?;
            let (found, without) = cutter.find(Encoded::read_all(&items[range.clone()]))?;
            counts.photos += range.len();
            counts.faces += found.len();
            counts.skipped += without.len();
            cut.extend(found.into_iter().map(|photo| (photo.person, photo.faces)));
            skipped.extend(without);
            (monitor.progress)(counts);
        }
        let people = number_people(cut.iter().map(|(person, _)| person.as_str()));
        let chips = |faces: Vec<FoundFace>| faces.into_iter().flat_map(|face| face.chips).collect();
        let faces =
            people.into_iter().zip(cut).map(|(person, (_, faces))| Face { person, chips: chips(faces) }).collect();
        Ok(Self { templates: cutter.templates, faces, skipped })
    }
}

/// How many photos [`Specimens::of_folder`] looks at.
///
/// # Errors
/// [`Error::Invalid`] when fewer than two people have two photos.
pub fn count(scan: &Scan) -> Result<usize> {
    choose(scan).map(|items| items.len())
}

fn choose(scan: &Scan) -> Result<Vec<Item>> {
    let mut people: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for item in &scan.items {
        if let Some(person) = &item.person {
            people.entry(person).or_default().push(item);
        }
    }
    people.retain(|_, photos| photos.len() > 1);
    if people.len() < 2 {
        return Err(Error::Invalid(
            "photos of at least two people, two of each, are needed: one folder a person".into(),
        ));
    }
    let step = people.len().div_ceil(PEOPLE);
    let chosen = people.into_values().step_by(step);
    Ok(chosen.flat_map(|photos| photos.into_iter().take(PHOTOS).cloned()).collect())
}

/// Cuts faces out by all templates that landmarks on this machine allow.
struct Cutter {
    templates: Vec<Template>,
    /// Each with templates of its own, in the order of `templates`.
    finders: Vec<Finder>,
}

impl Cutter {
    fn new(loader: &Loader, contract: &Contract) -> Result<Self> {
        let size = contract.input()?.size;
        let all = Registry::embedded()?.templates().iter().map(|template| template.at(size));
        let (of_68, of_five): (Vec<Template>, Vec<Template>) =
            all.partition(|template| template.schemes().all(|scheme| scheme == Scheme::Ibug68));
        let finder = |templates: &[Template]| -> Result<Finder> {
            let templates: Vec<(Template, u32)> = templates.iter().map(|template| (template.clone(), size)).collect();
            Ok(Finder {
                detector: loader.detector(DEFAULT_DETECTOR, &DetectorOptions::default())?,
                landmarker: loader.landmarker("auto", DEFAULT_DETECTOR, &templates)?,
                select: Select::Center,
                limits: Limits::default(),
                templates,
                models: loader.models(),
            })
        };
        let mut cutter = Self { finders: vec![finder(&of_five)?], templates: of_five };
        let needed = of_68.iter().any(|template| Some(template.name()) == contract.template.as_deref());
        match finder(&of_68) {
            Ok(finder) => {
                cutter.finders.push(finder);
                cutter.templates.extend(of_68);
            }
            // 68 landmarks are not on every machine.
            Err(Error::Model { .. }) if !needed => {}
            Err(error) => return Err(error),
        }
        Ok(cutter)
    }

    /// The photos with a face, and those without.
    fn find(&self, photos: Vec<Encoded>) -> Result<(Vec<FoundPhoto>, Vec<Skipped>)> {
        let mut found: Vec<Result<FoundPhoto, Skipped>> = photos
            .iter()
            .map(|photo| {
                let (person, name) = (photo.item.person.clone().unwrap_or_default(), photo.item.relative.clone());
                Ok(FoundPhoto { person, name, faces: Vec::new() })
            })
            .collect();
        let again = |photo: &Encoded| Encoded {
            item: photo.item.clone(),
            bytes: photo.bytes.clone(),
            sha256: photo.sha256.clone(),
        };
        for finder in &self.finders {
            for (place, processed) in found.iter_mut().zip(finder.process(photos.iter().map(again).collect())?) {
                match (place.as_mut(), processed.faces) {
                    (Ok(photo), Ok(faces)) => photo.faces.extend(faces.into_iter().next()),
                    (Ok(_), Err(skipped)) => *place = Err(skipped),
                    (Err(_), _) => {}
                }
            }
        }
        let mut skipped = Vec::new();
        let found = found.into_iter().filter_map(|photo| photo.map_err(|reason| skipped.push(reason)).ok()).collect();
        Ok((found, skipped))
    }

    /// For each variant of a photo the chips of all templates; `faces` has the photo's face by each finder.
    fn on_other_days(&self, photo: &Photo, faces: &[FoundFace]) -> Result<Vec<Vec<FaceChip>>> {
        let mut days: Vec<Vec<FaceChip>> = Vec::new();
        for (finder, face) in self.finders.iter().zip(faces) {
            for (day, (photo, landmarks)) in variants(photo, &face.landmarks)?.iter().enumerate() {
                let cut = |(template, size): &(Template, u32)| Ok(warp(photo, &template.fit(landmarks, *size)?, *size));
                let chips = finder.templates.iter().map(cut).collect::<Result<Vec<_>>>()?;
                match days.get_mut(day) {
                    Some(so_far) => so_far.extend(chips),
                    None => days.push(chips),
                }
            }
        }
        Ok(days)
    }
}

/// A photo with its face by each finder.
struct FoundPhoto {
    person: String,
    name: String,
    faces: Vec<FoundFace>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(people: usize, photos: usize) -> Scan {
        let item = |person: usize, photo: usize| {
            let relative = format!("{person:04}/{photo}.jpg");
            Item { path: relative.clone().into(), relative, person: Some(format!("{person:04}")) }
        };
        let items = (0..people).flat_map(|person| (0..photos).map(move |photo| item(person, photo)));
        Scan { items: items.collect(), skipped: Vec::new() }
    }

    #[test]
    fn people_and_photos_are_bounded() {
        assert_eq!(count(&scan(250, 9)).unwrap(), 84 * 4);
        assert_eq!(count(&scan(3, 2)).unwrap(), 6);
        assert!(count(&scan(1, 9)).is_err());
        assert!(count(&scan(9, 1)).is_err());
    }
}
