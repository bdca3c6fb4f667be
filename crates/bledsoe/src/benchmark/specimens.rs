//! Faces to examine a contract on: of the photos compiled in, or of a folder with people's photos.

use std::collections::BTreeMap;

use super::contract::{Face, number_people, variants};
use crate::{
    Error, Result,
    align::{FaceChip, Template},
    dataset::{Item, Scan, Skipped},
    detect::Select,
    landmark::Scheme,
    model::{Contract, Registry},
    photo::Limits,
    pipeline::{Counts, DEFAULT_DETECTOR, DetectorOptions, Encoded, Finder, Loader, Monitor, Source, chunks},
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
        let (cut, skipped) = cutter.cut(photos)?;
        let people = number_people(cut.iter().map(|(person, _)| person.as_str()));
        let mut faces = Vec::new();
        for (person, (_, chips)) in people.into_iter().zip(&cut) {
            let by_template: Vec<Vec<FaceChip>> = chips.iter().map(variants).collect::<Result<_>>()?;
            let count = by_template.first().map_or(0, Vec::len);
            faces.extend((0..count).map(|variant| Face {
                person,
                chips: by_template.iter().filter_map(|variants| variants.get(variant).cloned()).collect(),
            }));
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
            let (found, without) = cutter.cut(Encoded::read_all(&items[range.clone()]))?;
            counts.photos += range.len();
            counts.faces += found.len();
            counts.skipped += without.len();
            cut.extend(found);
            skipped.extend(without);
            (monitor.progress)(counts);
        }
        let people = number_people(cut.iter().map(|(person, _)| person.as_str()));
        let faces = people.into_iter().zip(cut).map(|(person, (_, chips))| Face { person, chips }).collect();
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

    /// The person and the chips of each photo with a face.
    fn cut(&self, photos: Vec<Encoded>) -> Result<(Vec<(String, Vec<FaceChip>)>, Vec<Skipped>)> {
        let again = |photo: &Encoded| Encoded {
            item: photo.item.clone(),
            bytes: photo.bytes.clone(),
            sha256: photo.sha256.clone(),
        };
        let mut cut: Vec<Result<(String, Vec<FaceChip>), Skipped>> =
            photos.iter().map(|photo| Ok((photo.item.person.clone().unwrap_or_default(), Vec::new()))).collect();
        for finder in &self.finders {
            for (place, processed) in cut.iter_mut().zip(finder.process(photos.iter().map(again).collect())?) {
                match (place.as_mut(), processed.faces) {
                    (Ok((_, chips)), Ok(faces)) => chips.extend(faces.into_iter().take(1).flat_map(|face| face.chips)),
                    (Ok(_), Err(skipped)) => *place = Err(skipped),
                    (Err(_), _) => {}
                }
            }
        }
        let mut skipped = Vec::new();
        let found = cut.into_iter().filter_map(|photo| photo.map_err(|reason| skipped.push(reason)).ok()).collect();
        Ok((found, skipped))
    }
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
