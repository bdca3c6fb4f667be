"""Writes the SHA-256 and size of every file under models/ into its entries of models/registry.toml.

Usage: seal.py           rewrite the registry
       seal.py --check   exit 1 if it is out of date (for continuous integration)
Entries whose file is not under models/ (those that users pull) stay as they are.
"""

import argparse
import hashlib
import re
import sys
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "models"


def field(entry, name):
    """The match of `name = value` among an entry's own lines, before its first sub-table."""
    own = re.split(r"(?m)^\[", entry, maxsplit=1)[0]
    return re.search(rf'(?m)^{name} = "?([^"\n]*)"?$', own)


def seal(entry):
    """An entry (text after its [[model]] line) with sha256 and bytes of its file."""
    name = field(entry, "file")
    if name is None:
        sys.exit(f"an entry without file:\n{entry[:200]}")
    path = MODELS / name[1]
    if not path.is_file():
        return entry
    content = path.read_bytes()
    if not content:
        return entry
    for key, value in [("bytes", str(len(content))), ("sha256", f'"{hashlib.sha256(content).hexdigest()}"')]:
        found = field(entry, key)
        if found:
            entry = f"{entry[:found.start()]}{key} = {value}{entry[found.end():]}"
        else:
            entry = entry[:name.end()] + f"\n{key} = {value}" + entry[name.end():]
    return entry


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if the registry is out of date")
    check = parser.parse_args().check
    registry = MODELS / "registry.toml"
    old = registry.read_text()
    new = re.sub(
        r"(?ms)(^\[\[model\]\]\n)(.*?)(?=^\[\[|\Z)", lambda m: m[1] + seal(m[2]), old
    )
    if check and new != old:
        sys.exit("models/registry.toml is out of date: run tools/convert/seal.py")
    if not check and new != old:
        registry.write_text(new)


if __name__ == "__main__":
    main()
