"""The replicate SDK: predictions made, waited for, streamed, given up; files; models; webhooks."""

import asyncio
import io
import json
import time

import httpx
import pytest
import replicate
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError
from replicate.helpers import FileOutput
from replicate.webhook import InvalidSignatureError, WebhookSigningSecret, Webhooks

import server

PNG = b"\x89PNG\r\n\x1a\n"
MODEL = "impasto/sketch-scene"
INPUT = {"prompt": "a red mug on a table", "aspect_ratio": "1:1", "seed": 3}
SMALL = {**INPUT, "width": 64, "height": 64}


def client(name="normal", at=server.secure, key=None):
    token = server.key_of(name) if key is None else key
    return Client(api_token=token, base_url=at(name) + "/replicate")


@pytest.fixture(scope="module")
def normal():
    return client()


def ended(prediction):
    prediction.wait()
    return prediction


def test_run_gives_files_that_can_be_read(normal):
    output = normal.run(MODEL, input={**SMALL, "num_outputs": 2})
    assert [type(one) for one in output] == [FileOutput, FileOutput]
    assert all(one.url.startswith("https:") and one.read().startswith(PNG) for one in output)
    assert b"".join(output[0]) == output[0].read()


def test_run_gives_files_without_encryption_too():
    output = client(at=server.plain).run(MODEL, input=SMALL)
    assert isinstance(output[0], FileOutput) and output[0].read().startswith(PNG)


def test_the_environment_says_where_the_server_is(monkeypatch):
    monkeypatch.setenv("REPLICATE_BASE_URL", server.secure() + "/replicate")
    monkeypatch.setenv("REPLICATE_API_TOKEN", server.KEY)
    assert Client().run("impasto/draft", input=SMALL)[0].read().startswith(PNG)


def test_run_asynchronously(normal):
    async def go():
        output = await client().async_run(MODEL, input=SMALL)
        return await output[0].aread()

    assert asyncio.run(go()).startswith(PNG)


@pytest.mark.parametrize("name", ["impasto/auto", "impasto/hero", "text-to-image/draft", "impasto/text-to-image"])
def test_tiers_and_tasks_are_models(normal, name):
    assert normal.run(name, input=SMALL)[0].read().startswith(PNG)


def test_one_file_is_no_list(normal):
    output = normal.run("impasto/sketch-voice", input={"text": "Good morning."})
    assert isinstance(output, FileOutput) and output.read()[:4] == b"RIFF"


def test_a_prediction_is_made_waited_for_and_found_again(normal):
    made = normal.predictions.create(model=MODEL, input=SMALL)
    assert made.status in ("starting", "processing", "succeeded")
    assert made.model == MODEL and made.input["prompt"] == INPUT["prompt"]
    assert ended(made).status == "succeeded"
    again = normal.predictions.get(made.id)
    assert again.output == made.output or len(again.output) == len(made.output)
    assert again.completed_at and again.metrics["predict_time"] >= 0
    assert again.urls["get"].endswith(made.id) and again.error is None


def test_a_version_runs(normal):
    version = normal.models.get(MODEL).latest_version
    assert normal.predictions.create(version=version, input=SMALL, wait=True).status == "succeeded"
    assert normal.run(f"{MODEL}:{version.id}", input=SMALL)[0].read().startswith(PNG)
    by_name = normal.predictions.create(version=MODEL, input=SMALL, wait=True)
    assert by_name.status == "succeeded"


def test_a_deployment_runs(normal):
    made = normal.deployments.predictions.create((*MODEL.split("/"),), input=SMALL)
    assert ended(made).status == "succeeded"


def test_a_wait_that_ends_early_is_polled_on():
    slow = client("slow")
    made = slow.predictions.create(version=MODEL, input=SMALL, wait=1)
    assert made.status == "starting" and made.output is None
    assert ended(made).status == "succeeded"
    assert slow.run(MODEL, input={**SMALL, "seed": 9}, wait=1)[0].read().startswith(PNG)


def test_a_client_that_waits_no_longer_finds_its_prediction_again(under_way):
    hanging = client("hanging")
    prompt = f"a mug that never comes, {time.time()}"

    async def wait():
        mine = client("hanging")
        await asyncio.wait_for(mine.async_run(MODEL, input={**SMALL, "prompt": prompt}, wait=1), timeout=3)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(wait())
    [left] = [one for one in hanging.predictions.list() if one.input["prompt"] == prompt]
    assert left.status in ("starting", "processing") and left.id in under_way("hanging")
    assert hanging.predictions.cancel(left.id).status == "canceled"
    assert left.id not in under_way("hanging")


def test_predictions_are_listed_page_by_page(normal):
    ids = [normal.predictions.create(model=MODEL, input=SMALL).id for _ in range(103)]
    first = normal.predictions.list()
    assert len(first) == 100 and first.previous is None
    second = normal.predictions.list(first.next)
    listed = [one.id for one in [*first, *second]]
    assert listed[:103] == ids[::-1] and len(set(listed)) == len(listed)


def test_a_prediction_is_given_up():
    hanging = client("hanging")
    made = hanging.predictions.create(model=MODEL, input=SMALL)
    cancelled = hanging.predictions.cancel(made.id)
    assert cancelled.status == "canceled" and cancelled.completed_at
    assert hanging.predictions.cancel(made.id).status == "canceled"
    made.reload()
    assert made.status == "canceled" and made.output is None


def test_a_prediction_is_given_up_in_time():
    hanging = client("hanging")
    request = {"version": MODEL, "input": SMALL}
    headers = {"Cancel-After": "5s"}
    made = hanging._request("POST", "/v1/predictions", json=request, headers=headers).json()
    began = time.monotonic()
    while hanging.predictions.get(made["id"]).status not in ("canceled", "failed"):
        assert time.monotonic() - began < 15
        time.sleep(0.2)
    assert hanging.predictions.get(made["id"]).status == "canceled"
    assert 3 < time.monotonic() - began


def test_the_stream_tells_output_and_end(normal):
    events = list(normal.stream(MODEL, input=SMALL))
    assert [event.event.value for event in events] == ["output", "done"]
    assert events[0].data.read().startswith(PNG) and all(event.id for event in events)


def test_the_stream_raises_what_failed():
    with pytest.raises(RuntimeError, match="provider_failed"):
        list(client("failing").stream(MODEL, input=SMALL))


def test_a_stream_needs_its_signature(normal):
    made = normal.predictions.create(model=MODEL, input=SMALL)
    address = made.urls["stream"]
    assert httpx.get(address).headers["content-type"] == "text/event-stream"
    assert httpx.get(address[:-4] + "0000").status_code == 404


def test_what_failed_is_a_model_error():
    with pytest.raises(ModelError, match="provider_failed") as caught:
        client("failing").run(MODEL, input=SMALL)
    assert caught.value.prediction.status == "failed" and caught.value.prediction.output is None


def test_what_was_refused_says_so():
    with pytest.raises(ModelError, match="refused"):
        client("refusing").run(MODEL, input=SMALL)


def check_error(status, act, match):
    with pytest.raises(ReplicateError, match=match) as caught:
        act()
    assert caught.value.status == status and caught.value.title and caught.value.detail


def test_errors_are_told_as_problems(normal):
    run = normal.run
    check_error(404, lambda: run("acme/sketch-scenes", input=INPUT), "did you mean `sketch-scene`")
    check_error(422, lambda: run(MODEL, input={"promt": "x"}), "did you mean `prompt`")
    check_error(422, lambda: run(MODEL, input={**INPUT, "num_outputs": 99}), "the most is 16")
    check_error(422, lambda: normal.predictions.create(version="0" * 64, input=INPUT), "version")
    check_error(422, lambda: run(MODEL, input=INPUT, webhook="ftp://x"), "webhook")
    check_error(404, lambda: normal.predictions.get("nonesuch"), "nonesuch")
    check_error(404, lambda: normal.predictions.cancel("nonesuch"), "nonesuch")
    check_error(404, lambda: normal.files.get("nonesuch"), "nonesuch")
    check_error(404, lambda: normal.trainings.list(), "nothing at")


@pytest.mark.parametrize("key", ["imp_0123456789ab_" + "0" * 48, "r8_wrong"])
def test_a_bad_key_is_refused(key):
    check_error(401, lambda: client(key=key).run(MODEL, input=INPUT), "key")


def test_another_server_s_run_is_not_found(normal):
    made = client("slow").predictions.create(model=MODEL, input=SMALL)
    check_error(404, lambda: normal.predictions.get(made.id), made.id)
    client("slow").predictions.cancel(made.id)


def test_files_are_uploaded_listed_and_deleted(normal, picture):
    made = normal.files.create(str(picture), metadata={"shelf": 3})
    assert made.name == picture.name and made.content_type == "image/png" and made.metadata == {"shelf": 3}
    found = normal.files.get(made.id)
    assert found.metadata == {"shelf": 3} and found.size > 0 and found.checksums["sha256"]
    assert made.id in [one.id for one in normal.files.list()]
    assert normal.files.delete(made.id) is True
    check_error(404, lambda: normal.files.get(made.id), made.id)


def test_a_file_is_an_input(normal, picture):
    with open(picture, "rb") as file:
        enlarged = normal.run("impasto/back-projection-upscaler", input={"image": file, "scale": 1.5})
    assert enlarged.read().startswith(PNG)
    with open(picture, "rb") as file:
        inline = normal.run(
            "impasto/back-projection-upscaler",
            input={"image": file, "scale": 1.5},
            file_encoding_strategy="base64",
        )
    assert inline.read() == enlarged.read()


def test_an_output_is_an_input(normal):
    scene = normal.run(MODEL, input=SMALL)[0]
    larger = normal.run("impasto/back-projection-upscaler", input={"image": scene.url, "scale": 2})
    assert larger.read().startswith(PNG)


def test_a_file_that_is_none_is_refused(normal):
    check_error(422, lambda: normal.files.create(io.BytesIO(b"nothing to see")), "file")


def test_a_huge_upload_is_refused(normal):
    check_error(413, lambda: normal.files.create(server.Endless()), "too large")


def test_a_huge_input_is_refused(normal):
    check_error(413, lambda: normal.run(MODEL, input={"prompt": "x" * (70 << 20)}), "too large")


def test_models_are_listed_described_and_searched(normal):
    first = normal.models.list()
    models = [model for page in replicate.pagination.paginate(normal.models.list) for model in page]
    assert len(models) > len(first) and f"{models[0].owner}/{models[0].name}"
    scene = normal.models.get(MODEL)
    schema = scene.latest_version.openapi_schema["components"]["schemas"]
    assert schema["Input"]["required"] == ["prompt"]
    assert schema["Input"]["properties"]["aspect_ratio"]["enum"][0] == "1:1"
    task = normal.models.get("text-to-image/sketch-scene").latest_version.openapi_schema
    assert task["components"]["schemas"]["Output"]["items"]["format"] == "uri"
    assert [version.id for version in scene.versions.list()] == [scene.latest_version.id]
    assert scene.versions.get(scene.latest_version.id).cog_version
    assert any(model.name == "sketch-voice" for model in normal.models.search("voice"))
    check_error(404, lambda: normal.models.get("acme/nonesuch"), "nonesuch")


def test_collections_account_and_hardware(normal):
    assert "text-to-image" in [one.slug for one in normal.collections.list()]
    collection = normal.collections.get("text-to-image")
    assert "sketch-scene" in [model.name for model in collection.models]
    assert normal.accounts.current().username
    assert normal.hardware.list() == []


def test_webhooks_are_signed(normal, receiver):
    secret = normal.webhooks.default.secret()
    made = normal.predictions.create(
        model=MODEL, input=SMALL, webhook=receiver.url, webhook_events_filter=["completed"]
    )
    headers, body = receiver.next()
    told = httpx.Request("POST", receiver.url, headers=headers, content=body)
    Webhooks.validate(request=told, secret=secret, tolerance=60)
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(request=told, secret=WebhookSigningSecret(key="whsec_" + "A" * 32))
    prediction = json.loads(body)
    assert prediction["id"] == made.id and prediction["status"] == "succeeded"
    assert httpx.get(prediction["output"][0]).content.startswith(PNG)


def test_webhooks_tell_the_start_and_the_end(normal, receiver):
    made = normal.predictions.create(model=MODEL, input={**SMALL, "seed": 77}, webhook=receiver.url)
    ids = {receiver.next()[0]["webhook-id"] for _ in range(2)}
    assert len(ids) == 2 and ended(made).status == "succeeded"


def test_a_prediction_that_is_asked_for_again_after_its_connection_broke_is_the_same():
    breaking = server.Breaking("slow", after=0.4)
    mine = Client(api_token=server.key_of("slow"), base_url=f"http://{breaking.host}/replicate")
    request = {"version": MODEL, "input": {**SMALL, "prompt": f"a mug at {time.time()}"}, "wait": True}
    with pytest.raises(httpx.TransportError):
        mine.predictions.create(**request)
    made = mine.predictions.create(**request)
    breaking.close()
    assert made.status == "succeeded" and breaking.broken == 1
    assert [one.id for one in client("slow").predictions.list() if one.input == request["input"]] == [made.id]
