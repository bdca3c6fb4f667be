//! Embedding: a face chip becomes a unit vector in which distance is similarity.
