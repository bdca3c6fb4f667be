"""What the figures were measured on, and bledsoe called as a rival is."""

import json
import os
import platform
import subprocess
from pathlib import Path


def cores():
    return len(os.sched_getaffinity(0))


def describe():
    """Processor, cores, memory and system."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    fact = lambda key: next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "unknown")
    wanted = ["avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16"]
    return {
        "processor": fact("model name"),
        "family and model": f"{fact('cpu family')}/{fact('model')}",
        "features": [feature for feature in wanted if feature in fact("flags").split()],
        "cores": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
    }


def bledsoe(program, *arguments):
    """The JSON that `bledsoe ARGUMENTS --json` prints. Exit code 1 says that some photos gave no face."""
    done = subprocess.run([program, *map(str, arguments), "--json"], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"bledsoe {' '.join(map(str, arguments))}: {done.stderr}")
    return json.loads(done.stdout)


def sample(folder, count):
    """At most `count` photos of the folder, evenly spread by name; all if None."""
    every = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not every:
        raise SystemExit(f"{folder}: no photos there")
    return every if count is None else [every[i * len(every) // count] for i in range(min(count, len(every)))]
