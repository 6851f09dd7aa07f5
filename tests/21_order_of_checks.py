# SPDX-License-Identifier: Apache-2.0
"""Which error wins where a request breaks several rules at once (the list of checks in docs/api.md).

A request is described by the rules that it breaks; the answer is that of the first of them.
"""
import itertools

import pytest

from expect import check, error
from harness import EXTENDED

UNKNOWN = "0f7b2a3c-5f0e-4a43-9c3e-5b1f6a7d8e9f"

# In the order in which they are looked at.
RULES = ["token", "json", "address", "server", "application", "access", "state", "backup of", "permission", "body",
         "business"]
ANSWERS = {
    "token": (401, "AuthenticationException"), "json": (400, "BadRequestHttpException"),
    "address": (403, "AccessDeniedHttpException"), "server": (404, "NotFoundHttpException"),
    "application": (403, "AccessDeniedHttpException"), "access": (404, "NotFoundHttpException"),
    "state": (409, "ServerStateConflictException"), "backup of": (404, "NotFoundHttpException"),
    "permission": (403, "AccessDeniedHttpException"), "body": (422, "ValidationException"),
    "business": (400, None),
}
DETAILS = {
    "json": "The JSON data passed in the request appears to be malformed: ",
    "address": "This IP address (127.0.0.1) does not have permission to access the API using these credentials.",
    "server": "The requested resource could not be found on the server.",
    "application": "You are attempting to use an application API key on an endpoint that requires a client API key.",
    "access": "The requested resource does not exist on this server.",
    "backup of": "The requested resource was not found for this server.",
    "permission": "This action is unauthorized.",
    "state": "This server is currently suspended",
}


def possible(rules):
    """Whether one request can break all of them."""
    rules = set(rules)
    if "token" in rules and rules & {"address", "application", "access", "permission"}:
        return False
    if "json" in rules and "body" in rules:
        return False
    if "server" in rules and rules & {"access", "state", "backup of", "permission"}:
        return False
    if "application" in rules and rules & {"access", "permission", "address"}:
        return False
    if "access" in rules and "permission" in rules:
        return False
    return not ("business" in rules and "backup of" in rules)


PAIRS = [pair for pair in itertools.combinations(RULES, 2) if possible(pair)] + [(rule,) for rule in RULES]
PAIRS += [("state", "permission", "body"), ("access", "state", "body"), ("permission", "body", "business"),
          ("json", "state", "permission"), ("token", "json", "server", "body")]


def request_that_breaks(roost, rules):
    """A restore of a backup, made wrong in every way that is asked for; the answer."""
    server, other = roost.add_server(), roost.add_server()
    backup = server.put_backup("creating" if "business" in rules else "completed")
    if "backup of" in rules:
        backup = other.put_backup()
    if "state" in rules:
        server.set(status="suspended")
    key = roost.key
    if "access" in rules:
        key = roost.stranger_key()
    if "permission" in rules:
        key = roost.add_subuser(server, {"backup.read"})
    if "application" in rules:
        key = roost.application_key()
    if "address" in rules:
        key = roost.confined(key)
    if "token" in rules:
        key = "ptlc_" + "x" * 43
    name = UNKNOWN if "server" in rules else server.uuid
    url = f"/api/client/servers/{name}/backups/{backup}/restore"
    body = b'{"truncate": ' if "json" in rules else b'{"truncate": "perhaps"}' if "body" in rules else b"{}"
    return roost.client(key).post(url, data=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("rules", PAIRS, ids=["+".join(pair) for pair in PAIRS])
def test_the_first_rule_answers(roost, rules):
    first = min(rules, key=RULES.index)
    status, code = ANSWERS[first]
    answer = request_that_breaks(roost, rules)
    assert answer.status_code == status, f"{first} should win: {answer.status_code} {answer.text}"
    found = answer.json()["errors"][0]
    assert found["status"] == str(status)
    if code:
        assert found["code"] == code
    if first in DETAILS:
        assert found["detail"].startswith(DETAILS[first])


def test_an_unknown_backup_beats_state_and_permission(roost):
    server = roost.add_server()
    server.set(status="suspended")
    key = roost.add_subuser(server, set())
    url = f"{server.api}/backups/{UNKNOWN}/restore"
    check(roost.client(key).post(url, json={"truncate": "x"}), 404, error("NotFoundHttpException", 404))


def test_the_order_is_the_same_in_the_extended_dialect(roost):
    server = roost.add_server()
    key = roost.add_subuser(server, {"backup.read"})
    check(roost.client(key, EXTENDED).post(f"{server.api}/backups", json={"name": 5}), 403,
          error("InsufficientPermissionsException", 403))
    server.set(status="suspended")
    check(roost.client(key, EXTENDED).post(f"{server.api}/backups", json={"name": 5}), 409,
          error("ConflictingServerStateException", 409))


def test_two_factor_comes_before_the_address(roost):
    key = roost.add_user("careless").key
    confined = roost.confined(key)
    server = roost.add_server()
    roost.require_two_factor(True)
    try:
        for token in (key, confined):
            check(roost.client(token).get(f"{server.api}/backups"), 400, error(
                "TwoFactorAuthRequiredException", 400,
                "Two-factor authentication is required on this account in order to access this endpoint."))
    finally:
        roost.require_two_factor(False)


def test_rate_limit_comes_before_the_server(limited):
    """Four requests a minute; an unknown server costs one, too."""
    client = limited.client(limited.key)
    answers = [client.get(f"/api/client/servers/{UNKNOWN}/backups") for _ in range(6)]
    assert [a.status_code for a in answers] == [404] * 4 + [429] * 2
    assert answers[0].headers["X-RateLimit-Limit"] == "4" and answers[0].headers["X-RateLimit-Remaining"] == "3"
    last = answers[-1]
    check(last, 429, error("ThrottleRequestsException", 429, "Too Many Attempts."))
    assert 0 < int(last.headers["Retry-After"]) <= 60 and int(last.headers["X-RateLimit-Reset"]) > 0


def test_the_throttle_comes_before_the_limit(limited):
    server = limited.add_server(limit=2)
    for _ in range(2):
        server.put_backup(created_s=-30)
    key = limited.add_user("patient").key
    limited.share(server, "patient", {"backup.create", "backup.read"})
    answer = limited.client(key).post(f"{server.api}/backups")
    check(answer, 429, error("TooManyRequestsHttpException", 429,
                             "Only 2 backups may be generated within a 600 second span of time."))
    assert 560 <= int(answer.headers["Retry-After"]) <= 571
