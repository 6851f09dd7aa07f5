# SPDX-License-Identifier: Apache-2.0
"""A daemon that is not ours, in the place of a server's node: it takes every order, and knows no field of ours.

It does not know `unknown` paths (as they end) either, and says so as Wings does.
"""
import contextlib
import http.server
import json
import threading


class ForeignNode(http.server.ThreadingHTTPServer):
    def __init__(self, features, unknown):
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked, self.features, self.unknown = [], features, unknown


class Answers(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.server.asked.append(f"{self.command} {self.path}")
        about = {"architecture": "amd64", "cpu_count": 1, "kernel_version": "6", "os": "linux", "version": "1.11.13"}
        if self.server.features is not None:
            about["features"] = self.server.features
        is_unknown = self.path.endswith(self.server.unknown)
        body = b"404 page not found" if is_unknown else json.dumps(about).encode()
        self.send_response(404 if is_unknown else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def foreign_node(roost, features=None, unknown=()):
    """Meanwhile the panel's node is this one; `asked` is what it was asked."""
    node = ForeignNode(features, unknown)
    threading.Thread(target=node.serve_forever, daemon=True).start()
    port = roost.rows("SELECT daemonListen FROM nodes")[0]["daemonListen"]
    try:
        roost.sql("UPDATE nodes SET daemonListen = ?", node.server_port)
        yield node
    finally:
        roost.sql("UPDATE nodes SET daemonListen = ?", port)
        node.shutdown()
        node.server_close()
