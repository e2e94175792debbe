"""Which exception of the official Python client each fault brings about, and that a lost session is replaced.

    python cbc_sdk_faults.py PROGRAM tls|http [ROW…]

Each row has an organisation of its own, in which one thing goes wrong.
"""

import sys

sys.dont_write_bytecode = True

from cbc_sdk_v6 import DEVICE, client
from rows import Faults, count, raises, same

from cbc_sdk.errors import ApiError, ClientError, ConnectionError, ObjectNotFoundError, QuerySyntaxError
from cbc_sdk.errors import ServerError, TimeoutError, UnauthorizedError
from cbc_sdk.live_response_api import LiveResponseError
from cbc_sdk.platform import Device

FLEET = """devices:
  - {name: DC-0007, id: 98765, os: windows, files: [{path: 'C:\\temp\\a.txt', text: held}]}
faults:
  - %s
"""
SEARCH, ONE = "POST devices/_search", "GET devices/{id}"
SESSIONS, COMMANDS = "POST liveresponse/sessions", "POST liveresponse/sessions/{id}/commands"
COMMAND = "GET liveresponse/sessions/{id}/commands/{n}"


FAULTS = Faults("cbc_sdk", client, FLEET)
row = FAULTS.row


def devices(cb):
    return [device.id for device in cb.select(Device)]


def device(cb):
    return cb.select(Device, DEVICE)


def listed(cb):
    with device(cb).lr_session() as session:
        return [entry["filename"] for entry in session.list_directory("C:\\temp\\")]


NAMES = [".", "..", "a.txt"]


# Statuses


@row("400 of a query is a QuerySyntaxError", "{route: devices/_search, delay: 1s, from: 100}")
def bad_query(sim, cb):
    # No fault: the service itself says so.
    raises(QuerySyntaxError, lambda: list(cb.select(Device).where("name:(")))


for status in (400, 403, 405, 409, 412):

    @row(f"{status} is a ClientError", f"{{route: devices/_search, status: {status}}}")
    def client_error(sim, cb, status=status):
        same("status", raises(ClientError, lambda: devices(cb)).error_code, status)


@row("401 is an UnauthorizedError", "{route: devices/_search, status: 401}")
def unauthorized(sim, cb):
    raises(UnauthorizedError, lambda: devices(cb))


@row("404 is an ObjectNotFoundError", "{route: devices/_search, status: 404}")
def not_found(sim, cb):
    raises(ObjectNotFoundError, lambda: devices(cb))


for status in (500, 502, 503, 504):

    @row(f"{status} to a POST is a ServerError, and sent once", f"{{method: POST, status: {status}}}")
    def server_error(sim, cb, status=status):
        same("status", raises(ServerError, lambda: devices(cb)).error_code, status)
        same("requests", count(sim, SEARCH), 1)


@row("502 as an HTML page is a ServerError", "{route: devices/_search, status: 502, body: html}")
def html_page(sim, cb):
    raises(ServerError, lambda: devices(cb), "<html")


@row("429 to a POST is a ClientError, whatever Retry-After says", "{route: devices/_search, status: 429, retry_after: 1}")
def post_throttled(sim, cb):
    same("status", raises(ClientError, lambda: devices(cb)).error_code, 429)
    same("requests", count(sim, SEARCH), 1)


@row("429 to a GET with Retry-After is waited for", "{route: 'devices/{id}', nth: 1, status: 429, retry_after: 1}")
def get_throttled(sim, cb):
    same("device", device(cb).id, DEVICE)
    same("requests", count(sim, ONE), 2)


@row("429 to a GET without Retry-After is a ClientError", "{route: 'devices/{id}', status: 429}")
def get_throttled_bare(sim, cb):
    same("status", raises(ClientError, lambda: device(cb)).error_code, 429)
    same("requests", count(sim, ONE), 1)


for status in (502, 504):

    @row(f"{status} to a GET, then success, is tried again", f"{{route: 'devices/{{id}}', nth: [1, 2], status: {status}}}")
    def retried(sim, cb):
        same("device", device(cb).id, DEVICE)
        same("requests", count(sim, ONE), 3)


@row("500 to a GET is a ServerError, and sent once", "{route: 'devices/{id}', status: 500}")
def get_failed(sim, cb):
    raises(ServerError, lambda: device(cb))
    same("requests", count(sim, ONE), 1)


# Connections and bodies


@row("a reset before the answer is a ConnectionError", "{route: devices/_search, reset: before}")
def reset(sim, cb):
    raises(ConnectionError, lambda: devices(cb))


@row("a connection closed before the answer is a ConnectionError", "{route: devices/_search, close: before}")
def closed(sim, cb):
    raises(ConnectionError, lambda: devices(cb))


@row("a reset within a body is no answer", "{route: devices/_search, reset: half}")
def reset_within(sim, cb):
    # requests calls it a ChunkedEncodingError, which this client takes for unknown, or a ConnectionError.
    raises((ApiError, ConnectionError), lambda: devices(cb))


@row("a late answer is a TimeoutError", "{route: devices/_search, delay: 3s}")
def late(sim, cb):
    cb.session._timeout = 1
    raises(TimeoutError, lambda: devices(cb))


@row("a slow body arrives", "{route: devices/_search, slow: 2s}")
def slow(sim, cb):
    same("devices", devices(cb), [DEVICE])


@row("JSON cut short is no answer to a GET", "{route: 'devices/{id}', truncate: half}")
def truncated(sim, cb):
    # It means to say ServerError; 1.5.10 trips over a mistake in the formatting of its own message.
    raises((ServerError, TypeError), lambda: device(cb))


@row("a content address that has expired is a ClientError", "{route: content host, nth: 1, status: 403, body: xml}")
def expired(sim, cb):
    with device(cb).lr_session() as session:
        raises(ClientError, lambda: session.get_file("C:\\temp\\a.txt"), "Request has expired")
        same("content", session.get_file("C:\\temp\\a.txt"), b"held")


@row("a redirect to a foreign host is followed, with the key",
     "{route: 'liveresponse/sessions/{id}/files/{file}/content', redirect: '@FOREIGN@'}")
def redirected(sim, cb):
    with device(cb).lr_session() as session:
        same("content", session.get_file("C:\\temp\\a.txt"), b"foreign")
    # What this client does, and no client should.
    same("keys that the foreign host heard", FAULTS.foreign.keys, [sim.token])


@row("errorMessage in a 200 is a ServerError", "{route: 'devices/{id}', odd: [error_message]}")
def error_message(sim, cb):
    raises(ServerError, lambda: device(cb), "something went wrong")


# Words and numbers


for oddity in ("lower_case", "mixed_case", "extra_members", "null_arrays", "text_ids"):

    @row(f"statuses and members: {oddity}", f"{{route: 'liveresponse/sessions/{{id}}/commands/{{n}}', odd: [{oddity}]}}")
    def odd(sim, cb, oddity=oddity):
        with device(cb).lr_session() as session:
            same("content", session.get_file("C:\\temp\\a.txt"), b"held")


@row("signed codes", "{route: 'liveresponse/sessions/{id}/commands/{n}', odd: [signed_codes]}")
def signed(sim, cb):
    with device(cb).lr_session() as session:
        raises(LiveResponseError, lambda: session.get_file("C:\\none"), "ERROR_FILE_NOT_FOUND")


@row("a command that fails", "{command: get file, result: '0x80070020'}")
def refused(sim, cb):
    with device(cb).lr_session() as session:
        raises(LiveResponseError, lambda: session.get_file("C:\\temp\\a.txt"), "0x80070020 (ERROR_SHARING_VIOLATION)")


# Sessions


@row("404 NOT_FOUND at a command is answered with a new session", "{route: 'liveresponse/sessions/{id}/commands', method: POST, nth: 1, session: lost}")
def recreated(sim, cb):
    same("names", listed(cb), NAMES)
    books = sim.books()
    same("sessions", (books["sessions_opened"], books["sessions_closed"]), (2, 1))
    same("ran once", books["commands"], {"directory list": 1})


@row("a session lost while polling is an ObjectNotFoundError", "{route: 'liveresponse/sessions/{id}/commands/{n}', nth: 1, session: lost}")
def lost_while_polling(sim, cb):
    raises(ObjectNotFoundError, lambda: listed(cb), "NOT_FOUND")


@row("the session limit is a ClientError", "{session: refused}")
def limit(sim, cb):
    raises(ClientError, lambda: device(cb).lr_session(), "session limit reached")


@row("a session that never checks in is a TimeoutError, and closed", "{session: pending}")
def pending(sim, cb):
    cb.live_response._init_poll_timeout = 2
    raises(TimeoutError, lambda: device(cb).lr_session(), "Could not establish session")
    same("open", sim.books()["sessions_open"], 0)


@row("a command that never ends is a TimeoutError", "{command: create process, hang: true}")
def hangs(sim, cb):
    with device(cb).lr_session() as session:
        raises(TimeoutError, lambda: session.create_process("whoami", wait_timeout=2))


if __name__ == "__main__":
    sys.exit(FAULTS.main(*sys.argv[1:]))
