# SPDX-License-Identifier: Apache-2.0
"""Somebody who listens on a server's websocket."""
import contextlib
import json
import time

import websocket

from harness import PATIENCE_S


class Socket:
    """A websocket of a server, authenticated with the token that the panel gives (or another)."""

    def __init__(self, server, key=None, token=None, authenticate=True):
        details = server.client(key=key).get(f"{server.api}/websocket").json()["data"]
        self.token = token or details["token"]
        # A node that has not heard of the server yet learns of it here; without a token it asks its panel only
        # about once a second (test_a_new_servers_socket_opens_within_seconds).
        server.roost.node_client().get(f"/api/servers/{server.uuid}")
        self.connection = websocket.create_connection(details["socket"], timeout=PATIENCE_S,
                                                      header=["Origin: " + server.roost.url])
        if authenticate:
            self.send("auth", self.token)

    def send(self, event, *args):
        self.connection.send(json.dumps({"event": event, "args": list(args)}))

    def receive(self, timeout_s=None):
        """The next event, or None where there is none or the socket was closed."""
        self.connection.settimeout(timeout_s or PATIENCE_S)
        try:
            text = self.connection.recv()
        except (websocket.WebSocketTimeoutException, websocket.WebSocketConnectionClosedException, OSError):
            return None
        return json.loads(text) if text else None

    def until(self, *names, timeout_s=None):
        """Events up to the last of `names` that was waited for, by name."""
        seen = {}
        deadline = time.monotonic() + (timeout_s or PATIENCE_S)
        while not set(names) <= set(seen) and time.monotonic() < deadline:
            message = self.receive(max(deadline - time.monotonic(), 0.1))
            if message is None:
                break
            seen[message["event"]] = message
        assert set(names) <= set(seen), f"came: {sorted(seen)}"
        return seen

    def close(self):
        with contextlib.suppress(Exception):
            self.connection.close()
