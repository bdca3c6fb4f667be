"""Headless Chromium (Debian: apt-get install chromium), for the scripts beside this one. Needs nothing but Python."""

import json
import os
import shutil
import subprocess
import sys


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
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Log", "Runtime", "Network"]:
            self.call(f"{domain}.enable")

    def close(self):
        self.session = None
        self.call("Browser.close")
        self.process.wait(timeout=30)

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
