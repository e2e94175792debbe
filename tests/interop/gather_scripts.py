"""What strangers make of the scripts that gather: a parser of PowerShell, and a linter of shells.

The scripts are taken as they are sent, out of the transcripts of runs, for each place alone and for all together.
"""

import json
import subprocess
import sys
from pathlib import Path

import tree_sitter
import tree_sitter_powershell

PLACES = "run_keys services tasks processes netstat users logons ps_history autoruns".split()
BEFORE = {"windows": 'powershell.exe -NoProfile -NonInteractive -Command "', "linux": "/bin/sh -c '"}


def playbook(path):
    """One step for each place, and one for all."""
    steps = [f"  - gather: [{place}]\n" for place in PLACES]
    steps.append(f"  - gather: [{', '.join(PLACES)}]\n")
    head = "sortie: 1\nname: gather\npermissions: [exec]\ntargets: {os: [windows, linux]}\nsteps:\n"
    path.write_text(head + "".join(steps))


def scripts(program, work):
    """The scripts of each system, as they went to the endpoints."""
    playbook(work / "gather.yaml")
    (work / "fleet.yaml").write_text("devices: [{name: W, os: windows}, {name: L, os: linux}]\n")
    command = [program, "run", "gather.yaml", "--simulate", "fleet.yaml", "--out", "gathered"]
    subprocess.run(command, cwd=work, check=True, capture_output=True)
    found = {"windows": [], "linux": []}
    for transcript in sorted(work.glob("gathered/*/devices/*/data/transcript.jsonl")):
        for line in transcript.read_text().splitlines():
            sent = json.loads(line)["command"]
            for system, before in BEFORE.items():
                text = sent.get("command_line", "")
                if text.startswith(before):
                    found[system].append(text[len(before) : -1])
    return found


def errors(parser, text):
    tree = parser.parse(text.encode())
    pending, wrong = [tree.root_node], []
    while pending:
        node = pending.pop()
        if node.is_error or node.is_missing:
            wrong.append(text[max(0, node.start_byte - 40) : node.end_byte + 40])
        pending.extend(node.children)
    return wrong


def main(program, work):
    found = scripts(Path(program).resolve(), Path(work))
    for system, texts in found.items():
        assert len(texts) == len(PLACES) + 1, f"{system}: {len(texts)} scripts"
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    assert errors(parser, "function F { try $what { 1 } }"), "the parser finds no fault"
    for text in found["windows"]:
        assert not errors(parser, text), errors(parser, text)
    # What shellcheck passes over in the file, with its reason there, it passes over here.
    shellcheck = Path(sys.executable).parent / "shellcheck"
    source = Path("src/step/gather/unix.sh").read_text().splitlines()[0]
    for shell in ("sh", "bash", "dash", "busybox"):
        for text in found["linux"]:
            told = f"{source}\nsortie_gather=\n: \"$sortie_gather\"\n{text}\n"
            command = [shellcheck, "--shell", shell, "-"]
            said = subprocess.run(command, input=told, text=True, capture_output=True)
            assert said.returncode == 0, said.stdout
    for text in found["linux"]:
        subprocess.run(["sh", "-n", "-c", text], check=True)
    print(f"{len(found['windows'])} scripts parse as PowerShell, {len(found['linux'])} pass shellcheck")


main(*sys.argv[1:])
