"""What the official Python client makes of the simulator: Live Response and devices, row by row.

    python cbc_sdk_v6.py PROGRAM tls|http [ROW…]

Each row is done by `cbc_sdk` as its users would; then the simulator's books say what really ran, and its log
says what was sent, which must be what is known of this client (cbc_sdk_v6.expected).
"""

import os
import sys

sys.dont_write_bytecode = True

import live_response
from live_response import A_TXT, DEVICE, KEY, LINUX, LR_OFF, Dialect
from rows import Rows, raises, same, until

from cbc_sdk import CBCloudAPI
from cbc_sdk.errors import ApiError, ClientError, ObjectNotFoundError, QuerySyntaxError, UnauthorizedError
from cbc_sdk.live_response_api import GetFileJob, LiveResponseError, LiveResponseSession, LiveResponseSessionManager
from cbc_sdk.platform import Device


def client(sim):
    kwargs = dict(token=sim.token, org_key=sim.org, integration_name="interop/1.0")
    if sim.url.startswith("https:"):
        # By a file, which is the only way to name an authority.
        path = os.path.join(sim.dir.name, "credentials.cbc")
        with open(path, "w") as file:
            file.write(f"[simulated]\nurl = {sim.url}\ntoken = {sim.token}\norg_key = {sim.org}\n")
            file.write(f"ssl_cert_file = {sim.authority}\nignore_system_proxy = true\n")
        os.chmod(path, 0o600)
        return CBCloudAPI(credential_file=path, profile="simulated", integration_name="interop/1.0")
    # The client refuses any address without https://; once made, it does not look again.
    cb = CBCloudAPI(url=sim.url.replace("http://", "https://"), **kwargs)
    # Its retries hang on the address too.
    cb.session.session.mount(sim.url, cb.session.session.get_adapter(cb.session.server))
    cb.session.server = sim.url
    cb.session.proxies = {"http": "", "https": "", "no": "pass"}
    return cb


def opened(cb, device=DEVICE):
    return cb.select(Device, device).lr_session()


DIALECT = Dialect(
    command_failed=LiveResponseError,
    not_supported=ApiError,
    device_word="device",
    values_of=LiveResponseSession.list_registry_values,
    pid="process_pid",
    path="process_path",
    process_members=("process_cmdline", "process_username", "sid", "parent_pid", "process_create_time"),
    value_members=("registry_name", "registry_type", "registry_data"),
    type_prefix="pb",
    walked="\\",
    leaks=1,
)
ROWS = Rows("cbc_sdk", client, opened, "cbc_sdk_v6.expected", DIALECT)
row = ROWS.row

# Sessions


@row("open and close a session", session=False)
def open_and_close(desk):
    session = live_response.opened(desk)
    live_response.closed(desk, session)
    url = f"/appservices/v6/orgs/{desk.sim.org}/liveresponse/sessions/{session.session_id}"
    raises(ObjectNotFoundError, lambda: desk.cb.get_object(url), "NOT_FOUND")


row("all 15 commands are supported")(live_response.all_supported)
row("a second request gives the same session")(live_response.shared)


@row("a device that nobody knows", session=False)
def unknown_device(desk):
    raises(ObjectNotFoundError, lambda: desk.cb.select(Device, -1))
    raises(ObjectNotFoundError, lambda: desk.cb.live_response.request_session(-1), "NOT_FOUND")


@row("live response is off", session=False)
def live_response_off(desk):
    raises(ClientError, lambda: desk.open(LR_OFF), "disabled")
    same("opened", desk.books()["sessions_opened"], 0)


row("no registry on linux", session=False)(live_response.no_registry)


@row("keepalive", session=False)
def keepalive(desk):
    manager = LiveResponseSessionManager(desk.cb, timeout=0.5, keepalive_sessions=True)
    try:
        with live_response.kept_alive(desk, manager, "GET liveresponse/sessions/{id}/keepalive") as session:
            same("status", manager.session_status(session.session_id), "ACTIVE")
    finally:
        manager.stop_keepalive_thread()


@row("session in async mode", session=False)
def async_session(desk):
    session_id, future = desk.cb.select(Device, DEVICE).lr_session(async_mode=True)
    session = future.result(timeout=30)
    same("id", session.session_id, session_id)
    session.close()
    same("open", desk.books()["sessions_open"], 0)


row("a lost session is replaced", session=False)(live_response.replaced)

# Commands

ROWS.take(live_response.COMMANDS)

# Several at once


@row("commands in async mode")
def async_mode(desk):
    session = desk.session
    submitted = {
        "listing": session.list_directory("C:\\walk\\", async_mode=True),
        "file": session.get_file("C:\\temp\\a.txt", async_mode=True),
        "output": session.create_process("cmd.exe /c whoami", async_mode=True),
        "processes": session.list_processes(async_mode=True),
        "made": session.create_directory("C:\\temp\\async", async_mode=True),
    }
    done = {name: future.result(timeout=60) for name, (_, future) in submitted.items()}
    same("names", sorted(entry["filename"] for entry in done["listing"]), [".", "..", "inner", "one.txt"])
    same("file", done["file"], A_TXT)
    same("output", done["output"], b"nt authority\\system\r\n")
    ids = [number for number, _ in submitted.values()]
    same("ids ascend", ids, sorted(ids))
    same("status", session.command_status(ids[0]), "COMPLETE")


@row("commands run in the order of their posting")
def in_order(desk):
    session = desk.session
    _, parent = session.list_registry_keys_and_values(KEY, async_mode=True)
    _, missing = session.list_registry_keys_and_values(KEY + "\\later", async_mode=True)
    _, made = session.create_registry_key(KEY + "\\later", async_mode=True)
    assert "later" not in parent.result(timeout=30)["sub_keys"]
    raises(LiveResponseError, lambda: missing.result(timeout=30), "ERROR_FILE_NOT_FOUND")
    made.result(timeout=30)
    first = session.create_directory("C:\\temp\\twice", async_mode=True)[1]
    second = session.create_directory("C:\\temp\\twice", async_mode=True)[1]
    first.result(timeout=30)
    raises(LiveResponseError, lambda: second.result(timeout=30), "ERROR_ALREADY_EXISTS")


@row("cancel")
def cancel(desk):
    session = desk.session
    slow, running = session.create_process("slow.exe", wait_for_output=False, async_mode=True)
    number, waiting = session.get_file("C:\\temp\\a.txt", async_mode=True)
    same("status", session.command_status(number), "PENDING")
    session.cancel_command(number)
    same("status", session.command_status(number), "CANCELLED")
    raises(ApiError, lambda: waiting.result(timeout=30), "cancelled")
    raises(ApiError, lambda: session.cancel_command(number), "Cannot cancel command in status CANCELLED")
    running.result(timeout=30)
    raises(ApiError, lambda: session.cancel_command(slow), "Cannot cancel command in status COMPLETE")
    desk.ran(create_process=1)


@row("jobs by the client's own scheduler", session=False)
def jobs(desk):
    live_response.two_jobs(desk, GetFileJob)
    # Its worker idles on an open session; nobody else would close it.
    for session in desk.cb.get_object(f"/appservices/v6/orgs/{desk.sim.org}/liveresponse/sessions"):
        desk.cb.live_response._close_session(session["id"])


# Devices


@row("device list", session=False)
def device_list(desk):
    devices = list(desk.cb.select(Device))
    same("devices", len({device.id for device in devices}), 26)
    device = next(device for device in devices if device.id == DEVICE)
    same("device", (device.name, device.os, device.policy_name), ("DC-0007", "WINDOWS", "Standard"))
    same("length", len(desk.cb.select(Device)), 26)


@row("device first, query, criteria and sort", session=False)
def device_first(desk):
    query = desk.cb.select(Device).set_os(["WINDOWS"]).where("name:WS").sort_by("name", "DESC")
    assert query.first().os == "WINDOWS"
    found = desk.cb.select(Device).set_os(["WINDOWS"]).where("name:DC-*").sort_by("name", "DESC")
    same("names", [device.name for device in found], ["DC-0010", "DC-0008", "DC-0007"])
    only = desk.cb.select(Device).set_device_ids([DEVICE]).set_last_contact_time(range="-1d")
    same("ids", [device.id for device in only], [DEVICE])


@row("device scroll", session=False)
def device_scroll(desk):
    query = desk.cb.select(Device).set_status(["ACTIVE"])
    pages = []
    while query.num_remaining != 0:
        pages.append([device.id for device in query.scroll(10)])
    same("pages", [len(page) for page in pages], [10, 10, 6])
    same("devices", len({id for page in pages for id in page}), 26)


@row("facets", session=False)
def facets(desk):
    by_field = {facet.field: facet for facet in desk.cb.select(Device).facets(["os", "policy_id"])}
    totals = {value.id: value.total for value in by_field["os"].values_}
    same("by os", totals, {"WINDOWS": 25, "LINUX": 1})
    linux = [value for value in by_field["os"].values_ if value.id == "LINUX"][0]
    same("devices of a value", [device.id for device in linux.query_devices()], [LINUX])


@row("a query with wrong syntax", session=False)
def wrong_query(desk):
    raises(QuerySyntaxError, lambda: list(desk.cb.select(Device).where("name:(")))


@row("quarantine one device", session=False)
def quarantine(desk):
    device = desk.cb.select(Device, DEVICE)
    device.quarantine(True)
    until(lambda: device.refresh() and device.quarantined, "it is quarantined")
    device.quarantine(False)
    until(lambda: device.refresh() and not device.quarantined, "it is free again")


@row("quarantine by search", session=False)
def quarantine_by_search(desk):
    desk.cb.select(Device).where("name:DC-0008").quarantine(True)
    device = desk.cb.select(Device, 98766)
    until(lambda: device.refresh() and device.quarantined, "it is quarantined")
    same("others", desk.cb.select(Device, DEVICE).quarantined, False)
    desk.cb.device_quarantine([98766], False)
    until(lambda: device.refresh() and not device.quarantined, "it is free again")


@row("other device actions", session=False)
def actions(desk):
    device = desk.cb.select(Device, LINUX)
    device.background_scan(True)
    device.bypass(True)
    device.bypass(False)
    device.update_policy(device.policy_id)
    device.update_sensor_version({"XP": "1.2.3.4"})


@row("a wrong key", session=False)
def wrong_key(desk):
    with desk.another_key("NOT/THIS"):
        raises(UnauthorizedError, lambda: list(desk.cb.select(Device)))


# This client fetches access tokens over HTTPS alone; a header of theirs is not always the same.
@row("access tokens in place of a key", session=False, only="tls", headers=False)
def access_tokens(desk):
    sim = desk.sim
    app = {name: sim.csp[name] for name in ("csp_oauth_app_id", "csp_oauth_app_secret")}
    for credential in (app, {"csp_api_token": sim.csp["csp_api_token"]}):
        # Where tokens are had, this client looks for authorities in the environment.
        os.environ["REQUESTS_CA_BUNDLE"] = sim.authority
        kwargs = dict(credential, org_key=sim.org, csp_url_override=sim.url, integration_name="interop/1.0")
        cb = CBCloudAPI(url=sim.url, ssl_cert_file=sim.authority, **kwargs)
        same("length", len(cb.select(Device)), 26)
        # An access token that has ended is replaced, and the request sent again.
        cb.session.token_header["Authorization"] = "Bearer ended"
        same("length", len(cb.select(Device)), 26)
    requests = desk.books()["requests"]
    same("exchanged", (requests["POST csp/auth/token"], requests["POST csp/auth/api-tokens/authorize"]), (2, 2))


if __name__ == "__main__":
    sys.exit(ROWS.main(*sys.argv[1:]))
