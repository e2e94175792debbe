"""What the scripts for faults share: rows, each with an organisation of its own, in which one thing goes wrong.

A row is an act of its own, or of a kind that several clients have: what becomes of a file that is wanted (Faults), or
of one request (Request).
"""

import contextlib
import http.server
import os
import tempfile
import threading

from rows import count, ends, raises, said, same, until
from simulator import Simulator

FLEET = """devices:
  - {name: DC-0007, id: 98765, os: windows, files: [{path: 'C:\\temp\\a.txt', text: held}]}
  - {name: DC-0008, id: 98766, os: windows}
%s
"""
DEVICES = [98765, 98766]
A_TXT, NONE = "C:\\temp\\a.txt", "C:\\none"


class Faults:
    """The rows of one client. `errors` is its module of them; `open_session` opens one with the device of the file."""

    def __init__(self, client, connect, errors, open_session=None):
        self.client, self.connect, self.errors, self.open_session = client, connect, errors, open_session
        self.foreign = foreign_host()
        self.rows = []

    def organisation(self, name, lines):
        """A row in whose organisation something is not as usual, by these lines of its scenario."""

        def add(act):
            self.rows.append((name, lines, act))
            return act

        return add

    def row(self, name, fault):
        return self.organisation(name, f"faults:\n  - {fault}")

    def file(self, name, fault, content=b"held"):
        """A row: a file is had all the same."""

        @self.row(name, fault)
        def act(_, cb):
            with self.open_session(cb) as session:
                same("content", session.get_file(A_TXT), content)

    def no_file(self, name, fault, kind, *words, path=A_TXT, ran=None, **kwargs):
        """A row: who wants a file has this error, whatever ran, and no session is left open."""

        @self.row(name, fault)
        def act(sim, cb):
            def wanted():
                with self.open_session(cb) as session:
                    session.get_file(path, **kwargs)

            raises(kind, wanted, *words)
            until(lambda: sim.books()["sessions_open"] == 0, "no session is open")
            if ran is not None:
                same("ran", sim.books()["commands"], ran)

    def replaced(self, name, fault):
        """A row: the session is lost at a command, and the command sent again to another one."""

        @self.row(name, fault)
        def act(sim, cb):
            with self.open_session(cb) as session:
                same("content", session.get_file(A_TXT), b"held")
            books = sim.books()
            same("sessions", (books["sessions_opened"], books["sessions_closed"], books["sessions_lost"]), (2, 1, 1))
            same("ran once", books["commands"], {"get file": 1})

    def redirected(self, name, route, key):
        """A row: the client takes its key, which `key` has of the simulator, along; no client should."""

        @self.row(name, f"{{route: '{route}', redirect: '@FOREIGN@'}}")
        def act(sim, cb):
            with self.open_session(cb) as session:
                same("content", session.get_file(A_TXT), b"foreign")
            same("keys that the foreign host heard", self.foreign.keys, [key(sim)])

    def hangs(self):
        """A row: who waits for a command that never ends gives up."""

        @self.row("a command that never ends is a TimeoutError", "{command: create process, hang: true}")
        def act(_, cb):
            with self.open_session(cb) as session:
                raises(self.errors.TimeoutError, lambda: session.create_process("whoami", wait_timeout=2),
                       "timeout polling")

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
            for name, lines, act in self.rows:
                if wanted and name not in wanted:
                    continue
                scenario = os.path.join(folder, "scenario.yaml")
                with open(scenario, "w") as file:
                    file.write(FLEET % lines.replace("@FOREIGN@", f"http://127.0.0.1:{self.foreign.server_port}/x"))
                why = self.do(program, transport, scenario, act)
                result = "FAILED" if why else "ok"
                done[result] += 1
                said(result, name, transport, why)
        print(f"faults for {self.client} over {transport}: {done['ok']} ok, {done['FAILED']} failed")
        return ends(done)


class Request:
    """One request of a client, at which faults strike: `ask` sends it, and has the answer."""

    def __init__(self, faults, method, route, ask):
        self.faults, self.method, self.route, self.ask = faults, method, route, ask

    def row(self, name, what):
        return self.faults.row(name, f"{{route: '{self.route}', method: {self.method}, {what}}}")

    def sent(self, sim):
        """How often it was."""
        return count(sim, f"{self.method} {self.route}")

    def error(self, name, what, kind, *words, status=None):
        """A row: this error comes of it, of this status if it has any; and the request is not tried again."""

        @self.row(name, what)
        def act(sim, cb):
            error = raises(kind, lambda: self.ask(cb), *words)
            if status:
                same("status", error.error_code, status)
            same("requests", self.sent(sim), 1)

    def client_error(self, name, status, more=""):
        self.error(name, f"status: {status}{more}", self.faults.errors.ClientError, status=status)

    def server_error(self, name, status, more=""):
        self.error(name, f"status: {status}{more}", self.faults.errors.ServerError, status=status)

    def unauthorized_and_not_found(self):
        errors = self.faults.errors
        self.error("401 is an UnauthorizedError", "status: 401", errors.UnauthorizedError)
        self.error("404 is an ObjectNotFoundError", "status: 404", errors.ObjectNotFoundError)

    def html_page(self):
        name = "502 as an HTML page is a ServerError"
        self.error(name, "status: 502, body: html", self.faults.errors.ServerError, "<html")

    def connections(self, answer):
        """Rows for what goes wrong below HTTP, or takes its time."""
        errors = self.faults.errors
        self.error("a reset before the answer is a ConnectionError", "reset: before", errors.ConnectionError)
        name = "a connection closed before the answer is a ConnectionError"
        self.error(name, "close: before", errors.ConnectionError)
        # requests calls it a ChunkedEncodingError, which the clients take for unknown, or a ConnectionError.
        no_answer = errors.ApiError, errors.ConnectionError
        self.error("a reset within a body is no answer", "reset: half", no_answer)

        @self.row("a late answer is a TimeoutError", "delay: 3s")
        def late(_, cb):
            cb.session._timeout = 1
            raises(errors.TimeoutError, lambda: self.ask(cb))

        @self.row("a slow body arrives", "slow: 2s")
        def slow(_, cb):
            same("answer", self.ask(cb), answer)

    def cut_short(self, name="JSON cut short is no answer"):
        # They mean to say ServerError, and trip over a mistake in the formatting of their own message.
        self.error(name, "truncate: half", (self.faults.errors.ServerError, TypeError))

    def error_message(self, name="errorMessage in a 200 is a ServerError"):
        self.error(name, "odd: [error_message]", self.faults.errors.ServerError, "something went wrong")


@contextlib.contextmanager
def impatient(cblr):
    """`cbapi` waits two seconds for a session, which are six minutes otherwise, and no option of its own."""
    patient = cblr.poll_status
    cblr.poll_status = lambda *args, **kwargs: patient(*args, **dict(kwargs, timeout=2))
    try:
        yield
    finally:
        cblr.poll_status = patient


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
