"""What the official Python client for App Control makes of the simulator, row by row.

    python cbapi_app_control.py PROGRAM tls [ROW…]

Each row is done by `cbapi` as its users would; its requests must be what is known of this client
(cbapi_app_control.expected).
"""

import hashlib
import json
import os
import sys

sys.dont_write_bytecode = True

from cbapi_edr import client as edr_client, last_put
from rows import Rows, raises, same, until

from cbapi.errors import ClientError, ObjectNotFoundError, UnauthorizedError
from cbapi.protection import CbProtectionAPI, Computer, FileCatalog, FileInstance, FileRule, FileUpload, Policy
from cbapi.response.models import BannedHash

DEVICE, LINUX = 98765, 98767
API = "/api/bit9platform/v1"


def client(sim, token=None):
    path = os.path.join(sim.dir.name, "credentials.protection")
    with open(path, "w") as file:
        file.write(f"[default]\nurl = {sim.url}\ntoken = {token or sim.tokens['App Control']}\n")
        file.write(f"ssl_cert_file = {sim.authority}\nignore_system_proxy = true\n")
    return CbProtectionAPI(credential_file=path)


# There are no sessions at this door.
ROWS = Rows("cbapi for App Control", client, None, "cbapi_app_control.expected")


def row(name, headers=True):
    return ROWS.row(name, session=False, headers=headers)


@row("start-up")
def start_up(desk):
    version = client(desk.sim).info["ParityServerVersion"]
    same("a version", all(part.isdigit() for part in version.split(".")), True)


@row("a wrong token")
def wrong_token(desk):
    for token in ("01234567-89AB-CDEF-0123-456789ABCDEF", desk.sim.token, desk.sim.tokens["EDR"]):
        raises(UnauthorizedError, lambda: client(desk.sim, token), "Invalid API token")
    client(desk.sim)


# Computers


def computers(desk, *conditions):
    query = desk.cb.select(Computer)
    for condition in conditions:
        query = query.where(condition)
    return query


def names(query):
    """The names without their domains, sorted."""
    return sorted(computer.name.rpartition("\\")[2] for computer in query)


def fresh(desk, number=DEVICE):
    """A computer as it is now; the client's own cache may have it as it was."""
    return desk.cb.get_object(f"{API}/computer/{number}")


@row("computers by name")
def computers_by_name(desk):
    found = list(computers(desk, "name:*DC-*", "deleted:false").sort("name DESC"))
    same("names", [one.name.rpartition("\\")[2] for one in found], ["DC-0010", "DC-0008", "DC-0007"])
    same("with a domain", [one.name.count("\\") for one in found], [1, 1, 1])
    one = found[-1]
    same("computer", (one.id, one.platformId, one.policyName), (DEVICE, 1, "Standard"))
    same("connected", (one.connected, one.deleted), (True, False))


@row("how many computers")
def how_many(desk):
    same("all", len(computers(desk)), 26)
    same("some", len(computers(desk, "name:*DC-*", "deleted:false")), 3)


@row("the first computer, and one by its number")
def first_computer(desk):
    same("first", computers(desk, f"id:{DEVICE}").first().id, DEVICE)
    one = desk.cb.select(Computer, LINUX)
    same("name", one.name.rpartition("\\")[2], "srv-0009")
    same("nobody", computers(desk, "name:*nobody*").first(), None)


@row("computers page by page")
def pages(desk):
    everybody = [one["id"] for one in desk.cb.get_object(f"{API}/computer?limit=0&sort=id")]
    same("computers", (len(everybody), everybody), (26, sorted(everybody)))
    # The client leaves one out where its second page begins.
    seen = [one.id for one in computers(desk).sort("id").batch_size(10)]
    same("seen", seen, everybody[:10] + everybody[11:])


@row("computers in groups")
def groups(desk):
    found = desk.cb.get_object(f"{API}/computer", query_parameters={"group": "policyName"})
    same("all", sum(one["count"] for one in found), 26)
    assert "Standard" in [one["value"] for one in found], found


@row("conditions")
def conditions(desk):
    other = ["DC-0008", "DC-0010", "srv-0009"]
    some = lambda *more: names(computers(desk, "name:*DC-00*|*srv-00*", *more))
    same("alternatives", some(), ["DC-0007"] + other)
    same("not equal", some(f"id!{DEVICE}"), other)
    same("not alike", some("name!*DC-0007"), other)
    same("less", some("id<98766"), ["DC-0007"])
    same("greater", some("id>98766"), ["DC-0010", "srv-0009"])
    same("in any case", names(computers(desk, "name:*dc-0007")), ["DC-0007"])
    same("recently", some("lastPollDate>-24h"), some())
    same("long ago", some("lastPollDate<-365d"), [])


@row("conditions that are none")
def bad_conditions(desk):
    for condition in ("nonsense", "nosuchfield:1"):
        same(condition, raises(ClientError, lambda: list(computers(desk, condition))).error_code, 400)


@row("what is not there")
def not_there(desk):
    for kind in (Computer, FileCatalog, FileInstance, FileRule, FileUpload, Policy):
        raises(ObjectNotFoundError, lambda: desk.cb.select(kind, 424242).refresh())


@row("policies")
def policies(desk):
    found = {policy.name: policy for policy in desk.cb.select(Policy)}
    assert {"Standard", "Restricted"} <= set(found), set(found)
    same("level", found["Standard"].enforcementLevel in (20, 30, 40, 60, 80), True)
    same("computers", sum(policy.totalComputers for policy in found.values()), 26)


@row("a computer is moved to another policy")
def move(desk):
    computer = desk.cb.select(Computer, DEVICE)
    computer.refresh()
    before, old = dict(computer.original_document), (computer.policyId, computer.policyName)
    other = [policy for policy in desk.cb.select(Policy) if policy.name == "Restricted"][0]
    computer.policyId = other.id
    computer.save()
    same("sent", last_put(desk.sim), dict(before, policyId=other.id))
    same("its policy", computer.policyId, other.id)
    until(lambda: fresh(desk)["policyName"] == "Restricted", "the agent has its new policy")
    # Two members are enough.
    desk.cb.put_object(f"{API}/computer/{DEVICE}", {"id": DEVICE, "policyId": old[0]})
    until(lambda: fresh(desk)["policyName"] == old[1], "the agent has its old policy")


# Files


def some_instance(desk, number=DEVICE):
    """An executable on a computer."""
    return desk.cb.select(FileInstance).where(f"computerId:{number}").where("fileName:chrome.exe").first()


@row("files of a computer")
def instances(desk):
    # Sorted by what is in them.
    one = desk.cb.select(Computer, DEVICE).fileInstances.first()
    same("on", one.computerId, DEVICE)
    assert some_instance(desk).fileName.lower() == "chrome.exe"


@row("a file by its hashes")
def catalog(desk):
    one = some_instance(desk).fileCatalog
    one.refresh()
    for kind in ("sha256", "md5", "sha1"):
        found = list(desk.cb.select(FileCatalog).where(f"{kind}:{getattr(one, kind)}"))
        same(kind, [other.id for other in found], [one.id])
    assert one.prevalence >= 1 and one.fileSize > 0 and one.fileName


@row("a file is approved on one computer")
def local_approval(desk):
    one = some_instance(desk)
    one.refresh()
    before = dict(one.original_document)
    same("unapproved", one.localState, 1)
    one.localState = 2
    one.save()
    posted = [entry["body"] for entry in desk.sim.logged(0)[0] if entry["method"] == "POST"][-1]
    same("sent", json.loads(posted), dict(before, localState=2))
    same("approved", one.localState, 2)
    again = desk.cb.get_object(f"{API}/fileInstance/{one.id}")
    same("approved", again["localState"], 2)
    desk.cb.put_object(f"{API}/fileInstance/{one.id}", dict(again, localState=1))
    same("unapproved", desk.cb.get_object(f"{API}/fileInstance/{one.id}")["localState"], 1)


def state(desk, number):
    return desk.cb.get_object(f"{API}/fileCatalog/{number}")["fileState"]


@row("ban and approve a hash")
def rules(desk):
    file = some_instance(desk).fileCatalog
    file.refresh()
    rule = desk.cb.create(FileRule, {"fileState": 3, "hash": file.sha256, "name": "ban", "policyIds": "0"})
    rule.save()
    same("rule", (rule.fileState, rule.name, rule.policyIds, rule.sourceType), (3, "ban", "0", 5))
    same("banned", state(desk, file.id), 3)
    same("of the file", [one.id for one in desk.cb.select(FileRule).where(f"fileCatalogId:{file.id}")], [rule.id])
    rule.fileState = 2
    rule.save()
    same("approved", state(desk, file.id), 2)
    rule.delete()
    same("unapproved", state(desk, file.id), 1)
    raises(ObjectNotFoundError, lambda: desk.cb.get_object(f"{API}/fileRule/{rule.id}"))


@row("a ban by the number of a file")
def rule_by_number(desk):
    file = some_instance(desk).fileCatalog
    rule = desk.cb.create(FileRule, {"fileState": 3, "fileCatalogId": file.id, "name": "ban", "policyIds": "0"})
    rule.save()
    same("banned", state(desk, file.id), 3)
    rule.delete()


@row("EDR and App Control know each other's bans", headers=False)
def shared_bans(desk):
    edr = edr_client(desk.sim)
    file = some_instance(desk).fileCatalog
    file.refresh()
    md5 = file.md5.lower()
    edr.create(BannedHash, {"md5hash": md5, "text": "of EDR", "enabled": True}).save()
    same("banned by EDR", state(desk, file.id), 3)
    edr.delete_object(f"/api/v1/banning/blacklist/{md5}")
    same("allowed by EDR", state(desk, file.id), 1)
    rule = desk.cb.create(FileRule, {"fileState": 3, "hash": file.sha256, "name": "ban", "policyIds": "0"})
    rule.save()
    same("banned by a rule", edr.get_object(f"/api/v1/banning/blacklist/{md5}")["enabled"], True)
    rule.delete()


@row("a file is uploaded by its agent")
def upload(desk):
    instance = some_instance(desk)
    file = instance.fileCatalog
    file.refresh()
    wanted = {"computerId": DEVICE, "fileCatalogId": file.id, "priority": 0}
    number = desk.cb.post_object(f"{API}/fileUpload", wanted).json()["id"]
    done = lambda: desk.cb.get_object(f"{API}/fileUpload/{number}")["uploadStatus"] == 3
    until(done, "the agent has uploaded it")
    content = desk.cb.select(FileUpload, number).file.read()
    same("content", (hashlib.md5(content).hexdigest(), len(content)), (file.md5.lower(), file.fileSize))


if __name__ == "__main__":
    sys.exit(ROWS.main(*sys.argv[1:]))
