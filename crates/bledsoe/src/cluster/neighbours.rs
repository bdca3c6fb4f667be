//! The nearest of every vector.

use rayon::prelude::*;

use super::constraints::{Link, Links};
use crate::{
    Result,
    embed::dot,
    search::{Cells, CellsOptions, Exact, Index, Neighbour, Storage},
};

/// How many neighbours of a face are looked for.
pub(super) const NEIGHBOURS: usize = 48;
/// So many are kept even if they are not near: to know whom a face might be instead.
const KEPT: usize = 8;
/// From so many vectors on, they are grouped in cells: the time of exact search grows with their square.
const CELLS_FROM: usize = 40_000;
/// Vectors searched for between two words on the progress.
const BATCH: usize = 2048;

/// Vectors that can be searched. Half-bytes find the candidates; similarities are those of the vectors themselves.
pub(super) struct Neighbourhood(Box<dyn Index>);

impl Neighbourhood {
    /// Of unit vectors of one length, at least one.
    pub(super) fn new(vectors: &[&[f32]]) -> Result<Self> {
        let mut exact = Exact::new(vectors.first().map_or(0, |vector| vector.len()), Storage::Int4Int8)?;
        exact.reserve(vectors.len());
        exact.add(vectors)?;
        if vectors.len() < CELLS_FROM {
            return Ok(Self(Box::new(exact)));
        }
        Ok(Self(Box::new(Cells::build(exact, CellsOptions::default())?)))
    }

    /// For each vector, the others that are at least as alike as `threshold`, at most [`NEIGHBOURS`], and some more,
    /// best first.
    pub(super) fn lists(
        &self,
        vectors: &[&[f32]],
        threshold: f32,
        progress: &mut dyn FnMut(usize, usize) -> Result<()>,
    ) -> Result<Vec<Vec<Neighbour>>> {
        let mut lists = Vec::with_capacity(vectors.len());
        for batch in vectors.chunks(BATCH) {
            let first = lists.len();
            let found = self.0.nearest(batch, NEIGHBOURS + 1)?;
            lists.par_extend(found.into_par_iter().enumerate().map(|(i, mut near)| {
                near.retain(|neighbour| neighbour.row != first + i);
                for neighbour in &mut near {
                    neighbour.similarity = dot(batch[i], vectors[neighbour.row]);
                }
                near.sort_unstable();
                near.truncate(NEIGHBOURS);
                let alike = near.partition_point(|neighbour| neighbour.similarity >= threshold);
                near.truncate(alike.max(KEPT));
                near.shrink_to_fit();
                near
            }));
            progress(lists.len(), vectors.len())?;
        }
        Ok(lists)
    }
}

/// The links between `vectors`.
pub(super) fn links(vectors: &[&[f32]], threshold: f32) -> Result<Links> {
    if vectors.is_empty() {
        return Ok(Links::default());
    }
    let lists = Neighbourhood::new(vectors)?.lists(vectors, threshold, &mut |_, _| Ok(()))?;
    let (mut pairs, mut full) = (Vec::new(), Vec::with_capacity(vectors.len()));
    for (a, list) in lists.iter().enumerate() {
        let near = list.iter().take_while(|neighbour| neighbour.similarity >= threshold);
        full.push(near.clone().count() >= NEIGHBOURS);
        pairs.extend(near.map(|neighbour| Link { a, b: neighbour.row, similarity: neighbour.similarity }));
    }
    Ok(Links::new(pairs, full))
}
