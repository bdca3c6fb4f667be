"""The golden numbers of metric learning: losses of a batch and their gradients, by PyTorch in f64.

    pip install torch==2.15.0
    python tools/reference/metric.py > crates/bledsoe/tests/agreement/golden/metric.json

The batch is made of unit vectors near which one person's faces lie, so that some triplets are easy, some semi-hard and
some hard. Gradients are by the vectors before they are made of unit length.
"""

import json

import torch
import torch.nn.functional as F

PEOPLE, FACES, DIM = 5, 4, 12


def triplets(distances, people, margin, mining):
    """Anchor, positive, negative; written down from the papers, face by face."""
    mined, everybody = [], range(len(people))
    for a in everybody:
        row = distances[a].tolist()
        positives = [i for i in everybody if i != a and people[i] == people[a]]
        negatives = [i for i in everybody if people[i] != people[a]]
        if mining == "semi-hard":
            for p in positives:
                farther = [n for n in negatives if row[n] > row[p]]
                if farther and min(row[n] for n in farther) < row[p] + margin:
                    mined.append((a, p, min(farther, key=lambda n: row[n])))
        elif mining == "hard":
            if positives and negatives:
                p, n = max(positives, key=lambda i: row[i]), min(negatives, key=lambda i: row[i])
                if row[n] < row[p] + margin:
                    mined.append((a, p, n))
        else:
            mined += [(a, p, n) for p in positives for n in negatives if row[n] < row[p] + margin]
    return mined


def triplet(vectors, people, centres, margin, mining):
    distances = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist").pow(2)
    mined = torch.tensor(triplets(distances.detach(), people.tolist(), margin, mining))
    anchors, positives, negatives = (vectors[mined[:, i]] for i in range(3))
    far = lambda a, b: (a - b).pow(2).sum(1)
    return F.relu(far(anchors, positives) - far(anchors, negatives) + margin).mean()


def arcface(vectors, people, centres, margin, scale):
    cosines = F.linear(vectors, F.normalize(centres)).clamp(-1 + 1e-6, 1 - 1e-6)
    own = F.one_hot(people, len(centres)).bool()
    angle = torch.acos(cosines)
    limit = torch.pi - margin
    turned = torch.where(angle < limit, torch.cos(angle + margin), cosines - margin * torch.sin(torch.tensor(margin)))
    return F.cross_entropy(scale * torch.where(own, turned, cosines), people)


def supcon(vectors, people, centres, temperature):
    logits = vectors @ vectors.T / temperature
    logits = logits.masked_fill(torch.eye(len(people), dtype=torch.bool), -torch.inf)
    log = F.log_softmax(logits, dim=1)
    losses = []
    for i in range(len(people)):
        own = [p for p in range(len(people)) if p != i and people[p] == people[i]]
        if own:
            losses.append(-log[i, own].mean())
    return torch.stack(losses).mean()


CASES = [
    (triplet, {"name": "triplet", "margin": 0.2, "mining": "semi-hard"}),
    (triplet, {"name": "triplet", "margin": 0.2, "mining": "hard"}),
    (triplet, {"name": "triplet", "margin": 0.5, "mining": "all"}),
    (arcface, {"name": "arcface", "margin": 0.5, "scale": 64.0}),
    (arcface, {"name": "arcface", "margin": 0.25, "scale": 16.0}),
    (arcface, {"name": "arcface", "margin": 1.5, "scale": 16.0}),
    (supcon, {"name": "supcon", "temperature": 0.1}),
]


def main():
    torch.manual_seed(6)
    torch.set_default_dtype(torch.float64)
    people = torch.arange(PEOPLE).repeat_interleave(FACES)
    # One more, alone, as a batch may have.
    people = torch.cat([people, torch.tensor([PEOPLE])])
    middles = torch.randn(PEOPLE + 1, DIM)
    batch = middles[people] + 0.9 * torch.randn(len(people), DIM)
    # As f32 holds them, so that both see the same numbers.
    batch, centres = batch.float().double(), torch.randn(PEOPLE + 1, DIM).float().double()
    cases = []
    for loss, settings in CASES:
        given = batch.clone().requires_grad_()
        numbers = {k: v for k, v in settings.items() if k != "name"}
        # Margins and the like are f32 there.
        numbers = {k: torch.tensor(v, dtype=torch.float32).item() if isinstance(v, float) else v for k, v in numbers.items()}
        value = loss(F.normalize(given), people, centres, **numbers)
        value.backward()
        cases.append({"loss": settings, "value": value.item(), "gradient": given.grad.flatten().tolist()})
    golden = {
        "made_by": f"PyTorch {torch.__version__}", "dim": DIM, "people": people.tolist(),
        "vectors": batch.flatten().tolist(), "centres": centres.flatten().tolist(), "cases": cases,
    }
    print(json.dumps(golden))


if __name__ == "__main__":
    main()
