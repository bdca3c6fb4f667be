"""Times faiss on the made-up faces of `crates/bledsoe/benches/search.rs`, on all cores.

    pip install faiss-cpu numpy
    cargo bench -p bledsoe --bench search -- vectors ROWS DIM FILE
    python benches/rivals/search.py ROWS DIM FILE

Prints, for each index, the median milliseconds of a single probe, probes a second of all in one batch, and recall@10
against faiss's own flat index.
"""

import sys
import time

import faiss
import numpy as np

K = 10


def median_ms(index, probes):
    times = []
    for probe in probes:
        start = time.perf_counter()
        index.search(probe[None], K)
        times.append(time.perf_counter() - start)
    return 1e3 * np.median(times)


def tell(name, index, probes, truth, singles):
    single = median_ms(index, probes[:singles])
    start = time.perf_counter()
    found = index.search(probes, K)[1]
    batched = len(probes) / (time.perf_counter() - start)
    recall = np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(found, truth)])
    print(f"{name}: {single:.3f} ms a probe; {batched:.0f} probes/s; recall@10 {recall:.4f}", flush=True)


def main():
    rows, dim, file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    vectors = np.fromfile(file, dtype=np.float32).reshape(-1, dim)
    vectors, probes = vectors[:rows], vectors[rows:]
    print(f"faiss {faiss.__version__}, {faiss.omp_get_max_threads()} threads, {rows} x {dim}")
    singles = min(len(probes), max(25, 20_000_000 // rows))

    flat = faiss.IndexFlatIP(dim)
    flat.add(vectors)
    truth = flat.search(probes, K)[1]
    tell("IndexFlatIP", flat, probes, truth, singles)
    del flat

    kind = faiss.ScalarQuantizer.QT_8bit
    scalar = faiss.IndexScalarQuantizer(dim, kind, faiss.METRIC_INNER_PRODUCT)
    scalar.train(vectors[:100_000])
    scalar.add(vectors)
    tell("IndexScalarQuantizer 8 bit", scalar, probes, truth, singles)
    del scalar

    graph = faiss.IndexHNSWFlat(dim, 32, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 96
    start = time.perf_counter()
    graph.add(vectors)
    print(f"IndexHNSWFlat built in {time.perf_counter() - start:.1f} s")
    for ef in [16, 32, 64, 128, 256, 512]:
        graph.hnsw.efSearch = ef
        tell(f"IndexHNSWFlat efSearch {ef}", graph, probes, truth, len(probes))


main()
