#!/usr/bin/env python3
"""A picture of a whole report, by headless Chromium (Debian: apt-get install chromium). Needs nothing but Python.

    tools/measure/screenshot.py REPORT.html OUT.png [--width 390] [--height 700] [--dark]
    tools/measure/screenshot.py REPORT.html OUT.pdf          as it is printed

Exit code 1 if the page logs an error, asks for anything beyond itself, or is wider than the window.
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("report", type=pathlib.Path)
parser.add_argument("out", type=pathlib.Path)
parser.add_argument("--width", type=int, default=1100, help="of the window in CSS pixels; a phone has 390")
parser.add_argument("--height", type=int, help="only so much of the top, in CSS pixels")
parser.add_argument("--scale", type=float, default=1, help="pixels of the picture per CSS pixel")
parser.add_argument("--dark", action="store_true", help="as on a dark screen")
arguments = parser.parse_args()


class Browser:
    """Chromium, spoken to over a pipe by its DevTools protocol."""

    def __init__(self, profile):
        program = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
        if program is None:
            sys.exit("no chromium: apt-get install chromium")
        # Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
        commands, self.write_to = os.pipe()
        self.read_from, answers = os.pipe()
        script = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
                 f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(["bash", "-c", script, program, *flags], pass_fds=[commands, answers],
                                        stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(answers)
        self.messages, self.events, self.number, self.session = b"", [], 0, None

    def receive(self):
        while b"\0" not in self.messages:
            more = os.read(self.read_from, 1 << 20)
            if not more:
                sys.exit("chromium ended")
            self.messages += more
        message, _, self.messages = self.messages.partition(b"\0")
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.receive())


def faults(browser, url):
    """What the page logged, threw or asked for."""
    for event in browser.events:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Log.entryAdded":
                entry = parameters["entry"]
                yield f"{entry['level']}: {entry['text']}"
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled":
                yield json.dumps(parameters)
            case "Network.requestWillBeSent":
                asked = parameters["request"]["url"]
                if asked != url and not asked.startswith("data:"):
                    yield f"asks for {asked}"


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    browser = Browser(profile)
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ["Page", "Log", "Runtime", "Network"]:
        browser.call(f"{domain}.enable")
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
    browser.session = None
    browser.call("Browser.close")
    browser.process.wait(timeout=30)

for fault in found:
    print(f"{arguments.report}: {fault}", file=sys.stderr)
sys.exit(1 if found else 0)
