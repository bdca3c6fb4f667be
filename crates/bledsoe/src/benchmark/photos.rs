//! Photos named by a list, decoded chunk by chunk.

use std::path::Path;

use rayon::prelude::*;

use crate::{
    Result,
    dataset::{Item, Skipped},
    photo::{Limits, Photo},
    pipeline::{Counts, Encoded, Monitor, batches, chunks},
};

/// Gives `visit` the photos `names` below `root`, some at a time, each with its place in the list; it answers how many
/// faces it found. Gives back the photos that could not be read.
pub(super) fn visit<'a>(
    root: &Path,
    names: impl Iterator<Item = &'a String>,
    monitor: &Monitor<'_>,
    mut visit: impl FnMut(&[(usize, Photo)]) -> Result<usize>,
) -> Result<Vec<Skipped>> {
    let item = |name: &String| Item { path: root.join(name), relative: name.clone(), person: None };
    let items: Vec<Item> = names.map(item).collect();
    let (mut counts, mut skipped) = (Counts::default(), Vec::new());
    for chunk in chunks(&items) {
        let mut place = chunk.start;
        for batch in batches(Encoded::read_all(&items[chunk])) {
            monitor.check()?;
            let decoded: Vec<Result<Photo, String>> = batch.par_iter().map(decode).collect();
            let mut photos = Vec::new();
            for (encoded, photo) in batch.into_iter().zip(decoded) {
                match photo {
                    Ok(photo) => photos.push((place, photo)),
                    Err(reason) => {
                        skipped.push(Skipped { path: encoded.item.relative, stage: "decode".into(), reason });
                    }
                }
                place += 1;
            }
            counts.faces += visit(&photos)?;
            counts.photos = place;
            counts.skipped = skipped.len();
            (monitor.progress)(counts);
        }
    }
    Ok(skipped)
}

fn decode(encoded: &Encoded) -> Result<Photo, String> {
    let bytes = encoded.bytes.as_ref().map_err(Clone::clone)?;
    Photo::decode(bytes, &Limits::default()).map_err(|e| e.reason())
}
