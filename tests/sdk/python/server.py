"""Where the servers are, and how to reach them as no SDK does."""

import io
import json
import os
import pathlib
import socket
import threading

_FACTS = json.loads(pathlib.Path(os.environ["IMPASTO_SDK_SERVERS"]).read_text())
SAMPLES = pathlib.Path(os.environ["IMPASTO_SDK_SAMPLES"])


def host(name="normal"):
    """Host and port of a server."""
    return f"127.0.0.1:{_FACTS['ports'][name]}"


def secure(name="normal"):
    """The address of a server over TLS, without a slash at its end."""
    return f"https://{host(name)}"


def plain(name="normal"):
    """The address of a server without TLS."""
    return f"http://{host(name)}"


def key_of(name="normal"):
    """A key that the server takes."""
    return _FACTS["keys"][name]


def admin_key_of(name="normal"):
    """A key for running the server."""
    return _FACTS["admins"][name]


def folder_of(name="normal"):
    """The folder in which the server keeps its data."""
    return pathlib.Path(_FACTS["folders"][name])


KEY = key_of()
BINARY = _FACTS["binary"]
# Where the provider of the `elsewhere` server is: `provider.py`.
PROVIDER = _FACTS["provider"]


# More than a server takes in one file.
TOO_LARGE = 150 << 20


class Endless(io.RawIOBase):
    """So many zeros, without having them."""

    def __init__(self, size=TOO_LARGE):
        self.size = self.left = size

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=0):
        self.left = self.size - {0: 0, 1: self.tell(), 2: self.size}[whence] - offset
        return self.size - self.left

    def tell(self):
        return self.size - self.left

    def read(self, size=-1):
        size = self.left if size < 0 else min(size, self.left)
        self.left -= size
        return bytes(size)


class Breaking:
    """A way to a server that breaks the first connections before the client gets an answer.

    The request reaches the server; what the server says is dropped and the connection with it. With `after`, the
    connection breaks so many seconds after the request instead, whatever the server says. Plain HTTP only.
    """

    def __init__(self, name="normal", times=1, method=b"POST", after=None):
        self.left, self.method, self.broken, self.after = times, method, 0, after
        self._server = ("127.0.0.1", _FACTS["ports"][name])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        with client, socket.create_connection(self._server) as server:
            seen = threading.Event()
            threading.Thread(target=self._forth, args=(client, server, seen), daemon=True).start()
            while data := _received(server):
                if seen.is_set() and self.left > 0 and self.after is None:
                    self._break(client, server)
                    return
                try:
                    client.sendall(data)
                except OSError:
                    return

    def _break(self, client, server):
        self.left -= 1
        self.broken += 1
        # Closing alone ends nothing while the other thread waits for bytes.
        for end in (client, server):
            end.shutdown(socket.SHUT_RDWR)

    def _forth(self, client, server, seen):
        while data := _received(client):
            if data.startswith(self.method):
                seen.set()
                if self.left > 0 and self.after is not None:
                    threading.Timer(self.after, self._break, (client, server)).start()
            try:
                server.sendall(data)
            except OSError:
                return

    def close(self):
        self._listener.close()


def _received(connection):
    try:
        return connection.recv(65536)
    except OSError:
        return b""
