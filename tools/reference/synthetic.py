"""Numbers for synthetic sets, made by integers and IEEE arithmetic in a fixed order, so that Rust tests make the same."""

import numpy as np


def splitmix(n):
    """SplitMix64's output for the counter n."""
    z = (n + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def gauss(n):
    """Nearly normal numbers for counters n: twelve uniform ones less six, exact in f64."""
    twelve = splitmix(n[..., None] * np.uint64(12) + np.arange(12, dtype=np.uint64))
    return (twelve >> np.uint64(40)).astype(np.float64).sum(axis=-1) / 2**24 - 6


def unit(x):
    """Vectors along the last axis made of unit length, in f32."""
    square = np.zeros(x.shape[:-1])
    for d in range(x.shape[-1]):
        square = square + x[..., d] * x[..., d]
    return (x / np.sqrt(square)[..., None]).astype(np.float32)


def people(classes, photos, dim, noise):
    """classes x photos x dim: unit vectors around a centre a class."""
    centres = gauss(np.arange(classes * dim, dtype=np.uint64)).reshape(classes, 1, dim)
    around = gauss(np.arange(classes * photos * dim, dtype=np.uint64) + np.uint64(1_000_000))
    return unit(centres + noise * around.reshape(classes, photos, dim))
