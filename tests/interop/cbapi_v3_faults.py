"""Which exception of the official Python client of the v3 API each fault brings about; it never tries anything again.

    python cbapi_v3_faults.py PROGRAM tls [ROW…]

Each row has an organisation of its own, in which one thing goes wrong.
"""

import contextlib
import io
import sys

sys.dont_write_bytecode = True

from cbapi_v3 import DEVICE, SESSION, client
from rows import Faults, count, raises, same

from cbapi.errors import ApiError, ClientError, ConnectionError, ObjectNotFoundError, ServerError, TimeoutError
from cbapi.errors import UnauthorizedError
from cbapi.live_response_api import LiveResponseError
from cbapi.psc import cblr
from cbapi.psc.defense import Device

FLEET = """devices:
  - {name: DC-0007, id: 98765, os: windows, files: [{path: 'C:\\temp\\a.txt', text: held}]}
faults:
  - %s
"""
LIST, POLL = "v3/device", "v3/cblr/session/{id}"
COMMANDS, COMMAND = "v3/cblr/session/{id}/command", "v3/cblr/session/{id}/command/{n}"
FILES, CONTENT = "v3/cblr/session/{id}/file", "v3/cblr/session/{id}/file/{file}/content"

FAULTS = Faults("cbapi for v3", client, FLEET)
row = FAULTS.row


def devices(cb):
    return [device.deviceId for device in cb.select(Device)]


def opened(cb):
    return cb.select(Device, DEVICE).lr_session()


def listed(cb):
    with opened(cb) as session:
        return [entry["filename"] for entry in session.list_directory("C:\\temp\\")]


@contextlib.contextmanager
def impatient():
    """Waits two seconds for a session, which are six minutes otherwise."""
    patient = cblr.poll_status
    cblr.poll_status = lambda *args, **kwargs: patient(*args, **dict(kwargs, timeout=2))
    try:
        yield
    finally:
        cblr.poll_status = patient


NAMES = [".", "..", "a.txt"]


# Statuses


for status in (400, 403, 405, 409, 412, 429):

    @row(f"{status} is a ClientError, and sent once", f"{{route: {LIST}, status: {status}}}")
    def client_error(sim, cb, status=status):
        same("status", raises(ClientError, lambda: devices(cb)).error_code, status)
        same("requests", count(sim, f"GET {LIST}"), 1)


@row("429 is a ClientError, whatever Retry-After says", f"{{route: {LIST}, status: 429, retry_after: 1}}")
def throttled(sim, cb):
    same("status", raises(ClientError, lambda: devices(cb)).error_code, 429)
    same("requests", count(sim, f"GET {LIST}"), 1)


@row("429 to a command is a ClientError, and sent once", f"{{route: '{COMMANDS}', method: POST, status: 429, retry_after: 1}}")
def command_throttled(sim, cb):
    same("status", raises(ClientError, lambda: listed(cb)).error_code, 429)
    same("requests", count(sim, f"POST {COMMANDS}"), 1)


@row("401 is an UnauthorizedError", f"{{route: {LIST}, status: 401}}")
def unauthorized(sim, cb):
    raises(UnauthorizedError, lambda: devices(cb))


@row("404 is an ObjectNotFoundError", f"{{route: {LIST}, status: 404}}")
def not_found(sim, cb):
    raises(ObjectNotFoundError, lambda: devices(cb))


for status in (500, 502, 503, 504):

    @row(f"{status} is a ServerError, and sent once", f"{{route: {LIST}, status: {status}}}")
    def server_error(sim, cb, status=status):
        same("status", raises(ServerError, lambda: devices(cb)).error_code, status)
        same("requests", count(sim, f"GET {LIST}"), 1)

    @row(f"{status} to a command is a ServerError, and sent once", f"{{route: '{COMMANDS}', method: POST, status: {status}}}")
    def command_server_error(sim, cb, status=status):
        same("status", raises(ServerError, lambda: listed(cb)).error_code, status)
        same("requests", count(sim, f"POST {COMMANDS}"), 1)


@row("502 as an HTML page is a ServerError", f"{{route: {LIST}, status: 502, body: html}}")
def html_page(sim, cb):
    raises(ServerError, lambda: devices(cb), "<html")


@row("503 to an upload is a ServerError", f"{{route: '{FILES}', method: POST, status: 503}}")
def upload_failed(sim, cb):
    with opened(cb) as session:
        raises(ServerError, lambda: session.put_file(io.BytesIO(b"x"), "C:\\temp\\b.txt"))
    same("commands", sim.books()["commands"], {})


# Connections and bodies


@row("a reset before the answer is a ConnectionError", f"{{route: {LIST}, reset: before}}")
def reset(sim, cb):
    raises(ConnectionError, lambda: devices(cb))


@row("a connection closed before the answer is a ConnectionError", f"{{route: {LIST}, close: before}}")
def closed(sim, cb):
    raises(ConnectionError, lambda: devices(cb))


@row("a reset within a body is no answer", f"{{route: {LIST}, reset: half}}")
def reset_within(sim, cb):
    # requests calls it a ChunkedEncodingError, which this client takes for unknown, or a ConnectionError.
    raises((ApiError, ConnectionError), lambda: devices(cb))


@row("a late answer is a TimeoutError", f"{{route: {LIST}, delay: 3s}}")
def late(sim, cb):
    cb.session._timeout = 1
    raises(TimeoutError, lambda: devices(cb))


@row("a slow body arrives", f"{{route: {LIST}, slow: 2s}}")
def slow(sim, cb):
    same("devices", devices(cb), [DEVICE])


@row("JSON cut short is no answer", f"{{route: {LIST}, truncate: half}}")
def truncated(sim, cb):
    # It means to say ServerError, and trips over the formatting of its own message.
    raises((ServerError, TypeError), lambda: devices(cb))


@row("a redirect to a foreign host is followed, with the key", f"{{route: '{CONTENT}', redirect: '@FOREIGN@'}}")
def redirected(sim, cb):
    with opened(cb) as session:
        same("content", session.get_file("C:\\temp\\a.txt"), b"foreign")
    # What this client does, and no client should.
    same("keys that the foreign host heard", FAULTS.foreign.keys, [sim.tokens["v3"]])


@row("errorMessage in a 200 is a ServerError", f"{{route: {LIST}, odd: [error_message]}}")
def error_message(sim, cb):
    raises(ServerError, lambda: devices(cb), "something went wrong")


@row("errorMessage in a 200 to a command is a ServerError", f"{{route: '{COMMANDS}', odd: [error_message]}}")
def command_error_message(sim, cb):
    raises(ServerError, lambda: listed(cb), "something went wrong")


# Words and numbers. It compares statuses exactly.


for oddity in ("lower_case", "extra_members", "missing_members", "null_arrays", "missing_arrays", "text_ids"):
    for route in (COMMANDS, COMMAND):

        @row(f"statuses and members, {route}: {oddity}", f"{{route: '{route}', odd: [{oddity}]}}")
        def odd(sim, cb, oddity=oddity):
            with opened(cb) as session:
                same("content", session.get_file("C:\\temp\\a.txt"), b"held")


for oddity in ("upper_case", "mixed_case"):

    @row(f"a finished command in other letters is waited for until time is up: {oddity}", f"{{route: '{COMMAND}', odd: [{oddity}]}}")
    def never_complete(sim, cb, oddity=oddity):
        with opened(cb) as session:
            raises(TimeoutError, lambda: session.get_file("C:\\temp\\a.txt", timeout=2), "timeout polling")


for oddity in ("lower_case", "mixed_case"):

    @row(f"an active session in other letters is waited for until time is up: {oddity}", f"{{route: '{POLL}', method: GET, odd: [{oddity}]}}")
    def never_active(sim, cb, oddity=oddity):
        with impatient():
            raises(TimeoutError, lambda: opened(cb), "Could not establish session")
        same("open", sim.books()["sessions_open"], 0)


@row("the number of an upload as text", f"{{route: '{FILES}', odd: [text_ids]}}")
def text_upload(sim, cb):
    with opened(cb) as session:
        session.put_file(io.BytesIO(b"put"), "C:\\temp\\b.txt")
        same("content", session.get_file("C:\\temp\\b.txt"), b"put")


@row("unsigned codes", f"{{route: '{COMMAND}', odd: [extra_members]}}")
def unsigned(sim, cb):
    with opened(cb) as session:
        raises(LiveResponseError, lambda: session.get_file("C:\\none"), "0x80070002 (ERROR_FILE_NOT_FOUND)")


@row("codes as decimal text", f"{{route: '{COMMAND}', odd: [text_codes]}}")
def text_codes(sim, cb):
    with opened(cb) as session:
        raises(LiveResponseError, lambda: session.get_file("C:\\none"), "0x80070002 (ERROR_FILE_NOT_FOUND)")


@row("signed codes lose their number and keep their name", f"{{route: '{COMMAND}', odd: [signed_codes]}}")
def signed(sim, cb):
    with opened(cb) as session:
        raises(LiveResponseError, lambda: session.get_file("C:\\none"), "0x-7FF8FFFE (ERROR_FILE_NOT_FOUND)")


@row("codes as hexadecimal text are unknown to it", f"{{route: '{COMMAND}', odd: [hex_codes]}}")
def hex_codes(sim, cb):
    with opened(cb) as session:
        raises(LiveResponseError, lambda: session.get_file("C:\\none"), "Unknown Win32 error code")


@row("a command that fails", "{command: get file, result: '0x80070020'}")
def refused(sim, cb):
    with opened(cb) as session:
        raises(LiveResponseError, lambda: session.get_file("C:\\temp\\a.txt"), "0x80070020 (ERROR_SHARING_VIOLATION)")


# Sessions


@row("404 NOT_FOUND at a command is answered with a new session", f"{{route: '{COMMANDS}', method: POST, nth: 1, session: lost}}")
def recreated(sim, cb):
    same("names", listed(cb), NAMES)
    books = sim.books()
    same("sessions", (books["sessions_opened"], books["sessions_closed"]), (2, 1))
    same("ran once", books["commands"], {"directory list": 1})


@row("404 NOT_FOUND at every command is a TimeoutError after five", f"{{route: '{COMMANDS}', method: POST, session: lost}}")
def never_recreated(sim, cb):
    raises(TimeoutError, lambda: listed(cb), "failed after 5 retries")
    same("commands", (count(sim, f"POST {COMMANDS}"), sim.books()["commands"]), (5, {}))
    same("opened", sim.books()["sessions_opened"], 6)


@row("a session lost while polling is an ObjectNotFoundError", f"{{route: '{COMMAND}', nth: 1, session: lost}}")
def lost_while_polling(sim, cb):
    raises(ObjectNotFoundError, lambda: listed(cb), "NOT_FOUND")


@row("sessions are not listed", f"{{route: {LIST}, delay: 1s, from: 100}}")
def not_listed(sim, cb):
    # No fault: the service itself says so.
    same("status", raises(ClientError, lambda: cb.get_object(SESSION)).error_code, 405)


@row("the session limit is a ClientError", "{session: refused}")
def limit(sim, cb):
    raises(ClientError, lambda: opened(cb), "session limit reached")


@row("a session that never checks in is a TimeoutError, and closed", "{session: pending}")
def pending(sim, cb):
    with impatient():
        raises(TimeoutError, lambda: opened(cb), "Could not establish session")
    same("open", sim.books()["sessions_open"], 0)


@row("a command that never ends is a TimeoutError", "{command: create process, hang: true}")
def hangs(sim, cb):
    with opened(cb) as session:
        raises(TimeoutError, lambda: session.create_process("whoami", wait_timeout=2), "timeout polling")


@row("a kill that never ends is no error", "{command: kill, hang: true}")
def kill_hangs(sim, cb):
    with opened(cb) as session:
        same("killed", session.kill_process(4), False)


if __name__ == "__main__":
    sys.exit(FAULTS.main(*sys.argv[1:]))
