"""Live Response as `cbc_sdk` and both versions of `cbapi` offer it: the rows that are the same for all of them.

A client's script says what it calls things otherwise (Dialect), and takes the rows.
"""

import contextlib
import dataclasses
import io
import os
import tempfile

from rows import RowList, count, raises, same, until

DEVICE, LINUX, LR_OFF = 98765, 98767, 98768
A_TXT = b"first line\nsecond line\n"
KEY = "HKLM\\SOFTWARE\\Interop"
# In the order of the reference of v3.
SUPPORTED = [
    "put file", "get file", "memdump", "create directory", "delete file", "directory list", "reg enum key",
    "reg query value", "reg create key", "reg delete key", "reg delete value", "reg set value", "process list",
    "kill", "create process",
]


@dataclasses.dataclass
class Dialect:
    """What the clients, and the APIs behind them, do not have in common."""

    # The error of a command that failed, and the one of a command that cannot be.
    command_failed: type
    not_supported: type
    # What a device without a registry is called there.
    device_word: str
    # Lists the values of a key: the session's function, which has two names.
    values_of: object
    pid: str = "pid"
    path: str = "path"
    process_members: tuple = ("command_line", "username", "sid", "parent", "create_time")
    value_members: tuple = ("value_name", "value_type", "value_data")
    type_prefix: str = ""
    # The number of the system that a Linux device runs.
    linux: int = 2
    # What a walk puts after the folders that it found itself.
    walked: str = ""
    # How often a client shows its key to another host when it gets a file.
    leaks: int = 0


# Sessions


def opened(desk):
    """A session, and that there is no other."""
    session = desk.open()
    books = desk.books()
    same("open sessions", (books["sessions_opened"], books["sessions_open"]), (1, 1))
    same("drives", session.session_data["drives"][:1], ["C:\\"])
    same("windows", session.os_type, 1)
    return session


def closed(desk, session):
    session.close()
    books = desk.books()
    same("sessions", (books["sessions_closed"], books["sessions_open"]), (1, 0))


def all_supported(desk):
    same("supported", sorted(desk.session.session_data["supported_commands"]), sorted(SUPPORTED))


def shared(desk):
    same("session", desk.open().session_id, desk.session.session_id)
    same("opened", desk.books()["sessions_opened"], 0)


def no_registry(desk):
    dialect = desk.dialect
    with desk.open(LINUX) as session:
        same("os", session.os_type, dialect.linux)
        same("drives", session.session_data["drives"], ["/"])
        raises(dialect.not_supported, lambda: dialect.values_of(session, "HKLM\\X"),
               f"not supported by this {dialect.device_word}")
        same("output", session.create_process("whoami").strip(), b"root")
        names = [entry["filename"] for entry in session.list_directory("/etc/")]
        assert "passwd" in names, names
    desk.ran(create_process=1, get_file=1, delete_file=1, directory_list=1)


def replaced(desk):
    session = desk.open()
    lost = session.session_id
    desk.cb.live_response._close_session(lost)
    same("processes", len(session.list_processes()) > 3, True)
    assert session.session_id != lost, "still the lost session"
    session.close()
    books = desk.books()
    same("sessions", (books["sessions_opened"], books["sessions_closed"], books["sessions_open"]), (2, 2, 0))


@contextlib.contextmanager
def kept_alive(desk, manager, route):
    """A session that a manager keeps alive by this route, and that ends as it should."""
    session = manager.request_session(DEVICE)
    until(lambda: count(desk.sim, route) >= 2, "two keepalives")
    yield session
    session.close()
    until(lambda: desk.books()["sessions_open"] == 0, "the session is closed")
    same("leaked", desk.books()["sessions_leaked"], 0)


def two_jobs(desk, job):
    """Two files by the client's own scheduler, whose worker idles on an open session after that."""
    futures = [desk.cb.live_response.submit_job(job("C:\\temp\\a.txt").run, DEVICE) for _ in range(2)]
    for future in futures:
        same("content", future.result(timeout=60), A_TXT)
    desk.ran(get_file=2)


# Commands


def failed(desk, act, *words):
    raises(desk.dialect.command_failed, act, *words)


def put_and_got(desk, what, path, content):
    desk.session.put_file(what, path)
    same("content", desk.session.get_file(path), content)


def listing(desk):
    entries = {entry["filename"]: entry for entry in desk.session.list_directory("C:\\temp\\")}
    same("names", sorted(entries), [".", "..", "a.txt", "b.txt", "large.bin", "locked.txt"])
    same("size", entries["a.txt"]["size"], len(A_TXT))
    assert "DIRECTORY" in entries["."]["attributes"] and "DIRECTORY" not in entries["a.txt"]["attributes"]


def processes(desk):
    """What the list of processes has, by their numbers."""
    running = {process[desk.dialect.pid]: process for process in desk.session.list_processes()}
    same("path", running[4711][desk.dialect.path].lower(), "c:\\windows\\system32\\notepad.exe")
    for name in desk.dialect.process_members:
        assert name in running[4711], f"no {name}"
    assert 4 in running, "no System"
    return running


def told(desk, value):
    """Name, type and data of a value of the registry; numbers and lists as texts, which they are in some answers."""
    name, kind, data = desk.dialect.value_members
    same("members", set(value), {name, kind, data})
    data = value[data]
    return value[name], value[kind], ",".join(map(str, data)) if isinstance(data, list) else str(data)


def values(desk):
    """Types and data of the values of our key, by their names."""
    return {name: rest for name, *rest in (told(desk, value) for value in desk.dialect.values_of(desk.session, KEY))}


@contextlib.contextmanager
def output_deleted(desk):
    """The client does not wait for its last command."""
    yield
    until(lambda: desk.books()["commands"].get("delete file") == 1, "the output is deleted")


COMMANDS = RowList()
row = COMMANDS.row


@row("directory list")
def directory_list(desk):
    listing(desk)
    desk.ran(directory_list=1)


@row("get file")
def get_file(desk):
    same("content", desk.session.get_file("C:\\temp\\a.txt"), A_TXT)
    desk.ran(get_file=1)
    books = desk.books()
    same("bytes", books["content_bytes"], len(A_TXT))
    # A client that takes its key along to wherever it is redirected: that the judge sees it is the point.
    same("leaked credentials", books["credentials_leaked"], desk.dialect.leaks)


@row("get raw file")
def get_raw_file(desk):
    raw = desk.session.get_raw_file("C:\\temp\\large.bin")
    same("bytes", sum(len(chunk) for chunk in iter(lambda: raw.read(65536), b"")), 3 << 20)


@row("get file that is not there")
def get_missing(desk):
    failed(desk, lambda: desk.session.get_file("C:\\temp\\none"), "0x80070002 (ERROR_FILE_NOT_FOUND)")


@row("put an opened file")
def put_opened(desk):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tool.txt")
        with open(path, "wb") as file:
            file.write(b"from an opened file")
        with open(path, "rb") as file:
            put_and_got(desk, file, "C:\\temp\\put1.txt", b"from an opened file")
    same("bytes", desk.books()["upload_bytes"], 19)


@row("put a stream without a name")
def put_stream(desk):
    put_and_got(desk, io.BytesIO(b"hello"), "C:\\temp\\put2.txt", b"hello")


@row("put a stream with a name of ours")
def put_named(desk):
    put_and_got(desk, ("named.bin", io.BytesIO(b"\x00\x01")), "C:\\temp\\put3.txt", b"\x00\x01")


@row("put an empty file, and onto an existing one")
def put_empty(desk):
    put_and_got(desk, io.BytesIO(b""), "C:\\temp\\put4.txt", b"")
    failed(desk, lambda: desk.session.put_file(io.BytesIO(b"x"), "C:\\temp\\put4.txt"), "ERROR_FILE_EXISTS")


@row("delete file")
def delete_file(desk):
    desk.session.delete_file("C:\\temp\\b.txt")
    same("changes", [(c["command"], c["what"], c["code"]) for c in desk.books()["changes"]],
         [("delete file", "C:\\temp\\b.txt", 0)])
    failed(desk, lambda: desk.session.delete_file("C:\\temp\\b.txt"), "ERROR_FILE_NOT_FOUND")
    failed(desk, lambda: desk.session.delete_file("C:\\temp\\locked.txt"), "ERROR_SHARING_VIOLATION")


@row("create directory")
def create_directory(desk):
    desk.session.create_directory("C:\\temp\\n")
    failed(desk, lambda: desk.session.create_directory("C:\\temp\\n"), "ERROR_ALREADY_EXISTS")
    desk.session.delete_file("C:\\temp\\n")


@row("walk")
def walk(desk):
    same("tree", list(desk.session.walk("C:\\walk")), [
        ("C:\\walk", ["inner"], ["one.txt"]),
        ("C:\\walk\\inner" + desk.dialect.walked, ["deep"], ["two.txt"]),
        ("C:\\walk\\inner\\deep" + desk.dialect.walked, [], ["three.txt"]),
    ])
    desk.ran(directory_list=3)


@row("process list")
def process_list(desk):
    processes(desk)


@row("kill")
def kill(desk):
    same("killed", desk.session.kill_process(4711), True)
    assert 4711 not in {process[desk.dialect.pid] for process in desk.session.list_processes()}
    failed(desk, lambda: desk.session.kill_process(4711), "0x80070057")
    desk.ran(kill=2, process_list=1)


@row("create process: the output of whoami")
def whoami(desk):
    with output_deleted(desk):
        same("output", desk.session.create_process("cmd.exe /c whoami"), b"nt authority\\system\r\n")
    desk.ran(create_process=1, get_file=1, delete_file=1)


@row("create process without waiting")
def without_waiting(desk):
    said = desk.session.create_process(
        "notepad.exe", wait_for_output=False, wait_for_completion=False, working_directory="C:\\")
    same("output", said, None)
    until(lambda: desk.books()["commands"].get("create process") == 1, "it ran")


@row("create process: a named output file, a code other than zero")
def named_output(desk):
    with output_deleted(desk):
        out = desk.session.create_process("failing.exe", remote_output_file_name="C:\\temp\\out.txt")
        same("output", out, b"it failed\r\n")


@row("create process: no such program")
def no_program(desk):
    failed(desk, lambda: desk.session.create_process("nobody.exe"), "ERROR_FILE_NOT_FOUND")


@row("reg enum key")
def reg_enum_key(desk):
    prefix, seen = desk.dialect.type_prefix, desk.session.list_registry_keys_and_values(KEY)
    same("sub keys", seen["sub_keys"], ["Sub"])
    same("values", sorted(told(desk, value) for value in seen["values"]),
         [("Display", prefix + "REG_SZ", "a display name"), ("Start", prefix + "REG_DWORD", "2")])
    same("only values", sorted(values(desk)), ["Display", "Start"])
    failed(desk, lambda: desk.dialect.values_of(desk.session, "HKLM\\SOFTWARE\\None"), "ERROR_FILE_NOT_FOUND")


@row("reg query value")
def reg_query_value(desk):
    value = desk.session.get_registry_value(KEY + "\\Start")
    same("value", told(desk, value), ("Start", desk.dialect.type_prefix + "REG_DWORD", "2"))


@row("reg set value")
def reg_set_value(desk):
    session, prefix = desk.session, desk.dialect.type_prefix
    session.set_registry_value(KEY + "\\a", 1)
    session.set_registry_value(KEY + "\\b", ["x", 2])
    session.set_registry_value(KEY + "\\c", "str", overwrite=False)
    failed(desk, lambda: session.set_registry_value(KEY + "\\c", "other", overwrite=False), "ERROR_ALREADY_EXISTS")
    seen = values(desk)
    same("values", [seen[name] for name in "abc"],
         [[prefix + "REG_DWORD", "1"], [prefix + "REG_MULTI_SZ", "x,2"], [prefix + "REG_SZ", "str"]])


@row("reg create key and delete key")
def reg_keys(desk):
    desk.session.create_registry_key(KEY + "\\k")
    desk.session.delete_registry_key(KEY + "\\k")
    failed(desk, lambda: desk.session.delete_registry_key(KEY + "\\k"), "ERROR_FILE_NOT_FOUND")


@row("reg delete value")
def reg_delete_value(desk):
    desk.session.delete_registry_value(KEY + "\\Display")
    names = list(values(desk))
    assert "Display" not in names, names


def dumped(desk, compress):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "dump")
        desk.session.memdump(path, remote_filename="C:\\m.dmp", compress=compress)
        assert os.path.getsize(path) > 0, "an empty dump"
    desk.ran(memdump=1, get_file=1, delete_file=1)
    # Gone again.
    failed(desk, lambda: desk.session.get_file("C:\\m.dmp.zip" if compress else "C:\\m.dmp"))


@row("memdump")
def memdump(desk):
    dumped(desk, False)


@row("memdump compressed")
def memdump_compressed(desk):
    dumped(desk, True)


def posted(session, name, **members):
    """The number of a command that nobody waits for yet; `cbapi` has no function of its own for that."""
    return session._lr_post_command({"name": name, **members}).json()["id"]
