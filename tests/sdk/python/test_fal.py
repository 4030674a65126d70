"""fal_client, as people use it."""

import asyncio
import base64
import hashlib
import json
import struct
import time
import uuid

import fal_client
import fal_client.client as constants
import httpx
import pytest
from fal_client.client import RealtimeError

import server

# Uploads and tokens go where no environment variable says: to these constants.
constants.REST_URL = server.secure() + "/fal/rest"
constants.CDN_URL = server.secure() + "/fal/cdn"

PICTURE = "impasto/sketch-scene/text-to-image"
RESIZE = "impasto/raster-tools/resize-image"
PNG = b"\x89PNG\r\n\x1a\n"


def wish(**more):
    """An input that nobody had before, so that nothing is taken from a cache."""
    words = f"a red mug on a table, {uuid.uuid4()}"
    return {"prompt": words, "image_size": {"width": 96, "height": 64}, **more}


@pytest.fixture
def at(monkeypatch):
    """Sends the client elsewhere: to another server, or to an address without TLS."""

    def go(name, host=None):
        scheme = "https" if host is None else "http"
        host = host or server.host(name)
        monkeypatch.setattr(constants, "RUN_URL_FORMAT", f"{scheme}://{host}/fal/run/")
        monkeypatch.setattr(constants, "QUEUE_URL_FORMAT", f"{scheme}://{host}/fal/queue/")
        return fal_client.SyncClient(key=server.key_of(name))

    return go


def bytes_at(url):
    answer = httpx.get(url)
    answer.raise_for_status()
    return answer.content


def runs(name="normal"):
    """How many runs there are."""
    headers = {"authorization": f"Bearer {server.key_of(name)}"}
    count, cursor = 0, None
    while True:
        query = {"limit": 200} | ({"cursor": cursor} if cursor else {})
        page = httpx.get(f"{server.secure(name)}/v1/runs", headers=headers, params=query).json()
        count += len(page["runs"])
        cursor = page.get("next_cursor")
        if not cursor:
            return count


# --- calls -------------------------------------------------------------------------------------


def test_a_call_is_answered_with_files():
    result = fal_client.run(PICTURE, wish(seed=7))
    [image] = result["images"]
    assert (image["width"], image["height"], image["content_type"]) == (96, 64, "image/png")
    assert result["seed"] == 7
    data = bytes_at(image["url"])
    assert data.startswith(PNG) and len(data) == image["file_size"]


@pytest.mark.parametrize("name", ["impasto/auto", "impasto/draft/text-to-image", "impasto/text-to-image", "auto"])
def test_a_model_need_not_be_named(name):
    assert len(fal_client.run(name, wish(num_images=2))["images"]) == 2


def test_files_stand_in_the_answer_where_that_is_asked_for():
    [image] = fal_client.run(PICTURE, wish(sync_mode=True))["images"]
    head, data = image["url"].split(",", 1)
    assert head == "data:image/png;base64" and base64.b64decode(data).startswith(PNG)


def test_other_kinds_of_media_have_their_own_names():
    mesh = fal_client.run("impasto/sketch-scene/text-to-3d", {"prompt": "a mug"})
    assert mesh["model_mesh"] == mesh["mesh"] and bytes_at(mesh["mesh"]["url"]).startswith(b"glTF")
    speech = fal_client.run("impasto/text-to-speech", {"text": "Good morning"})
    assert speech["audio"]["duration"] > 0 and bytes_at(speech["audio"]["url"])


# --- the queue ---------------------------------------------------------------------------------


def test_a_request_is_followed_by_its_handle():
    handle = fal_client.submit(PICTURE, wish())
    seen = list(handle.iter_events(with_logs=True, interval=0.02))
    assert isinstance(seen[-1], fal_client.Completed)
    assert seen[-1].metrics["inference_time"] >= 0 and seen[-1].error is None
    said = [line["message"] for line in seen[-1].logs]
    assert any("attempt 1" in line for line in said), said
    assert {line["source"] for line in seen[-1].logs} == {"USER"}
    assert bytes_at(handle.get()["images"][0]["url"]).startswith(PNG)


def test_a_request_is_followed_by_its_id():
    handle = fal_client.submit(PICTURE, wish(), priority="low", hint="there", headers={"x-mine": "1"})
    result = fal_client.result(PICTURE, handle.request_id)
    assert isinstance(fal_client.status(PICTURE, handle.request_id), fal_client.Completed)
    assert result["images"]


def test_a_request_waits_and_goes_on(at):
    client = at("slow")
    seen = []
    result = client.subscribe(PICTURE, wish(), with_logs=True, on_queue_update=seen.append)
    kinds = {type(status) for status in seen}
    assert fal_client.InProgress in kinds and fal_client.Completed in kinds, kinds
    assert result["images"]


def test_a_result_that_is_not_there_yet_is_said_to_be_so(at):
    client = at("hanging")
    handle = client.submit(PICTURE, wish())
    early = httpx.get(handle.response_url, headers={"authorization": f"Key {client.key}"})
    assert (early.status_code, early.json()["detail"]) == (400, "Request is still in progress")
    handle.cancel()


def test_a_cancelled_request_ends(at):
    client = at("hanging")
    handle = client.submit(PICTURE, wish())
    while isinstance(handle.status(), fal_client.Queued):
        time.sleep(0.02)
    handle.cancel()
    *_, last = handle.iter_events(interval=0.02)
    assert last.error_type == "client_cancelled"
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        handle.get()
    assert (caught.value.status_code, caught.value.error_type) == (499, "client_cancelled")
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        handle.cancel()
    assert caught.value.response.json() == {"status": "ALREADY_COMPLETED"}


def test_a_client_that_waits_no_longer_cancels(at):
    client = at("hanging")
    ids = []
    with pytest.raises(fal_client.FalClientTimeoutError) as caught:
        client.subscribe(PICTURE, wish(), client_timeout=1.2, on_enqueue=ids.append)
    assert caught.value.request_id == ids[0]
    for _ in range(100):
        status = client.status(PICTURE, ids[0])
        if isinstance(status, fal_client.Completed):
            break
        time.sleep(0.05)
    assert status.error_type == "client_cancelled"


def test_what_cannot_start_in_time_is_given_up(at):
    client = at("hanging")
    waiting = []
    while len(waiting) < 64:
        waiting.append(client.submit(PICTURE, wish()))
        time.sleep(0.02)
        if len(waiting) > 1 and isinstance(waiting[-1].status(), fal_client.Queued):
            break
    else:
        pytest.fail("everything is started at once")
    before = runs("hanging")
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        client.run(PICTURE, wish(), start_timeout=1.1)
    assert (caught.value.status_code, caught.value.error_type) == (504, "request_timeout")
    assert caught.value.response_headers["x-fal-request-timeout-type"] == "user"
    assert runs("hanging") == before + 1
    for handle in waiting:
        handle.cancel()


# --- what goes wrong ---------------------------------------------------------------------------


def refused(call):
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        call()
    return caught.value


def test_what_is_unknown_is_not_found():
    for call in (fal_client.run, fal_client.submit):
        error = refused(lambda: call("acme/nothing", wish()))
        assert (error.status_code, error.error_type) == (404, "not_found")
        assert "acme/nothing" in error.message
    error = refused(lambda: fal_client.status(PICTURE, "0000"))
    assert error.status_code == 404
    error = refused(lambda: fal_client.cancel(PICTURE, "0000"))
    assert (error.status_code, error.response.json()) == (404, {"status": "NOT_FOUND"})


@pytest.mark.parametrize("key", ["nonsense", "imp_000000000000_" + "0" * 48])
def test_a_bad_key_is_refused(key):
    client = fal_client.SyncClient(key=key)
    error = refused(lambda: client.run(PICTURE, wish()))
    assert (error.status_code, error.error_type) == (401, "unauthorized")
    with pytest.raises(httpx.HTTPStatusError):
        client.upload(b"x", "image/png")


def test_bad_input_is_told_by_field():
    error = refused(lambda: fal_client.run(PICTURE, wish(num_images=99)))
    assert error.status_code == 422
    assert [problem["loc"] for problem in error.message] == [["body", "num_images"]]
    error = refused(lambda: fal_client.submit(PICTURE, wish(promt="a mug")))
    assert "did you mean `prompt`" in error.message[0]["msg"]
    error = refused(lambda: fal_client.run(PICTURE, {}))
    assert error.message[0]["type"] == "missing"


def test_refused_content_is_said_to_be_so(at):
    client = at("refusing")
    before = runs("refusing")
    error = refused(lambda: client.run(PICTURE, wish()))
    assert (error.status_code, error.message[0]["type"]) == (422, "content_policy_violation")
    handle = client.submit(PICTURE, wish())
    *_, last = handle.iter_events(interval=0.02)
    assert isinstance(last, fal_client.Completed)
    assert last.error_type == "content_policy_violation" and last.error
    error = refused(handle.get)
    assert (error.status_code, error.message[0]["type"]) == (422, "content_policy_violation")
    assert runs("refusing") == before + 2


def test_a_failure_of_a_provider_is_not_paid_for_twice(at):
    client = at("failing")
    before = runs("failing")
    error = refused(lambda: client.run(PICTURE, wish()))
    assert (error.status_code, error.error_type) == (500, "downstream_service_error")
    error = refused(lambda: client.subscribe(PICTURE, wish()))
    assert error.status_code == 500
    assert runs("failing") == before + 2


@pytest.mark.parametrize("call", ["submit", "subscribe"])
def test_a_submission_whose_answer_is_lost_is_sent_again_as_the_same(at, call):
    breaking = server.Breaking(times=2)
    client = at("normal", breaking.host)
    before = runs()
    result = getattr(client, call)(PICTURE, wish())
    result = result.get() if call == "submit" else result
    assert result["images"] and breaking.broken == 2
    assert runs() == before + 1
    breaking.close()


def test_a_call_that_breaks_while_it_is_worked_on_is_sent_again_as_the_same(at):
    breaking = server.Breaking("slow", times=2, after=0.3)
    client = at("slow", breaking.host)
    before = runs("slow")
    assert client.run(PICTURE, wish())["images"] and breaking.broken == 2
    assert runs("slow") == before + 1
    breaking.close()


def test_the_same_request_twice_is_two_requests():
    same = wish()
    before = runs()
    first, second = (fal_client.submit(PICTURE, same).request_id for _ in range(2))
    assert first != second and runs() == before + 2


# --- streams and workflows ---------------------------------------------------------------------


def test_a_stream_ends_with_the_result():
    *_, last = fal_client.stream(PICTURE, wish())
    assert bytes_at(last["images"][0]["url"]).startswith(PNG)


def test_speech_is_heard_while_it_is_made():
    text = f"Good morning. This is spoken as it is made, {uuid.uuid4().hex[:4]}. And this comes last."
    *parts, last = fal_client.stream("impasto/text-to-speech", {"text": text})
    assert len(parts) > 1 and all(part["partial"] for part in parts)
    form = parts[0]["audio"]
    sound = b"".join(base64.b64decode(part["audio"]["content"]) for part in parts)
    seconds = len(sound) / 2 / form["channels"] / form["sample_rate"]
    assert abs(seconds - last["audio"]["duration"]) < 0.5


def test_a_picture_is_seen_while_it_is_made():
    *parts, last = fal_client.stream(PICTURE, wish(image_size={"width": 512, "height": 512}))
    assert parts and all(part["partial"] for part in parts)
    head, data = parts[0]["images"][0]["url"].split(",", 1)
    assert head.startswith("data:image/") and base64.b64decode(data)
    assert last["images"][0]["width"] == 512


def test_a_stream_that_fails_at_once_fails_as_a_call_does(at):
    client = at("failing")
    with pytest.raises(Exception) as caught:
        list(client.stream(PICTURE, wish()))
    assert "text/event-stream" in str(caught.value)


WORKFLOW = """
workflow: postcard
version: 1
description: A picture, and a smaller one of it.
inputs:
  prompt:
    type: text
    required: true
steps:
  picture:
    task: text-to-image
    input:
      prompt: "{{ inputs.prompt }}"
      width: 128
      height: 96
  small:
    task: resize-image
    input:
      image: "{{ steps.picture.images[0] }}"
      width: 64
outputs:
  image: "{{ steps.small.image }}"
"""


@pytest.fixture(scope="module")
def postcard():
    headers = {"authorization": f"Bearer {server.KEY}", "content-type": "application/yaml"}
    answer = httpx.put(f"{server.secure()}/v1/workflows/postcard", headers=headers, content=WORKFLOW)
    assert answer.status_code < 300, answer.text
    return "workflows/acme/postcard"


def test_a_workflow_is_called_like_a_model(postcard):
    words = {"prompt": wish()["prompt"]}
    assert fal_client.subscribe(postcard, words)["image"]["width"] == 64
    assert fal_client.run(postcard + "/1", words)["image"]["width"] == 64
    assert refused(lambda: fal_client.run(postcard + "/99", words)).status_code == 404


def test_a_workflow_tells_what_its_steps_do(postcard):
    told = list(fal_client.stream(postcard, {"prompt": wish()["prompt"]}))
    assert [(event["type"], event.get("node_id")) for event in told] == [
        ("submit", "picture"),
        ("completion", "picture"),
        ("submit", "small"),
        ("completion", "small"),
        ("output", None),
    ]
    assert told[0]["app_id"] == PICTURE
    assert told[1]["output"]["images"][0]["url"]
    assert told[-1]["output"]["image"]["width"] == 64


# --- realtime ----------------------------------------------------------------------------------


@pytest.mark.parametrize("use_jwt", [True, False])
def test_one_connection_serves_many_calls(use_jwt):
    with fal_client.realtime(PICTURE, use_jwt=use_jwt, max_buffering=5) as connection:
        for seed in (1, 2):
            connection.send(wish(seed=seed))
            result = connection.recv()
            assert result["seed"] == seed
            assert result["images"][0]["content"].startswith(PNG)
        connection.send(wish(num_images=99))
        with pytest.raises(RealtimeError) as caught:
            connection.recv()
        assert "num_images" in caught.value.reason
        connection.send(wish(seed=3))
        assert connection.recv()["seed"] == 3


def test_bytes_may_stand_in_a_message(picture):
    with fal_client.realtime(RESIZE) as connection:
        connection.send({"image_url": picture.read_bytes(), "width": 40})
        assert connection.recv()["image"]["width"] == 40


def test_a_token_is_good_for_what_it_was_given_for():
    headers = {"authorization": f"Key {server.KEY}"}
    wanted = {"allowed_apps": ["other"], "token_expiration": 60}
    token = httpx.post(constants.REST_URL + "/tokens/", headers=headers, json=wanted).json()
    call = lambda: httpx.post(f"{server.secure()}/fal/run/{PICTURE}?fal_jwt_token={token}", json=wish())
    assert call().status_code == 401
    wanted = {"allowed_apps": ["sketch-scene"], "token_expiration": 60}
    token = httpx.post(constants.REST_URL + "/tokens/", headers=headers, json=wanted).json()
    assert call().status_code == 200
    with fal_client.SyncClient(key=server.KEY).ws_connect(PICTURE) as socket:
        socket.send(json.dumps(wish(seed=5)))
        assert socket.recv()


# --- uploads -----------------------------------------------------------------------------------


def wav(seconds):
    """Silence."""
    rate, size = 44_100, int(seconds * 44_100) * 4
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", size + 36, b"WAVE", b"fmt ", 16, 1, 2, rate, rate * 4, 4, 16, b"data", size)
    return head + bytes(size)


def resized(url):
    return fal_client.run(RESIZE, {"image_url": url, "width": 50})["image"]["width"]


@pytest.mark.parametrize("repository", ["fal_v3", "fal"])
def test_an_uploaded_file_is_an_input(picture, repository):
    data = picture.read_bytes()
    url = fal_client.upload(data, "image/png", "my photo.png", repository=repository, fallback_repository=[])
    assert resized(url) == 50
    assert httpx.get(url).headers["content-type"] == "image/png"


def test_a_file_is_uploaded_with_a_time_to_live(picture):
    settings = fal_client.StorageSettings(expires_in="1d")
    assert resized(fal_client.upload_file(picture, lifecycle=settings)) == 50


def test_a_large_file_is_uploaded_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "MULTIPART_THRESHOLD", 1 << 20)
    monkeypatch.setattr(constants, "MULTIPART_CHUNK_SIZE", 1 << 20)
    path = tmp_path / "silence.wav"
    path.write_bytes(wav(60))
    url = fal_client.upload_file(path)
    result = fal_client.run("impasto/sound-tools/trim-audio", {"audio_url": url, "start": 0, "duration": 2})
    assert abs(result["audio"]["duration"] - 2) < 0.1
    url = fal_client.upload(wav(30), "audio/wav", "silence.wav")
    assert fal_client.run("impasto/sound-tools/trim-audio", {"audio_url": url, "start": 1, "duration": 1})


def test_a_file_that_is_too_large_is_refused_at_once():
    began = time.monotonic()
    with pytest.raises((fal_client.FalClientHTTPError, httpx.HTTPStatusError)) as caught:
        fal_client.upload(bytes(101 << 20), "audio/wav", fallback_repository=[])
    assert caught.value.response.status_code == 413
    assert time.monotonic() - began < 60


def test_what_is_no_media_is_refused():
    error = refused(lambda: fal_client.upload(b"not a picture", "image/png", fallback_repository=[]))
    assert error.status_code == 422


def test_an_upload_belongs_to_whoever_began_it(picture):
    headers = {"authorization": f"Key {server.KEY}"}
    begun = httpx.post(
        constants.REST_URL + "/storage/upload/initiate?storage_type=gcs",
        headers=headers,
        json={"file_name": "a.png", "content_type": "image/png"},
    ).json()
    assert httpx.get(begun["file_url"]).status_code == 404
    data = picture.read_bytes()
    assert httpx.put(begun["file_url"], content=data).status_code == 401
    assert httpx.put(begun["upload_url"], content=data).status_code == 200
    assert httpx.put(begun["upload_url"], content=data).status_code == 200
    other = fal_client.run(PICTURE, wish())["images"][0]["url"]
    assert httpx.put(begun["upload_url"], content=bytes_at(other)).status_code == 400
    assert resized(begun["file_url"]) == 50


def test_parts_are_reached_by_the_names_of_their_hosts(picture):
    def headers(host):
        return {"authorization": f"Key {server.KEY}", "host": host}

    def post(host, path, **body):
        answer = httpx.post(server.secure() + path, headers=headers(host), **body)
        answer.raise_for_status()
        return answer.json()

    url = post("v3.fal.media", "/files/upload", content=picture.read_bytes())["access_url"]
    assert url.startswith("https://v3.fal.media/files/")
    submitted = post("queue.fal.run", f"/{RESIZE}", json={"image_url": url, "width": 50})
    app = RESIZE.rsplit("/", 1)[0]
    path = f"/{app}/requests/{submitted['request_id']}"
    assert submitted["status_url"] == f"https://queue.fal.run{path}/status"
    while httpx.get(f"{server.secure()}{path}/status", headers=headers("queue.fal.run")).status_code == 202:
        time.sleep(0.02)
    result = httpx.get(server.secure() + path, headers=headers("queue.fal.run"))
    assert result.json()["image"]["width"] == 50
    begun = post("rest.fal.ai", "/storage/upload/initiate", json={"file_name": "a.png", "content_type": "image/png"})
    assert begun["upload_url"].startswith("https://rest.fal.ai/storage/u/")
    place = begun["upload_url"].removeprefix("https://rest.fal.ai")
    assert httpx.put(server.secure() + place, headers={"host": "rest.fal.ai"}, content=picture.read_bytes()).is_success
    assert post("run.fal.localhost", f"/{RESIZE}", json={"image_url": begun["file_url"], "width": 51})["image"]["width"] == 51


# --- webhooks ----------------------------------------------------------------------------------


def check_signature(headers, body):
    """As fal's documentation has it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    keys = httpx.get(constants.REST_URL + "/.well-known/jwks.json").json()["keys"]
    names = ("request-id", "user-id", "timestamp")
    parts = [headers[f"x-fal-webhook-{name}"] for name in names]
    message = "\n".join([*parts, hashlib.sha256(body).hexdigest()]).encode()
    key = base64.urlsafe_b64decode(keys[0]["x"] + "==")
    Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(headers["x-fal-webhook-signature"]), message)
    assert abs(time.time() - int(parts[2])) < 300


def test_the_end_of_a_request_is_told(receiver):
    handle = fal_client.submit(PICTURE, wish(), webhook_url=receiver.url)
    headers, body = receiver.next()
    check_signature(headers, body)
    told = json.loads(body)
    assert (told["request_id"], told["status"]) == (handle.request_id, "OK")
    assert bytes_at(told["payload"]["images"][0]["url"]).startswith(PNG)


def test_the_failure_of_a_request_is_told(at, receiver):
    handle = at("failing").submit(PICTURE, wish(), webhook_url=receiver.url)
    _, body = receiver.next()
    told = json.loads(body)
    assert (told["request_id"], told["status"]) == (handle.request_id, "ERROR")
    assert told["error"] == "Invalid status code: 500"
    assert told["payload"]["error_type"] == "downstream_service_error"


# --- asynchronous ------------------------------------------------------------------------------


def test_everything_works_asynchronously(picture):
    async def everything():
        client = fal_client.AsyncClient(key=server.KEY)
        url = await client.upload(picture.read_bytes(), "image/png")
        small = await client.subscribe(RESIZE, {"image_url": url, "width": 48})
        assert small["image"]["width"] == 48
        assert (await client.run(PICTURE, wish()))["images"]
        handle = await client.submit(PICTURE, wish())
        seen = [status async for status in handle.iter_events(with_logs=True, interval=0.02)]
        assert isinstance(seen[-1], fal_client.Completed)
        assert (await handle.get())["images"]
        told = [event async for event in client.stream(PICTURE, wish())]
        assert told[-1]["images"]
        async with client.realtime(PICTURE) as connection:
            await connection.send(wish(seed=9))
            assert (await connection.recv())["seed"] == 9
        with pytest.raises(fal_client.FalClientHTTPError):
            await client.run("acme/nothing", {})

    asyncio.run(everything())
