"""What every file of tests may use."""

import asyncio
import http.server
import os
import queue
import threading

import httpx
import pytest

import server

# This client reads where to call when it is imported, by whichever test.
os.environ["FAL_RUN_HOST"] = server.host() + "/fal/run"
os.environ["FAL_QUEUE_RUN_HOST"] = server.host() + "/fal/queue"
os.environ["FAL_KEY"] = server.KEY


@pytest.fixture
def picture():
    """A small photograph, as a path."""
    return server.SAMPLES / "coffee.png"


@pytest.fixture
def under_way():
    """Tells the runs of a server that have not ended. Those that a test leaves are given up after it."""
    asked = set()

    def runs(name):
        asked.add(name)
        left = []
        for status in ("queued", "running"):
            page = httpx.get(server.plain(name) + "/v1/runs", params={"status": status, "limit": 200}, headers=key(name))
            left += [run["id"] for run in page.json()["runs"]]
        return left

    yield runs
    for name in asked:
        for run in runs(name):
            httpx.post(f"{server.plain(name)}/v1/runs/{run}/cancel", headers=key(name))


def key(name):
    return {"authorization": f"Bearer {server.key_of(name)}"}


@pytest.fixture
def given_up(under_way):
    """Gives up a call of an asynchronous client as soon as its run is under way at the server that never ends."""

    def give_up(call):
        before = set(under_way("hanging"))

        async def begin_and_cancel():
            task = asyncio.ensure_future(call())
            while not set(under_way("hanging")) - before:
                assert not task.done(), task.result()
                await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(begin_and_cancel())
        # Somebody may still want the result: going away ends no run.
        assert len(set(under_way("hanging")) - before) == 1

    return give_up


@pytest.fixture
def receiver():
    """Somebody who is told of webhooks: `url`, and `next()` gives headers and body of the next one."""
    with Receiver() as receiver:
        yield receiver


class Receiver:
    def __enter__(self):
        told = self.told = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                told.put(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d/hook" % self._server.server_address[1]
        return self

    def next(self, timeout=20):
        return self.told.get(timeout=timeout)

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
