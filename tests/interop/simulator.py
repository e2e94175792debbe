"""`sortie simulate` in a process of its own: started, asked for its books, its request log read."""

import json
import os
import re
import ssl
import subprocess
import tempfile
import urllib.request


class Simulator:
    """Use it in a `with` statement. `transport` is `tls` or `http`."""

    def __init__(self, program, scenario, transport):
        self.dir = tempfile.TemporaryDirectory(prefix="interop-")
        self.log = os.path.join(self.dir.name, "requests.jsonl")
        self.authority = os.path.join(self.dir.name, "authority.pem")
        command = [program, "simulate", "--scenario", scenario, "--control", "127.0.0.1:0", "--log", self.log]
        if transport == "tls":
            command += ["--tls", self.authority]
        self.said = open(os.path.join(self.dir.name, "said"), "w+")
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.said, text=True)
        exports = {}
        while len(exports) < 3:
            line = self.child.stdout.readline()
            if not line:
                self.child.wait(timeout=20)
                raise RuntimeError(f"the simulator did not start: {self.talk()}")
            name, value = line.removeprefix("export ").strip().split("=", 1)
            exports[name] = value
        self.url, self.token, self.org = exports["CBC_URL"], exports["CBC_TOKEN"], exports["CBC_ORG_KEY"]
        lines = [line.split()[-1] for line in self.talk().splitlines() if line.startswith("what really happens")]
        self.control = lines[0].removesuffix("/books")
        # One per product besides the one that has its own line on stdout.
        self.tokens = dict(re.findall(r"^  (v3|EDR|App Control) +(\S+)$", self.talk(), re.MULTILINE))
        self.csp = dict(line.split(" = ", 1) for line in self.talk().splitlines() if line.startswith("csp_"))
        # The machine's proxy has no business here.
        context = ssl.create_default_context(cafile=self.authority) if transport == "tls" else None
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.send_signal(2)
        self.child.wait(timeout=20)
        self.said.close()
        self.dir.cleanup()

    def talk(self):
        with open(self.said.name) as said:
            return said.read()

    def asked(self, url, method="GET", headers={}):
        with self.opener.open(urllib.request.Request(url, method=method, headers=headers), timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def ask(self, path, method="GET"):
        return self.asked(self.control + path, method)

    def books(self):
        """What really happened since the last reset."""
        return self.ask("/books")

    def reset(self):
        return self.ask("/reset", "POST")

    def logged(self, begin):
        """The requests from a position in the log on, and the position after them."""
        with open(self.log, "rb") as log:
            log.seek(begin)
            text = log.read()
        return [json.loads(line) for line in text.splitlines()], begin + len(text)

    def close_sessions(self):
        """Closes what sessions there are, whichever API they were opened with."""
        sessions = f"{self.url}/appservices/v6/orgs/{self.org}/liveresponse/sessions"
        for session in self.asked(sessions, headers={"X-Auth-Token": self.token}):
            self.asked(f"{sessions}/{session['id']}", "DELETE", {"X-Auth-Token": self.token})
