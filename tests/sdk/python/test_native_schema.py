"""Everything that `openapi.json` describes, asked with what it allows and with what it does not.

Whatever is sent, no answer is an error of the server, and every answer is one that is described.
"""

import httpx2
import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import server

# Its runs are refused at once, and nobody else counts its deliveries.
NAME = "refusing"
ADDRESS = server.plain(NAME)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
KEYS = {"user": server.key_of(NAME), "admin": server.admin_key_of(NAME)}


def bearer(who):
    return {"Authorization": f"Bearer {KEYS[who]}"}


schema = schemathesis.openapi.from_url(ADDRESS + "/openapi.json")
FLOW = "workflow: kept\nversion: 1\nsteps:\n  a: { task: text-to-image, input: { prompt: x } }\noutputs:\n  b: { value: \"{{ steps.a.images[0] }}\" }\n"


def ask(method, path, who="user", status=(200, 201, 202), **what):
    answer = httpx2.request(method, ADDRESS + path, headers={**bearer(who), **what.pop("headers", {})}, timeout=30, **what)
    assert answer.status_code in status, answer.text
    return answer


@pytest.fixture(scope="module", autouse=True)
def known():
    """Something of each kind, so that what is asked for can be there."""
    wish = {"task": "text-to-image", "input": {"prompt": "a mug", "width": 64, "height": 64}}
    run = ask("POST", "/v1/runs", json=wish).json()["id"]
    asset = ask("POST", "/v1/assets", content=(server.SAMPLES / "coffee.png").read_bytes(), headers={"Content-Type": "image/png"})
    endpoint = ask("POST", "/v1/webhooks", json={"url": "http://127.0.0.1:9/told"}).json()["id"]
    upload = ask("POST", "/v1/uploads", json={"name": "a.png", "media_type": "image/png"}).json()["id"]
    ask("PUT", "/v1/workflows/kept", json={"source": FLOW})
    KNOWN.update(run=run, digest=asset.json()["digest"], endpoint=endpoint, upload=upload)
    KNOWN.update(workflow="kept", name="kept", task="text-to-image", model="sketch-scene", number=1, delivery=1)


KNOWN = {}
# What takes away is asked with what it invents only: others still need what there is.
KEPT = {"DELETE"}


@schema.parametrize()
@hypothesis.settings(
    max_examples=16,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
def test_every_route(case):
    check(case)
    if case.method not in KEPT and any(name in KNOWN for name in case.path_parameters or {}):
        for name in case.path_parameters:
            case.path_parameters[name] = KNOWN.get(name, case.path_parameters[name])
        check(case)


def check(case):
    who = "admin" if case.path.startswith(("/v1/keys", "/metrics")) else "user"
    # A run is not waited for; whoever listens to one hears its end at once.
    answer = case.call(headers={**bearer(who), "Prefer": "respond-async"}, timeout=20)
    is_stream = "event-stream" in "".join(answer.headers.get("content-type", ""))
    case.validate_response(answer, checks=CHECKS[:-1] if is_stream else CHECKS)


def test_the_server_lives():
    assert ask("GET", "/health").json()["status"] == "ok"
