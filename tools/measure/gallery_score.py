"""How should a face be compared with a person of several templates? Ways to score it, on LFW.

Usage: gallery_score.py lfw.parquet        (a table of `bledsoe embed`; numpy, pyarrow, scikit-learn)

Only the half of LFW's people counts that the cohort was not made from (an odd first byte of the name's SHA-256). Everybody
with more photos than templates is enrolled; people of one photo are strangers. Printed is the share of enrolled people's
photos that are missed where 1 % and 0.3 % of the strangers are named. Means of four draws; the classifier, which is slow to fit, has one.
"""

import hashlib
import sys

import numpy as np
import pyarrow.parquet as pq
from sklearn.svm import LinearSVC

DRAWS = 4


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def missed(mates, own, strangers, rate):
    threshold = np.sort(strangers.max(1))[::-1][int(rate * len(strangers))]
    return 1 - np.mean((mates.argmax(1) == own) & (mates.max(1) > threshold))


def classifier(templates, means, negatives):
    """A linear support vector machine for each person, against people of the other half and the others' means."""
    heads = []
    for k, own in enumerate(templates):
        others = np.concatenate([negatives, np.delete(means, k, 0)[:400]])
        labels = np.r_[np.ones(len(own)), np.zeros(len(others))]
        fitted = LinearSVC(C=1, class_weight={1: 50, 0: 1}).fit(np.concatenate([own, others]), labels)
        heads.append(np.r_[fitted.coef_[0], fitted.intercept_])
    heads = np.array(heads)
    return lambda faces: faces @ heads[:, :-1].T + heads[:, -1]


def main():
    table = pq.read_table(sys.argv[1])
    vectors = np.stack(table["embedding"].to_numpy(zero_copy_only=False)).astype(np.float32)
    photos = {}
    for i, person in enumerate(table["person"].to_pylist()):
        photos.setdefault(person, []).append(i)
    is_ours = lambda person: hashlib.sha256(person.encode()).digest()[0] % 2 == 1
    rng = np.random.default_rng(0)
    for count in (2, 3, 5, 8):
        rates = {}
        for draw in range(DRAWS):
            templates, probes, own, strangers = [], [], [], []
            for person in sorted(filter(is_ours, photos)):
                ids = rng.permutation(photos[person])
                if len(ids) > count:
                    own += [len(templates)] * (len(ids) - count)
                    templates.append(ids[:count])
                    probes += list(ids[count:])
                elif len(ids) == 1:
                    strangers.append(ids[0])
            templates, probes, own = vectors[np.array(templates)], vectors[probes], np.array(own)
            strangers, means = vectors[strangers], unit(templates.sum(1))
            negatives = vectors[[photos[p][0] for p in sorted(photos) if not is_ours(p)][:1500]]
            near = lambda faces: np.einsum("pd,nmd->pnm", faces, templates)
            ways = {
                "nearest template": lambda faces: near(faces).max(2),
                "mean of similarities": lambda faces: near(faces).mean(2),
                "similarity to the mean": lambda faces: faces @ means.T,
                "half nearest, half mean": lambda faces: (near(faces).max(2) + faces @ means.T) / 2,
            }
            if draw == 0:
                ways["linear classifier"] = classifier(templates, means, negatives)
            for name, way in ways.items():
                mates, others = way(probes), way(strangers)
                rates.setdefault(name, []).append([missed(mates, own, others, rate) for rate in (0.01, 0.003)])
        print(f"{count} templates: {len(templates)} people, {len(probes)} probes, {len(strangers)} strangers")
        for name, values in rates.items():
            first, second = np.mean(values, 0)
            print(f"  {name:24} {100 * first:5.2f} {100 * second:5.2f}")


if __name__ == "__main__":
    main()
