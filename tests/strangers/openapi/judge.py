"""What schemathesis judges by besides its own checks: deploy/openapi.sh.

Two of its own are replaced. `positive_data_acceptance` cannot know that a token, a page token and a certificate are made by somebody, that
random bytes are none, and which trust domain a SPIFFE id must have: here such a refusal must name that very field. `negative_data_rejection` cannot know ProtoJSON, in which null
is *unset*, a word may be its number, and a number a string: here a wrong body that is taken must become a right one by those rules.
"""

import base64
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import jsonschema_rs
import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response

DOCUMENT = json.loads(Path(__file__).with_name("openapi.json").read_text())
# What only the authority, a device or a CA can make, or know.
MADE = {"certificate", "token", "page_token", "spiffe_id"}


@schemathesis.hook
def filter_body(context: HookContext, body: Any) -> bool:
    """No more than the authority reads of one: it answers a larger one from its head and closes, and a client that is still writing then may
    see the end of the connection and not the answer (RFC 9112, section 9.6)."""
    return len(json.dumps(body, default=str)) <= 16 * 1024


def decoded(text: str) -> bytes:
    """Base64 that may lack what fills it up."""
    return base64.b64decode(text + "=" * (-len(text) % 4))


@schemathesis.check
def a_right_request_is_taken(ctx: CheckContext, response: Response, case: Case) -> None:
    if mode_of(case) != "positive" or response.status_code != 400:
        return
    named = set(fields(response.json()))
    if response.headers["wardein-code"][0] == "certificate-malformed":
        named = {"certificate"}
    if named == {"model"} and not is_plain(case.body["model"]):
        return
    # A schema bounds the base64, of which three lengths are one.
    if named == {"receipt.nonce"} and not 8 <= len(decoded(case.body["receipt"]["nonce"])) <= 64:
        return
    assert named <= MADE and named, f"a right request is refused: {sorted(named)}: {response.text}"


@schemathesis.check
def a_wrong_request_is_refused(ctx: CheckContext, response: Response, case: Case) -> None:
    if mode_of(case) != "negative" or response.status_code != 200:
        return
    name = case.path.rpartition("/")[2] + "Request"
    body = canonical(case.body, DOCUMENT["components"]["schemas"][name]["properties"])
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    error = next(jsonschema_rs.Draft202012Validator(schema).iter_errors(body), None)
    assert error is None, f"a wrong request is taken: {error}: {case.body!r}"


@schemathesis.check
def a_refusal_is_whole(ctx: CheckContext, response: Response, case: Case) -> None:
    if response.status_code == 200:
        return
    for name in ("wardein-code", "wardein-request-id"):
        assert name in response.headers, f"a refusal has no {name}"
    if response.headers["content-type"][0] == "application/json":
        kinds = [each["type"] for each in response.json()["details"]]
        assert "google.rpc.ErrorInfo" in kinds and "google.rpc.RequestInfo" in kinds, kinds


def is_plain(model: str) -> bool:
    """What a schema cannot say: the bound is in bytes, and programs differ in which classes of characters a pattern may name."""
    return len(model.encode()) <= 64 and not any(unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp") for each in model)


def mode_of(case: Case) -> str:
    return str(case.meta.generation.mode.value) if case.meta is not None else "unknown"


def fields(refusal: Any) -> list[str]:
    """The fields that `google.rpc.BadRequest` names: field 1 of its field 1, whose lengths are below 128 here or in two bytes."""
    named = []
    for each in refusal.get("details", []):
        if each["type"] == "google.rpc.BadRequest":
            value = decoded(each["value"])
            found = re.match(rb"\x0a(?:[\x80-\xff][\x01-\x7f]|[\x00-\x7f])\x0a([\x01-\x7f])", value)
            assert found is not None, value
            named.append(value[found.end() : found.end() + found[1][0]].decode())
    return named


def canonical(body: Any, properties: dict[str, Any]) -> Any:
    """The body as ProtoJSON takes it."""
    if not isinstance(body, dict):
        return body
    taken = {}
    for name, value in body.items():
        of = properties.get(name, {})
        if value is None and of:
            continue
        words = DOCUMENT["components"]["schemas"].get(of.get("$ref", "").rpartition("/")[2], {}).get("enum")
        if words and isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(words):
            value = words[value]
        if of.get("type") == "integer" and isinstance(value, str) and re.fullmatch(r"[0-9]+", value):
            value = int(value)
        taken[name] = value
    return taken
