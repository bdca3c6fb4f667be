//! What is wrong with the picture of a face.

use std::fmt;

use serde::Serialize;

use super::Pose;

/// A reason not to rely on a face.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// The face has few pixels.
    Small {
        /// Its width in the photo.
        pixels: f32,
    },
    /// The face is blurred: see [`super::sharpness()`].
    Blurred {
        /// Its sharpness.
        sharpness: f32,
    },
    /// The face is turned far to the side.
    Turned {
        /// By so many degrees; positive where the nose points to the photo's right.
        yaw: f32,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Small { pixels } => write!(f, "small ({pixels:.0} pixels wide)"),
            Self::Blurred { sharpness } => write!(f, "blurred (sharpness {sharpness:.4})"),
            Self::Turned { yaw } => write!(f, "turned away (about {:.0} degrees)", yaw.abs()),
        }
    }
}

/// The least that a face must be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bar {
    /// Least width in pixels.
    pub width: f32,
    /// Least sharpness.
    pub sharpness: f32,
    /// Most degrees to the side.
    pub yaw: f32,
}

impl Default for Bar {
    /// Of LFW's faces, one of two hundred is less sharp, and one of a hundred turned farther.
    fn default() -> Self {
        Self { width: 40.0, sharpness: 0.0065, yaw: 50.0 }
    }
}

impl Bar {
    /// What is wrong with a face of this width in pixels, sharpness, and pose. What is not known is not held against
    /// it.
    pub fn faults(&self, width: f32, sharpness: Option<f32>, pose: Option<Pose>) -> Vec<Fault> {
        let small = (width < self.width).then_some(Fault::Small { pixels: width });
        let blurred = sharpness.filter(|&s| s < self.sharpness).map(|sharpness| Fault::Blurred { sharpness });
        let turned = pose.filter(|pose| pose.yaw.abs() > self.yaw).map(|pose| Fault::Turned { yaw: pose.yaw });
        [small, blurred, turned].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_found_and_told_and_what_is_unknown_is_none() {
        let bar = Bar::default();
        let pose = |yaw| Some(Pose { roll: 80.0, yaw });
        assert_eq!(bar.faults(90.0, Some(0.1), pose(-20.0)), []);
        assert_eq!(bar.faults(90.0, None, None), []);
        let faults = bar.faults(20.0, Some(0.001), pose(-70.0));
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["small (20 pixels wide)", "blurred (sharpness 0.0010)", "turned away (about 70 degrees)"]);
    }
}
