"""Draws the reliability diagram of docs/calibration.md from what `cargo bench --bench calibration` prints.

Usage: reliability.py calibration.json reliability.svg
"""

import json
import sys

SIDE, MARGIN = 300, 48
NAMES = {"lfw": "LFW, 848 people", "lfw of 10": "LFW, 10 people", "orl": "ORL, 20 people"}
COLOURS = {"lfw": "#0072b2", "lfw of 10": "#d55e00", "orl": "#009e73"}


def main():
    results = json.load(open(sys.argv[1]))["results"]
    at = lambda x, y: (MARGIN + SIDE * x, MARGIN / 2 + SIDE * (1 - y))
    parts = []
    for tick in range(0, 11, 2):
        x, y = at(tick / 10, 0)
        parts.append(f'<text x="{x:.0f}" y="{y + 16:.0f}" text-anchor="middle">{tick / 10:g}</text>')
        x, y = at(0, tick / 10)
        parts.append(f'<text x="{x - 8:.0f}" y="{y + 4:.0f}" text-anchor="end">{tick / 10:g}</text>')
    (x0, y0), (x1, y1) = at(0, 0), at(1, 1)
    parts.append(f'<rect x="{x0}" y="{y1}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888"/>')
    parts.append(f'<line x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" stroke="#888" stroke-dasharray="4 4"/>')
    for i, (key, name) in enumerate(NAMES.items()):
        if key not in results:
            continue
        reliability = results[key]["reliability"]
        points = [at(b["probability"], b["right"]) for b in reliability["bins"]]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[key]}" stroke-width="1.5"/>')
        for (x, y), b in zip(points, reliability["bins"]):
            radius = 2 + 8 * b["share"] ** 0.5
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{COLOURS[key]}" fill-opacity="0.6"/>')
        error = reliability["expected_calibration_error"]
        parts.append(
            f'<text x="{x0 + SIDE - 8}" y="{y0 - 44 + 16 * i}" text-anchor="end" fill="{COLOURS[key]}">{name}: ECE {error:.4f}</text>'
        )
    parts.append(f'<text x="{x0 + SIDE / 2}" y="{y0 + 34}" text-anchor="middle">probability said</text>')
    middle = y1 + SIDE / 2
    parts.append(f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">share that was right</text>')
    width, height = SIDE + MARGIN + 16, SIDE + MARGIN / 2 + 44
    open(sys.argv[2], "w").write(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    main()
