"""What the official Python client for EDR makes of the simulator, row by row, and what a client without it does.

    python cbapi_edr.py PROGRAM tls [ROW…]

Each row is done by `cbapi` as its users would; then the simulator's books say what really ran, and its log
says what was sent, which must be what is known of this client (cbapi_edr.expected).
"""

import concurrent.futures
import hashlib
import io
import json
import logging
import os
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request

sys.dont_write_bytecode = True

from rows import Rows, count, raises, same, until

from cbapi.errors import ApiError, ClientError, ObjectNotFoundError, ServerError, UnauthorizedError
from cbapi.live_response_api import GetFileJob, LiveResponseError
from cbapi.response import Binary, CbResponseAPI, Process, Sensor
from cbapi.response.cblr import LiveResponseSessionManager
from cbapi.response.models import BannedHash, SensorQuery

DEVICE, LINUX, LR_OFF = 98765, 98767, 98768
A_TXT = b"first line\nsecond line\n"
SESSIONS = "/api/v1/cblr/session"
BANNED = "/api/v1/banning/blacklist"
KEY = "HKLM\\SOFTWARE\\Interop"
COMMANDS = [
    "put file", "get file", "create directory", "delete file", "directory list", "reg enum key",
    "reg query value", "reg create key", "reg delete key", "reg delete value", "reg set value",
    "process list", "kill", "create process", "memdump",
]

# What it warns of is no row.
logging.getLogger("cbapi").setLevel(logging.CRITICAL)


def client(sim, token=None):
    # By a file, which is the only way to leave the machine's proxy alone.
    path = os.path.join(sim.dir.name, "credentials.response")
    with open(path, "w") as file:
        file.write(f"[default]\nurl = {sim.url}\ntoken = {token or sim.tokens['EDR']}\n")
        file.write(f"ssl_cert_file = {sim.authority}\nignore_system_proxy = true\n")
    return CbResponseAPI(credential_file=path)


def sensor(cb, number=DEVICE):
    return cb.select(Sensor, number)


def last_put(sim):
    """The object that was sent back last."""
    return json.loads([entry["body"] for entry in sim.logged(0)[0] if entry["method"] == "PUT"][-1])


ROWS = Rows("cbapi for EDR", client, lambda cb: sensor(cb).lr_session(), "cbapi_edr.expected")
row = ROWS.row


@row("start-up", session=False)
def start_up(desk):
    info = client(desk.sim).server_info
    same("live response", (info["cblrEnabled"], info["banningEnabled"]), (True, True))


@row("a wrong token", session=False)
def wrong_token(desk):
    for token in ("0" * 40, desk.sim.token, desk.sim.tokens["v3"], desk.sim.tokens["App Control"]):
        raises(UnauthorizedError, lambda: client(desk.sim, token), "Invalid API token")
    client(desk.sim)


# Sessions


def listed(cb, session_id):
    """What the list has of a session."""
    return [session for session in cb.get_object(SESSIONS) if session["id"] == session_id]


@row("open and close a session", session=False)
def open_and_close(desk):
    session = sensor(desk.cb).lr_session()
    number, books = session.session_id, desk.books()
    same("a number", type(number), int)
    same("open sessions", (books["sessions_opened"], books["sessions_open"]), (1, 1))
    data = session.session_data
    same("of", (data["sensor_id"], data["hostname"], data["status"]), (DEVICE, "DC-0007", "active"))
    same("drives", data["drives"][:1], ["C:\\"])
    same("windows", session.os_type, 1)
    held = desk.cb.get_object(f"{SESSIONS}/{number}")
    session.close()
    # The whole object as it was read, with another status.
    same("close", last_put(desk.sim), dict(held, status="close"))
    books = desk.books()
    same("sessions", (books["sessions_closed"], books["sessions_open"]), (1, 0))
    same("kept in the list", [session["status"] for session in listed(desk.cb, number)], ["close"])
    same("not an active one", desk.cb.get_object(f"{SESSIONS}?active_only=true"), [])


@row("all 15 commands are supported")
def all_supported(desk):
    same("supported", sorted(desk.session.session_data["supported_commands"]), sorted(COMMANDS))


@row("an active session is found in the list and used")
def shared(desk):
    other = sensor(desk.cb).lr_session()
    same("session", other.session_id, desk.session.session_id)
    same("opened", desk.books()["sessions_opened"], 0)


@row("a sensor that nobody knows", session=False)
def unknown_sensor(desk):
    raises(ObjectNotFoundError, lambda: sensor(desk.cb, 424242).refresh())
    error = raises(ObjectNotFoundError, lambda: desk.cb.live_response.request_session(424242))
    same("text", error.message.startswith("Sensor"), True)


@row("a session that nobody knows", session=False)
def unknown_session(desk):
    for act in (
        lambda: desk.cb.get_object(f"{SESSIONS}/4242"),
        lambda: desk.cb.get_object(f"{SESSIONS}/4242/keepalive"),
        lambda: desk.cb.get_object(f"{SESSIONS}/4242/command/1"),
        lambda: desk.cb.post_object(f"{SESSIONS}/4242/command", {"name": "process list"}),
        lambda: desk.cb.put_object(f"{SESSIONS}/4242", {"id": 4242, "status": "close"}),
    ):
        error = raises(ObjectNotFoundError, act)
        same("text", error.message.startswith("Session 4242 not found"), True)


@row("live response is off", session=False)
def live_response_off(desk):
    same("supported", sensor(desk.cb, LR_OFF).supports_cblr, False)
    raises(ApiError, lambda: sensor(desk.cb, LR_OFF).lr_session(), "does not support")
    same("opened", desk.books()["sessions_opened"], 0)


@row("no registry on linux", session=False)
def linux(desk):
    with sensor(desk.cb, LINUX).lr_session() as session:
        assert session.os_type != 1, "windows"
        raises(ApiError, lambda: session.list_registry_keys("HKLM\\X"), "not supported by this sensor")
        same("output", session.create_process("whoami").strip(), b"root")
        names = [entry["filename"] for entry in session.list_directory("/etc/")]
        assert "passwd" in names, names
    desk.ran(create_process=1, get_file=1, delete_file=1, directory_list=1)


@row("keepalive", session=False)
def keepalive(desk):
    manager = LiveResponseSessionManager(desk.cb, timeout=0.5, keepalive_sessions=True)
    session = manager.request_session(DEVICE)
    route = "GET api/v1/cblr/session/{id}/keepalive"
    until(lambda: count(desk.sim, route) >= 2, "two keepalives")
    session.close()
    until(lambda: desk.books()["sessions_open"] == 0, "the session is closed")
    same("leaked", desk.books()["sessions_leaked"], 0)


@row("a lost session is replaced", session=False)
def replaced(desk):
    session = sensor(desk.cb).lr_session()
    lost = session.session_id
    desk.cb.live_response._close_session(lost)
    same("processes", len(session.list_processes()) > 3, True)
    assert session.session_id != lost, "still the lost session"
    session.close()
    books = desk.books()
    same("sessions", (books["sessions_opened"], books["sessions_closed"], books["sessions_open"]), (2, 2, 0))


# Commands


@row("directory list")
def directory_list(desk):
    entries = {entry["filename"]: entry for entry in desk.session.list_directory("C:\\temp\\")}
    same("names", sorted(entries), [".", "..", "a.txt", "b.txt", "large.bin", "locked.txt"])
    same("size", entries["a.txt"]["size"], len(A_TXT))
    assert "DIRECTORY" in entries["."]["attributes"] and "DIRECTORY" not in entries["a.txt"]["attributes"]
    matching = desk.session.list_directory("C:\\temp\\*.txt")
    same("a filter", sorted(entry["filename"] for entry in matching), ["a.txt", "b.txt", "locked.txt"])
    same("one entry", [entry["filename"] for entry in desk.session.list_directory("C:\\temp")], ["temp"])
    desk.ran(directory_list=3)


@row("get file")
def get_file(desk):
    same("content", desk.session.get_file("C:\\temp\\a.txt"), A_TXT)
    desk.ran(get_file=1)
    books = desk.books()
    same("bytes", (books["content_bytes"], books["credentials_leaked"]), (len(A_TXT), 0))


@row("get raw file")
def get_raw_file(desk):
    raw = desk.session.get_raw_file("C:\\temp\\large.bin")
    same("bytes", sum(len(chunk) for chunk in iter(lambda: raw.read(65536), b"")), 3 << 20)


@row("get file that is not there")
def get_missing(desk):
    raises(LiveResponseError, lambda: desk.session.get_file("C:\\temp\\none"), "0x80070002 (ERROR_FILE_NOT_FOUND)")


@row("put an opened file")
def put_opened(desk):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tool.txt")
        with open(path, "wb") as file:
            file.write(b"from an opened file")
        with open(path, "rb") as file:
            desk.session.put_file(file, "C:\\temp\\put1.txt")
    same("content", desk.session.get_file("C:\\temp\\put1.txt"), b"from an opened file")
    same("bytes", desk.books()["upload_bytes"], 19)


@row("put a stream without a name")
def put_stream(desk):
    desk.session.put_file(io.BytesIO(b"hello"), "C:\\temp\\put2.txt")
    same("content", desk.session.get_file("C:\\temp\\put2.txt"), b"hello")


@row("put a stream with a name of ours")
def put_named(desk):
    desk.session.put_file(("named.bin", io.BytesIO(b"\x00\x01")), "C:\\temp\\put3.txt")
    same("content", desk.session.get_file("C:\\temp\\put3.txt"), b"\x00\x01")


@row("put an empty file, and onto an existing one")
def put_empty(desk):
    desk.session.put_file(io.BytesIO(b""), "C:\\temp\\put4.txt")
    same("content", desk.session.get_file("C:\\temp\\put4.txt"), b"")
    again = lambda: desk.session.put_file(io.BytesIO(b"x"), "C:\\temp\\put4.txt")
    raises(LiveResponseError, again, "ERROR_FILE_EXISTS")


@row("delete file")
def delete_file(desk):
    desk.session.delete_file("C:\\temp\\b.txt")
    same("changes", [(c["command"], c["what"], c["code"]) for c in desk.books()["changes"]],
         [("delete file", "C:\\temp\\b.txt", 0)])
    raises(LiveResponseError, lambda: desk.session.delete_file("C:\\temp\\b.txt"), "ERROR_FILE_NOT_FOUND")
    raises(LiveResponseError, lambda: desk.session.delete_file("C:\\temp\\locked.txt"), "ERROR_SHARING_VIOLATION")


@row("create directory")
def create_directory(desk):
    desk.session.create_directory("C:\\temp\\n")
    raises(LiveResponseError, lambda: desk.session.create_directory("C:\\temp\\n"), "ERROR_ALREADY_EXISTS")
    desk.session.delete_file("C:\\temp\\n")


@row("walk")
def walk(desk):
    same("tree", list(desk.session.walk("C:\\walk")), [
        ("C:\\walk", ["inner"], ["one.txt"]),
        ("C:\\walk\\inner", ["deep"], ["two.txt"]),
        ("C:\\walk\\inner\\deep", [], ["three.txt"]),
    ])
    desk.ran(directory_list=3)


@row("process list")
def process_list(desk):
    rows = {row["pid"]: row for row in desk.session.list_processes()}
    notepad = rows[4711]
    same("path", notepad["path"], "c:\\windows\\system32\\notepad.exe")
    for name in ["create_time", "proc_guid", "command_line", "sid", "username", "parent", "parent_guid"]:
        assert name in notepad, f"no {name}"
    same("sid", notepad["sid"], notepad["sid"].lower())
    # The sensor and the process are in the identifier.
    same("guid", notepad["proc_guid"][:18], f"{DEVICE:08x}-0000-{4711:04x}")
    same("System", (rows[4]["path"], rows[4]["command_line"]), ("", ""))


@row("kill")
def kill(desk):
    same("killed", desk.session.kill_process(4711), True)
    assert 4711 not in {row["pid"] for row in desk.session.list_processes()}
    raises(LiveResponseError, lambda: desk.session.kill_process(4711), "0x80070057")
    desk.ran(kill=2, process_list=1)


@row("create process: the output of whoami")
def whoami(desk):
    same("output", desk.session.create_process("cmd.exe /c whoami"), b"nt authority\\system\r\n")
    # The client does not wait for its last command.
    until(lambda: desk.books()["commands"].get("delete file") == 1, "the output is deleted")
    desk.ran(create_process=1, get_file=1, delete_file=1)


@row("create process without waiting")
def without_waiting(desk):
    said = desk.session.create_process(
        "notepad.exe", wait_for_output=False, wait_for_completion=False, working_directory="C:\\")
    same("output", said, None)
    until(lambda: desk.books()["commands"].get("create process") == 1, "it ran")


@row("create process: a named output file, a code other than zero")
def named_output(desk):
    out = desk.session.create_process("failing.exe", remote_output_file_name="C:\\temp\\out.txt")
    same("output", out, b"it failed\r\n")
    until(lambda: desk.books()["commands"].get("delete file") == 1, "the output is deleted")


@row("create process: no such program")
def no_program(desk):
    raises(LiveResponseError, lambda: desk.session.create_process("nobody.exe"), "ERROR_FILE_NOT_FOUND")


@row("reg enum key")
def reg_enum_key(desk):
    seen = desk.session.list_registry_keys_and_values(KEY)
    same("sub keys", seen["sub_keys"], ["Sub"])
    same("values", {value["value_name"]: (value["value_type"], str(value["value_data"])) for value in seen["values"]},
         {"Start": ("REG_DWORD", "2"), "Display": ("REG_SZ", "a display name")})
    same("only values", len(desk.session.list_registry_keys(KEY)), 2)
    raises(LiveResponseError, lambda: desk.session.list_registry_keys("HKLM\\SOFTWARE\\None"), "ERROR_FILE_NOT_FOUND")


@row("reg query value")
def reg_query_value(desk):
    value = desk.session.get_registry_value(KEY + "\\Start")
    same("value", dict(value, value_data=str(value["value_data"])),
         {"value_name": "Start", "value_type": "REG_DWORD", "value_data": "2"})


@row("reg set value")
def reg_set_value(desk):
    session = desk.session
    session.set_registry_value(KEY + "\\a", 1)
    # In this client a list stays as it is.
    session.set_registry_value(KEY + "\\b", ["x", 2])
    session.set_registry_value(KEY + "\\c", "str", overwrite=False)
    again = lambda: session.set_registry_value(KEY + "\\c", "other", overwrite=False)
    raises(LiveResponseError, again, "ERROR_ALREADY_EXISTS")
    values = {value["value_name"]: value for value in session.list_registry_keys(KEY)}
    same("types", [values[name]["value_type"] for name in "abc"], ["REG_DWORD", "REG_MULTI_SZ", "REG_SZ"])
    same("data", (str(values["a"]["value_data"]), values["c"]["value_data"]), ("1", "str"))


@row("reg create key and delete key")
def reg_keys(desk):
    desk.session.create_registry_key(KEY + "\\k")
    desk.session.delete_registry_key(KEY + "\\k")
    raises(LiveResponseError, lambda: desk.session.delete_registry_key(KEY + "\\k"), "ERROR_FILE_NOT_FOUND")


@row("reg delete value")
def reg_delete_value(desk):
    desk.session.delete_registry_value(KEY + "\\Display")
    names = [value["value_name"] for value in desk.session.list_registry_keys(KEY)]
    assert "Display" not in names, names


def dumped(desk, compress):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "dump")
        desk.session.memdump(path, remote_filename="C:\\m.dmp", compress=compress)
        assert os.path.getsize(path) > 0, "an empty dump"
    desk.ran(memdump=1, get_file=1, delete_file=1)
    # Gone again.
    raises(LiveResponseError, lambda: desk.session.get_file("C:\\m.dmp.zip" if compress else "C:\\m.dmp"))


@row("memdump")
def memdump(desk):
    dumped(desk, False)


@row("memdump compressed")
def memdump_compressed(desk):
    dumped(desk, True)


# Several at once


def posted(session, **command):
    """The number of a command that nobody waits for yet."""
    return session._lr_post_command(dict(command, name=command["name"].replace("_", " "))).json()["id"]


@row("the numbers of commands ascend from 1", session=False)
def numbers(desk):
    with sensor(desk.cb).lr_session() as session:
        same("numbers", [posted(session, name="process list") for _ in range(3)], [1, 2, 3])


@row("commands from several threads")
def threads(desk):
    session = desk.session
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(session.list_directory, "C:\\walk\\"),
            pool.submit(session.get_file, "C:\\temp\\a.txt"),
            pool.submit(session.create_process, "cmd.exe /c whoami"),
            pool.submit(session.list_processes),
        ]
        listing, file, output, processes = [job.result(timeout=60) for job in jobs]
    same("names", sorted(entry["filename"] for entry in listing), [".", "..", "inner", "one.txt"])
    same("file", file, A_TXT)
    same("output", output, b"nt authority\\system\r\n")
    assert processes, "no processes"


@row("commands run in the order of their posting")
def in_order(desk):
    session = desk.session
    parent = posted(session, name="reg enum key", object=KEY)
    missing = posted(session, name="reg enum key", object=KEY + "\\later")
    made = posted(session, name="reg create key", object=KEY + "\\later")
    again = posted(session, name="reg create key", object=KEY + "\\later")
    same("numbers", [parent, missing, made, again], list(range(parent, parent + 4)))
    session._poll_command(made)
    assert "later" not in session._poll_command(parent)["sub_keys"]
    raises(LiveResponseError, lambda: session._poll_command(missing), "ERROR_FILE_NOT_FOUND")


@row("jobs by the client's own scheduler", session=False)
def jobs(desk):
    futures = [desk.cb.live_response.submit_job(GetFileJob("C:\\temp\\a.txt").run, DEVICE) for _ in range(2)]
    for future in futures:
        same("content", future.result(timeout=60), A_TXT)
    desk.ran(get_file=2)
    scheduler = desk.cb.live_response._job_scheduler
    until(lambda: DEVICE in scheduler._idle_workers, "its worker idles")
    scheduler._cleanup_idle_workers()
    until(lambda: desk.books()["sessions_open"] == 0, "its worker closed the session")


# Archives


def members(data):
    same("gzip", data[:2], b"\x1f\x8b")
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return [archive.extractfile(member).read() for member in archive.getmembers() if member.isfile()]


@row("the archive of a session", session=False)
def archive(desk):
    with sensor(desk.cb).lr_session() as session:
        number = session.session_id
        raises(ServerError, lambda: desk.cb.session.get(f"{SESSIONS}/{number}/archive"))
        session.get_file("C:\\temp\\a.txt")
        session.list_directory("C:\\walk\\")
        held = members(session.get_session_archive().read())
        assert A_TXT in held, "no file"
        for words in (b"get file", b"directory list", b"one.txt"):
            assert any(words in member for member in held), f"no {words}"
    # It outlives the session.
    assert A_TXT in members(desk.cb.session.get(f"{SESSIONS}/{number}/archive").content)


# Sensors


@row("one sensor", session=False)
def one_sensor(desk):
    one = sensor(desk.cb)
    one.refresh()
    same("sensor", (one.id, one.hostname, one.os_type, one.status), (DEVICE, "DC-0007", 1, "Online"))
    same("live response", (one.supports_cblr, one.supports_isolation, one.is_isolating), (True, True, False))
    raw = one.original_document
    for name in ("uptime", "sensor_uptime", "clock_delta", "physical_memory_size", "num_eventlog_bytes", "boot_id"):
        same(name, (type(raw[name]), raw[name].lstrip("-").isdigit()), (str, True))
    adapter = one.network_interfaces[0]
    same("address", (adapter.ipaddr.count("."), adapter.macaddr.count(":")), (3, 5))
    assert one.registration_time and one.last_checkin_time and one.next_checkin_time


@row("sensors by name, one page", session=False)
def sensors_by_name(desk):
    found = desk.cb.select(Sensor).where("hostname:DC-00")
    same("names", [one.hostname for one in list(found)], ["DC-0007", "DC-0008", "DC-0010"])


@row("the first sensor of a name, and how many", session=False)
def first_sensor(desk):
    same("first", desk.cb.select(Sensor).where("hostname:DC-0008").first().id, 98766)
    same("how many", len(desk.cb.select(Sensor).where("hostname:DC-")), 3)


@row("sensors that are not there", session=False)
def no_sensors(desk):
    for query in ("hostname:nobody", "hostname:dc-0007", "ip:203.0.113.255", "groupid:424242"):
        same(query, list(desk.cb.select(Sensor).where(query)), [])
    same("first", desk.cb.select(Sensor).where("hostname:nobody").first(), None)


@row("all sensors, page by page", session=False)
def all_sensors(desk):
    ids = [one.id for one in desk.cb.select(Sensor).batch_size(10)]
    same("sensors", (len(ids), len(set(ids))), (26, 26))
    same("how many", len(desk.cb.select(Sensor)), 26)
    same("a slice", [one.id for one in desk.cb.select(Sensor)[3:5]], ids[3:5])
    one = sensor(desk.cb)
    address = one.network_interfaces[0].ipaddr
    assert DEVICE in [one.id for one in desk.cb.select(Sensor).where(f"ip:{address}")], address
    assert DEVICE in [other.id for other in desk.cb.select(Sensor).where(f"groupid:{one.group_id}")]


@row("sensors by the older route", session=False)
def older_route(desk):
    older = lambda: SensorQuery(Sensor, desk.cb)
    same("names", sorted(one.hostname for one in older().where("hostname:DC-00")), ["DC-0007", "DC-0008", "DC-0010"])
    same("all", len(older()), 26)
    same("nobody", list(older().where("hostname:nobody")), [])


@row("isolate and release a sensor", session=False, headers=False)
def isolate(desk):
    def quarantined():
        # It is the same device, whichever API is asked.
        url = f"{desk.sim.url}/appservices/v6/orgs/{desk.sim.org}/devices/{DEVICE}"
        return desk.sim.asked(url, headers={"X-Auth-Token": desk.sim.token})["quarantined"]

    one = sensor(desk.cb)
    same("isolated", one.isolate(timeout=30), True)
    same("as another API has it", quarantined(), True)
    # Live Response goes on.
    with one.lr_session() as session:
        same("content", session.get_file("C:\\temp\\a.txt"), A_TXT)
    same("released", one.unisolate(timeout=30), True)
    same("as another API has it", quarantined(), False)


# Processes


def processes(desk, query):
    return desk.cb.select(Process).where(query)


@row("processes by name", session=False)
def processes_by_name(desk):
    found = list(processes(desk, "process_name:calc.exe"))
    same("found", [(one.sensor_id, one.hostname, one.process_pid) for one in found], [(DEVICE, "DC-0007", 4712)])
    one = found[0]
    same("process", (one.process_name, one.os_type), ("calc.exe", "windows"))
    same("path", one.path, "c:\\windows\\system32\\calc.exe")
    same("line", one.cmdline, "calc.exe")
    assert one.start and one.last_update and len(one.process_md5) == 32
    same("guid", one.id[:18], f"{DEVICE:08x}-0000-{4712:04x}")


@row("the first process, grouped", session=False)
def first_process(desk):
    query = processes(desk, "process_name:calc.exe").group_by("id")
    same("first", query.first().process_pid, 4712)
    same("how many", len(processes(desk, "process_name:calc.exe")), 1)
    same("nobody", processes(desk, "process_name:nobody.exe").first(), None)


@row("process queries", session=False)
def process_queries(desk):
    def pids(query):
        return sorted(one.process_pid for one in processes(desk, query))

    md5 = processes(desk, "process_name:calc.exe").first().process_md5
    for query in (
        f"process_md5:{md5}", f"md5:{md5.upper()}", 'path:"c:\\windows\\system32\\calc.exe"', "cmdline:calc.exe",
        "process_name:CALC.EXE", "process_pid:4712", "process_name:calc.exe hostname:DC-0007",
        "process_name:calc.exe AND sensor_id:98765", "process_name:calc.exe -hostname:DC-0008",
        "(process_name:calc.exe OR process_name:nobody.exe) AND start:-48h",
    ):
        assert 4712 in pids(query), query
    for query in (
        "process_name:calc.exe hostname:DC-0008", "process_name:calc.exe -sensor_id:98765",
        "process_name:calc.exe AND NOT hostname:DC-0007",
    ):
        same(query, pids(query), [])
    assert {one.hostname for one in processes(desk, "process_name:svchost.exe")} >= {"DC-0007", "DC-0008"}


@row("a process and the one that began it", session=False)
def details(desk):
    one = processes(desk, "process_name:svchost.exe sensor_id:98765").first()
    one.refresh()
    same("process", (one.process_name, one.sensor_id), ("svchost.exe", DEVICE))
    same("parent", (one.parent.process_name, one.parent.process_pid), ("services.exe", one.parent_pid))
    assert one.process_pid in [child.pid for child in one.parent.children]
    raises(ObjectNotFoundError, lambda: desk.cb.select(Process, "0" * 8 + "-0000-0000-0000-" + "0" * 12).refresh())


@row("more than a page of processes", session=False)
def paged_processes(desk):
    query = processes(desk, "sensor_id:98765").batch_size(10)
    guids = [one.id for one in query]
    same("distinct", len(set(guids)), len(guids))
    same("how many", len(processes(desk, "sensor_id:98765")), len(guids))
    assert len(guids) > 10, len(guids)
    everywhere = processes(desk, "process_name:svchost.exe")
    same("over all pages", len(list(everywhere)), len(everywhere))


@row("every listed process is found")
def every_process(desk):
    running = {row["proc_guid"]: row for row in desk.session.list_processes()}
    found = {one.id: one for one in processes(desk, "sensor_id:98765").group_by("id")}
    same("not found", [row for guid, row in running.items() if guid not in found], [])
    for guid, listed in running.items():
        one = found[guid]
        same(guid, (one.process_pid, one.sensor_id, one.terminated), (listed["pid"], DEVICE, False))
        # Those without a file have names in searches.
        if "\\" in listed["path"]:
            same(guid, (one.path, one.cmdline), (listed["path"], listed["command_line"]))
    others = [one.id for one in found.values() if one.id not in running and not one.terminated]
    same("found, and not running", others, [])


# Binaries and hashes


def some_md5(desk):
    return processes(desk, "process_name:chrome.exe").first().process_md5


@row("a binary", session=False)
def binary(desk):
    md5 = some_md5(desk)
    one = desk.cb.select(Binary, md5.lower())
    content = one.file.read()
    same("content", (hashlib.md5(content).hexdigest(), len(content)), (md5.lower(), one.size))
    assert any(name.lower().endswith("chrome.exe") for name in one.observed_filenames), one.observed_filenames
    ran_on = {process.sensor_id for process in processes(desk, f"process_md5:{md5}")}
    same("ran where it is not", ran_on - {endpoint.id for endpoint in one.endpoints}, set())
    same("banned", one.banned, False)


@row("a binary that nobody knows", session=False)
def unknown_binary(desk):
    one = desk.cb.select(Binary, "ab" * 16)
    raises(ObjectNotFoundError, one.refresh)
    raises(ObjectNotFoundError, lambda: one.file)
    same("banned", one.banned, False)


@row("binaries by search", session=False)
def binaries(desk):
    md5 = some_md5(desk)
    found = list(desk.cb.select(Binary).where(f"md5:{md5}"))
    same("found", [one.md5sum for one in found], [md5.upper()])
    same("nobody", list(desk.cb.select(Binary).where("md5:" + "0" * 32)), [])


@row("ban a hash, and allow it again", session=False)
def ban(desk):
    md5 = "cd" * 16
    banned = desk.cb.create(BannedHash, {"md5hash": md5, "text": "banned", "enabled": True})
    banned.save()
    same("record", (banned.enabled, banned.text, banned.block_count), (True, "banned", 0))
    same("list", [(one.md5hash, one.enabled) for one in desk.cb.select(BannedHash)], [(md5, True)])
    again = {"md5hash": md5, "text": "again", "enabled": True}
    same("twice", raises(ClientError, lambda: desk.cb.post_object(BANNED, again)).error_code, 409)
    record = dict(banned.original_document)
    banned.enabled = False
    banned.save()
    # The text went with the ban, and is put back.
    same("sent back", last_put(desk.sim), dict(record, enabled=False))
    same("record", (banned.enabled, banned.text), (False, "banned"))
    same("not banned", raises(ClientError, lambda: desk.cb.delete_object(f"{BANNED}/{md5}")).error_code, 409)
    raises(ObjectNotFoundError, lambda: desk.cb.select(BannedHash, "0" * 32).refresh())


@row("a binary that is banned", session=False)
def banned_binary(desk):
    md5 = some_md5(desk).lower()
    desk.cb.create(BannedHash, {"md5hash": md5, "text": "seen", "enabled": True}).save()
    same("banned", desk.cb.select(Binary, md5).banned.text, "seen")
    same("by another door", desk.cb.select(BannedHash, md5).enabled, True)
    desk.cb.delete_object(f"{BANNED}/{md5}")


# Without the library: as the command line that the vendor gives as an example does it, for which all but 200 is wrong.


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


if __name__ == "__main__":
    sys.exit(ROWS.main(*sys.argv[1:]))
