"""Which exception of the official client for EDR and App Control each fault brings about; it sends nothing twice.

    python cbapi_faults.py PROGRAM tls [ROW…]

Each row has an organisation of its own, in which one thing goes wrong or is not as usual.
"""

import contextlib
import sys

sys.dont_write_bytecode = True

import cbapi_app_control
import cbapi_edr
from cbapi_edr import DEVICE, SESSIONS, opened, sensor
from faults import A_TXT, NONE, Faults, Request, impatient
from rows import count, raises, same

from cbapi import errors
from cbapi.errors import ApiError, ClientError, ObjectNotFoundError, ServerError, TimeoutError
from cbapi.live_response_api import LiveResponseError
from cbapi.protection import Computer
from cbapi.response import Sensor, cblr
from cbapi.response.models import SensorQuery

SESSION = "api/v1/cblr/session"
COMMANDS, COMMAND = SESSION + "/{id}/command", SESSION + "/{id}/command/{n}"

EDR = Faults("cbapi for EDR", cbapi_edr.client, errors, opened)
APP_CONTROL = Faults("cbapi for App Control", cbapi_app_control.client, errors)
row = EDR.row


def switched(name, switch):
    """A row in whose organisation nothing goes wrong, but something is not as usual."""
    return EDR.organisation(name, f"organisation: {{edr: {{{switch}}}}}")


def held(cb):
    with opened(cb) as session:
        return session.get_file(A_TXT)


# Statuses. Each API is asked for one object, by a GET.


def one_object(kind):
    """Asks for an object; its number."""

    def ask(cb):
        one = cb.select(kind, DEVICE)
        one.refresh()
        return one.id

    return ask


ASKED = [(EDR, "api/v1/sensor/{id}", Sensor), (APP_CONTROL, "bit9platform/v1/computer/{id}", Computer)]
for faults, route, kind in ASKED:
    request = Request(faults, "GET", route, one_object(kind))
    for status in (400, 403, 405, 409, 412):
        request.client_error(f"{status} is a ClientError", status)
    request.unauthorized_and_not_found()
    request.client_error("429 is a ClientError, whatever Retry-After says", 429, ", retry_after: 1")
    for status in (500, 502, 503, 504):
        request.server_error(f"{status} is a ServerError, and sent once", status, ", nth: 1, retry_after: 1")
    request.html_page()
    request.connections(DEVICE)
    request.cut_short()
    request.error_message()

    @request.row("an object with members of a later version, and its number as a text",
                 "odd: [extra_members, text_ids]")
    def odd_object(sim, cb, kind=kind):
        one = cb.select(kind, DEVICE)
        one.refresh()
        same("a later version", type(one.a_later_version), dict)
        same("number", (one.original_document["id"], int(one.id)), (str(DEVICE), DEVICE))


@row("503 to a POST is a ServerError, and sent once", f"{{route: {SESSION}, method: POST, nth: 1, status: 503}}")
def post_failed(sim, cb):
    raises(ServerError, lambda: held(cb))
    same("requests", count(sim, f"POST {SESSION}"), 1)


@row("403 to the partitions is put up with", "{route: api/v1/storage/events/partition, status: 403}")
def partitions(sim, cb):
    same("content", held(cb), b"held")


@row("other failures at the start are not", "{route: api/v1/storage/events/partition, nth: 2, status: 500}")
def no_partitions(sim, cb):
    raises(ServerError, lambda: cbapi_edr.client(sim))


EDR.redirected("a redirect to a foreign host is followed, with the token",
               SESSION + "/{id}/file/{file}/content", lambda sim: sim.tokens["EDR"])

# Words and numbers

for oddity in ("lower_case", "extra_members", "null_arrays", "text_ids", "missing_members"):
    EDR.file(f"commands: {oddity}", f"{{route: '{COMMAND}', odd: [{oddity}]}}")
for oddity in ("upper_case", "mixed_case"):
    EDR.no_file(f"commands: {oddity} is waited for in vain", f"{{route: '{COMMAND}', odd: [{oddity}]}}",
                TimeoutError, "timeout polling", timeout=2, ran={"get file": 1})
EDR.no_file("signed codes", f"{{route: '{COMMAND}', odd: [signed_codes]}}",
            LiveResponseError, "ERROR_FILE_NOT_FOUND", path=NONE)
EDR.no_file("a command that fails", "{command: get file, result: '0x80070020'}",
            LiveResponseError, "0x80070020 (ERROR_SHARING_VIOLATION)")
EDR.hangs()

# Sessions

EDR.replaced("404 `Session …` at a command is answered with a new session",
             f"{{route: '{COMMANDS}', method: POST, nth: 1, session: lost}}")


@EDR.organisation("404 `Sensor …` at a command is answered with a session whose sensor is there", "")
def not_connected(sim, cb):
    number = cb.post_object(SESSIONS, {"sensor_id": DEVICE}).json()["id"]
    # The client itself would wait for the sensor before it goes so far.
    session = cblr.LiveResponseSession(cb.live_response, number, DEVICE, {"supported_commands": ["get file"]})
    same("content", session.get_file(A_TXT), b"held")
    same("the session of the list", session.session_id, number)
    same("commands", (count(sim, f"POST {COMMANDS}"), sim.books()["commands"]), (2, {"get file": 1}))
    session.close()
    same("open", sim.books()["sessions_open"], 0)


EDR.no_file("a session lost while polling is an ObjectNotFoundError",
            f"{{route: '{COMMAND}', nth: 1, session: lost}}", ObjectNotFoundError, "Session")


@switched("too many sessions of the server are an error", "max_sessions: 1")
def limit_of_the_server(sim, cb):
    with opened(cb):
        raises(ApiError, lambda: cb.post_object(SESSIONS, {"sensor_id": 98766}))
    same("opened", sim.books()["sessions_opened"], 1)


@row("a session that is refused is an error", "{session: refused}")
def limit(sim, cb):
    raises(ApiError, lambda: held(cb))
    same("opened", sim.books()["sessions_opened"], 0)


@row("a session that never checks in is a TimeoutError, and closed", "{session: pending}")
def pending(sim, cb):
    with impatient(cblr):
        raises(TimeoutError, lambda: opened(cb), "Could not establish session")
    same("open", sim.books()["sessions_open"], 0)


def kept_alive_while_pending(sim, cb):
    """How many sessions are open after a keepalive for one that is pending."""
    number = cb.post_object(SESSIONS, {"sensor_id": DEVICE}).json()["id"]
    same("status", cb.get_object(f"{SESSIONS}/{number}")["status"], "pending")
    same("open", sim.books()["sessions_open"], 1)
    with contextlib.suppress(ObjectNotFoundError):
        cb.get_object(f"{SESSIONS}/{number}/keepalive")
    return sim.books()["sessions_open"]


@row("keepalive closes a session that is pending", "{session: pending}")
def keepalive(sim, cb):
    same("open", kept_alive_while_pending(sim, cb), 0)


@EDR.organisation("keepalive does nothing to a session that is pending",
         "faults:\n  - {session: pending}\norganisation: {edr: {keepalive_while_pending: ignored}}")
def keepalive_ignored(sim, cb):
    same("open", kept_alive_while_pending(sim, cb), 1)


@switched("a second session of a sensor is refused", "reopening: refused")
def reopening(sim, cb):
    with opened(cb) as session:
        error = raises(ObjectNotFoundError, lambda: cb.post_object(SESSIONS, {"sensor_id": DEVICE}))
        same("text", error.message.startswith("Sensor"), True)
        # The client looks at the list first.
        same("session", opened(cb).session_id, session.session_id)
    same("opened", sim.books()["sessions_opened"], 1)


@switched("a close that is answered as still active", "close_answer: still_active")
def still_active(sim, cb):
    session = opened(cb)
    whole = cb.get_object(f"{SESSIONS}/{session.session_id}")
    answer = cb.put_object(f"{SESSIONS}/{session.session_id}", dict(whole, status="close"))
    same("status", answer.json()["status"], "active")
    same("open", sim.books()["sessions_open"], 0)
    # The client finds none to use again.
    same("content", held(cb), b"held")
    same("opened", sim.books()["sessions_opened"], 2)


@switched("ids of sensors as texts: the client does not find its session", "sensor_ids: text")
def text_ids(sim, cb):
    with opened(cb) as session:
        same("id", cb.get_object(f"{SESSIONS}/{session.session_id}")["sensor_id"], str(DEVICE))
        # It is given the same one for its asking.
        same("session", opened(cb).session_id, session.session_id)
    same("asked", count(sim, f"POST {SESSION}"), 2)
    same("opened", sim.books()["sessions_opened"], 1)


@switched("live response is off", "live_response: false")
def live_response_off(sim, cb):
    same("said at the start", cb.server_info["cblrEnabled"], False)
    raises(ApiError, lambda: cb.live_response, "does not support Live Response")
    for act in (
        lambda: cb.get_object(SESSIONS),
        lambda: cb.post_object(SESSIONS, {"sensor_id": DEVICE}),
        lambda: cb.get_object(f"{SESSIONS}/1/command/1"),
    ):
        same("status", raises(ClientError, act).error_code, 412)


# Sensors that are not there


for answer in ("no_content", "error", "empty"):

    @switched(f"no sensor of a name: {answer}", f"no_sensors: {answer}")
    def no_sensors(sim, cb, answer=answer):
        same("found", list(SensorQuery(Sensor, cb).where("hostname:nobody")), [])
        ask = lambda: cb.get_object("/api/v1/sensor?hostname=nobody", default="nothing")
        if answer == "error":
            raises(ServerError, ask)
        else:
            same("answer", ask(), {"no_content": "nothing", "empty": []}[answer])


def main(program, transport, *wanted):
    of = [faults for faults in (EDR, APP_CONTROL) if not wanted or {name for name, _, _ in faults.rows} & set(wanted)]
    # All of them, whatever the first comes to.
    return max([faults.main(program, transport, *wanted) for faults in of], default=1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
