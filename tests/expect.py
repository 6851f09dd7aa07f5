# SPDX-License-Identifier: Apache-2.0
"""What an answer should look like, as plain data.

    check(answer, 200, {"object": "backup", "attributes": {"uuid": UUID, "bytes": int, …}})

In a pattern a type matches its instances (int never a bool), a compiled expression matches a whole
string, a function matches what it returns true for, a list matches item by item, and a
dict matches exactly its keys; {...: ...} in it allows further ones.
"""
import re

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}|sha1:[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")
AUTO_NAME = re.compile(r"Backup at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
MORE = {...: ...}


def or_null(pattern):
    """The pattern, or null."""
    return lambda value: value is None or not differences(value, pattern)


def differences(value, pattern, where="body"):
    """What of `value` is not as `pattern` says: texts."""
    if isinstance(pattern, type):
        good = isinstance(value, pattern) and not (pattern is int and isinstance(value, bool))
        return [] if good else [f"{where}: {value!r} is no {pattern.__name__}"]
    if isinstance(pattern, re.Pattern):
        good = isinstance(value, str) and pattern.fullmatch(value)
        return [] if good else [f"{where}: {value!r} does not match {pattern.pattern}"]
    if callable(pattern):
        return [] if pattern(value) else [f"{where}: {value!r} is refused"]
    if isinstance(pattern, dict):
        return dict_differences(value, pattern, where)
    if isinstance(pattern, list):
        if not isinstance(value, list) or len(value) != len(pattern):
            return [f"{where}: {value!r} instead of {len(pattern)} items"]
        return [d for i, p in enumerate(pattern) for d in differences(value[i], p, f"{where}[{i}]")]
    good = value == pattern and isinstance(value, bool) == isinstance(pattern, bool)
    return [] if good else [f"{where}: {value!r} instead of {pattern!r}"]


def dict_differences(value, pattern, where):
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no object"]
    wanted = {key: item for key, item in pattern.items() if key is not ...}
    result = [f"{where}: lacks {key!r}" for key in wanted if key not in value]
    if ... not in pattern:
        result += [f"{where}: has {key!r}" for key in value if key not in wanted]
    for key, item in wanted.items():
        if key in value:
            result += differences(value[key], item, f"{where}.{key}")
    return result


def check(answer, status, pattern=None):
    """The answer has the status, and JSON like the pattern; an empty body where the pattern is ''."""
    assert answer.status_code == status, f"{answer.status_code} instead of {status}: {answer.text[:600]}"
    if status == 204 or pattern == "":
        assert answer.content == b"", answer.text[:600]
    if pattern is None or pattern == "":
        return None
    assert answer.headers["Content-Type"].split(";")[0] == "application/json", answer.headers
    body = answer.json()
    found = differences(body, pattern)
    assert not found, "\n".join(found) + f"\n{answer.text[:1500]}"
    return body


def error(code, status, detail=str, **more):
    """The error envelope with one error."""
    return {"errors": [{"code": code, "status": str(status), "detail": detail, **more}]}


def violation(field, rule, detail=str):
    """One object of a 422."""
    return {"code": "ValidationException", "status": "422", "detail": detail,
            "meta": {"source_field": field, "rule": rule}}


def backup_object(**attributes):
    """A backup on the wire with every field of every document; attributes narrow it down."""
    fields = {
        "uuid": UUID, "is_successful": bool, "is_locked": bool, "name": str, "ignored_files": list,
        "checksum": or_null(CHECKSUM), "sha256_hash": or_null(SHA256), "bytes": int,
        "created_at": TIME, "completed_at": or_null(TIME), **MORE,
    }
    fields.update(attributes)
    return {"object": "backup", "attributes": fields}


COMPLETED = {"is_successful": True, "checksum": CHECKSUM, "sha256_hash": SHA256, "bytes": lambda n: n > 0,
             "completed_at": TIME}
CREATING = {"is_successful": False, "checksum": None, "sha256_hash": None, "bytes": 0, "completed_at": None}

NOT_FOUND = error("NotFoundHttpException", 404, "The requested resource could not be found on the server.")
NOT_ON_SERVER = error("NotFoundHttpException", 404, "The requested resource does not exist on this server.")
NOT_FOR_SERVER = error("NotFoundHttpException", 404, "The requested resource was not found for this server.")
UNAUTHENTICATED = error("AuthenticationException", 401, "Unauthenticated.")
FORBIDDEN = error("AccessDeniedHttpException", 403, "This action is unauthorized.")
STATES = {
    "suspended": "This server is currently suspended and the functionality requested is unavailable.",
    "maintenance": "The node of this server is currently under maintenance and the functionality requested is "
                   "unavailable.",
    "installing": "This server has not yet completed its installation process, please try again later.",
    "install_failed": "This server has not yet completed its installation process, please try again later.",
    "restoring_backup": "This server is currently restoring from a backup, please try again later.",
    "transferring": "This server is currently being transferred to a new machine, please try again later.",
}
