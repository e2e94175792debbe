"""The real program is killed at a request, and goes on with `sortie resume`: nothing is done twice, nothing is lost, no
session stays open, every bag is whole, and what was published stays as it was.

    python3 tests/interop/sigkill.py PROGRAM [ROUNDS [SEED [DEVICES [PLAYBOOK]]]]

The request is chosen by the seed. The simulator holds it and all after it, so that exactly so many are carried out: half
of the time the last one is, and its answer is never heard.
"""

import collections
import hashlib
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import urllib.error

from simulator import Simulator

try:
    import bagit
except ImportError:
    bagit = None

program = sys.argv[1]
rounds, seed, devices = [int(text) for text in sys.argv[2:5] + ["30", "1", "20"][len(sys.argv[2:5]):]]
playbook = sys.argv[5] if len(sys.argv) > 5 else str(pathlib.Path(__file__).with_name("sigkill.yaml"))
# Every device came to its end, however good.
COMPLETE = {0, 10, 11, 13}
MANIFESTS = ["manifest-sha256.txt", "tagmanifest-sha256.txt"]


def held(sim):
    try:
        return sim.ask("/held?seconds=1")["held"]
    except urllib.error.HTTPError as error:
        if error.code != 408:
            raise
        return False


def run_of(out):
    """The run directory, if it came to that; a draft has a dot before its name."""
    found = [path for path in out.glob("*") if not path.name.startswith(".")] if out.exists() else []
    assert len(found) < 2, found
    return found[0] if found else None


def digests(bag):
    files = sorted(path for path in bag.rglob("*") if path.is_file())
    return {str(path.relative_to(bag)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def published(run):
    return {bag.name: digests(bag) for bag in (run / "devices").iterdir()}


def agrees(folder, manifest):
    checked = subprocess.run(["sha256sum", "--strict", "--quiet", "-c", manifest], cwd=folder, capture_output=True)
    return checked.returncode == 0


def is_valid(bag):
    if not all(agrees(bag, manifest) for manifest in MANIFESTS):
        return False
    if bagit:
        try:
            bagit.Bag(str(bag)).validate()
        except bagit.BagError as error:
            print(f"{bag}: {error}", file=sys.stderr)
            return False
    return True


def lost(run):
    """The planned devices that have not exactly one end."""
    planned = [device["id"] for device in json.loads((run / "plan.json").read_text())["devices"]]
    if not (run / "summary.json").exists():
        return len(planned)
    ended = json.loads((run / "summary.json").read_text())["devices"]
    ends = collections.Counter(device["id"] for device in ended if device["state"])
    return sum(ends[device] != 1 for device in planned) + sum(device not in planned for device in ends)


def unknown(run, books):
    """The steps of which nobody knows whether they were done: how many were, and how many were not."""
    permitted = collections.defaultdict(set)
    for line in (run / "journal.jsonl").read_text().splitlines():
        event = json.loads(line)["ev"]
        if event["is"] == "command_permitted":
            operands = {str(value) for value in event["command"].values()}
            permitted[event["device"], event["step"]] |= operands
    executed, not_executed = 0, 0
    for outcome in run.glob("devices/*/data/outcome.json"):
        told = json.loads(outcome.read_text())
        for step in told["steps"]:
            if step["outcome"] == "unknown":
                device = told["device_id"]
                operands = permitted[device, step["step_id"]]
                done = any(one["device"] == device and one["what"] in operands for one in books["changes"])
                executed, not_executed = executed + done, not_executed + (not done)
    return executed, not_executed


def twice(books):
    """Changes that had their effect more than once."""
    done = collections.Counter(
        (one["device"], one["command"], one["what"]) for one in books["changes"] if one["code"] == 0)
    for change, count in done.items():
        if count > 1:
            print(f"{count} times: {change}", file=sys.stderr)
    return sum(count - 1 for count in done.values())


def sortie(sim, out, *words):
    return [program, *words, "--simulate", sim.control, "--out", str(out)]


def whole(work, scenario):
    """How many requests a run needs that nobody interrupts."""
    with Simulator(program, scenario, "http") as sim:
        ended = subprocess.run(sortie(sim, work / "whole", "run", playbook), capture_output=True, text=True)
        assert ended.returncode in COMPLETE, ended.stderr
        run = run_of(work / "whole")
        total = sim.books()["requests_seen"]
        assert lost(run) == 0 and twice(sim.books()) == 0 and all(is_valid(bag) for bag in (run / "devices").iterdir())
        return total


def interrupted(sim, out, request, is_answer):
    """Kills a run at a request, unless it ends before it; says whether it did."""
    sim.ask(f"/hold?requests={request}" + ("&answers=true" if is_answer else ""), "POST")
    child = subprocess.Popen(sortie(sim, out, "run", playbook), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    is_held = False
    while not is_held and child.poll() is None:
        is_held = held(sim)
    child.kill()
    child.wait()
    sim.ask("/release", "POST")
    return is_held


def one_round(work, scenario, request, is_answer):
    found = collections.Counter()
    out = work / "runs"
    with Simulator(program, scenario, "http") as sim:
        found["killed"] += interrupted(sim, out, request, is_answer)
        run = run_of(out)
        if run is None:
            found["not begun"] += 1
        else:
            before = published(run)
            resumed = subprocess.run(sortie(sim, out, "resume", run.name), capture_output=True, text=True)
            if resumed.returncode not in COMPLETE:
                print(f"resume ended with {resumed.returncode}: {resumed.stderr.strip()}", file=sys.stderr)
            after = published(run)
            found["invalid"] += sum(after.get(bag) != files for bag, files in before.items())
            found["invalid"] += sum(not is_valid(run / "devices" / bag) for bag in after)
            found["invalid"] += not agrees(run, MANIFESTS[0])
            found["lost"] += lost(run)
        books = sim.books()
        found["twice"] += twice(books)
        found["leaked"] += books["sessions_open"] + books["sessions_leaked"]
        if run is not None:
            executed, not_executed = unknown(run, books)
            found.update({"unknown": executed + not_executed, "unknown and done": executed})
    return found


chance = random.Random(seed)
totals = collections.Counter()
with tempfile.TemporaryDirectory(prefix="sigkill-") as name:
    work = pathlib.Path(name)
    scenario = work / "fleet.yaml"
    scenario.write_text(f"devices: [{{count: {devices}, os: windows}}]\n")
    total = whole(work, str(scenario))
    for number in range(rounds):
        request, is_answer = chance.randint(1, total), chance.random() < 0.5
        place = work / str(number)
        place.mkdir()
        found = one_round(place, str(scenario), request, is_answer)
        wrong = {key: found[key] for key in ["twice", "lost", "leaked", "invalid"] if found[key]}
        if wrong:
            moment = "answered" if is_answer else "arriving"
            print(f"round {number}, request {request} of {total}, {moment}: {wrong}", file=sys.stderr)
        totals.update(found)

print(f"{rounds} rounds with {devices} devices, seed {seed}: {totals['killed']} killed, {totals['not begun']} before they "
      f"began; twice {totals['twice']}, lost {totals['lost']}, leaked {totals['leaked']}, invalid {totals['invalid']}, "
      f"unknown {totals['unknown']} ({totals['unknown and done']} of them done)"
      + ("" if bagit else "; no bagit"))
sys.exit(any(totals[key] for key in ["twice", "lost", "leaked", "invalid"]))
