"""Headless Chromium by the WebDriver protocol (chromedriver), with the standard library."""
import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--hide-scrollbars", "--force-device-scale-factor=1", "--disable-dev-shm-usage"]


class Browser:
    def __init__(self, width=1400, height=1000, dark=False):
        driver = shutil.which("chromedriver")
        if not driver or not shutil.which("chromium"):
            import pytest
            pytest.skip("chromium and chromedriver are not installed")
        self.profile = tempfile.mkdtemp(prefix="tm-chromium-")
        self.driver = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                self.port = int(line.strip().rstrip(".").split()[-1])
                break
        arguments = FLAGS + ["--user-data-dir=" + self.profile, "--window-size=%d,%d" % (width, height)]
        if dark:
            arguments.append("--force-dark-mode")
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = "/session/" + answer["sessionId"]

    def call(self, method, path, body=None):
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.port, path), json.dumps(body).encode() if body is not None else None,
                                         {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as r:
            return json.load(r)["value"]

    def open(self, url):
        self.call("POST", self.session + "/url", {"url": url})

    def run(self, script, *arguments):
        return self.call("POST", self.session + "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, timeout=20):
        until = time.time() + timeout
        while time.time() < until:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError("not true in the page after %d s: %s" % (timeout, script))

    def screenshot(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("GET", self.session + "/screenshot")))

    def errors(self):
        """What the console complained about."""
        return [e["message"] for e in self.call("POST", self.session + "/se/log", {"type": "browser"}) if e["level"] == "SEVERE"]

    def close(self):
        try:
            self.call("DELETE", self.session)
        except Exception:
            pass
        self.driver.kill()
        self.driver.wait()
        shutil.rmtree(self.profile, ignore_errors=True)
