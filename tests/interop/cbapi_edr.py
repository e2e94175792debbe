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

sys.dont_write_bytecode = True

import edr_by_hand
import live_response
from edr_by_hand import SESSIONS
from live_response import A_TXT, DEVICE, KEY, LR_OFF, Dialect, posted
from rows import Rows, raises, same, until

from cbapi.errors import ApiError, ClientError, ObjectNotFoundError, ServerError, UnauthorizedError
from cbapi.live_response_api import GetFileJob, LiveResponseError
from cbapi.response import Binary, CbResponseAPI, Process, Sensor
from cbapi.response.cblr import LiveResponseSession, LiveResponseSessionManager
from cbapi.response.models import BannedHash, SensorQuery

BANNED = "/api/v1/banning/blacklist"

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


def opened(cb, number=DEVICE):
    return sensor(cb, number).lr_session()


DIALECT = Dialect(
    command_failed=LiveResponseError,
    not_supported=ApiError,
    device_word="sensor",
    values_of=LiveResponseSession.list_registry_keys,
    process_members=("create_time", "proc_guid", "command_line", "sid", "username", "parent", "parent_guid"),
    linux=3,
)
ROWS = Rows("cbapi for EDR", client, opened, "cbapi_edr.expected", DIALECT)
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
    session = live_response.opened(desk)
    number = session.session_id
    same("a number", type(number), int)
    data = session.session_data
    same("of", (data["sensor_id"], data["hostname"], data["status"]), (DEVICE, "DC-0007", "active"))
    held = desk.cb.get_object(f"{SESSIONS}/{number}")
    live_response.closed(desk, session)
    # The whole object as it was read, with another status.
    same("close", last_put(desk.sim), dict(held, status="close"))
    same("kept in the list", [session["status"] for session in listed(desk.cb, number)], ["close"])
    same("not an active one", desk.cb.get_object(f"{SESSIONS}?active_only=true"), [])


row("all 15 commands are supported")(live_response.all_supported)
row("an active session is found in the list and used")(live_response.shared)


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
    raises(ApiError, lambda: desk.open(LR_OFF), "does not support")
    same("opened", desk.books()["sessions_opened"], 0)


row("no registry on linux", session=False)(live_response.no_registry)


@row("keepalive", session=False)
def keepalive(desk):
    manager = LiveResponseSessionManager(desk.cb, timeout=0.5, keepalive_sessions=True)
    with live_response.kept_alive(desk, manager, "GET api/v1/cblr/session/{id}/keepalive"):
        pass


row("a lost session is replaced", session=False)(live_response.replaced)

# Commands


def directory_list(desk):
    live_response.listing(desk)
    matching = desk.session.list_directory("C:\\temp\\*.txt")
    same("a filter", sorted(entry["filename"] for entry in matching), ["a.txt", "b.txt", "locked.txt"])
    same("one entry", [entry["filename"] for entry in desk.session.list_directory("C:\\temp")], ["temp"])
    desk.ran(directory_list=3)


def process_list(desk):
    running = live_response.processes(desk)
    notepad, system = running[4711], running[4]
    for text in (notepad["path"], notepad["sid"]):
        same("in lower case", text, text.lower())
    # The sensor and the process are in the identifier.
    same("guid", notepad["proc_guid"][:18], f"{DEVICE:08x}-0000-{4711:04x}")
    same("System", (system["path"], system["command_line"]), ("", ""))


ROWS.take(live_response.COMMANDS, instead={"directory list": directory_list, "process list": process_list})

# Several at once


@row("the numbers of commands ascend from 1", session=False)
def numbers(desk):
    with desk.open() as session:
        same("numbers", [posted(session, "process list") for _ in range(3)], [1, 2, 3])


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
    parent = posted(session, "reg enum key", object=KEY)
    missing = posted(session, "reg enum key", object=KEY + "\\later")
    made = posted(session, "reg create key", object=KEY + "\\later")
    again = posted(session, "reg create key", object=KEY + "\\later")
    same("numbers", [parent, missing, made, again], list(range(parent, parent + 4)))
    session._poll_command(made)
    assert "later" not in session._poll_command(parent)["sub_keys"]
    raises(LiveResponseError, lambda: session._poll_command(missing), "ERROR_FILE_NOT_FOUND")


@row("jobs by the client's own scheduler", session=False)
def jobs(desk):
    live_response.two_jobs(desk, GetFileJob)
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
    with desk.open() as session:
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


ROWS.take(edr_by_hand.ROWS)


if __name__ == "__main__":
    sys.exit(ROWS.main(*sys.argv[1:]))
