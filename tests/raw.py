# SPDX-License-Identifier: Apache-2.0
"""HTTP as no library would send it: bytes on a socket."""
import socket
import ssl
import time
from urllib.parse import urlsplit


class Raw:
    def __init__(self, url, timeout_s=20, authority=None):
        parts = urlsplit(url)
        self.host = parts.netloc
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=timeout_s)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=authority)
            self.socket = context.wrap_socket(self.socket, server_hostname=parts.hostname)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """False where the other side has hung up."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def read_all(self):
        """Everything until the other side closes."""
        parts = []
        try:
            while True:
                part = self.socket.recv(65536)
                if not part:
                    break
                parts.append(part)
        except ConnectionResetError:
            pass
        return b"".join(parts)

    def ask(self, data):
        """Status and everything that came, the connection closed by the other side or by the answer's end."""
        self.send(data)
        return self.answer()

    def answer(self):
        """One answer: its status (0: hung up without one) and its bytes."""
        data = b""
        try:
            while b"\r\n\r\n" not in data:
                part = self.socket.recv(65536)
                if not part:
                    break
                data += part
            head, _, body = data.partition(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            while len(body) < length:
                part = self.socket.recv(65536)
                if not part:
                    break
                body += part
                data += part
        except ConnectionResetError:
            pass
        status = int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.1 ") else 0
        return status, data

    def closes_within(self, seconds):
        """How long it took until the other side closed; None where it did not."""
        began = time.monotonic()
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        except (socket.timeout, TimeoutError):
            return None
        return time.monotonic() - began
