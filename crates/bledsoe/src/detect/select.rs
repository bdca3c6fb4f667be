//! Which of a photo's faces to take.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Detection;
use crate::{Error, Result};

/// Which of a photo's faces to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Select {
    /// The one whose centre is nearest to the photo's: the subject of LFW's photos.
    #[default]
    Center,
    /// The one with the largest box.
    Largest,
    /// All, best score first.
    All,
}

impl FromStr for Select {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "center" => Ok(Self::Center),
            "largest" => Ok(Self::Largest),
            "all" => Ok(Self::All),
            _ => Err(Error::Invalid(format!("select {s:?}: expected center, largest or all"))),
        }
    }
}

impl Select {
    /// The faces to take of `detections` in a photo of `width` x `height` pixels; of equals the first.
    pub fn choose(self, detections: Vec<Detection>, width: u32, height: u32) -> Vec<Detection> {
        let (x, y) = (width as f32 / 2.0, height as f32 / 2.0);
        let distance = |d: &Detection| {
            let center = d.rect.center();
            (center.x - x).hypot(center.y - y)
        };
        let best = match self {
            Self::All => return detections,
            Self::Center => detections.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b))),
            Self::Largest => detections.into_iter().min_by(|a, b| b.rect.area().total_cmp(&a.rect.area())),
        };
        best.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;

    #[test]
    fn takes_the_face_asked_for() {
        let face = |left: f32, side: f32| Detection {
            rect: Rect { left, top: left, right: left + side, bottom: left + side },
            score: 1.0,
            points: None,
        };
        let faces = vec![face(0.0, 50.0), face(45.0, 12.0), face(80.0, 10.0)];
        assert_eq!(Select::Center.choose(faces.clone(), 100, 100), [face(45.0, 12.0)]);
        assert_eq!(Select::Largest.choose(faces.clone(), 100, 100), [face(0.0, 50.0)]);
        assert_eq!(Select::All.choose(faces.clone(), 100, 100), faces);
        assert!(Select::Center.choose(Vec::new(), 100, 100).is_empty());
    }
}
