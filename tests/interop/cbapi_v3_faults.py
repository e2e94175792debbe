"""Which exception of the official Python client of the v3 API each fault brings about; it never tries anything again.

    python cbapi_v3_faults.py PROGRAM tls [ROW…]

Each row has an organisation of its own, in which one thing goes wrong.
"""

import io
import sys

sys.dont_write_bytecode = True

from cbapi_v3 import SESSION, client, opened
from faults import DEVICES, NONE, Faults, Request, impatient
from rows import count, raises, same

from cbapi import errors
from cbapi.errors import ClientError, ObjectNotFoundError, ServerError, TimeoutError
from cbapi.live_response_api import LiveResponseError
from cbapi.psc import cblr
from cbapi.psc.defense import Device

LIST, POLL = "v3/device", "v3/cblr/session/{id}"
COMMANDS, COMMAND = "v3/cblr/session/{id}/command", "v3/cblr/session/{id}/command/{n}"
FILES, CONTENT = "v3/cblr/session/{id}/file", "v3/cblr/session/{id}/file/{file}/content"


def devices(cb):
    return sorted(device.deviceId for device in cb.select(Device))


def listed(cb):
    with opened(cb) as session:
        return [entry["filename"] for entry in session.list_directory("C:\\temp\\")]


FAULTS = Faults("cbapi for v3", client, errors, opened)
LISTING = Request(FAULTS, "GET", LIST, devices)
POSTING = Request(FAULTS, "POST", COMMANDS, listed)
row = FAULTS.row

# Statuses

for status in (400, 403, 405, 409, 412, 429):
    LISTING.client_error(f"{status} is a ClientError, and sent once", status)
LISTING.client_error("429 is a ClientError, whatever Retry-After says", 429, ", retry_after: 1")
POSTING.client_error("429 to a command is a ClientError, and sent once", 429, ", retry_after: 1")
LISTING.unauthorized_and_not_found()
for status in (500, 502, 503, 504):
    LISTING.server_error(f"{status} is a ServerError, and sent once", status)
    POSTING.server_error(f"{status} to a command is a ServerError, and sent once", status)
LISTING.html_page()


@row("503 to an upload is a ServerError", f"{{route: '{FILES}', method: POST, status: 503}}")
def upload_failed(sim, cb):
    with opened(cb) as session:
        raises(ServerError, lambda: session.put_file(io.BytesIO(b"x"), "C:\\temp\\b.txt"))
    same("commands", sim.books()["commands"], {})


# Connections and bodies

LISTING.connections(DEVICES)
LISTING.cut_short()
FAULTS.redirected("a redirect to a foreign host is followed, with the key", CONTENT, lambda sim: sim.tokens["v3"])
LISTING.error_message()
POSTING.error_message("errorMessage in a 200 to a command is a ServerError")

# Words and numbers. It compares statuses exactly.

for oddity in ("lower_case", "extra_members", "missing_members", "null_arrays", "missing_arrays", "text_ids"):
    for route in (COMMANDS, COMMAND):
        FAULTS.file(f"statuses and members, {route}: {oddity}", f"{{route: '{route}', odd: [{oddity}]}}")

for oddity in ("upper_case", "mixed_case"):
    FAULTS.no_file(f"a finished command in other letters is waited for until time is up: {oddity}",
                   f"{{route: '{COMMAND}', odd: [{oddity}]}}", TimeoutError, "timeout polling",
                   timeout=2, ran={"get file": 1})

for oddity in ("lower_case", "mixed_case"):

    @row(f"an active session in other letters is waited for until time is up: {oddity}",
         f"{{route: '{POLL}', method: GET, odd: [{oddity}]}}")
    def never_active(sim, cb, oddity=oddity):
        with impatient(cblr):
            raises(TimeoutError, lambda: opened(cb), "Could not establish session")
        same("open", sim.books()["sessions_open"], 0)


@row("the number of an upload as text", f"{{route: '{FILES}', odd: [text_ids]}}")
def text_upload(sim, cb):
    with opened(cb) as session:
        session.put_file(io.BytesIO(b"put"), "C:\\temp\\b.txt")
        same("content", session.get_file("C:\\temp\\b.txt"), b"put")


for name, odd, words in (
    ("unsigned codes", "extra_members", "0x80070002 (ERROR_FILE_NOT_FOUND)"),
    ("codes as decimal text", "text_codes", "0x80070002 (ERROR_FILE_NOT_FOUND)"),
    ("signed codes lose their number and keep their name", "signed_codes", "0x-7FF8FFFE (ERROR_FILE_NOT_FOUND)"),
    ("codes as hexadecimal text are unknown to it", "hex_codes", "Unknown Win32 error code"),
):
    FAULTS.no_file(name, f"{{route: '{COMMAND}', odd: [{odd}]}}", LiveResponseError, words, path=NONE)

FAULTS.no_file("a command that fails", "{command: get file, result: '0x80070020'}",
               LiveResponseError, "0x80070020 (ERROR_SHARING_VIOLATION)")

# Sessions

FAULTS.replaced("404 NOT_FOUND at a command is answered with a new session",
                f"{{route: '{COMMANDS}', method: POST, nth: 1, session: lost}}")


@row("404 NOT_FOUND at every command is a TimeoutError after five",
     f"{{route: '{COMMANDS}', method: POST, session: lost}}")
def never_recreated(sim, cb):
    raises(TimeoutError, lambda: listed(cb), "failed after 5 retries")
    same("commands", (count(sim, f"POST {COMMANDS}"), sim.books()["commands"]), (5, {}))
    same("opened", sim.books()["sessions_opened"], 6)


FAULTS.no_file("a session lost while polling is an ObjectNotFoundError",
               f"{{route: '{COMMAND}', nth: 1, session: lost}}", ObjectNotFoundError, "NOT_FOUND")


@row("sessions are not listed", f"{{route: {LIST}, delay: 1s, from: 100}}")
def not_listed(sim, cb):
    # No fault: the service itself says so.
    same("status", raises(ClientError, lambda: cb.get_object(SESSION)).error_code, 405)


FAULTS.no_file("the session limit is a ClientError", "{session: refused}", ClientError, "session limit reached")


@row("a session that never checks in is a TimeoutError, and closed", "{session: pending}")
def pending(sim, cb):
    with impatient(cblr):
        raises(TimeoutError, lambda: opened(cb), "Could not establish session")
    same("open", sim.books()["sessions_open"], 0)


FAULTS.hangs()


@row("a kill that never ends is no error", "{command: kill, hang: true}")
def kill_hangs(sim, cb):
    with opened(cb) as session:
        same("killed", session.kill_process(4), False)


if __name__ == "__main__":
    sys.exit(FAULTS.main(*sys.argv[1:]))
