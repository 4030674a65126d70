"""A provider for what no offline model does: pictures changed by words, sounds, speech taken down, long jobs.

What it gives back follows from what it is sent, so that a test sees what arrived. It tells its address on standard
output and serves until it is ended. Of a prompt it heeds a colour's name, and the words `refuse` and `fail`, for jobs
also `hang`.
"""

import base64
import http.server
import io
import itertools
import json
import struct
import threading
import wave
import zlib

RATE = 24_000
COLOURS = {"red": (255, 0, 0), "green": (0, 160, 0), "blue": (0, 0, 255)}
# How often a job is asked for before it is done.
ASKED = 3


class Wrong(Exception):
    """An answer that is an error: a status and words."""


def data_of(uri):
    """What is in a data URI."""
    head, _, data = uri.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        raise Wrong(422, f"a file came as {uri[:40]!r}")
    return base64.b64decode(data, validate=True)


def size_of(png):
    if not png.startswith(b"\x89PNG"):
        raise Wrong(422, "a picture is no PNG")
    return struct.unpack(">II", png[16:24])


def png_of(width, height, colour):
    """A picture of one colour."""
    return png_with(width, height, 2, (b"\0" + bytes(colour) * width) * height)


def png_with(width, height, channels, rows):
    """A picture of these rows, each after its filter."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, channels, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pixels_of(png):
    """The pixels of a picture with four channels of eight bits, as rows of tuples."""
    size, at, packed = size_of(png), 8, b""
    if png[24:26] != bytes([8, 6]):
        raise Wrong(422, "a mask has other channels than red, green, blue and alpha")
    while at < len(png):
        [length] = struct.unpack(">I", png[at : at + 4])
        packed += png[at + 8 : at + 8 + length] if png[at + 4 : at + 8] == b"IDAT" else b""
        at += length + 12
    data, stride, rows = zlib.decompress(packed), size[0] * 4, []
    before = bytes(stride)
    for start in range(0, len(data), stride + 1):
        row = bytearray(data[start + 1 : start + 1 + stride])
        for number, value in enumerate(row):
            left, corner = (row[number - 4], before[number - 4]) if number >= 4 else (0, 0)
            row[number] = (value + guess(data[start], left, before[number], corner)) % 256
        rows.append([tuple(row[number : number + 4]) for number in range(0, stride, 4)])
        before = row
    return rows


def guess(kind, left, above, corner):
    """What a filter of PNG expects a byte to be."""
    near = left + above - corner
    closest = min((left, above, corner), key=lambda one: abs(near - one))
    return (0, left, above, (left + above) // 2, closest)[kind]


def box_of(rows, may_change):
    """Width and height of what may change."""
    found = [(x, y) for y, row in enumerate(rows) for x, pixel in enumerate(row) if may_change(pixel)]
    if not found:
        raise Wrong(422, "nothing may change")
    across, down = zip(*found)
    return max(across) - min(across) + 1, max(down) - min(down) + 1


def heeded(asked):
    """The colour that a prompt names; the words that make trouble do so."""
    words = asked["prompt"].lower().split()
    if "refuse" in words:
        raise Wrong(400, "that is against our rules")
    if "fail" in words:
        raise Wrong(500, "something broke")
    return next((COLOURS[word] for word in words if word in COLOURS), (0, 0, 0))


def edits(asked):
    """The first picture in a colour, as high as all that came are together; with a mask, what may change of it.

    A `mask` is white there, a `cutout` transparent.
    """
    colour = heeded(asked)
    sizes = [size_of(data_of(one)) for one in asked["pictures"]]
    size = sizes[0][0], sum(height for _, height in sizes)
    if "mask" in asked:
        size = box_of(pixels_of(data_of(asked["mask"])), lambda pixel: pixel == (255, 255, 255, 255))
    if "cutout" in asked:
        size = box_of(pixels_of(data_of(asked["cutout"])), lambda pixel: pixel[3] == 0)
    png = png_of(*size, colour)
    return {"pictures": [base64.b64encode(png).decode()] * asked.get("count", 1)}


def sounds(asked):
    """So many seconds of a tone, louder and louder."""
    heeded(asked)
    count = int(asked.get("seconds", 1) * RATE)
    steps = (number * 20_000 // count * (1 if number // 30 % 2 else -1) for number in range(count))
    sound = io.BytesIO()
    with wave.open(sound, "wb") as written:
        written.setparams((1, 2, RATE, count, "NONE", ""))
        written.writeframes(struct.pack(f"<{count}h", *steps))
    return sound.getvalue()


def words(asked):
    """A sentence for each second that was heard."""
    with wave.open(io.BytesIO(data_of(asked["sound"]))) as heard:
        seconds = heard.getnframes() / heard.getframerate()
    language, before = asked.get("language", "en"), asked.get("before", "second")
    parts = [
        {"start": number, "end": min(number + 1, seconds), "text": f"{language} {before} {number + 1}."}
        for number in range(-int(-seconds // 1))
    ]
    return {"text": " ".join(part["text"] for part in parts), "parts": parts}


CALLS = {"/edits": edits, "/sounds": sounds, "/words": words}


class Jobs:
    """Jobs that change a picture, and what was done to them: `GET /jobs` tells it."""

    def __init__(self):
        self._lock, self._ids, self._jobs = threading.Lock(), itertools.count(1), {}

    def begin(self, asked):
        job = {"id": f"job-{next(self._ids)}", "prompt": asked["prompt"], "asked": 0, "cancelled": 0}
        with self._lock:
            self._jobs[job["id"]] = job, asked
        return {"id": job["id"]}

    def ask(self, id):
        with self._lock:
            job, asked = self._jobs[id]
            job["asked"] += 1
        words = job["prompt"].lower().split()
        if job["cancelled"]:
            return {"state": "failed", "error": {"message": "the job was cancelled"}}
        if job["asked"] < ASKED or "hang" in words:
            return {"state": "working"}
        try:
            return {"state": "done"} | edits({"prompt": job["prompt"], "pictures": [asked["picture"]]})
        except Wrong as wrong:
            return {"state": "failed", "error": {"message": wrong.args[1]}}

    def cancel(self, id):
        with self._lock:
            self._jobs[id][0]["cancelled"] += 1

    def all(self):
        with self._lock:
            return [job for job, _ in self._jobs.values()]


JOBS = Jobs()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self._answer(lambda: self._made(json.loads(body)))

    def _made(self, asked):
        if self.path.startswith("/jobs/"):
            return JOBS.begin(asked)
        return CALLS[self.path](asked)

    def do_GET(self):
        id = self.path.removeprefix("/jobs").strip("/")
        self._answer(lambda: JOBS.ask(id) if id else JOBS.all())

    def do_DELETE(self):
        self._answer(lambda: JOBS.cancel(self.path.removeprefix("/jobs/")) or b"")

    def _answer(self, act):
        try:
            status, made = 200, act()
        except Wrong as wrong:
            status, made = wrong.args[0], {"error": {"message": wrong.args[1]}}
        is_file = isinstance(made, bytes)
        body = made if is_file else json.dumps(made).encode()
        self.send_response(status)
        self.send_header("content-type", "audio/wav" if is_file else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
