"""A large file whose content breaks off again and again, fetched through the program: the hash is right, and memory
does not grow with the file.

    python3 tests/interop/large_file.py PROGRAM [MIB [TIMES [SESSIONS]]]
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from simulator import Simulator

program = sys.argv[1]
mebibytes, times, sessions = [int(text) for text in sys.argv[2:] + ["256", "6", "1"][len(sys.argv) - 2:]]
PIECE = 64
GROWTH = 16 * 1024


def fleet(path, size, faults):
    file = f"{{path: 'C:\\data\\file.bin', size: {size}MiB}}"
    path.write_text(f"devices: [{{name: WS-0001, id: 4711, os: windows, files: [{file}]}}]\nfaults: [{faults}]\n")
    return str(path)


def peak(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1])
    except (FileNotFoundError, ProcessLookupError, TypeError):
        return 0


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def fetched(work, size, faults):
    """What a run brings: the peak of its memory in KiB, the file's line in the index, the books."""
    playbook = work / "playbook.yaml"
    playbook.write_text("sortie: 1\nname: large\ntargets: {names: ['*']}\nsteps:\n"
                        "  - {id: get, get_file: 'C:\\data\\file.bin', timeout: 30m}\n")
    with Simulator(program, fleet(work / "fleet.yaml", size, faults), "http") as sim:
        env = {**os.environ, "CBC_URL": sim.url, "CBC_TOKEN": sim.token, "CBC_ORG_KEY": sim.org}
        out = work / f"runs-{size}-{len(faults)}"
        command = [program, "run", str(playbook), "--out", str(out), "--json"]
        child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        most = 0
        while child.poll() is None:
            most = max(most, peak(child.pid))
            try:
                child.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                pass
        child.stdout.close()
        books = sim.books()
    assert child.returncode == 0, child.returncode
    [index] = out.glob("*/devices/*/data/files.ndjson")
    [line] = [json.loads(text) for text in index.read_text().splitlines()]
    assert line["state"] == "complete" and line["size_received"] == size << 20, line
    assert digest_of(index.parent.parent / line["stored_path"]) == line["sha256"], line
    return most, line["sha256"], books


with tempfile.TemporaryDirectory(prefix="large-") as name:
    work = pathlib.Path(name)
    small, _, _ = fetched(work, 1, "")
    plain, whole, _ = fetched(work, mebibytes, "")
    # Twice each, and then the piece comes.
    resets = [n // 2 * 3 + n % 2 + 1 for n in range(times)]
    faults = [f"{{route: content host, nth: {resets}, reset: half}}"]
    if sessions:
        lost = [3 * n + 3 for n in range(sessions)]
        faults.append("{route: 'liveresponse/sessions/{id}/commands', method: POST, "
                      f"nth: {lost}, session: lost}}")
    broken, again, books = fetched(work, mebibytes, ", ".join(faults))
    assert again == whole, "the hash is another one"
    struck = sum(books["faults"].values())
    assert struck == times + sessions, books["faults"]
    growth = max(plain, broken) - small
    print(f"{mebibytes} MiB in pieces of {PIECE} MiB, content broken off {times} times and the session lost {sessions} "
          f"times: right hash, {books['commands']['get file']} get file; memory {small} KiB for 1 MiB, "
          f"{plain} KiB, {broken} KiB interrupted; growth {growth} KiB")
    assert growth < GROWTH, "it grows with the file"
