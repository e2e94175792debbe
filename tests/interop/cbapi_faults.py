"""Which exception of the official client for EDR and App Control each fault brings about; it sends nothing twice.

    python cbapi_faults.py PROGRAM tls [ROW…]

Each row has an organisation of its own, in which one thing goes wrong or is not as usual.
"""

import contextlib
import sys

sys.dont_write_bytecode = True

import cbapi_app_control
import cbapi_edr
from cbapi_edr import DEVICE, SESSIONS, sensor
from rows import Faults, count, raises, same

from cbapi.errors import ApiError, ClientError, ConnectionError, ObjectNotFoundError, ServerError, TimeoutError
from cbapi.errors import UnauthorizedError
from cbapi.live_response_api import LiveResponseError
from cbapi.protection import Computer
from cbapi.response import Sensor, cblr
from cbapi.response.models import SensorQuery

FLEET = """devices:
  - {name: DC-0007, id: 98765, os: windows, files: [{path: 'C:\\temp\\a.txt', text: held}]}
  - {name: DC-0008, id: 98766, os: windows}
%s
"""
A_TXT = "C:\\temp\\a.txt"
SESSION = "api/v1/cblr/session"
COMMANDS, COMMAND = SESSION + "/{id}/command", SESSION + "/{id}/command/{n}"

EDR = Faults("cbapi for EDR", cbapi_edr.client, FLEET)
APP_CONTROL = Faults("cbapi for App Control", cbapi_app_control.client, FLEET)


def row(name, fault):
    return EDR.row(name, f"faults:\n  - {fault}")


def switched(name, switch):
    """A row in whose organisation nothing goes wrong, but something is not as usual."""
    return EDR.row(name, f"organisation: {{edr: {{{switch}}}}}")


def held(cb, **kwargs):
    with sensor(cb).lr_session() as session:
        return session.get_file(A_TXT, **kwargs)


# Statuses. Each API is asked for one object, by a GET.

ASKED = [(EDR, "api/v1/sensor/{id}", Sensor), (APP_CONTROL, "bit9platform/v1/computer/{id}", Computer)]
for faults, route, kind in ASKED:
    ask = lambda cb, kind=kind: cb.select(kind, DEVICE).refresh()
    strike = lambda what, route=route: f"faults:\n  - {{route: '{route}', {what}}}"

    for status in (400, 403, 405, 409, 412):

        @faults.row(f"{status} is a ClientError", strike(f"status: {status}"))
        def client_error(sim, cb, status=status, ask=ask):
            same("status", raises(ClientError, lambda: ask(cb)).error_code, status)

    @faults.row("401 is an UnauthorizedError", strike("status: 401"))
    def unauthorized(sim, cb, ask=ask):
        raises(UnauthorizedError, lambda: ask(cb))

    @faults.row("404 is an ObjectNotFoundError", strike("status: 404"))
    def not_found(sim, cb, ask=ask):
        raises(ObjectNotFoundError, lambda: ask(cb))

    @faults.row("429 is a ClientError, whatever Retry-After says", strike("status: 429, retry_after: 1"))
    def throttled(sim, cb, route=route, ask=ask):
        same("status", raises(ClientError, lambda: ask(cb)).error_code, 429)
        same("requests", count(sim, f"GET {route}"), 1)

    for status in (500, 502, 503, 504):

        @faults.row(f"{status} is a ServerError, and sent once", strike(f"nth: 1, status: {status}, retry_after: 1"))
        def server_error(sim, cb, status=status, route=route, ask=ask):
            same("status", raises(ServerError, lambda: ask(cb)).error_code, status)
            same("requests", count(sim, f"GET {route}"), 1)

    @faults.row("502 as an HTML page is a ServerError", strike("status: 502, body: html"))
    def html_page(sim, cb, ask=ask):
        raises(ServerError, lambda: ask(cb), "<html")

    @faults.row("a reset before the answer is a ConnectionError", strike("reset: before"))
    def reset(sim, cb, ask=ask):
        raises(ConnectionError, lambda: ask(cb))

    @faults.row("a connection closed before the answer is a ConnectionError", strike("close: before"))
    def closed(sim, cb, ask=ask):
        raises(ConnectionError, lambda: ask(cb))

    @faults.row("a reset within a body is no answer", strike("reset: half"))
    def reset_within(sim, cb, ask=ask):
        # requests calls it a ChunkedEncodingError, which this client takes for unknown, or a ConnectionError.
        raises((ApiError, ConnectionError), lambda: ask(cb))

    @faults.row("a late answer is a TimeoutError", strike("delay: 3s"))
    def late(sim, cb, ask=ask):
        cb.session._timeout = 1
        raises(TimeoutError, lambda: ask(cb))

    @faults.row("a slow body arrives", strike("slow: 2s"))
    def slow(sim, cb, ask=ask):
        ask(cb)

    @faults.row("JSON cut short is no answer", strike("truncate: half"))
    def truncated(sim, cb, ask=ask):
        # It means to say ServerError, and trips over a mistake in the formatting of its own message.
        raises((ServerError, TypeError), lambda: ask(cb))

    @faults.row("errorMessage in a 200 is a ServerError", strike("odd: [error_message]"))
    def error_message(sim, cb, ask=ask):
        raises(ServerError, lambda: ask(cb), "something went wrong")

    @faults.row("an object with members of a later version, and its number as a text",
                strike("odd: [extra_members, text_ids]"))
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


@row("a redirect to a foreign host is followed, with the token",
     f"{{route: '{SESSION}/{{id}}/file/{{file}}/content', redirect: '@FOREIGN@'}}")
def redirected(sim, cb):
    same("content", held(cb), b"foreign")
    # What this client does, and no client should.
    same("tokens that the foreign host heard", EDR.foreign.keys, [sim.tokens["EDR"]])


# Words and numbers


for oddity in ("lower_case", "extra_members", "null_arrays", "text_ids", "missing_members"):

    @row(f"commands: {oddity}", f"{{route: '{COMMAND}', odd: [{oddity}]}}")
    def odd(sim, cb):
        same("content", held(cb), b"held")


for oddity in ("upper_case", "mixed_case"):

    @row(f"commands: {oddity} is waited for in vain", f"{{route: '{COMMAND}', odd: [{oddity}]}}")
    def unknown_word(sim, cb):
        raises(TimeoutError, lambda: held(cb, timeout=2), "timeout polling")
        same("ran", sim.books()["commands"], {"get file": 1})


@row("signed codes", f"{{route: '{COMMAND}', odd: [signed_codes]}}")
def signed(sim, cb):
    with sensor(cb).lr_session() as session:
        raises(LiveResponseError, lambda: session.get_file("C:\\none"), "ERROR_FILE_NOT_FOUND")


@row("a command that fails", "{command: get file, result: '0x80070020'}")
def refused(sim, cb):
    raises(LiveResponseError, lambda: held(cb), "0x80070020 (ERROR_SHARING_VIOLATION)")


@row("a command that never ends is a TimeoutError", "{command: create process, hang: true}")
def hangs(sim, cb):
    with sensor(cb).lr_session() as session:
        raises(TimeoutError, lambda: session.create_process("whoami", wait_timeout=2))


# Sessions


@row("404 `Session …` at a command is answered with a new session",
     f"{{route: '{COMMANDS}', method: POST, nth: 1, session: lost}}")
def recreated(sim, cb):
    same("content", held(cb), b"held")
    books = sim.books()
    same("sessions", (books["sessions_opened"], books["sessions_closed"], books["sessions_lost"]), (2, 1, 1))
    same("ran once", books["commands"], {"get file": 1})


@EDR.row("404 `Sensor …` at a command is answered with a session whose sensor is there", "")
def not_connected(sim, cb):
    number = cb.post_object(SESSIONS, {"sensor_id": DEVICE}).json()["id"]
    # The client itself would wait for the sensor before it goes so far.
    session = cblr.LiveResponseSession(cb.live_response, number, DEVICE, {"supported_commands": ["get file"]})
    same("content", session.get_file(A_TXT), b"held")
    same("the session of the list", session.session_id, number)
    same("commands", (count(sim, f"POST {COMMANDS}"), sim.books()["commands"]), (2, {"get file": 1}))
    session.close()
    same("open", sim.books()["sessions_open"], 0)


@row("a session lost while polling is an ObjectNotFoundError", f"{{route: '{COMMAND}', nth: 1, session: lost}}")
def lost_while_polling(sim, cb):
    error = raises(ObjectNotFoundError, lambda: held(cb))
    same("text", error.message.startswith("Session"), True)


@switched("too many sessions of the server are an error", "max_sessions: 1")
def limit_of_the_server(sim, cb):
    with sensor(cb).lr_session():
        raises(ApiError, lambda: cb.post_object(SESSIONS, {"sensor_id": 98766}))
    same("opened", sim.books()["sessions_opened"], 1)


@row("a session that is refused is an error", "{session: refused}")
def limit(sim, cb):
    raises(ApiError, lambda: held(cb))
    same("opened", sim.books()["sessions_opened"], 0)


@row("a session that never checks in is a TimeoutError, and closed", "{session: pending}")
def pending(sim, cb):
    # It would wait for six minutes; that is no option of its own.
    polls = cblr.poll_status
    cblr.poll_status = lambda *args, **kwargs: polls(*args, **dict(kwargs, timeout=2))
    try:
        raises(TimeoutError, lambda: held(cb), "Could not establish session")
    finally:
        cblr.poll_status = polls
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


@EDR.row("keepalive does nothing to a session that is pending",
         "faults:\n  - {session: pending}\norganisation: {edr: {keepalive_while_pending: ignored}}")
def keepalive_ignored(sim, cb):
    same("open", kept_alive_while_pending(sim, cb), 1)


@switched("a second session of a sensor is refused", "reopening: refused")
def reopening(sim, cb):
    with sensor(cb).lr_session() as session:
        error = raises(ObjectNotFoundError, lambda: cb.post_object(SESSIONS, {"sensor_id": DEVICE}))
        same("text", error.message.startswith("Sensor"), True)
        # The client looks at the list first.
        same("session", sensor(cb).lr_session().session_id, session.session_id)
    same("opened", sim.books()["sessions_opened"], 1)


@switched("a close that is answered as still active", "close_answer: still_active")
def still_active(sim, cb):
    session = sensor(cb).lr_session()
    whole = cb.get_object(f"{SESSIONS}/{session.session_id}")
    answer = cb.put_object(f"{SESSIONS}/{session.session_id}", dict(whole, status="close"))
    same("status", answer.json()["status"], "active")
    same("open", sim.books()["sessions_open"], 0)
    # The client finds none to use again.
    same("content", held(cb), b"held")
    same("opened", sim.books()["sessions_opened"], 2)


@switched("ids of sensors as texts: the client does not find its session", "sensor_ids: text")
def text_ids(sim, cb):
    with sensor(cb).lr_session() as session:
        same("id", cb.get_object(f"{SESSIONS}/{session.session_id}")["sensor_id"], str(DEVICE))
        # It is given the same one for its asking.
        same("session", sensor(cb).lr_session().session_id, session.session_id)
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
