#!/usr/bin/env python3
"""A picture of a whole report, by headless Chromium (Debian: apt-get install chromium). Needs nothing but Python.

    tools/measure/screenshot.py REPORT.html OUT.png [--width 390] [--height 700] [--dark]
    tools/measure/screenshot.py REPORT.html OUT.pdf          as it is printed

Exit code 1 if the page logs an error, asks for anything beyond itself, or is wider than the window.
"""

import argparse
import base64
import pathlib
import sys
import tempfile

from browser import Browser, faults

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("report", type=pathlib.Path)
parser.add_argument("out", type=pathlib.Path)
parser.add_argument("--width", type=int, default=1100, help="of the window in CSS pixels; a phone has 390")
parser.add_argument("--height", type=int, help="only so much of the top, in CSS pixels")
parser.add_argument("--scale", type=float, default=1, help="pixels of the picture per CSS pixel")
parser.add_argument("--dark", action="store_true", help="as on a dark screen")
arguments = parser.parse_args()

with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    browser = Browser(profile)
    phone = arguments.width < 600
    browser.call("Emulation.setDeviceMetricsOverride", width=arguments.width, height=800,
                 deviceScaleFactor=arguments.scale, mobile=phone)
    scheme = "dark" if arguments.dark else "light"
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    url = arguments.report.resolve().as_uri()
    browser.events.clear()
    browser.call("Page.navigate", url=url)
    browser.wait("Page.loadEventFired")
    size = browser.call("Page.getLayoutMetrics")["cssContentSize"]
    if arguments.out.suffix == ".pdf":
        result = browser.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False, paperWidth=8.27,
                              paperHeight=11.69)
    else:
        height = min(arguments.height or size["height"], size["height"])
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1}
        result = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
    arguments.out.write_bytes(base64.b64decode(result["data"]))
    found = list(faults(browser, url))
    if size["width"] > arguments.width:
        found.append(f"is {size['width']} pixels wide in a window of {arguments.width}")
    browser.close()

for fault in found:
    print(f"{arguments.report}: {fault}", file=sys.stderr)
sys.exit(1 if found else 0)
