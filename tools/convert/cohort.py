"""Synthesises the cohort: embeddings of people who do not exist, against whom galleries are calibrated.

Usage: cohort.py ACCURATE.parquet STRAIGHT.parquet ../../models/cohort.safetensors

The tables are `bledsoe embed lfw/images --accurate` and `--fast`. Only half of LFW's people are used (those whose name has
an even first byte of its SHA-256): the other half never, so that calibration can be tested on it.

Method. Each person is one point: the embeddings of one photo by all embedded networks, side by side. A synthetic person is
drawn around a random point: the mean of its 16 nearest neighbours plus a random combination of their deviations from it,
which has their covariance (a smoothed bootstrap with a local Gaussian kernel). Each is a blend of sixteen people, near none
of them; `main` prints how near. Kept are the 240 principal directions of the points, in eight bits; what those lack is
isotropic noise of the right size, drawn when the cohort is unfolded.

For every embedder there are besides: how its real pairs of strangers differ from those with a synthetic partner, how
alike photos of one person are, by the number of templates, and how alike a stranger is to the most alike of some people none
of whom it was made of (see `stranger_tops`). Method and figures: docs/calibration.md.

       cohort.py ACCURATE.parquet STRAIGHT.parquet ../../models/cohort.safetensors --strangers-only

computes the last anew and leaves the rest of the file as it is, to the byte.
"""

import argparse
import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import save_file

SEED = 2026
PEOPLE = 1536
NEIGHBOURS = 16
DIRECTIONS = 240
# The networks in the order and with the weights of the table made with --accurate.
BLOCKS = [("mobilefacenet", 192, 1.0), ("facenet", 512, 0.25), ("dlib", 128, 1.0)]
# Every embedder that is calibrated: id, blocks, and weights as in models/registry.toml.
EMBEDDERS = {
    "mobilefacenet+dlib": {"mobilefacenet": 1.0, "dlib": 1.0},
    "mobilefacenet+facenet+dlib": {"mobilefacenet": 1.0, "facenet": 0.25, "dlib": 1.0},
    "mobilefacenet": {"mobilefacenet": 1.0},
    "mobilefacenet-straight": {"mobilefacenet": 1.0},
    "facenet": {"facenet": 1.0},
    "dlib": {"dlib": 1.0},
}
TEMPLATES = [1, 2, 4, 8]
QUANTILES = 41
STRANGER_QUANTILES = 200
PROBES_A_PERSON = 4


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def fused(blocks, weights):
    parts = [unit(blocks[name]) * np.sqrt(weight) for name, weight in weights.items()]
    return unit(np.concatenate(parts, axis=1))


def read(path):
    table = pq.read_table(path)
    vectors = np.stack(table["embedding"].to_numpy(zero_copy_only=False)).astype(np.float64)
    return vectors, table["path"].to_pylist(), table["person"].to_pylist()


def is_ours(person):
    return hashlib.sha256(person.encode()).digest()[0] % 2 == 0


def eight_bits(rows):
    scale = np.abs(rows).max(axis=1) / 127
    return np.rint(rows / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def mates(vectors, photos, rng):
    """Scores of photos against their own person, who has so many templates: half the nearest template, half the mean."""
    quantiles = {}
    for count in TEMPLATES:
        scores = []
        for ids in photos.values():
            for _ in range(PROBES_A_PERSON):
                if len(ids) > count:
                    chosen = rng.permutation(ids)[: count + 1]
                    probe, templates = vectors[chosen[0]], vectors[chosen[1:]]
                    scores.append((np.max(templates @ probe) + unit(templates.sum(axis=0)) @ probe) / 2)
        grid = np.linspace(0, 1, QUANTILES)
        quantiles[str(count)] = [round(float(q), 4) for q in np.quantile(scores, grid)]
    return quantiles


def synthesise(points, count, rng):
    """Blends of neighbours; see above."""
    likeness = points @ points.T
    order = np.argsort(-likeness, axis=1)[:, 1 : NEIGHBOURS + 1]
    near = points[order[rng.integers(0, len(points), count)]]
    middle = near.mean(axis=1, keepdims=True)
    weights = rng.standard_normal((count, NEIGHBOURS)) / np.sqrt(NEIGHBOURS - 1)
    return middle[:, 0] + np.einsum("nk,nkd->nd", weights, near - middle)


def split(joint):
    blocks, start = {}, 0
    for name, size, _ in BLOCKS:
        blocks[name] = joint[:, start : start + size]
        start += size
    return blocks


def stranger_tops(points, straight):
    """For each embedder: how alike synthetic people are to the most alike of `among` people, as quantiles, and on average to
    all. To be of use for any people, these are none of those that the synthetic ones were made of: one half makes, the other
    is compared with, and the other way round. Two real people would do as well, were it not for those that LFW has twice.
    """
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(points))
    halves = [order[: len(order) // 2], order[len(order) // 2 :]]
    found = {}
    for name, parts in EMBEDDERS.items():
        tops, means = [], []
        for makers, others in [halves, halves[::-1]]:
            made = fused(split(synthesise(points[makers], PEOPLE, np.random.default_rng(SEED))), parts)
            real = straight[others] if name == "mobilefacenet-straight" else fused(split(points[others]), parts)
            alike = made @ real[np.isfinite(real[:, 0])].T
            tops.append(alike.max(axis=1)), means.append(alike.mean())
        grid = (np.arange(STRANGER_QUANTILES) + 0.5) / STRANGER_QUANTILES
        quantiles = np.quantile(np.concatenate(tops), grid)
        found[name] = {
            "among": len(points) // 2,
            "mean": round(float(np.mean(means)), 5),
            "quantiles": [round(float(q), 4) for q in quantiles],
        }
        print(f"{name}: the most alike of {found[name]['among']} to a stranger {quantiles[len(quantiles) // 2]:.3f}, "
              f"to one of ten {np.quantile(np.concatenate(tops), 0.9):.3f}, of a hundred {np.quantile(np.concatenate(tops), 0.99):.3f}")
    return found


def with_metadata(file, embedders):
    """The file's bytes with other metadata."""
    content = Path(file).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"]["embedders"] = json.dumps(embedders, separators=(",", ":"))
    header = json.dumps(header, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("accurate")
    parser.add_argument("straight")
    parser.add_argument("out")
    parser.add_argument("--strangers-only", action="store_true")
    args = parser.parse_args()
    rng = np.random.default_rng(SEED)

    vectors, paths, people = read(args.accurate)
    blocks, start = {}, 0
    for name, size, _ in BLOCKS:
        blocks[name] = unit(vectors[:, start : start + size])
        start += size
    straight = dict(zip(*(lambda v, p, _: (p, v))(*read(args.straight))))
    photos = {}
    for i, person in enumerate(people):
        if is_ours(person):
            photos.setdefault(person, []).append(i)
    ours = np.array([rng.choice(ids) for ids in photos.values()])
    joint = np.concatenate([blocks[name] for name, _, _ in BLOCKS], axis=1)
    points = joint[ours]

    one_straight = np.stack([unit(np.asarray(straight.get(paths[i], np.full(192, np.nan)))) for i in ours])
    beyond = stranger_tops(points, one_straight)
    if args.strangers_only:
        content = Path(args.out).read_bytes()
        metadata = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])["__metadata__"]
        embedders = json.loads(metadata["embedders"])
        for name in EMBEDDERS:
            embedders[name]["strangers"] = beyond[name]
        Path(args.out).write_bytes(with_metadata(args.out, embedders))
        return
    synthetic = synthesise(points, PEOPLE, rng)

    mean = points.mean(axis=0)
    _, _, directions = np.linalg.svd(points - mean, full_matrices=False)
    directions = directions[:DIRECTIONS]
    rest = (points - mean) - (points - mean) @ directions.T @ directions
    codes, code_scale = eight_bits(((synthetic - mean) @ directions.T).T)
    basis, basis_scale = eight_bits(directions)

    # As bledsoe unfolds it, but with other noise.
    unfolded = mean + (codes * code_scale[:, None]).T.astype(np.float64) @ (basis * basis_scale[:, None])
    unfolded = unfolded + rng.standard_normal(unfolded.shape) * rest.std(axis=0)
    cohort = split(unfolded)

    embedders = {}
    for name, parts in EMBEDDERS.items():
        if name == "mobilefacenet-straight":
            real = np.stack([unit(np.asarray(straight.get(p, np.full(192, np.nan)))) for p in paths])
        else:
            real = fused(blocks, parts)
        usable = {p: [i for i in ids if np.isfinite(real[i, 0])] for p, ids in photos.items()}
        one = real[[i for i in ours if np.isfinite(real[i, 0])]]
        strangers = fused(cohort, parts)
        pairs = (one @ one.T)[np.triu_indices(len(one), 1)]
        mixed = strangers @ one.T
        embedders[name] = {
            "parts": parts,
            "pair_offset": round(float(pairs.mean() - mixed.mean()), 5),
            "pair_ratio": round(float(pairs.std() / mixed.std()), 5),
            "mates": mates(real, usable, rng),
            "strangers": beyond[name],
        }
        nearest = np.sort(mixed.max(axis=1))
        print(f"{name}: {embedders[name]['pair_offset']:+.4f} {embedders[name]['pair_ratio']:.3f}; a synthetic person is to "
              f"the nearest real one {nearest[len(nearest) // 2]:.3f} alike, real ones to each other "
              f"{np.median(np.sort(one @ one.T, axis=1)[:, -2]):.3f}")
    save_file(
        {
            "codes": codes,
            "codes.scale": code_scale,
            "basis": basis,
            "basis.scale": basis_scale,
            "mean": mean.astype(np.float32),
            "noise": rest.std(axis=0).astype(np.float32),
        },
        args.out,
        metadata={"blocks": json.dumps([[n, s] for n, s, _ in BLOCKS]), "embedders": json.dumps(embedders, separators=(",", ":"))},
    )


if __name__ == "__main__":
    main()
