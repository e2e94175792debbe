"""Requests as they were logged, with what changes from run to run masked, and compared with what is expected.

An expectation is a section of a file:

    ## name
    POST {lr}/sessions              method and path; {org}, {lr}, {v3}, {edr} and {appc} are the prefixes of the APIs
    {"device_id": 98765}            the body, byte by byte; in quotes if it is several lines
    {...}                           or a whole object, as it was read and sent back; its row knows what must be in it
    GET {lr}/sessions/SESSION +     one or more times, as a client that polls sends it
    GET {org}/devices/98765 *       any number of times, as a client with a cache of its own sends it
    GET {signed}                    whatever address the content host was asked for
"""

import json
import re

MASKS = [
    (r"\b\d+:(\d{5,})\b", r"SESSION"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", "FILE"),
    (r"/(commands?)/\d+$", r"/\1/N"),
    # Devices have longer numbers than the sessions of EDR.
    (r"(/session/|\"session_id\": )\d{1,4}(?=[/,}]|$)", r"\1SESSION"),
    (r"(/file/|\"file_id\": )\d+", r"\1FILE"),
    (r"cblr\.[A-Za-z0-9]{12}\.tmp", "cblr.RANDOM.tmp"),
    (r"after-\d+", "AFTER"),
    (r"(ipAddress|ownerName)=[^&]+", r"\1=VALUE"),
    (r'"(policy_id|policyId)": \d+', r'"\1": POLICY'),
    (r"(/file(?:Catalog|Instance|Rule|Upload)/|\"fileCatalogId\": |fileCatalogId%3A)\d+", r"\1NUMBER"),
    (r'"hash": "[0-9a-f]{64}"', '"hash": "HASH"'),
]
HEADER_MASKS = [
    (r"^[\w.]+:\d+$", "HOST:PORT"),
    (r"(CBC_SDK|cbapi)/[\d.]+ Python/[\d.]+", r"\1/VERSION Python/VERSION"),
    # Newer environments can unpack more.
    (r"^gzip, deflate(, (br|zstd))*$", "gzip, deflate"),
    (r"boundary=[0-9a-f]{32}$", "boundary=BOUNDARY"),
]


def masked(text, masks):
    for pattern, name in masks:
        text = re.sub(pattern, name, text)
    return text


def prefixed(path, org):
    """A path with the prefix of its API named."""
    for prefix, name in [
        (f"/appservices/v6/orgs/{org}/liveresponse", "{lr}"),
        (f"/appservices/v6/orgs/{org}", "{org}"),
        ("/integrationServices/v3", "{v3}"),
        ("/api/bit9platform/v1", "{appc}"),
        ("/api", "{edr}"),
    ]:
        if path.startswith(prefix + "/"):
            return name + path.removeprefix(prefix)
    return path


def shown(entry, org):
    """A logged request as expectations have it."""
    path = prefixed(masked(entry["path"], MASKS), org)
    if entry["host"] == "content":
        path = "{signed}"
    elif entry["query"]:
        path += "?" + masked(entry["query"], MASKS)
    lines = [f"{entry['method']} {path}"]
    body = entry.get("body", entry.get("body_base64"))
    if body:
        boundary = re.match(r"--([0-9a-f]{32})\r\n", body)
        if boundary:
            body = body.replace(boundary[1], "BOUNDARY")
        body = masked(body, MASKS)
        lines.append(json.dumps(body) if "\n" in body else body)
    return "\n".join(lines)


def headers(entry):
    """The kind of a logged request, and its header block; lengths are checked here."""
    names = [name for name, _ in entry["headers"]]
    values = dict(entry["headers"])
    if len(names) != len(values):
        return "?", [f"a header twice: {names}"]
    kind = entry["method"]
    if "content-type" in values:
        kind += " multipart" if values["content-type"].startswith("multipart") else " json"
    lines = []
    for name, value in entry["headers"]:
        if name == "content-length":
            right = value == str(entry["body_bytes"])
            value = "LENGTH" if right else f"{value}, but the body has {entry['body_bytes']} bytes"
        lines.append(f"{name}: {masked(value, HEADER_MASKS)}")
    return kind, lines


def expectations(path):
    """Sections by name: lists of (request, repeated), or of header lines."""
    sections, current = {}, None
    with open(path) as file:
        for line in file.read().splitlines():
            if line.startswith("## "):
                current = sections.setdefault(line[3:], [])
            elif line and not line.startswith("#"):
                current.append(line)
    return sections


def requests_of(lines):
    """Requests with how often they may come: at least, and whether more often."""
    expected = []
    for line in lines:
        if line[0] in '{"':
            expected[-1][0] += "\n" + line
        else:
            often = {"+": (1, True), "*": (0, True)}.get(line[-1], (1, False))
            expected.append([line.removesuffix(" +").removesuffix(" *"), *often])
    return expected


def alike(sent, request):
    """Whether what was sent is what was expected."""
    if request.endswith("\n{...}"):
        sent = re.sub(r"\n\{.*\}$", "\n{...}", sent)
    return sent == request


def difference(entries, lines, org):
    """Why these requests are not the expected ones; none if they are."""
    sent = [shown(entry, org) for entry in entries]
    at = 0
    for request, least, more in requests_of(lines):
        count = 0
        while at < len(sent) and alike(sent[at], request) and (more or count < least):
            at, count = at + 1, count + 1
        if count < least:
            return f"expected {request!r}, " + (f"sent {sent[at]!r}" if at < len(sent) else "sent nothing more")
    return f"sent besides: {sent[at]!r}" if at < len(sent) else None
