#!/usr/bin/env python3
"""Uses a page of `bledsoe plot` as a person does, in headless Chromium without a network: turns it, points at faces, searches.

    tools/measure/space.py SPACE.html NAME [--picture OUT.png]

NAME is searched for. Prints what was found as JSON. Exit code 1 if pointing or searching does nothing, or if the page logs an error or
asks for anything beyond itself.
"""

import argparse
import base64
import json
import pathlib
import sys
import tempfile

from browser import Browser, faults

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("page", type=pathlib.Path)
parser.add_argument("name")
parser.add_argument("--picture", type=pathlib.Path)
arguments = parser.parse_args()

# What the page shows now, and where a shown point is.
STATE = """(() => {
  const box = canvas.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  const shown = Array.from(data.group.keys()).filter((i) => chosen === null || chosen.has(data.group[i]));
  const i = shown[Math.floor(shown.length / 2)];
  return {points: count, shown: shown.length, at: [box.left + x[i] / ratio, box.top + y[i] / ratio],
          tip: tip.hidden ? null : tip.innerText, picture: tip.hidden ? false : tip.querySelector("div[style*=url]") !== null,
          found: found.textContent, yaw};
})()"""
FRAMES = """new Promise((done) => {
  const start = performance.now();
  let frames = 0;
  const next = () => { yaw += 0.05; draw(); (++frames < 30) ? requestAnimationFrame(next) : done((performance.now() - start) / 30); };
  requestAnimationFrame(next);
})"""

with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    browser = Browser(profile)
    url = arguments.page.resolve().as_uri()
    browser.call("Emulation.setDeviceMetricsOverride", width=1100, height=900, deviceScaleFactor=1, mobile=False)
    browser.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
    browser.events.clear()
    browser.call("Page.navigate", url=url)
    browser.wait("Page.loadEventFired")

    def run(script, wait=False):
        result = browser.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=wait)
        if "exceptionDetails" in result:
            sys.exit(json.dumps(result["exceptionDetails"]))
        return result["result"].get("value")

    def mouse(kind, at, **more):
        browser.call("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], **more)

    def settled():
        run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))", wait=True)
        return run(STATE)

    before = settled()
    milliseconds = run(FRAMES, wait=True)
    before = settled()
    mouse("mouseMoved", before["at"])
    pointed = settled()
    mouse("mousePressed", [500, 500], button="left", clickCount=1)
    mouse("mouseMoved", [560, 520], button="left", buttons=1)
    mouse("mouseReleased", [560, 520], button="left", clickCount=1)
    turned = settled()
    run("search.focus()")
    browser.call("Input.insertText", text=arguments.name)
    searched = settled()
    mouse("mouseMoved", searched["at"])
    hovered = settled()
    if arguments.picture:
        result = browser.call("Page.captureScreenshot", format="png")
        arguments.picture.write_bytes(base64.b64decode(result["data"]))
    wrong = list(faults(browser, url))
    browser.close()

if not pointed["tip"]:
    wrong.append("pointing at a face shows nothing")
if turned["yaw"] == before["yaw"]:
    wrong.append("dragging does not turn")
if not 0 < searched["shown"] < before["points"]:
    wrong.append(f"searching for {arguments.name!r} shows {searched['shown']} of {before['points']} points")
# The page takes an underscore for a space, too.
plain = lambda text: text.lower().replace("_", " ")
if plain(arguments.name) not in plain(hovered["tip"] or ""):
    wrong.append(f"the face found is shown as {hovered['tip']!r}")
print(json.dumps({"points": before["points"], "milliseconds_a_frame": milliseconds, "pointed": pointed["tip"],
                  "picture": pointed["picture"], "searched": searched["shown"], "found": searched["found"], "wrong": wrong}))
sys.exit(1 if wrong else 0)
