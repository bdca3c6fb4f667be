//! A cascade: a second detector for the photos in which the first finds nothing.

use super::{Detection, Detector, complete};
use crate::{Error, Result, photo::Photo};

/// Detectors in turn, each asked only about photos in which those before it found no face. Scores of one photo are all of
/// one detector; those of two photos may not compare.
pub struct Cascade {
    id: String,
    stages: Vec<Box<dyn Detector>>,
}

impl Cascade {
    /// The detectors in the order they are asked. The id is theirs, joined by commas.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two.
    pub fn new(stages: Vec<Box<dyn Detector>>) -> Result<Self> {
        if stages.len() < 2 {
            return Err(Error::Invalid("a cascade takes two or more detectors".into()));
        }
        let id = stages.iter().map(|stage| stage.id()).collect::<Vec<_>>().join(",");
        Ok(Self { id, stages })
    }
}

impl Detector for Cascade {
    fn id(&self) -> &str {
        &self.id
    }

    /// The largest that a stage asks for, if none wants the photo as it is.
    fn longest_side(&self) -> Option<u32> {
        let sides: Option<Vec<u32>> = self.stages.iter().map(|stage| stage.longest_side()).collect();
        sides?.into_iter().max()
    }

    fn glance(&self, photo: &Photo) -> Vec<Detection> {
        self.stages.first().map_or(Vec::new(), |stage| stage.glance(photo))
    }

    fn detect_rest(&self, photos: &[&Photo]) -> Result<Vec<Vec<Detection>>> {
        let mut found = vec![Vec::new(); photos.len()];
        if let Some((first, later)) = self.stages.split_first() {
            complete(&mut found, photos, |rest| first.detect_rest(rest))?;
            for stage in later {
                complete(&mut found, photos, |rest| stage.detect(rest))?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;

    /// Finds a face in photos at least `width` pixels wide.
    struct Wide {
        width: u32,
        score: f32,
    }

    impl Detector for Wide {
        fn id(&self) -> &str {
            "wide"
        }

        fn longest_side(&self) -> Option<u32> {
            (self.width > 1).then_some(100 * self.width)
        }

        fn detect_rest(&self, photos: &[&Photo]) -> Result<Vec<Vec<Detection>>> {
            let face = || vec![Detection { rect: Rect::default(), score: self.score, points: None }];
            Ok(photos.iter().map(|p| if p.width() >= self.width { face() } else { Vec::new() }).collect())
        }
    }

    #[test]
    fn the_second_is_asked_where_the_first_finds_nothing() {
        let stages: Vec<Box<dyn Detector>> =
            vec![Box::new(Wide { width: 3, score: 1.0 }), Box::new(Wide { width: 2, score: 2.0 })];
        let cascade = Cascade::new(stages).unwrap();
        let photos = [1, 2, 3].map(|w| Photo::new(w, 1, vec![0; 3 * w as usize]).unwrap());
        let found = cascade.detect(&photos.iter().collect::<Vec<_>>()).unwrap();
        let scores: Vec<Vec<f32>> = found.iter().map(|faces| faces.iter().map(|f| f.score).collect()).collect();
        assert_eq!(scores, [vec![], vec![2.0], vec![1.0]]);
        assert_eq!(cascade.id(), "wide,wide");
        assert_eq!(cascade.longest_side(), Some(300));
        assert!(cascade.detect(&[]).unwrap().is_empty());
        let as_it_is: Vec<Box<dyn Detector>> =
            vec![Box::new(Wide { width: 3, score: 1.0 }), Box::new(Wide { width: 1, score: 2.0 })];
        assert_eq!(Cascade::new(as_it_is).unwrap().longest_side(), None);
        assert!(Cascade::new(vec![Box::new(Wide { width: 1, score: 0.0 })]).is_err());
    }

    #[test]
    fn what_the_first_saw_at_a_glance_it_is_not_asked_again() {
        /// Sees a face in every photo but those one pixel wide.
        struct Sees;

        impl Detector for Sees {
            fn id(&self) -> &str {
                "sees"
            }

            fn glance(&self, photo: &Photo) -> Vec<Detection> {
                let face = Detection { rect: Rect::default(), score: 7.0, points: None };
                if photo.width() > 1 { vec![face] } else { Vec::new() }
            }

            fn detect_rest(&self, photos: &[&Photo]) -> Result<Vec<Vec<Detection>>> {
                assert!(photos.iter().all(|photo| photo.width() == 1));
                Ok(vec![Vec::new(); photos.len()])
            }
        }

        let all: Vec<Box<dyn Detector>> = vec![Box::new(Sees), Box::new(Wide { width: 1, score: 2.0 })];
        let cascade = Cascade::new(all).unwrap();
        let photos = [1, 2].map(|w| Photo::new(w, 1, vec![0; 3 * w as usize]).unwrap());
        assert!(cascade.glance(&photos[0]).is_empty());
        assert_eq!(cascade.glance(&photos[1])[0].score, 7.0);
        let found = cascade.detect(&[&photos[1], &photos[0], &photos[1]]).unwrap();
        assert_eq!(found.iter().map(|faces| faces[0].score).collect::<Vec<_>>(), [7.0, 2.0, 7.0]);
    }
}
