//! Faces with their embeddings and with how good their pictures are: what a gallery is asked, or enrols.

use super::{Processed, embed};
use crate::{
    Result,
    dataset::Skipped,
    embed::{Embedder, table::FaceRow},
    geometry::Rect,
    quality::{Pose, sharpness},
};

/// A face, embedded.
#[derive(Debug, Clone)]
pub struct Portrait {
    /// Whose photo, where in it, and the embedding.
    pub row: FaceRow,
    /// How sharp it is; known where a chip of the `arcface` template was cut out.
    pub sharpness: Option<f32>,
    /// How it is turned; not known of a chip aligned earlier.
    pub pose: Option<Pose>,
    /// All faces of the photo, chosen or not; empty where that is not known.
    pub seen: Vec<Rect>,
}

impl From<FaceRow> for Portrait {
    /// A face of a table of embeddings.
    fn from(row: FaceRow) -> Self {
        Self { pose: Pose::of(&row.landmarks), row, sharpness: None, seen: Vec::new() }
    }
}

/// Embeds the faces of `processed`, whose chips were cut for `embedder`; photos without a face apart.
///
/// # Errors
/// When the engine fails.
pub fn portraits(processed: Vec<Processed>, embedder: &dyn Embedder) -> Result<(Vec<Portrait>, Vec<Skipped>)> {
    let arcface = embedder.templates().iter().position(|template| template.name() == "arcface");
    let mut looked = Vec::new();
    for photo in &processed {
        for face in photo.faces.iter().flatten() {
            let chip = arcface.and_then(|i| face.chips.get(i));
            looked.push((chip.map(sharpness), Pose::of(&face.landmarks), photo.seen.clone()));
        }
    }
    let (rows, skipped) = embed::rows(processed, embedder)?;
    let portrait = |(row, (sharpness, pose, seen))| Portrait { row, sharpness, pose, seen };
    Ok((rows.into_iter().zip(looked).map(portrait).collect(), skipped))
}
