"""What every file of tests may use."""

import http.server
import queue
import threading

import pytest

import server


@pytest.fixture
def picture():
    """A small photograph, as a path."""
    return server.SAMPLES / "coffee.png"


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
