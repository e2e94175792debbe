"""What the official Python client of the v3 API makes of the simulator: Live Response and devices, row by row.

    python cbapi_v3.py PROGRAM tls [ROW…]

Each row is done by `cbapi` 1.7 as its users would; then the simulator's books say what really ran, and its log
says what was sent, which must be what is known of this client (cbapi_v3.expected). It speaks TLS alone.
"""

import io
import os
import sys
import tempfile

sys.dont_write_bytecode = True

from rows import Rows, raises, same, until

from cbapi.errors import ApiError, ClientError, ObjectNotFoundError, UnauthorizedError
from cbapi.live_response_api import GetFileJob, LiveResponseError
from cbapi.psc.cblr import LiveResponseSessionManager
from cbapi.psc.defense import CbDefenseAPI, Device

DEVICE, LINUX, LR_OFF, NOBODY = 98765, 98767, 98768, 90210
SESSION = "/integrationServices/v3/cblr/session"
A_TXT = b"first line\nsecond line\n"
# In the order of the reference.
COMMANDS = [
    "put file", "get file", "memdump", "create directory", "delete file", "directory list", "reg enum key",
    "reg query value", "reg create key", "reg delete key", "reg delete value", "reg set value", "process list",
    "kill", "create process",
]


def client(sim):
    path = os.path.join(sim.dir.name, "credentials.psc")
    with open(path, "w") as file:
        file.write(f"[simulated]\nurl = {sim.url}\ntoken = {sim.tokens['v3']}\n")
        file.write(f"ssl_cert_file = {sim.authority}\nignore_system_proxy = true\n")
    os.chmod(path, 0o600)
    return CbDefenseAPI(credential_file=path, profile="simulated", integration_name="interop/1.0")


ROWS = Rows("cbapi for v3", client, lambda cb: cb.select(Device, DEVICE).lr_session(), "cbapi_v3.expected")
row = ROWS.row

# Sessions


@row("open and close a session", session=False)
def open_and_close(desk):
    session = desk.cb.select(Device, DEVICE).lr_session()
    books = desk.books()
    same("open sessions", (books["sessions_opened"], books["sessions_open"]), (1, 1))
    data = session.session_data
    same("drives", data["drives"][:1], ["C:\\"])
    same("device", (data["sensor_id"], session.session_id.split(":")[1]), (DEVICE, str(DEVICE)))
    same("windows", session.os_type, 1)
    session.close()
    books = desk.books()
    same("sessions", (books["sessions_closed"], books["sessions_open"]), (1, 0))
    raises(ObjectNotFoundError, lambda: desk.cb.get_object(f"{SESSION}/{session.session_id}"), "Session not found")


@row("all 15 commands are supported, in the order of the reference")
def all_supported(desk):
    same("supported", desk.session.session_data["supported_commands"], COMMANDS)


@row("a second request gives the same session")
def shared(desk):
    other = desk.cb.select(Device, DEVICE).lr_session()
    same("session", other.session_id, desk.session.session_id)
    same("opened", desk.books()["sessions_opened"], 0)


@row("a device that nobody knows", session=False)
def unknown_device(desk):
    raises(ObjectNotFoundError, lambda: desk.cb.select(Device, NOBODY).name)
    raises(ObjectNotFoundError, lambda: desk.cb.select(Device, NOBODY).lr_session(), "Unable to find: sensorId")


@row("live response is off", session=False)
def live_response_off(desk):
    raises(ClientError, lambda: desk.cb.select(Device, LR_OFF).lr_session(), "disabled")
    same("opened", desk.books()["sessions_opened"], 0)


@row("no registry on linux", session=False)
def linux(desk):
    with desk.cb.select(Device, LINUX).lr_session() as session:
        same("os", session.os_type, 2)
        same("drives", session.session_data["drives"], ["/"])
        raises(ApiError, lambda: session.list_registry_keys("HKLM\\X"), "not supported by this sensor")
        assert session.create_process("whoami").strip() == b"root"
        names = [entry["filename"] for entry in session.list_directory("/etc/")]
        assert "passwd" in names, names
    desk.ran(create_process=1, get_file=1, delete_file=1, directory_list=1)


@row("keepalive", session=False)
def keepalive(desk):
    manager = LiveResponseSessionManager(desk.cb, timeout=0.5, keepalive_sessions=True)
    session = manager.request_session(DEVICE)
    route = "GET v3/cblr/session/{id}/keepalive"
    until(lambda: desk.books()["requests"].get(route, 0) >= 2, "two keepalives")
    # Who has asked for it twice holds it twice.
    same("session", manager.request_session(DEVICE).session_id, session.session_id)
    session.close()
    session.close()
    until(lambda: desk.books()["sessions_open"] == 0, "the session is closed")
    same("leaked", desk.books()["sessions_leaked"], 0)


@row("a lost session is replaced", session=False)
def replaced(desk):
    session = desk.cb.select(Device, DEVICE).lr_session()
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
    desk.ran(directory_list=1)


@row("get file")
def get_file(desk):
    same("content", desk.session.get_file("C:\\temp\\a.txt"), A_TXT)
    desk.ran(get_file=1)


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
    assert rows[4711]["path"].lower().endswith("\\windows\\system32\\notepad.exe"), rows[4711]["path"]
    for name in ["command_line", "username", "sid", "parent", "create_time"]:
        assert name in rows[4711], f"no {name}"
    assert 4 in rows, "no System"


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
    seen = desk.session.list_registry_keys_and_values("HKLM\\SOFTWARE\\Interop")
    same("sub keys", seen["sub_keys"], ["Sub"])
    same("values", {value["value_name"]: str(value["value_data"]) for value in seen["values"]},
         {"Start": "2", "Display": "a display name"})
    same("only values", len(desk.session.list_registry_keys("HKLM\\SOFTWARE\\Interop")), 2)
    raises(LiveResponseError, lambda: desk.session.list_registry_keys("HKLM\\SOFTWARE\\None"), "ERROR_FILE_NOT_FOUND")


@row("reg query value")
def reg_query_value(desk):
    value = desk.session.get_registry_value("HKLM\\SOFTWARE\\Interop\\Start")
    # A number, or a number as text.
    value["value_data"] = int(value["value_data"])
    same("value", value, {"value_name": "Start", "value_type": "REG_DWORD", "value_data": 2})


@row("reg set value")
def reg_set_value(desk):
    key = "HKLM\\SOFTWARE\\Interop\\"
    desk.session.set_registry_value(key + "a", 1)
    desk.session.set_registry_value(key + "b", ["x", 2])
    desk.session.set_registry_value(key + "c", "str", overwrite=False)
    again = lambda: desk.session.set_registry_value(key + "c", "other", overwrite=False)
    raises(LiveResponseError, again, "ERROR_ALREADY_EXISTS")
    seen = {value["value_name"]: (value["value_type"], value["value_data"])
            for value in desk.session.list_registry_keys("HKLM\\SOFTWARE\\Interop")}
    same("types", [seen[name][0] for name in "abc"], ["REG_DWORD", "REG_MULTI_SZ", "REG_SZ"])
    same("text", seen["c"][1], "str")
    same("number", int(seen["a"][1]), 1)
    # An array, or its texts in one.
    several = seen["b"][1]
    same("texts", several if isinstance(several, str) else ",".join(several), "x,2")


@row("reg create key and delete key")
def reg_keys(desk):
    desk.session.create_registry_key("HKLM\\SOFTWARE\\Interop\\k")
    desk.session.delete_registry_key("HKLM\\SOFTWARE\\Interop\\k")
    gone = lambda: desk.session.delete_registry_key("HKLM\\SOFTWARE\\Interop\\k")
    raises(LiveResponseError, gone, "ERROR_FILE_NOT_FOUND")


@row("reg delete value")
def reg_delete_value(desk):
    desk.session.delete_registry_value("HKLM\\SOFTWARE\\Interop\\Display")
    names = [value["value_name"] for value in desk.session.list_registry_keys("HKLM\\SOFTWARE\\Interop")]
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


# Several at once. This client has no commands that it does not wait for; its own requests are sent for them.


def posted(session, name, operand, **more):
    return session._lr_post_command({"name": name, "object": operand, **more}).json()["id"]


@row("commands run in the order of their posting, and are numbered from 0", session=False)
def in_order(desk):
    key = "HKLM\\SOFTWARE\\Interop"
    with desk.cb.select(Device, DEVICE).lr_session() as session:
        ids = [
            posted(session, "reg enum key", key),
            posted(session, "reg enum key", key + "\\later"),
            posted(session, "reg create key", key + "\\later"),
            posted(session, "create directory", "C:\\temp\\twice"),
            posted(session, "create directory", "C:\\temp\\twice"),
        ]
        same("ids", ids, [0, 1, 2, 3, 4])
        assert "later" not in session._poll_command(0)["sub_keys"]
        raises(LiveResponseError, lambda: session._poll_command(1), "ERROR_FILE_NOT_FOUND")
        session._poll_command(2)
        session._poll_command(3)
        raises(LiveResponseError, lambda: session._poll_command(4), "ERROR_ALREADY_EXISTS")
        session.delete_registry_key(key + "\\later")
        session.delete_file("C:\\temp\\twice")


@row("a dump begins, and other work goes on")
def dump_meanwhile(desk):
    dump = desk.session.start_memdump(remote_filename="C:\\s.dmp", compress=False)
    same("content", desk.session.get_file("C:\\temp\\a.txt"), A_TXT)
    dump.wait()
    dump.delete()
    desk.ran(memdump=1, get_file=1, delete_file=1)


@row("cancel")
def cancel(desk):
    session = desk.session
    slow = posted(session, "create process", "slow.exe", wait=True)
    waiting = posted(session, "get file", "C:\\temp\\a.txt")
    url = f"{SESSION}/{session.session_id}/command/{waiting}"
    same("status", desk.cb.get_object(url)["status"], "pending")
    desk.cb.put_object(url, {"id": waiting, "status": "cancel"})
    same("status", desk.cb.get_object(url)["status"], "cancel")
    same("slow", session._poll_command(slow)["return_code"], 0)
    desk.ran(create_process=1)


@row("jobs by the client's own scheduler", session=False)
def jobs(desk):
    futures = [desk.cb.live_response.submit_job(GetFileJob("C:\\temp\\a.txt").run, DEVICE) for _ in range(2)]
    for future in futures:
        same("content", future.result(timeout=60), A_TXT)
    desk.ran(get_file=2)
    # Its worker idles on an open session until it is told to go.
    desk.cb.live_response._job_scheduler._job_workers[DEVICE].job_queue.put(None)
    until(lambda: desk.books()["sessions_open"] == 0, "the worker's session is closed")


# Devices


@row("device list", session=False)
def device_list(desk):
    devices = list(desk.cb.select(Device))
    same("devices", len({device.deviceId for device in devices}), 26)
    device = next(device for device in devices if device.deviceId == DEVICE)
    same("device", (device.name, device.deviceType, device.policyName), ("DC-0007", "WINDOWS", "Standard"))


@row("device count", session=False)
def device_count(desk):
    same("length", len(desk.cb.select(Device)), 26)
    same("length", len(desk.cb.select(Device).where("hostNameExact:DC-0007")), 1)


@row("device by its number", session=False)
def device_by_id(desk):
    device = desk.cb.select(Device, LINUX)
    device.refresh()
    same("device", (device.name, device.deviceType, device.deviceId), ("srv-0009", "LINUX", LINUX))


@row("the first device", session=False)
def first_device(desk):
    assert desk.cb.select(Device).first().deviceId > 0


@row("device filters", session=False)
def filters(desk):
    cb = desk.cb
    names = lambda query: sorted(device.name for device in query)
    same("exact", names(cb.select(Device).where("hostNameExact:DC-0007")), ["DC-0007"])
    same("part", names(cb.select(Device).where("hostName:DC-")), ["DC-0007", "DC-0008", "DC-0010"])
    device = cb.select(Device).where("hostNameExact:DC-0008").one()
    same("address", names(cb.select(Device).where(f"ipAddress:{device.lastInternalIpAddress}")), ["DC-0008"])
    owned = names(cb.select(Device).where(f"ownerName:{device.email}"))
    assert "DC-0008" in owned, owned
    both = cb.select(Device).where("hostName:DC-").and_(f"ipAddress:{device.lastInternalIpAddress}")
    same("both", names(both), ["DC-0008"])
    same("nobody", names(cb.select(Device).where("hostNameExact:nobody")), [])


@row("more devices than a page holds", session=False, scenario="cbapi_v3_many.yaml")
def pages(desk):
    devices = list(desk.cb.select(Device))
    same("devices", (len(devices), len({device.deviceId for device in devices})), (205, 205))
    same("some of them", len(desk.cb.select(Device)[150:160]), 10)


# Keys


def refused(desk, token):
    header = desk.cb.session.token_header
    right = header["X-Auth-Token"]
    header["X-Auth-Token"] = token
    try:
        raises(UnauthorizedError, lambda: list(desk.cb.select(Device)))
        raises(UnauthorizedError, lambda: desk.cb.live_response.request_session(DEVICE))
    finally:
        header["X-Auth-Token"] = right


@row("a wrong key", session=False)
def wrong_key(desk):
    refused(desk, "NOT/THIS")


@row("a key of v6", session=False)
def key_of_v6(desk):
    refused(desk, desk.sim.token)


@row("the key is not good for v6", session=False)
def not_for_v6(desk):
    raises(UnauthorizedError, lambda: desk.cb.get_object(f"/appservices/v6/orgs/{desk.sim.org}/devices/{DEVICE}"))


@row("an app in place of a key", session=False)
def app(desk):
    said = dict(line.split(" = ", 1) for line in desk.sim.talk().splitlines() if line.startswith("csp_"))
    header = desk.cb.session.token_header
    right = header["X-Auth-Token"]
    header["X-Auth-Token"] = "{csp_oauth_app_secret}/{csp_oauth_app_id}".format(**said)
    try:
        with desk.cb.select(Device, DEVICE).lr_session() as session:
            same("content", session.get_file("C:\\temp\\a.txt"), A_TXT)
    finally:
        header["X-Auth-Token"] = right


# The service in other years


@row("files with UUIDs", scenario="cbapi_v3_ways.yaml")
def uuids(desk):
    desk.session.put_file(io.BytesIO(b"hello"), "C:\\temp\\put.txt")
    same("content", desk.session.get_file("C:\\temp\\put.txt"), b"hello")
    file_id = desk.session._upload_file(io.BytesIO(b""))
    same("parts of a number", [len(part) for part in file_id.split("-")], [8, 4, 4, 4, 12])


@row("types of values with a prefix", scenario="cbapi_v3_ways.yaml")
def prefixed(desk):
    value = desk.session.get_registry_value("HKLM\\SOFTWARE\\Interop\\Start")
    same("value", (value["value_name"], value["value_type"]), ("Start", "pbREG_DWORD"))


@row("sessions are listed", scenario="cbapi_v3_ways.yaml")
def listed(desk):
    seen = desk.cb.get_object(SESSION)
    same("sessions", [(session["id"], session["status"]) for session in seen], [(desk.session.session_id, "ACTIVE")])


if __name__ == "__main__":
    sys.exit(ROWS.main(*sys.argv[1:]))
