"""What the official Python client of the v3 API makes of the simulator: Live Response and devices, row by row.

    python cbapi_v3.py PROGRAM tls [ROW…]

Each row is done by `cbapi` 1.7 as its users would; then the simulator's books say what really ran, and its log
says what was sent, which must be what is known of this client (cbapi_v3.expected). It speaks TLS alone.
"""

import io
import os
import sys

sys.dont_write_bytecode = True

import live_response
from live_response import A_TXT, DEVICE, KEY, LINUX, LR_OFF, SUPPORTED, Dialect, posted
from rows import Rows, raises, same, until

from cbapi.errors import ApiError, ClientError, ObjectNotFoundError, UnauthorizedError
from cbapi.live_response_api import GetFileJob, LiveResponseError
from cbapi.psc.cblr import LiveResponseSession, LiveResponseSessionManager
from cbapi.psc.defense import CbDefenseAPI, Device

NOBODY = 90210
SESSION = "/integrationServices/v3/cblr/session"


def client(sim):
    path = os.path.join(sim.dir.name, "credentials.psc")
    with open(path, "w") as file:
        file.write(f"[simulated]\nurl = {sim.url}\ntoken = {sim.tokens['v3']}\n")
        file.write(f"ssl_cert_file = {sim.authority}\nignore_system_proxy = true\n")
    os.chmod(path, 0o600)
    return CbDefenseAPI(credential_file=path, profile="simulated", integration_name="interop/1.0")


def opened(cb, device=DEVICE):
    return cb.select(Device, device).lr_session()


DIALECT = Dialect(
    command_failed=LiveResponseError,
    not_supported=ApiError,
    device_word="sensor",
    values_of=LiveResponseSession.list_registry_keys,
)
ROWS = Rows("cbapi for v3", client, opened, "cbapi_v3.expected", DIALECT)
row = ROWS.row

# Sessions


@row("open and close a session", session=False)
def open_and_close(desk):
    session = live_response.opened(desk)
    same("device", (session.session_data["sensor_id"], session.session_id.split(":")[1]), (DEVICE, str(DEVICE)))
    live_response.closed(desk, session)
    raises(ObjectNotFoundError, lambda: desk.cb.get_object(f"{SESSION}/{session.session_id}"), "Session not found")


@row("all 15 commands are supported, in the order of the reference")
def all_supported(desk):
    same("supported", desk.session.session_data["supported_commands"], SUPPORTED)


row("a second request gives the same session")(live_response.shared)


@row("a device that nobody knows", session=False)
def unknown_device(desk):
    raises(ObjectNotFoundError, lambda: desk.cb.select(Device, NOBODY).name)
    raises(ObjectNotFoundError, lambda: desk.open(NOBODY), "Unable to find: sensorId")


@row("live response is off", session=False)
def live_response_off(desk):
    raises(ClientError, lambda: desk.open(LR_OFF), "disabled")
    same("opened", desk.books()["sessions_opened"], 0)


row("no registry on linux", session=False)(live_response.no_registry)


@row("keepalive", session=False)
def keepalive(desk):
    manager = LiveResponseSessionManager(desk.cb, timeout=0.5, keepalive_sessions=True)
    with live_response.kept_alive(desk, manager, "GET v3/cblr/session/{id}/keepalive") as session:
        # Who has asked for it twice holds it twice.
        same("session", manager.request_session(DEVICE).session_id, session.session_id)
        session.close()


row("a lost session is replaced", session=False)(live_response.replaced)

# Commands

ROWS.take(live_response.COMMANDS)

# Several at once. This client has no commands that it does not wait for; its own requests are sent for them.


@row("commands run in the order of their posting, and are numbered from 0", session=False)
def in_order(desk):
    with desk.open() as session:
        ids = [
            posted(session, "reg enum key", object=KEY),
            posted(session, "reg enum key", object=KEY + "\\later"),
            posted(session, "reg create key", object=KEY + "\\later"),
            posted(session, "create directory", object="C:\\temp\\twice"),
            posted(session, "create directory", object="C:\\temp\\twice"),
        ]
        same("ids", ids, [0, 1, 2, 3, 4])
        assert "later" not in session._poll_command(0)["sub_keys"]
        raises(LiveResponseError, lambda: session._poll_command(1), "ERROR_FILE_NOT_FOUND")
        session._poll_command(2)
        session._poll_command(3)
        raises(LiveResponseError, lambda: session._poll_command(4), "ERROR_ALREADY_EXISTS")
        session.delete_registry_key(KEY + "\\later")
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
    slow = posted(session, "create process", object="slow.exe", wait=True)
    waiting = posted(session, "get file", object="C:\\temp\\a.txt")
    url = f"{SESSION}/{session.session_id}/command/{waiting}"
    same("status", desk.cb.get_object(url)["status"], "pending")
    desk.cb.put_object(url, {"id": waiting, "status": "cancel"})
    same("status", desk.cb.get_object(url)["status"], "cancel")
    same("slow", session._poll_command(slow)["return_code"], 0)
    desk.ran(create_process=1)


@row("jobs by the client's own scheduler", session=False)
def jobs(desk):
    live_response.two_jobs(desk, GetFileJob)
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


def refused(desk, key):
    with desk.another_key(key):
        raises(UnauthorizedError, lambda: list(desk.cb.select(Device)))
        raises(UnauthorizedError, lambda: desk.cb.live_response.request_session(DEVICE))


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
    with desk.another_key("{csp_oauth_app_secret}/{csp_oauth_app_id}".format(**desk.sim.csp)), desk.open() as session:
        same("content", session.get_file("C:\\temp\\a.txt"), A_TXT)


# The service in other years


@row("files with UUIDs", scenario="cbapi_v3_ways.yaml")
def uuids(desk):
    desk.session.put_file(io.BytesIO(b"hello"), "C:\\temp\\put.txt")
    same("content", desk.session.get_file("C:\\temp\\put.txt"), b"hello")
    file_id = desk.session._upload_file(io.BytesIO(b""))
    same("parts of a number", [len(part) for part in file_id.split("-")], [8, 4, 4, 4, 12])


@row("types of values with a prefix", scenario="cbapi_v3_ways.yaml")
def prefixed(desk):
    value = desk.session.get_registry_value(KEY + "\\Start")
    same("value", (value["value_name"], value["value_type"]), ("Start", "pbREG_DWORD"))


@row("sessions are listed", scenario="cbapi_v3_ways.yaml")
def listed(desk):
    seen = desk.cb.get_object(SESSION)
    same("sessions", [(session["id"], session["status"]) for session in seen], [(desk.session.session_id, "ACTIVE")])


if __name__ == "__main__":
    sys.exit(ROWS.main(*sys.argv[1:]))
