"""The published reference of the v3 API, walked from top to bottom with curl: each documented request is sent, and
each documented member of its answer must be there, with its type.

    python v3_reference.py PROGRAM tls

The rows lean on those before them, as the reference does. Their names begin with the part of it that they are of.
"""

import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from rows import HERE, ends, said, same
from simulator import Simulator

DEVICE, OTHER = 98765, 98766
UPLOAD = b"fifteen letters"

# Shapes of answers: a type, alternatives as a tuple, a set of words, an array of one shape, or a map of members.
TEXT, WHOLE, YES_NO, NULL = str, int, bool, type(None)

SESSION = {
    "id": TEXT, "sensor_id": WHOLE, "hostname": (TEXT, NULL), "address": (TEXT, NULL), "os_version": (TEXT, NULL),
    "status": {"ACTIVE", "PENDING", "TIMEOUT", "INACTIVE", "CLOSE"},
    "check_in_timeout": WHOLE, "session_timeout": WHOLE, "create_time": WHOLE, "current_command_index": WHOLE,
}
PENDING_SESSION = SESSION | {
    "status": {"PENDING"}, "current_working_directory": NULL, "supported_commands": NULL, "drives": NULL,
    "sensor_check_in_time": NULL,
}
ACTIVE_SESSION = SESSION | {
    "status": {"ACTIVE"}, "current_working_directory": TEXT, "supported_commands": [TEXT], "drives": [TEXT],
    "sensor_check_in_time": WHOLE,
}
CLOSED_SESSION = ACTIVE_SESSION | {"status": {"CLOSE"}}

FILE = {"id": WHOLE, "file_name": TEXT, "size": WHOLE, "size_uploaded": WHOLE, "status": WHOLE, "delete": YES_NO}

COMMAND = {
    "id": WHOLE, "session_id": TEXT, "sensor_id": WHOLE, "command_timeout": WHOLE, "name": TEXT,
    "object": (TEXT, WHOLE, NULL), "obj": {"name": TEXT}, "username": (TEXT, NULL), "creation_time": WHOLE,
    "status": {"pending", "in progress", "complete", "cancel", "error"}, "completion_time": WHOLE,
    "result_code": WHOLE, "result_type": (TEXT, NULL), "result_desc": TEXT,
}
PENDING = COMMAND | {"status": {"pending"}, "completion_time": {0}, "result_code": {0}, "result_type": NULL}
COMPLETE = COMMAND | {"status": {"complete"}, "result_code": {0}, "result_type": {"WinHresult", "CbError"}}
FAILED = COMMAND | {"status": {"error"}, "result_type": {"WinHresult", "CbError"}}

# The reference calls the first two of them `name` and `alt_name`; no service ever did.
LISTED = {
    "filename": TEXT, "alternate_name": TEXT, "attributes": [TEXT], "create_time": WHOLE, "last_access_time": WHOLE,
    "last_write_time": WHOLE, "size": WHOLE,
}
VALUE = {"value_type": TEXT, "value_name": TEXT, "value_data": (TEXT, WHOLE, [TEXT])}
# The reference tells of GUIDs in its list, and of when the parent began in its example.
PROCESS = {
    "pid": WHOLE, "create_time": WHOLE, "proc_guid": TEXT, "path": TEXT, "command_line": TEXT, "sid": TEXT,
    "username": TEXT, "parent": WHOLE, "parent_guid": TEXT, "parent_create_time": WHOLE,
}
DUMP = {"return_code": WHOLE, "complete": YES_NO, "percentdone": WHOLE, "dumping": YES_NO, "compressing": YES_NO}

ROWS = []


def row(name):
    def add(act):
        ROWS.append((name, act))
        return act

    return add


def misfit(shape, value, at="the answer"):
    """Why a value is not of a shape; nothing if it is."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{at} is {value!r}, and no map"
        missing = [name for name in shape if name not in value]
        if missing:
            return f"{at} has no {', '.join(missing)}: {value}"
        whys = (misfit(inner, value[name], f"{name} of {at}") for name, inner in shape.items())
        return next((why for why in whys if why), None)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{at} is {value!r}, and no array"
        return next((why for why in (misfit(shape[0], item, f"an item of {at}") for item in value) if why), None)
    if isinstance(shape, tuple):
        return None if any(not misfit(one, value, at) for one in shape) else f"{at} is {value!r}, not of {shape}"
    if isinstance(shape, set):
        same_kind = any(type(value) is type(word) and value == word for word in shape)
        return None if same_kind else f"{at} is {value!r}, none of {shape}"
    # In Python a bool is an int.
    fits = type(value) is shape
    return None if fits else f"{at} is {value!r}, no {shape.__name__}"


def fits(shape, value):
    why = misfit(shape, value)
    if why:
        raise AssertionError(why)
    return value


class Walk:
    """What the rows work with: curl, and what they leave to one another."""

    def __init__(self, sim):
        self.sim, self.session, self.files, self.commands = sim, None, {}, {}
        self.path = os.path.join(sim.dir.name, "blah.txt")
        with open(self.path, "wb") as file:
            file.write(UPLOAD)

    def curl(self, method, path, *options):
        """The status and the body of an answer."""
        body = os.path.join(self.sim.dir.name, "body")
        url = f"{self.sim.url}/integrationServices/v3/cblr/session{path}"
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", self.sim.authority]
        command += ["--output", body, "--write-out", "%{http_code}", "-X", method]
        command += ["-H", f"X-Auth-Token: {self.sim.tokens['v3']}", *options, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90)
        if done.returncode:
            raise AssertionError(f"curl: {done.stderr.strip()}")
        with open(body, "rb") as file:
            return int(done.stdout), file.read()

    def ask(self, method, path, shape, data=None, status=200):
        """The answer to a request, which has this status and this shape."""
        options = ["-H", "Content-Type: application/json"]
        if data is not None:
            options += ["-d", json.dumps(data)]
        seen, text = self.curl(method, path, *options)
        if seen != status:
            raise AssertionError(f"{method} {path} is answered with {seen}: {text[:200]!r}")
        return fits(shape, json.loads(text))

    def opened(self, device, **members):
        """An active session, and how it was answered at first."""
        begun = self.ask("POST", f"/{device}", SESSION, {"sensor_id": device, **members})
        active = self.waited(f"/{begun['id']}", SESSION, {"ACTIVE"})
        return begun, active

    def waited(self, path, shape, words):
        """The answer to a GET once its status is one of these words."""
        deadline = time.monotonic() + 30
        while True:
            seen = self.ask("GET", path, shape)
            if seen["status"] in words:
                return seen
            if time.monotonic() > deadline:
                raise AssertionError(f"still {seen['status']}: {path}")
            time.sleep(0.2)

    def close(self, session):
        return self.ask("PUT", "", SESSION, {"session_id": session, "status": "CLOSE"})

    def post(self, name, pending={}, **members):
        """A command as it is answered when it is posted."""
        data = {"session_id": self.session, "name": name, **members}
        seen = self.ask("POST", f"/{self.session}/command", PENDING | pending, data)
        same("its name", (seen["name"], seen["obj"]["name"]), (name, name))
        for member in ("object", "working_directory", "output_file", "file_id", "value_type"):
            if member in members:
                same(f"the echo of {member}", seen["obj"].get(member), members[member])
        return seen

    def done(self, number, shape=COMPLETE):
        """A command once it has ended."""
        ended = {"complete", "error", "cancel"}
        return fits(shape, self.waited(f"/{self.session}/command/{number}", COMMAND, ended))

    def does(self, name, result={}, pending={}, **members):
        """A command from its posting to its end, which has these members besides those of every command."""
        return self.done(self.post(name, pending, **members)["id"], COMPLETE | result)

    def content(self, file):
        status, content = self.curl("GET", f"/{self.session}/file/{file}/content")
        same("status", status, 200)
        return content

    def uploaded(self):
        status, text = self.curl("POST", f"/{self.session}/file", "-F", f"file=@{self.path}")
        same("status", status, 200)
        return fits(FILE, json.loads(text))


# The example, as it is told.


@row("example, start: a session is pending, and has a number in two parts")
def start(walk):
    seen = walk.ask("POST", f"/{DEVICE}", PENDING_SESSION, {"sensor_id": DEVICE})
    walk.session = seen["id"]
    number, _, device = seen["id"].partition(":")
    same("numbers", (number.isdigit(), device, seen["sensor_id"]), (True, str(DEVICE), DEVICE))
    same("next command", seen["current_command_index"], 0)


@row("example, start: it becomes active, and then says what the endpoint is like")
def becomes_active(walk):
    seen = fits(ACTIVE_SESSION, walk.waited(f"/{walk.session}", SESSION, {"ACTIVE"}))
    same("id", seen["id"], walk.session)
    same("commands", len(seen["supported_commands"]), 15)


@row("example, upload: a form with a file is kept, and has a number")
def upload(walk):
    seen = walk.uploaded()
    same("file", {name: seen[name] for name in ("status", "file_name", "size_uploaded", "size", "delete")},
         {"status": 0, "file_name": "blah.txt", "size_uploaded": 15, "size": 15, "delete": False})
    walk.files["example"] = seen["id"]


@row("example, issue: a list of processes is pending at first")
def issue(walk):
    seen = walk.post("process list", {"processes": [PROCESS]})
    same("first", (seen["id"], seen["processes"]), (0, []))


@row("example, issue: it is complete when asked for later")
def issued(walk):
    seen = walk.done(0, COMPLETE | {"processes": [PROCESS]})
    assert seen["processes"], "no processes"
    assert seen["creation_time"] <= seen["completion_time"], "done before it was begun"


@row("example, close: the whole session comes back, closed")
def close(walk):
    seen = fits(CLOSED_SESSION, walk.close(walk.session))
    same("session", (seen["id"], seen["current_command_index"]), (walk.session, 1))


# The reference: sessions


@row("session: one that does not exist is not found")
def no_session(walk):
    walk.ask("GET", f"/{walk.session}", {"reason": TEXT, "success": {False}, "status": {"NOT_FOUND"}}, status=404)


@row("session: with wait the answer comes when it is active")
def wait(walk):
    begun = walk.ask("POST", f"/{DEVICE}", PENDING_SESSION, {"sensor_id": DEVICE})
    walk.ask("GET", f"/{begun['id']}?wait=true", ACTIVE_SESSION)
    walk.session = begun["id"]


@row("session: wait may stand at a POST too")
def post_wait(walk):
    walk.close(walk.ask("POST", f"/{OTHER}?wait=true", SESSION, {"sensor_id": OTHER})["id"])


for member in ("checkin_timeout", "default_command_timeout", "sensor_wait_timeout"):

    @row(f"session: it may be started with a {member}")
    def optional(walk, member=member):
        begun, active = walk.opened(OTHER, **{member: 321})
        try:
            if member == "checkin_timeout":
                same("check_in_timeout", (begun["check_in_timeout"], active["check_in_timeout"]), (321, 321))
            if member == "default_command_timeout":
                data = {"session_id": active["id"], "name": "process list"}
                seen = walk.ask("POST", f"/{active['id']}/command", PENDING, data)
                same("command_timeout", seen["command_timeout"], 321)
        finally:
            walk.close(active["id"])


@row("session: all of these at once")
def all_optional(walk):
    members = {name: 400 for name in ("checkin_timeout", "default_command_timeout", "sensor_wait_timeout")}
    walk.close(walk.opened(OTHER, **members)[1]["id"])


@row("session: the word that closes is read letter by letter")
def wrong_case(walk):
    status, _ = walk.curl("PUT", "", "-H", "Content-Type: application/json", "-d",
                          json.dumps({"session_id": walk.session, "status": "close"}))
    assert 400 <= status < 500, status
    walk.ask("GET", f"/{walk.session}", ACTIVE_SESSION)


@row("session: a closed one is gone")
def closed(walk):
    _, active = walk.opened(OTHER)
    fits(CLOSED_SESSION, walk.close(active["id"]))
    walk.ask("GET", f"/{active['id']}", {"status": {"NOT_FOUND"}}, status=404)


@row("keepalive: it is answered with the session")
def keepalive(walk):
    same("session", walk.ask("GET", f"/{walk.session}/keepalive", ACTIVE_SESSION)["id"], walk.session)


# Commands, as lists and one by one


@row("commands: a POST makes one, which the list has")
def command_list(walk):
    walk.commands["complete"] = walk.does("process list", {"processes": [PROCESS]})["id"]
    same("ids", [seen["id"] for seen in walk.ask("GET", f"/{walk.session}/command", [COMMAND])], [0])


@row("one command: a GET says how far it is")
def one_command(walk):
    slow = walk.post("create process", object="slow.exe", wait=True)["id"]
    walk.commands["slow"] = slow
    walk.commands["waiting"] = walk.post("delete file", object="C:\\temp\\b.txt")["id"]
    running = walk.waited(f"/{walk.session}/command/{slow}", COMMAND, {"in progress"})
    same("not done", running["completion_time"], 0)
    walk.ask("GET", f"/{walk.session}/command/{walk.commands['waiting']}", PENDING)


@row("one command: a PUT cancels what is pending")
def cancel(walk):
    number = walk.commands["waiting"]
    walk.ask("PUT", f"/{walk.session}/command/{number}", COMMAND | {"status": {"cancel"}}, {"id": number})
    walk.ask("GET", f"/{walk.session}/command/{number}", COMMAND | {"status": {"cancel"}})


for word, known in (("completed", "complete"), ("in progress", "slow"), ("canceled", "waiting")):

    @row(f"commands: only those that are {word}")
    def by_status(walk, word=word, known=known):
        # The command that is in progress has two seconds.
        found = walk.ask("GET", f"/{walk.session}/command?status={word.replace(' ', '%20')}", [COMMAND])
        same("ids", [seen["id"] for seen in found], [walk.commands[known]])


@row("commands: no more than a count of them")
def by_count(walk):
    same("commands", len(walk.ask("GET", f"/{walk.session}/command?count=2", [COMMAND])), 2)


@row("one command: what was cancelled never ran, what was in progress did")
def after_cancel(walk):
    same("code", walk.done(walk.commands["slow"])["return_code"], 0)
    walk.done(walk.commands["waiting"], COMMAND | {"status": {"cancel"}})
    same("deleted", walk.sim.books()["commands"].get("delete file", 0), 0)


# Files


@row("one file: without a number there is a list")
def file_list(walk):
    walk.files = {name: walk.uploaded()["id"] for name in ("kept", "put away", "deleted")}
    seen = walk.ask("GET", f"/{walk.session}/file", [FILE])
    same("ids", sorted(file["id"] for file in seen), sorted(walk.files.values()))


@row("one file: a GET says what is known of it")
def one_file(walk):
    seen = walk.ask("GET", f"/{walk.session}/file/{walk.files['kept']}", FILE)
    same("file", (seen["file_name"], seen["size"], seen["delete"]), ("blah.txt", 15, False))


@row("one file: a PUT with delete removes it")
def put_away(walk):
    path = f"/{walk.session}/file/{walk.files['put away']}"
    seen = walk.ask("GET", path, FILE)
    walk.ask("PUT", path, FILE, seen | {"delete": True})
    same("status", walk.curl("GET", path)[0], 404)


@row("one file: a DELETE removes it")
def delete(walk):
    path = f"/{walk.session}/file/{walk.files['deleted']}"
    same("status", walk.curl("DELETE", path)[0], 200)
    same("status", walk.curl("GET", path)[0], 404)


@row("content: the bytes as they are")
def content(walk):
    same("content", walk.content(walk.files["kept"]), UPLOAD)


# Command objects, in the order in which they are described


@row("command objects: one that fails says why")
def failing(walk):
    number = walk.post("get file", {"file_id": WHOLE}, object="C:\\temp\\none")["id"]
    same("code", walk.done(number, FAILED)["result_code"], 0x80070002)


@row("put file: to an endpoint, from the session's store")
def put_file(walk):
    number = walk.files["kept"]
    seen = walk.does("put file", {"file_id": WHOLE}, {"file_id": WHOLE}, object="C:\\temp\\blah.txt", file_id=number)
    same("file", seen["file_id"], number)


@row("get file: the whole of it")
def get_file(walk):
    seen = walk.does("get file", {"file_id": WHOLE}, {"file_id": WHOLE}, object="C:\\temp\\blah.txt")
    same("content", walk.content(seen["file_id"]), UPLOAD)
    file = walk.ask("GET", f"/{walk.session}/file/{seen['file_id']}", FILE)
    same("file", (file["file_name"], file["size"], file["size_uploaded"]), ("C:\\temp\\blah.txt", 15, 15))


@row("get file: some bytes from an offset on")
def get_part(walk):
    result = {"file_id": WHOLE, "offset": {8}, "count": {4}}
    seen = walk.does("get file", result, {"file_id": WHOLE}, object="C:\\temp\\blah.txt", offset=8, get_count=4)
    same("content", walk.content(seen["file_id"]), UPLOAD[8:12])


@row("delete file: it is gone")
def delete_file(walk):
    walk.does("delete file", object="C:\\temp\\blah.txt")
    gone = walk.post("delete file", object="C:\\temp\\blah.txt")["id"]
    same("code", walk.done(gone, FAILED)["result_code"], 0x80070002)


@row("directory listing: by a filter")
def filtered(walk):
    seen = walk.does("directory list", {"files": [LISTED]}, {"files": [LISTED]}, object="C:\\temp\\*.txt")
    same("names", sorted(file["filename"] for file in seen["files"]), ["a.txt", "b.txt", "locked.txt"])


@row("directory listing: of a path")
def directory(walk):
    seen = walk.does("directory list", {"files": [LISTED]}, {"files": [LISTED]}, object="C:\\walk\\")
    same("names", sorted(file["filename"] for file in seen["files"]), [".", "..", "inner", "one.txt"])


KEY = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Interop"
KEYS = {"values": [VALUE], "sub_keys": [TEXT]}


@row("reg enum key: values, and names of keys")
def reg_enum_key(walk):
    seen = walk.does("reg enum key", KEYS, KEYS, object=KEY)
    same("sub keys", seen["sub_keys"], ["Sub"])
    same("values", sorted(value["value_name"] for value in seen["values"]), ["Display", "Start"])


@row("reg query value: one value")
def reg_query_value(walk):
    seen = walk.does("reg query value", {"value": VALUE}, object=KEY + "\\Display")["value"]
    same("value", seen, {"value_name": "Display", "value_type": "REG_SZ", "value_data": "a display name"})


@row("reg create key: it is there")
def reg_create_key(walk):
    walk.does("reg create key", object=KEY + "\\made")
    assert "made" in walk.does("reg enum key", KEYS, object=KEY)["sub_keys"]


@row("reg delete key: it is gone")
def reg_delete_key(walk):
    walk.does("reg delete key", object=KEY + "\\made")
    assert "made" not in walk.does("reg enum key", KEYS, object=KEY)["sub_keys"]


@row("reg delete value: it is gone")
def reg_delete_value(walk):
    walk.does("reg delete value", object=KEY + "\\Start")
    number = walk.post("reg query value", object=KEY + "\\Start")["id"]
    same("code", walk.done(number, FAILED)["result_code"], 0x80070002)


for kind, data in (
    ("REG_SZ", "text"), ("REG_DWORD", 7), ("REG_QWORD", 8), ("REG_MULTI_SZ", ["string1", "string2", "string3"]),
):

    @row(f"reg set value: of type {kind}")
    def reg_set_value(walk, kind=kind, data=data):
        walk.does("reg set value", object=f"{KEY}\\{kind}", value_data=data, value_type=kind)
        seen = walk.does("reg query value", {"value": VALUE}, object=f"{KEY}\\{kind}")["value"]
        same("value", (seen["value_name"], seen["value_type"]), (kind, kind))


@row("reg set value: onto one that is there, only if it may")
def overwrite(walk):
    members = dict(object=KEY + "\\REG_SZ", value_data="new", value_type="REG_SZ")
    for refusing in ({}, {"overwrite": "false"}, {"overwrite": False}):
        number = walk.post("reg set value", **members, **refusing)["id"]
        same("code", walk.done(number, FAILED)["result_code"], 0x800700B7)
    walk.does("reg set value", **members, overwrite="true")
    same("value", walk.does("reg query value", {"value": VALUE}, object=KEY + "\\REG_SZ")["value"]["value_data"], "new")


@row("ps: with an empty operand")
def processes(walk):
    for empty in ({}, {"object": ""}, {"object": None}):
        data = {"session_id": walk.session, "name": "process list", **empty}
        number = walk.ask("POST", f"/{walk.session}/command", PENDING, data)["id"]
        assert walk.done(number, COMPLETE | {"processes": [PROCESS]})["processes"], "no processes"


@row("kill: it runs no more")
def kill(walk):
    walk.does("kill", object=4712)
    pids = {seen["pid"] for seen in walk.does("process list", {"processes": [PROCESS]})["processes"]}
    assert 4712 not in pids


@row("execute: waited for, in a directory, its output in a file")
def execute(walk):
    seen = walk.does("create process", {"pid": WHOLE, "return_code": {3}}, object="failing.exe", wait="true",
                     working_directory="C:\\temp", output_file="C:\\temp\\out.txt")
    assert seen["pid"] > 0, seen
    file = walk.does("get file", {"file_id": WHOLE}, object="C:\\temp\\out.txt")["file_id"]
    same("output", walk.content(file), b"it failed\r\n")


@row("execute: not waited for")
def execute_only(walk):
    for wait in ({}, {"wait": "false"}, {"wait": False}):
        walk.does("create process", {"pid": WHOLE}, object="whoami.exe", **wait)


@row("memdump: the dump is where it should be")
def memdump(walk):
    seen = walk.does("memdump", DUMP, object="C:\\m.dmp")
    same("dump", (seen["complete"], seen["dumping"], seen["return_code"]), (True, False, 0))
    walk.does("delete file", object="C:\\m.dmp")


@row("session: what is left is closed, and nothing stays behind")
def last(walk):
    walk.close(walk.session)
    books = walk.sim.books()
    same("open, leaked, unknown", (books["sessions_open"], books["sessions_leaked"], books["unknown_routes"]), (0, 0, {}))


def main(program, transport):
    done = {"ok": 0, "FAILED": 0}
    with Simulator(program, os.path.join(HERE, "scenario.yaml"), transport) as sim:
        walk = Walk(sim)
        for name, act in ROWS:
            why = None
            try:
                act(walk)
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
            result = "FAILED" if why else "ok"
            done[result] += 1
            said(result, name, transport, why)
    print(f"the reference of v3 with curl: {done['ok']} requests ok, {done['FAILED']} failed")
    return ends(done)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
