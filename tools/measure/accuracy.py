"""The tables of docs/accuracy.md: every embedder and preset on LFW, by `bledsoe benchmark`.

Usage: accuracy.py BLEDSOE LFW OUT [NAME ...]
  LFW   folder with images/ and protocols/
  OUT   folder for tables of embeddings and results; embeddings that are there are not made again
  NAME  which to measure (all if absent): see RUNS
"""

import json
import subprocess
import sys
from pathlib import Path

RUNS = {
    "default": [],
    "--fast": ["--fast"],
    "--fast, mirrored": ["--fast", "--embedder", "mobilefacenet"],
    "--accurate": ["--accurate"],
    "mobilefacenet": ["--embedder", "mobilefacenet"],
    "facenet": ["--embedder", "facenet"],
    "dlib": ["--embedder", "dlib"],
}
ENROLLED = ["1", "2", "5", "70%"]


def bledsoe(program, *arguments):
    """Exit code 1 says that in some photos no face was found; they are counted in the JSON."""
    done = subprocess.run([program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        sys.exit(f"bledsoe {' '.join(map(str, arguments))}: {done.stderr}")
    return json.loads(done.stdout)


def percent(value, interval=None):
    text = f"{100 * value:.2f}"
    return text if interval is None else f"{text} ({100 * interval[0]:.2f} to {100 * interval[1]:.2f})"


def main():
    program, lfw, out, *names = sys.argv[1:]
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tables = {"verification": [], "open": [], "closed": []}
    for name in names or RUNS:
        faces = out / f"{name.strip('-')}.parquet"
        if not faces.exists():
            bledsoe(program, "embed", f"{lfw}/images", "--out", faces, "--resume", "--json", *RUNS[name])
        of = ["--root", lfw, "--embeddings", faces, "--json"]
        v = bledsoe(program, "benchmark", "verification", "--protocol", "lfw", *of)
        (out / f"{name.strip('-')}.verification.json").write_text(json.dumps(v))
        tables["verification"].append(
            f"| {name} | {percent(v['accuracy_mean'], v['intervals']['accuracy_mean'])} ± {percent(v['accuracy_stderr'])} | "
            f"{v['auc']:.4f} | {percent(v['eer'])} | "
            + " | ".join(percent(v["tar_at_far"][far], v["intervals"]["tar_at_far"][far]) for far in ["1e-2", "1e-3"])
            + f" | {v['thresholds']['1e-3']:.3f} | {v['failures_to_detect']} |")
        for enrolled in ENROLLED:
            if name not in ("default", "--accurate") and enrolled != "1":
                continue
            for protocol in ["open", "closed"]:
                r = bledsoe(program, "benchmark", "identification", "--protocol", protocol, "--enrol", enrolled, *of)
                (out / f"{name.strip('-')}.{protocol}.{enrolled}.json").write_text(json.dumps(r))
                if protocol == "open":
                    figures = [percent(r["fnir_at_fpir"][f], r["intervals"][f]) for f in ["1e-1", "1e-2", "1e-3"]]
                else:
                    figures = [percent(r[rank], r["intervals"][rank]) for rank in ["rank1", "rank5"]]
                people = r["people"]
                tables[protocol].append(f"| {name} | {enrolled} | {people['enrolled']} | " + " | ".join(figures) + " |")
    for title, rows in tables.items():
        print(f"\n{title}\n" + "\n".join(rows))


if __name__ == "__main__":
    main()
