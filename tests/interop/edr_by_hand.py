"""EDR without a library, as the vendor's own example of a command line does it, for which all but 200 is wrong.

cbapi_edr.py takes these rows.
"""

import json
import urllib.error
import urllib.request

from live_response import A_TXT, DEVICE
from rows import RowList, raises, same, until

SESSIONS = "/api/v1/cblr/session"

ROWS = RowList()
row = ROWS.row


class Plain:
    """Requests by hand."""

    def __init__(self, sim):
        self.sim = sim

    def asked(self, method, path, body=None, raw=False):
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-Auth-Token": self.sim.tokens["EDR"], "Content-Type": "application/json"}
        request = urllib.request.Request(self.sim.url + path, data, headers, method=method)
        with self.sim.opener.open(request, timeout=120) as answer:
            same(f"status of {method} {path}", answer.status, 200)
            content = answer.read()
        return content if raw else json.loads(content)

    def session(self, **wanted):
        """A session that its sensor has taken up, found by asking for the list."""
        number = self.asked("POST", SESSIONS, dict(wanted, sensor_id=DEVICE))["id"]
        of_list = lambda: [one for one in self.asked("GET", SESSIONS) if one["id"] == number][0]
        until(lambda: of_list()["status"] == "active", "the session is active")
        same("status", self.asked("GET", f"{SESSIONS}/{number}?wait=true")["status"], "active")
        return number

    def command(self, number, **command):
        return self.asked("POST", f"{SESSIONS}/{number}/command", dict(command, session_id=number))

    def ended(self, number, command):
        """A command that ended while a request for it was held."""
        answer = self.asked("GET", f"{SESSIONS}/{number}/command/{command['id']}?wait=true")
        same("status", answer["status"] in ("complete", "error"), True)
        return answer


@row("by hand: a walk with long polls", session=False, headers=False)
def by_hand(desk):
    plain = Plain(desk.sim)
    number = plain.session(session_timeout=600)
    path = f"{SESSIONS}/{number}"
    same("life", plain.asked("GET", path)["session_timeout"], 600)
    plain.asked("GET", f"{path}/keepalive")
    listing = plain.command(number, name="directory list", object="C:\\walk\\*")
    same("pending", "result_code" in listing, False)
    done = plain.ended(number, listing)
    same("result", (done["result_code"], done["object"], done["session_id"], done["sensor_id"]),
         (0, "C:\\walk\\*", number, DEVICE))
    assert "one.txt" in [entry["filename"] for entry in done["files"]], done["files"]
    part = plain.command(number, name="get file", object="C:\\temp\\a.txt", offset=6, get_count=4)
    same("the file is known at once", type(part["file_id"]), int)
    done = plain.ended(number, part)
    same("part", (done["offset"], done["count"]), (6, 4))
    file = f"{path}/file/{part['file_id']}"
    same("content", plain.asked("GET", f"{file}/content", raw=True), A_TXT[6:10])
    same("file", plain.asked("GET", file)["id"], part["file_id"])
    same("files", [one["id"] for one in plain.asked("GET", f"{path}/file")], [part["file_id"]])
    failed = plain.ended(number, plain.command(number, name="delete file", object="C:\\none"))
    same("failed", (failed["status"], failed["result_code"]), ("error", 2147942402))
    same("commands", [one["id"] for one in plain.asked("GET", f"{path}/command")], [1, 2, 3])
    plain.asked("PUT", path, {"id": number, "status": "close"})
    same("open", desk.books()["sessions_open"], 0)


@row("by hand: cancel", session=False, headers=False)
def by_hand_cancel(desk):
    plain = Plain(desk.sim)
    number = plain.session()
    slow = plain.command(number, name="create process", object="slow.exe", wait=True)
    for body in (lambda n: {"id": n, "status": "cancel"}, lambda n: {"cmdid": n}):
        waiting = plain.command(number, name="directory list", object="C:\\walk\\*")
        path = f"{SESSIONS}/{number}/command/{waiting['id']}"
        plain.asked("PUT", path, body(waiting["id"]))
        same("status", plain.asked("GET", path)["status"], "cancel")
    same("slow", plain.ended(number, slow)["return_code"], 0)
    desk.ran(create_process=1)
    plain.asked("PUT", f"{SESSIONS}/{number}", {"session_id": number, "status": "close"})
    same("open", desk.books()["sessions_open"], 0)


@row("by hand: a refusal is a text", session=False, headers=False)
def by_hand_refused(desk):
    error = raises(urllib.error.HTTPError, lambda: Plain(desk.sim).asked("GET", f"{SESSIONS}/4242"))
    same("status", error.code, 404)
    same("text", error.read().decode().startswith("Session 4242 not found"), True)
    assert not error.headers.get_content_type().endswith("json"), error.headers.get_content_type()
