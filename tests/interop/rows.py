"""What the scripts for other people's clients have in common: rows, how they are judged, and the loops over them.

A script brings how its client is made, how a session is opened, its rows, and what is known of its requests.
"""

import http.server
import os
import tempfile
import threading
import time
import traceback

import wire
from simulator import Simulator

HERE = os.path.dirname(os.path.abspath(__file__))


def same(what, seen, expected):
    if seen != expected:
        raise AssertionError(f"{what}: {seen!r} instead of {expected!r}")


def raises(kind, act, *words):
    """The error of this kind, or of one of these kinds, that comes of it and says these words."""
    name = " or ".join(each.__name__ for each in kind) if isinstance(kind, tuple) else kind.__name__
    try:
        act()
    except kind as error:
        for word in words:
            if word not in str(error):
                raise AssertionError(f"{type(error).__name__} says {str(error)!r}, without {word!r}")
        return error
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} instead of {name}: {error}")
    raise AssertionError(f"no {name}")


def until(holds, what):
    deadline = time.monotonic() + 20
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"it never came to pass: {what}")
        time.sleep(0.1)


def count(sim, route):
    """How often a route was asked for."""
    return sim.books()["requests"].get(route, 0)


def said(result, name, transport, why):
    print(f"{result} {name} ({transport})" + (f": {why}" if why else ""), flush=True)


def ends(done):
    """The exit code: something was done, and nothing failed."""
    return 1 if done["FAILED"] or not done["ok"] else 0


class Desk:
    """What a row works with: the client, and a session."""

    def __init__(self, sim, cb):
        self.sim, self.cb, self.session = sim, cb, None

    def books(self):
        return self.sim.books()

    def ran(self, **expected):
        """These commands ran, and no others."""
        expected = {name.replace("_", " "): count for name, count in expected.items()}
        same("commands that ran", self.books()["commands"], expected)


class Row:
    def __init__(self, name, act, session, only, headers, scenario):
        self.name, self.act, self.session, self.only = name, act, session, only
        self.headers, self.scenario = headers, scenario


class Rows:
    """The rows of one client. `connect` makes the client for a simulator, `open_session` opens a session with it."""

    def __init__(self, client, connect, open_session, expected):
        self.client, self.connect, self.open_session = client, connect, open_session
        self.expected = wire.expectations(os.path.join(HERE, expected))
        self.rows = []

    def row(self, name, session=True, only=None, headers=True, scenario="scenario.yaml"):
        """A row; with a session, unless it opens its own; for one transport only; with headers as they should be."""

        def add(act):
            self.rows.append(Row(name, act, session, only, headers, scenario))
            return act

        return add

    def judge(self, desk, row, entries):
        """What a row must not leave behind, and what it must have sent."""
        books = desk.books()
        if books["unknown_routes"]:
            raise AssertionError(f"unknown routes: {books['unknown_routes']}")
        if not desk.session and books["sessions_open"]:
            raise AssertionError(f"{books['sessions_open']} sessions left open")
        for entry in entries if row.headers else []:
            kind, lines = wire.headers(entry)
            wanted = self.expected.get(f"headers: {kind}")
            if lines != wanted:
                raise AssertionError(f"headers of a {kind}: {lines} instead of {wanted}")
        if row.name in self.expected:
            why = wire.difference(entries, self.expected[row.name], desk.sim.org)
            if why:
                raise AssertionError(f"what was sent: {why}")

    def do(self, desk, row):
        """Why a row failed; nothing if it did not."""
        try:
            if row.session and not desk.session:
                desk.session = self.open_session(desk.cb)
            elif not row.session and desk.session:
                desk.session.close()
                desk.session = None
            desk.sim.reset()
            _, begin = desk.sim.logged(0)
            row.act(desk)
            self.judge(desk, row, desk.sim.logged(begin)[0])
        except Exception as error:
            # Whatever it left must not spoil the next row.
            desk.sim.close_sessions()
            desk.session = None
            at = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {error} (line {at.lineno} of {os.path.basename(at.filename)})"

    def main(self, program, transport, *wanted):
        names = {row.name for row in self.rows}
        expected = {name for name in self.expected if not name.startswith("headers: ")}
        unknown = (expected | set(wanted)) - names
        if unknown:
            raise SystemExit(f"no such row: {unknown}")
        done = {"ok": 0, "FAILED": 0}
        rows = [row for row in self.rows if (not wanted or row.name in wanted) and row.only in (None, transport)]
        for scenario in dict.fromkeys(row.scenario for row in rows):
            with Simulator(program, os.path.join(HERE, scenario), transport) as sim:
                desk = Desk(sim, self.connect(sim))
                for row in (row for row in rows if row.scenario == scenario):
                    why = self.do(desk, row)
                    result = "FAILED" if why else "ok"
                    done[result] += 1
                    said(result, row.name, transport, why)
                if desk.session:
                    desk.session.close()
        print(f"{self.client} over {transport}: {done['ok']} ok, {done['FAILED']} failed")
        return ends(done)


class Faults:
    """Rows with an organisation of their own each, in which one thing goes wrong; `fleet` has a place for the fault."""

    def __init__(self, client, connect, fleet):
        self.client, self.connect, self.fleet = client, connect, fleet
        self.foreign = foreign_host()
        self.rows = []

    def row(self, name, fault):
        def add(act):
            self.rows.append((name, fault, act))
            return act

        return add

    def do(self, program, transport, scenario, act):
        """Why a row failed; nothing if it did not."""
        try:
            with Simulator(program, scenario, transport) as sim:
                act(sim, self.connect(sim))
                unknown = sim.books()["unknown_routes"]
                if unknown:
                    raise AssertionError(f"unknown routes: {unknown}")
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    def main(self, program, transport, *wanted):
        done = {"ok": 0, "FAILED": 0}
        with tempfile.TemporaryDirectory() as folder:
            for name, fault, act in self.rows:
                if wanted and name not in wanted:
                    continue
                scenario = os.path.join(folder, "scenario.yaml")
                with open(scenario, "w") as file:
                    file.write(self.fleet % fault.replace("@FOREIGN@", f"http://127.0.0.1:{self.foreign.server_port}/x"))
                why = self.do(program, transport, scenario, act)
                result = "FAILED" if why else "ok"
                done[result] += 1
                said(result, name, transport, why)
        print(f"faults for {self.client} over {transport}: {done['ok']} ok, {done['FAILED']} failed")
        return ends(done)


class Foreign(http.server.BaseHTTPRequestHandler):
    """A host that has no business with anybody's key."""

    def do_GET(self):
        self.server.keys.append(self.headers["X-Auth-Token"])
        self.send_response(200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"foreign")

    def log_message(self, *_):
        pass


def foreign_host():
    """The foreign host, listening; `keys` are those that it heard."""
    host = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    host.keys = []
    threading.Thread(target=host.serve_forever, daemon=True).start()
    return host
