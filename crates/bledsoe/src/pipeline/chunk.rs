//! Cutting a list of photos into chunks.

use std::ops::Range;

use crate::dataset::Item;

const PHOTOS: usize = 256;
const BYTES: u64 = 16 << 20;

/// Runs of at most 256 photos and 16 MB of files (or one larger file), covering all items in order.
///
/// A chunk's files are in memory together; how many are decoded at once is up to the [`super::Source`].
pub fn chunks(items: &[Item]) -> Vec<Range<usize>> {
    let size = |item: &Item| std::fs::metadata(&item.path).map_or(0, |m| m.len());
    cut(items.iter().map(size))
}

fn cut(sizes: impl Iterator<Item = u64>) -> Vec<Range<usize>> {
    let mut chunks: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (i, size) in sizes.enumerate() {
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < PHOTOS && bytes + size <= BYTES => {
                chunk.end = i + 1;
                bytes += size;
            }
            _ => {
                chunks.push(i..i + 1);
                bytes = size;
            }
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunks_cover_in_order_within_bounds(sizes in prop::collection::vec(0u64..20 << 20, 0..700)) {
            let chunks = cut(sizes.iter().copied());
            prop_assert_eq!(chunks.iter().cloned().flatten().collect::<Vec<_>>(), (0..sizes.len()).collect::<Vec<_>>());
            for chunk in chunks {
                let bytes: u64 = sizes[chunk.clone()].iter().sum();
                prop_assert!(chunk.len() == 1 || (chunk.len() <= PHOTOS && bytes <= BYTES));
            }
        }
    }
}
