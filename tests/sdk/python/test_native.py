"""The native API by programs that know nothing of it: HTTP, server-sent events, Standard Webhooks, JSON Schema."""

import concurrent.futures
import hashlib
import json
import time

import httpx
import jsonschema
import pytest
import replicate.webhook
from httpx_sse import connect_sse

import server

WISH = {"task": "text-to-image", "input": {"prompt": "a red mug", "width": 64, "height": 64}}


def client(name="normal", key=None, **what):
    headers = {"Authorization": f"Bearer {server.key_of(name) if key is None else key}"}
    return httpx.Client(base_url=server.secure(name), headers=headers, timeout=60, **what)


@pytest.fixture(scope="module")
def normal():
    with client() as normal:
        yield normal


def wish(seed, **more):
    return {**WISH, "input": {**WISH["input"], "seed": seed}, **more}


def good(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json()


def ended(http, run):
    for _ in range(300):
        seen = good(http.get(f"/v1/runs/{run}"))
        if seen["status"] in ("succeeded", "failed", "cancelled"):
            return seen
        time.sleep(0.05)
    pytest.fail(f"it is {seen['status']}")


def test_answers_are_what_the_description_says(normal):
    description = good(normal.get("/openapi.json"))
    schemas = {"components": {"schemas": description["components"]["schemas"]}}

    def check(name, value):
        jsonschema.validate(value, {**schemas, "$ref": f"#/components/schemas/{name}"})

    run = good(normal.post("/v1/runs", json=wish(1)))
    check("RunView", run)
    check("RunList", good(normal.get("/v1/runs", params={"limit": 3})))
    check("PlanAnswer", good(normal.post("/v1/plan", json=WISH)))
    check("TaskList", good(normal.get("/v1/tasks")))
    check("ModelList", good(normal.get("/v1/models")))
    check("AssetView", good(normal.get("/v1/assets/" + run["output"]["images"][0]["digest"])))
    check("LineageView", good(normal.get(f"/v1/assets/{run['output']['images'][0]['digest']}/lineage")))
    check("UsageView", good(normal.get("/v1/usage")))
    check("Problem", good(normal.get("/v1/runs/nonesuch"), 404))
    check("Problem", good(normal.post("/v1/runs", json={"task": "text-to-imagine"}), 404))


def test_a_call_waits_only_as_long_as_it_says():
    with client("slow") as slow:
        began = time.monotonic()
        begun = slow.post("/v1/runs", json=wish(2), headers={"Prefer": "wait=1"})
        assert good(begun, 202)["status"] in ("queued", "running") and time.monotonic() - began < 1.5
        assert begun.headers["location"] == f"/v1/runs/{begun.json()['id']}"
        assert ended(slow, begun.json()["id"])["status"] == "succeeded"


def test_events_are_streamed_and_resumed():
    with client("slow") as slow:
        with connect_sse(slow, "POST", "/v1/runs", json=wish(3)) as stream:
            run = stream.response.headers["location"]
            heard = []
            for event in stream.iter_sse():
                heard.append(event)
                if event.event == "started":
                    break
        with connect_sse(slow, "GET", run + "/events", headers={"Last-Event-ID": heard[-1].id}) as stream:
            heard += list(stream.iter_sse())
        names = [event.event for event in heard]
        assert names[0] == "queued" and names[-1] == "done" and names.count("step") == 1
        ids = [int(event.id) for event in heard if event.id.isdigit() and event.event not in ("progress", "log")]
        assert sorted(set(ids)) == list(range(1, max(ids) + 1))
        assert json.loads(heard[-1].data)["output"]["images"][0]["url"].startswith("https://")


def test_the_same_key_is_the_same_run_also_while_it_is_under_way():
    with client("slow") as slow:
        headers = {"Idempotency-Key": f"once {time.time()}"}

        def call(_):
            return good(slow.post("/v1/runs", json=wish(4), headers=headers))

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(call, range(8)))
        assert len({answer["id"] for answer in answers}) == 1
        assert {answer["status"] for answer in answers} == {"succeeded"}
        other = slow.post("/v1/runs", json=wish(5), headers=headers)
        assert good(other, 409)["code"] == "idempotency_key_reused"


def test_a_client_that_loses_patience_and_tries_again_pays_once():
    request = wish(int(time.time()), no_cache=True)
    with client("slow") as slow:
        for _ in range(3):
            with pytest.raises(httpx.ReadTimeout):
                slow.post("/v1/runs", json=request, timeout=0.3)
        made = good(slow.post("/v1/runs", json=request))
        assert made["status"] == "succeeded"
        listed = good(slow.get("/v1/runs", params={"limit": 20}))["runs"]
        reports = [good(slow.get(f"/v1/runs/{run['id']}/report")) for run in listed]
        same = [report["run"] for report in reports if report["input"].get("seed") == request["input"]["seed"]]
        assert same == [made["id"]]


@pytest.mark.parametrize(
    "name, status, code", [("failing", "failed", "provider_failed"), ("refusing", "failed", "refused")]
)
def test_what_fails_says_why(name, status, code):
    with client(name) as http:
        run = good(http.post("/v1/runs", json=wish(6)))
        assert (run["status"], run["error"]["code"]) == (status, code)
        assert run["error"]["type"].endswith(f"docs/errors/{code}")


def test_a_run_is_given_up():
    with client("hanging") as hanging:
        begun = good(hanging.post("/v1/runs", json=wish(7), headers={"Prefer": "respond-async"}), 202)
        good(hanging.post(f"/v1/runs/{begun['id']}/cancel"), 202)
        assert ended(hanging, begun["id"])["status"] == "cancelled"


def told(receiver, run):
    while True:
        headers, body = receiver.next()
        if json.loads(body)["data"]["id"] == run:
            return headers, body


def is_signed(headers, body, secret):
    request = httpx.Request("POST", "http://127.0.0.1", headers=headers, content=body)
    try:
        replicate.webhook.Webhooks.validate(
            request, secret=replicate.webhook.WebhookSigningSecret(key=secret), tolerance=60
        )
        return True
    except replicate.webhook.InvalidSignatureError:
        return False


def test_endpoints_are_told_and_secrets_change(receiver):
    # A server whose runs others do not make by the dozen.
    with client("refusing") as http:
        made = good(http.post("/v1/webhooks", json={"url": receiver.url, "topics": ["run.failed"]}), 201)
        try:
            run = good(http.post("/v1/runs", json=wish(8)))["id"]
            headers, body = told(receiver, run)
            assert json.loads(body)["type"] == "run.failed"
            assert is_signed(headers, body, made["secret"])
            assert not is_signed(headers, body, "whsec_" + "A" * 32)
            newer = good(http.post(f"/v1/webhooks/{made['id']}/rotate"))["secret"]
            assert newer != made["secret"]
            query = {"run": run, "endpoint": made["id"]}
            for _ in range(100):
                delivery = good(http.get("/v1/deliveries", params=query))["deliveries"][0]
                if delivery["state"] == "delivered":
                    break
                time.sleep(0.05)
            assert (delivery["state"], delivery["last_status"]) == ("delivered", 200)
            good(http.post(f"/v1/deliveries/{delivery['id']}/redeliver"), 202)
            again, body = told(receiver, run)
            assert again["webhook-id"] == headers["webhook-id"]
            assert is_signed(again, body, made["secret"]) and is_signed(again, body, newer)
        finally:
            assert http.delete(f"/v1/webhooks/{made['id']}").status_code == 204


def test_files_go_in_parts_and_come_in_ranges(normal, picture):
    whole = picture.read_bytes()
    upload = good(normal.post("/v1/uploads", json={"name": "coffee.png", "media_type": "image/png"}), 201)
    middle = len(whole) // 2
    for number, part in ((2, whole[middle:]), (1, whole[:middle]), (1, whole[:middle])):
        seen = good(normal.put(f"/v1/uploads/{upload['id']}/parts/{number}", content=part))
    assert (seen["parts"], seen["bytes"]) == ([1, 2], len(whole))
    asset = good(normal.post(f"/v1/uploads/{upload['id']}/complete"), 201)
    content = normal.get(f"/v1/assets/{asset['digest']}/content")
    assert hashlib.sha256(content.content).hexdigest() == asset["digest"]
    part = httpx.get(asset["url"].replace("https://", "http://"), headers={"Range": "bytes=8-23"})
    assert (part.status_code, part.content) == (206, content.content[8:24])
    forged = httpx.get(asset["url"].replace("https://", "http://")[:-3] + "AAA")
    assert forged.status_code in (403, 404)
    small = good(normal.post("/v1/runs", json={"task": "resize-image", "input": {"image": asset, "width": 40}}))
    assert small["output"]["image"]["width"] == 40


def test_another_tenant_finds_nothing(normal):
    admin = {"Authorization": f"Bearer {server.admin_key_of()}"}
    made = good(httpx.post(server.plain() + "/v1/keys", json={"tenant": "acme", "name": "native"}, headers=admin), 201)
    run = good(normal.post("/v1/runs", json=wish(9)))
    digest = run["output"]["images"][0]["digest"]
    with client(key=made["key"]) as other:
        for path in (f"/v1/runs/{run['id']}", f"/v1/runs/{run['id']}/events", f"/v1/assets/{digest}/content"):
            assert good(other.get(path), 404)["code"] == "not_found"
        stolen = other.post("/v1/runs", json={"task": "resize-image", "input": {"image": {"asset": digest}, "width": 9}})
        assert good(stolen, 404)["code"] == "not_found"
        assert good(other.get("/v1/runs"))["runs"] == []
