"""Which exception of the official Python client each fault brings about, and that a lost session is replaced.

    python cbc_sdk_faults.py PROGRAM tls|http [ROW…]

Each row has an organisation of its own, in which one thing goes wrong.
"""

import sys

sys.dont_write_bytecode = True

from cbc_sdk_v6 import DEVICE, client, opened
from faults import A_TXT, DEVICES, NONE, Faults, Request
from rows import raises, same

from cbc_sdk import errors
from cbc_sdk.errors import ClientError, ObjectNotFoundError, QuerySyntaxError, TimeoutError
from cbc_sdk.live_response_api import LiveResponseError
from cbc_sdk.platform import Device

COMMANDS, COMMAND = "liveresponse/sessions/{id}/commands", "liveresponse/sessions/{id}/commands/{n}"
CONTENT = "liveresponse/sessions/{id}/files/{file}/content"

FAULTS = Faults("cbc_sdk", client, errors, opened)
SEARCH = Request(FAULTS, "POST", "devices/_search", lambda cb: sorted(one.id for one in cb.select(Device)))
ONE = Request(FAULTS, "GET", "devices/{id}", lambda cb: cb.select(Device, DEVICE).id)
row = FAULTS.row

# Statuses


@row("400 of a query is a QuerySyntaxError", "{route: devices/_search, delay: 1s, from: 100}")
def bad_query(sim, cb):
    # No fault: the service itself says so.
    raises(QuerySyntaxError, lambda: list(cb.select(Device).where("name:(")))


for status in (400, 403, 405, 409, 412):
    SEARCH.client_error(f"{status} is a ClientError", status)
SEARCH.unauthorized_and_not_found()
for status in (500, 502, 503, 504):
    SEARCH.server_error(f"{status} to a POST is a ServerError, and sent once", status)
SEARCH.html_page()
SEARCH.client_error("429 to a POST is a ClientError, whatever Retry-After says", 429, ", retry_after: 1")


@ONE.row("429 to a GET with Retry-After is waited for", "nth: 1, status: 429, retry_after: 1")
def get_throttled(sim, cb):
    same("device", ONE.ask(cb), DEVICE)
    same("requests", ONE.sent(sim), 2)


ONE.client_error("429 to a GET without Retry-After is a ClientError", 429)

for status in (502, 504):

    @ONE.row(f"{status} to a GET, then success, is tried again", f"nth: [1, 2], status: {status}")
    def retried(sim, cb):
        same("device", ONE.ask(cb), DEVICE)
        same("requests", ONE.sent(sim), 3)


ONE.server_error("500 to a GET is a ServerError, and sent once", 500)

# Connections and bodies

SEARCH.connections(DEVICES)
ONE.cut_short("JSON cut short is no answer to a GET")


@row("a content address that has expired is a ClientError", "{route: content host, nth: 1, status: 403, body: xml}")
def expired(sim, cb):
    with opened(cb) as session:
        raises(ClientError, lambda: session.get_file(A_TXT), "Request has expired")
        same("content", session.get_file(A_TXT), b"held")


FAULTS.redirected("a redirect to a foreign host is followed, with the key", CONTENT, lambda sim: sim.token)
ONE.error_message()

# Words and numbers

for oddity in ("lower_case", "mixed_case", "extra_members", "null_arrays", "text_ids"):
    FAULTS.file(f"statuses and members: {oddity}", f"{{route: '{COMMAND}', odd: [{oddity}]}}")

FAULTS.no_file("signed codes", f"{{route: '{COMMAND}', odd: [signed_codes]}}",
               LiveResponseError, "ERROR_FILE_NOT_FOUND", path=NONE)
FAULTS.no_file("a command that fails", "{command: get file, result: '0x80070020'}",
               LiveResponseError, "0x80070020 (ERROR_SHARING_VIOLATION)")

# Sessions

FAULTS.replaced("404 NOT_FOUND at a command is answered with a new session",
                f"{{route: '{COMMANDS}', method: POST, nth: 1, session: lost}}")
FAULTS.no_file("a session lost while polling is an ObjectNotFoundError",
               f"{{route: '{COMMAND}', nth: 1, session: lost}}", ObjectNotFoundError, "NOT_FOUND")
FAULTS.no_file("the session limit is a ClientError", "{session: refused}", ClientError, "session limit reached")


@row("a session that never checks in is a TimeoutError, and closed", "{session: pending}")
def pending(sim, cb):
    cb.live_response._init_poll_timeout = 2
    raises(TimeoutError, lambda: opened(cb), "Could not establish session")
    same("open", sim.books()["sessions_open"], 0)


FAULTS.hangs()


if __name__ == "__main__":
    sys.exit(FAULTS.main(*sys.argv[1:]))
