//! Embedding a folder with what the network has of each face before its last layers, all kept in memory.

use super::{Counts, Encoded, Monitor, Source, chunks, embed::faces};
use crate::{
    Result,
    dataset::{Scan, Skipped},
    embed::{Features, NetworkEmbedder, table::FaceRow},
};

/// The faces of `scan` with their embeddings, and the photos without any. `features` are added each face's, in the same
/// order; of each photo one face is expected.
///
/// # Errors
/// [`crate::Error::Interrupted`] when the monitor stops the run, which keeps nothing; [`crate::Error::Engine`]; as
/// [`Features::push`].
pub fn features(
    scan: &Scan,
    source: &dyn Source,
    embedder: &NetworkEmbedder,
    features: &mut Features,
    monitor: &Monitor<'_>,
) -> Result<(Vec<FaceRow>, Vec<Skipped>)> {
    let mut counts = Counts { skipped: scan.skipped.len(), ..Counts::default() };
    let (mut all, mut skipped) = (Vec::new(), scan.skipped.clone());
    features.expect(scan.items.len());
    for range in chunks(&scan.items) {
        monitor.check()?;
        let photos = Encoded::read_all(&scan.items[range.clone()]);
        let (mut rows, chips, without) = faces(source.process(photos)?);
        for (row, embedding) in rows.iter_mut().zip(embedder.embed_with_features(&chips, features)?) {
            row.vector = embedding.vector;
        }
        counts.photos += range.len();
        counts.faces += rows.len();
        counts.skipped += without.len();
        all.extend(rows);
        skipped.extend(without);
        (monitor.progress)(counts);
    }
    Ok((all, skipped))
}
