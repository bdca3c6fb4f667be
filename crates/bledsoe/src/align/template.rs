//! Templates: where landmarks stand in a chip.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Affine, similarity, three_point};
use crate::{
    Error, Result,
    geometry::Point,
    landmark::{Landmarks, Scheme},
};

/// How landmarks are brought to their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A similarity nearest to all points.
    Similarity,
    /// An affine map that meets three points exactly.
    ThreePoint,
}

/// Where landmarks stand in a chip, for each scheme that the chip can be reached from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    name: String,
    kind: Kind,
    size: u32,
    #[serde(default = "one")]
    stretch: f32,
    /// The scheme that the template was made for, which 68 landmarks are reduced to; the first if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    native: Option<Scheme>,
    /// Which of the scheme's landmarks the points are; all of them if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    indices: Vec<usize>,
    points: BTreeMap<Scheme, Vec<[f32; 2]>>,
}

fn one() -> f32 {
    1.0
}

impl Template {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The chip's own side in pixels.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The template for chips of another side: places are shares of it.
    #[must_use]
    pub fn at(&self, size: u32) -> Self {
        Self { size, ..self.clone() }
    }

    /// The schemes that the chip can be reached from, directly.
    pub fn schemes(&self) -> impl Iterator<Item = Scheme> {
        self.points.keys().copied()
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field at fault.
    pub fn check(&self) -> Result<()> {
        let fail = |reason: &str| Err(Error::Invalid(format!("template {}: {reason}", self.name)));
        if self.size == 0 || self.size > 4096 {
            return fail("size: expected 1 to 4096");
        }
        if !(0.25..=4.0).contains(&self.stretch) {
            return fail("stretch: expected 0.25 to 4");
        }
        if self.points.is_empty() {
            return fail("points: none");
        }
        if self.native.is_some_and(|scheme| !self.points.contains_key(&scheme)) {
            return fail("native: the template has no points of this scheme");
        }
        for (scheme, points) in &self.points {
            let expected = if self.indices.is_empty() { scheme.len() } else { self.indices.len() };
            if points.len() != expected || self.kind == Kind::ThreePoint && points.len() != 3 {
                return fail("points: their number does not fit the scheme");
            }
            if self.indices.iter().any(|&i| i >= scheme.len()) {
                return fail("indices: beyond the scheme's last landmark");
            }
        }
        Ok(())
    }

    /// The map from the photo to a chip of `size` pixels that brings `landmarks` to their places. Landmarks of 68 points
    /// are reduced to five where the template has only those.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the template has no places for these landmarks, [`Error::Invalid`] for degenerate ones.
    pub fn fit(&self, landmarks: &Landmarks, size: u32) -> Result<Affine> {
        let reduced;
        let (landmarks, places) = match self.points.get(&landmarks.scheme) {
            Some(places) => (landmarks, places),
            None => {
                let mut schemes = self.native.iter().chain(self.points.keys());
                reduced = schemes.find_map(|&scheme| landmarks.reduced_to(scheme)).ok_or_else(|| {
                    let known: Vec<String> = self.points.keys().map(|s| format!("{s:?}").to_lowercase()).collect();
                    let given = format!("{:?}", landmarks.scheme).to_lowercase();
                    Error::Mismatch(format!(
                        "template {} needs landmarks {}, not {given}",
                        self.name,
                        known.join(" or ")
                    ))
                })?;
                (&reduced, &self.points[&reduced.scheme])
            }
        };
        let from: Vec<Point> = if self.indices.is_empty() {
            landmarks.points.clone()
        } else {
            self.indices.iter().filter_map(|&i| landmarks.points.get(i).copied()).collect()
        };
        let side = size as f32;
        let to: Vec<Point> = places.iter().map(|&[x, y]| Point::new(x * side, y * side)).collect();
        let map = match self.kind {
            Kind::Similarity => similarity(&from, &to)?,
            Kind::ThreePoint => match (from.as_array::<3>(), to.as_array::<3>()) {
                (Some(from), Some(to)) => three_point(from, to)?,
                _ => return Err(Error::Invalid(format!("template {}: needs three points", self.name))),
            },
        };
        let wider = Affine { m: [self.stretch, 0.0, (1.0 - self.stretch) * side / 2.0, 0.0, 1.0, 0.0] };
        Ok(map.then(&wider))
    }

    /// The places of landmarks in this template's chip of `size` pixels, of a scheme that `other` has places for too:
    /// by them a chip of this template can be brought to that one.
    pub fn shared_landmarks(&self, other: &Self, size: u32) -> Option<Landmarks> {
        if !self.indices.is_empty() || !other.indices.is_empty() {
            return None;
        }
        let (&scheme, places) = self.points.iter().find(|(scheme, _)| other.points.contains_key(scheme))?;
        let side = size as f32;
        let wide = |x: f32| (x - 0.5) * self.stretch + 0.5;
        let points = places.iter().map(|&[x, y]| Point::new(wide(x) * side, y * side)).collect();
        Some(Landmarks { scheme, points })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(stretch: f32) -> Template {
        let points = vec![[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]];
        Template {
            name: "t".into(),
            kind: Kind::Similarity,
            size: 100,
            stretch,
            native: None,
            indices: Vec::new(),
            points: BTreeMap::from([(Scheme::Arcface5, points)]),
        }
    }

    #[test]
    fn landmarks_come_to_their_places() {
        let face = [[30.0, 40.0], [70.0, 40.0], [50.0, 60.0], [35.0, 80.0], [65.0, 80.0]];
        let landmarks = Landmarks {
            scheme: Scheme::Arcface5,
            // The chip of 100 pixels, doubled and shifted.
            points: face.iter().map(|p| Point::new(2.0 * p[0] + 11.0, 2.0 * p[1] - 7.0)).collect(),
        };
        let map = template(1.0).fit(&landmarks, 200).unwrap();
        for (p, f) in landmarks.points.iter().zip(face) {
            let q = map.apply(*p);
            assert!((q.x - 2.0 * f[0]).abs() < 1e-3 && (q.y - 2.0 * f[1]).abs() < 1e-3, "{q:?}");
        }
        let wide = template(1.5).fit(&landmarks, 200).unwrap();
        assert!((wide.apply(landmarks.points[0]).x - (100.0 - 1.5 * 40.0)).abs() < 1e-3);
    }

    #[test]
    fn a_chip_serves_another_template() {
        let (narrow, wide) = (template(1.0), template(1.3));
        let landmarks = narrow.shared_landmarks(&wide, 100).unwrap();
        let there = wide.fit(&landmarks, 100).unwrap();
        let back = narrow.fit(&wide.shared_landmarks(&narrow, 100).unwrap(), 100).unwrap();
        let q = there.then(&back).apply(Point::new(50.0, 60.0));
        assert!((q.x - 50.0).abs() < 1.0 && (q.y - 60.0).abs() < 2.0, "{q:?}");
    }

    #[test]
    fn landmarks_of_another_scheme_are_refused() {
        let dlib = Landmarks { scheme: Scheme::Dlib5, points: vec![Point::default(); 5] };
        assert!(matches!(template(1.0).fit(&dlib, 100), Err(Error::Mismatch(_))));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(template(1.0).check().is_ok());
        assert!(template(9.0).check().is_err());
        assert!(Template { size: 0, ..template(1.0) }.check().is_err());
        assert!(Template { indices: vec![70], ..template(1.0) }.check().is_err());
        assert!(Template { kind: Kind::ThreePoint, ..template(1.0) }.check().is_err());
        assert!(Template { native: Some(Scheme::Dlib5), ..template(1.0) }.check().is_err());
    }
}
