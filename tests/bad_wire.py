# SPDX-License-Identifier: Apache-2.0
"""A wire between two programs that loses requests and answers, holds them up, and sends requests twice, by a seed.

A second sending may come long after the first, and after what was sent later.
"""
import contextlib
import http.client
import http.server
import random
import threading
import time


class BadWire(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port, seed, bad_share):
        super().__init__(("127.0.0.1", 0), Requests)
        self.to_port, self.chance, self.bad_share = port, random.Random(seed), bad_share
        self.lock, self.late = threading.Lock(), []
        self.done = {"lost request": 0, "lost answer": 0, "late": 0, "twice": 0, "good": 0}

    def decide(self):
        """What happens to this request, and for how long."""
        with self.lock:
            is_bad = self.chance.random() < self.bad_share
            what = self.chance.choice(["lost request", "lost answer", "late", "twice"]) if is_bad else "good"
            self.done[what] += 1
            return what, self.chance.random() * 0.3

    def later(self, act, delay_s):
        thread = threading.Timer(delay_s, act)
        thread.start()
        self.late.append(thread)

    def settle(self):
        """From now on it is a good wire; what it holds back comes first."""
        self.bad_share = 0
        for thread in self.late:
            thread.join()


class Requests(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.to_port, timeout=30)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def forward_quietly(self, body):
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.forward(body)

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        what, delay_s = self.server.decide()
        self.close_connection = True
        if what == "lost request":
            return
        if what == "late":
            time.sleep(delay_s)
        if what == "twice":
            self.server.later(lambda: self.forward_quietly(body), delay_s)
        try:
            status, headers, text = self.forward(body)
        except (OSError, http.client.HTTPException):
            return
        if what == "lost answer":
            return
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "keep-alive"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = handle_one

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def bad_wire(port, seed, bad_share=0.4):
    wire = BadWire(port, seed, bad_share)
    threading.Thread(target=wire.serve_forever, daemon=True).start()
    try:
        yield wire
    finally:
        wire.settle()
        wire.shutdown()
        wire.server_close()
