"""What the scripts for other people's clients have in common: rows, how they are judged, and the loop over them.

A script brings how its client is made, how a session is opened, its rows, and what is known of its requests.
"""

import contextlib
import os
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
    """What a row works with: the client, what it calls things, and a session."""

    def __init__(self, rows, sim):
        self.rows, self.sim, self.cb, self.session = rows, sim, rows.connect(sim), None
        self.dialect = rows.dialect

    def open(self, *device):
        """Opens a session of a row's own; with the usual device, if no other is named."""
        return self.rows.open_session(self.cb, *device)

    def books(self):
        return self.sim.books()

    def ran(self, **expected):
        """These commands ran, and no others."""
        expected = {name.replace("_", " "): count for name, count in expected.items()}
        same("commands that ran", self.books()["commands"], expected)

    @contextlib.contextmanager
    def another_key(self, key):
        """With another key than the client's own."""
        header = self.cb.session.token_header
        own = header["X-Auth-Token"]
        header["X-Auth-Token"] = key
        try:
            yield
        finally:
            header["X-Auth-Token"] = own


class Row:
    def __init__(self, name, act, session, only, headers, scenario):
        self.name, self.act, self.session, self.only = name, act, session, only
        self.headers, self.scenario = headers, scenario


class RowList:
    """Rows in their order."""

    def __init__(self):
        self.rows = []

    def row(self, name, session=True, only=None, headers=True, scenario="scenario.yaml"):
        """A row; with a session, unless it opens its own; for one transport only; with headers as they should be."""

        def add(act):
            self.rows.append(Row(name, act, session, only, headers, scenario))
            return act

        return add

    def take(self, shared, instead={}):
        """Rows of a list that several clients share; some of them, by their names, done as this client does them."""
        unknown = set(instead) - {row.name for row in shared.rows}
        if unknown:
            raise ValueError(f"no such row: {unknown}")
        for row in shared.rows:
            add = self.row(row.name, row.session, row.only, row.headers, row.scenario)
            add(instead.get(row.name, row.act))


class Rows(RowList):
    """The rows of one client. `connect` makes the client for a simulator, `open_session` opens a session with it."""

    def __init__(self, client, connect, open_session, expected, dialect=None):
        super().__init__()
        self.client, self.connect, self.open_session, self.dialect = client, connect, open_session, dialect
        self.expected = wire.expectations(os.path.join(HERE, expected))

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
                desk.session = desk.open()
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
                desk = Desk(self, sim)
                for row in (row for row in rows if row.scenario == scenario):
                    why = self.do(desk, row)
                    result = "FAILED" if why else "ok"
                    done[result] += 1
                    said(result, row.name, transport, why)
                if desk.session:
                    desk.session.close()
        print(f"{self.client} over {transport}: {done['ok']} ok, {done['FAILED']} failed")
        return ends(done)
