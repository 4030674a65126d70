"""The official OpenAI package, as its users use it."""

import base64
import io
import json
import shutil
import threading
import time
import uuid
import wave

import openai
import pytest

import server

SMALL = "256x256"
# The package calls its own methods for videos deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def client(name="normal", **options):
    options.setdefault("api_key", server.key_of(name))
    options.setdefault("base_url", server.secure(name) + "/openai/v1")
    return openai.OpenAI(**options)


@pytest.fixture(scope="module")
def ours():
    with client() as ours:
        yield ours


def is_png(data):
    return data.startswith(b"\x89PNG")


def size(png):
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def samples(wav):
    """The sample rate and the samples of a WAV file."""
    with wave.open(io.BytesIO(wav)) as sound:
        return sound.getframerate(), sound.readframes(sound.getnframes())


# Images


@pytest.mark.parametrize("model", ["auto", "draft", "sketch-scene", "text-to-image"])
def test_an_image_is_made_by_any_name(ours, model):
    made = ours.images.generate(model=model, prompt="a red mug on marble", size=SMALL)
    picture = base64.b64decode(made.data[0].b64_json)
    assert is_png(picture) and size(picture) == (256, 256)
    assert (made.size, made.output_format, made.background) == (SMALL, "png", "opaque")
    assert made._request_id


def test_several_images_by_address(ours):
    import httpx

    made = ours.images.generate(prompt="a tree", size=SMALL, n=2, response_format="url")
    assert len(made.data) == 2
    for one in made.data:
        answer = httpx.get(one.url)
        assert answer.headers["content-type"] == "image/png" and is_png(answer.content)


def test_another_format(ours):
    made = ours.images.generate(prompt="a tree", size=SMALL, output_format="jpeg", output_compression=60)
    assert base64.b64decode(made.data[0].b64_json).startswith(b"\xff\xd8")
    assert made.output_format == "jpeg"


@pytest.mark.parametrize("wanted, told", [(0, 0), (1, 1), (2, 2), (3, 2)])
def test_an_image_is_streamed(ours, wanted, told):
    """The offline model tells two previews. What was made before would come at once, without any."""
    prompt = f"a lighthouse, {uuid.uuid4()}"
    events = list(ours.images.generate(prompt=prompt, size=SMALL, stream=True, partial_images=wanted))
    *partial, last = events
    assert last.type == "image_generation.completed"
    assert is_png(base64.b64decode(last.b64_json)) and last.size == SMALL
    kinds = [(one.type, one.partial_image_index) for one in partial]
    assert kinds == [("image_generation.partial_image", index) for index in range(told)]
    previews = [base64.b64decode(one.b64_json) for one in partial]
    assert all(preview.startswith(b"\xff\xd8") for preview in previews)
    assert len(set(previews)) == told


def test_an_image_is_edited(ours, picture):
    with picture.open("rb") as file:
        made = ours.images.edit(model="classical-cutout", image=file, prompt="")
    cut = base64.b64decode(made.data[0].b64_json)
    assert is_png(cut) and made.background == "transparent"


def test_several_images_are_edited(ours, picture):
    data = picture.read_bytes()
    made = ours.images.edit(
        model="contact-sheet", image=[("a.png", data), ("b.png", data)], prompt="",
        extra_body={"cell_width": 64},
    )
    assert is_png(base64.b64decode(made.data[0].b64_json))


def test_an_edit_is_streamed(ours, picture):
    events = list(ours.images.edit(
        model="classical-cutout", image=("a.png", picture.read_bytes()), prompt="", stream=True,
    ))
    assert [event.type for event in events] == ["image_edit.completed"]


def test_what_is_no_image_is_refused(ours):
    with pytest.raises(openai.BadRequestError) as refused:
        ours.images.edit(model="classical-cutout", image=("a.png", b"no picture"), prompt="")
    assert refused.value.param == "image"


def test_words_that_a_model_cannot_follow_are_not_dropped(ours, picture):
    with pytest.raises(openai.BadRequestError, match="prompt"):
        ours.images.edit(
            model="classical-cutout", image=("a.png", picture.read_bytes()), prompt="make it blue")


# Speech


def test_speech_is_made(ours, tmp_path):
    spoken = ours.audio.speech.create(model="auto", voice="alloy", input="Hello, world.")
    usual = "audio/mpeg" if shutil.which("ffmpeg") else "audio/wav"
    assert spoken.response.headers["content-type"] == usual
    assert ("x-impasto-sound" in spoken.response.headers) == (usual == "audio/wav")
    whole = ours.audio.speech.create(
        model="auto", voice="alloy", input="Hello, world.", response_format="wav")
    assert whole.response.headers["content-type"] == "audio/wav"
    rate, frames = samples(whole.content)
    assert rate >= 16_000 and len(frames) > rate


@pytest.mark.parametrize("format, media_type, begins", [
    ("aac", "audio/aac", b"\xff\xf1"), ("flac", "audio/flac", b"fLaC"),
    ("opus", "audio/ogg", b"OggS"), ("mp3", "audio/mpeg", b"\xff"),
])
def test_speech_in_other_formats(ours, format, media_type, begins):
    if format in ("opus", "mp3") and shutil.which("ffmpeg") is None:
        pytest.skip("takes ffmpeg")
    spoken = ours.audio.speech.create(
        model="auto", voice="alloy", input="Hello, world.", response_format=format)
    assert spoken.response.headers["content-type"] == media_type
    assert spoken.content.startswith(begins) and len(spoken.content) > 2_000


def test_speech_is_streamed_to_a_file(ours, tmp_path):
    path = tmp_path / "speech.wav"
    with ours.audio.speech.with_streaming_response.create(
        model="sketch-voice", voice="male-deep", input="One. Two. Three.", response_format="wav"
    ) as answer:
        answer.stream_to_file(path)
    assert path.read_bytes().startswith(b"RIFF")


def test_bare_samples_come_at_the_usual_rate(ours):
    spoken = ours.audio.speech.create(
        model="auto", voice="nova", input="Hello, world.", response_format="pcm")
    whole = ours.audio.speech.create(
        model="auto", voice="nova", input="Hello, world.", response_format="wav")
    rate, frames = samples(whole.content)
    assert spoken.response.headers["content-type"] == "audio/pcm"
    assert abs(len(spoken.content) / 24_000 - len(frames) / rate) < 0.01


def test_speech_is_streamed_as_events(ours):
    with ours.audio.speech.with_streaming_response.create(
        model="auto", voice="echo", input="Hello.", response_format="pcm", stream_format="sse",
    ) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    events = [json.loads(line[len("data: "):]) for line in lines]
    assert events[-1]["type"] == "speech.audio.done"
    sound = b"".join(base64.b64decode(e["audio"]) for e in events if e["type"] == "speech.audio.delta")
    assert len(sound) > 10_000


@pytest.mark.parametrize("wrong, said", [
    ({"voice": "nobody"}, "voice"),
    ({"response_format": "midi"}, "response_format"),
    ({"instructions": "whisper"}, "instructions"),
    ({"speed": 9}, "speed"),
    ({"stream_format": "morse"}, "stream_format"),
])
def test_what_cannot_be_done_is_said(ours, wrong, said):
    asked = {"model": "auto", "voice": "alloy", "input": "Hello.", **wrong}
    with pytest.raises(openai.BadRequestError) as refused:
        ours.audio.speech.create(**asked)
    assert said in str(refused.value) and refused.value.type == "invalid_request_error"


# Transcriptions


def test_words_are_not_taken_down_as_long_as_no_model_does_so(ours):
    with pytest.raises(openai.NotFoundError, match="no model"):
        ours.audio.transcriptions.create(model="auto", file=("a.wav", b"RIFF"))


# Videos

TINY = {"size": "426x240", "seconds": "1", "extra_body": {"fps": 8}}


def test_a_video_is_made_listed_fetched_remixed_and_deleted(ours):
    video = ours.videos.create(prompt="a boat on a lake", model="auto", **TINY)
    assert video.id.startswith("video_") and video.status in ("queued", "in_progress")
    assert (video.model, video.seconds, video.prompt) == ("auto", "1", "a boat on a lake")
    video = ours.videos.poll(video.id)
    assert (video.status, video.progress) == ("completed", 100) and video.completed_at

    film = ours.videos.download_content(video.id)
    assert film.response.headers["content-type"] == "video/mp4" and film.content[4:8] == b"ftyp"
    assert is_png(ours.videos.download_content(video.id, variant="thumbnail").content)
    with pytest.raises(openai.BadRequestError):
        ours.videos.download_content(video.id, variant="spritesheet")

    other = ours.videos.remix(video.id, prompt="a red boat on a lake")
    assert other.remixed_from_video_id == video.id and other.prompt == "a red boat on a lake"
    assert ours.videos.poll(other.id).status == "completed"

    assert [one.id for one in ours.videos.list(limit=1).data] == [other.id]
    assert {video.id, other.id} <= {one.id for one in ours.videos.list(limit=1)}
    oldest = [one.id for one in ours.videos.list(order="asc")]
    assert oldest.index(video.id) < oldest.index(other.id)

    assert ours.videos.delete(video.id).deleted
    with pytest.raises(openai.NotFoundError):
        ours.videos.retrieve(video.id)
    assert video.id not in {one.id for one in ours.videos.list()}


def test_a_video_of_a_picture(ours, picture):
    video = ours.videos.create_and_poll(
        prompt="closer", model="auto", input_reference=picture.open("rb"), **TINY)
    assert video.status == "completed" and video.size == "426x240"


def test_a_video_under_way_is_given_up_when_it_is_deleted():
    with client("hanging") as other:
        video = other.videos.create(prompt="a boat", model="auto", **TINY)
        assert other.videos.retrieve(video.id).status in ("queued", "in_progress")
        with pytest.raises(openai.ConflictError):
            other.videos.download_content(video.id)
        assert other.videos.delete(video.id).deleted
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                other.videos.retrieve(video.id)
            except openai.NotFoundError:
                return
            time.sleep(0.1)
        pytest.fail("the video is still there")


@pytest.mark.parametrize("name, code", [
    ("refusing", "content_policy_violation"), ("failing", "provider_failed")])
def test_a_video_that_fails_says_why(name, code):
    with client(name) as other:
        video = other.videos.create_and_poll(prompt="a boat", model="auto", **TINY)
        assert video.status == "failed" and video.error.code == code


def test_a_foreign_id_is_not_found(ours):
    for id in ["video_0000", "nothing", "video_../../x"]:
        with pytest.raises(openai.NotFoundError):
            ours.videos.retrieve(id)


# Webhooks


def test_an_endpoint_is_told_of_videos(ours, receiver):
    made = ours.webhooks.create(
        name="mine", url=receiver.url, event_types=["video.completed", "video.failed"])
    try:
        assert made.signing_secret.startswith("whsec_") and made.name == "mine"
        assert made.id in {one.id for one in ours.webhooks.list()}
        video = ours.videos.create(prompt="a kite", model="auto", **TINY)
        headers, body = receiver.next()
        event = ours.webhooks.unwrap(body, headers, secret=made.signing_secret)
        assert (event.type, event.data.id) == ("video.completed", video.id)
        with pytest.raises(openai.InvalidWebhookSignatureError):
            ours.webhooks.unwrap(body + b" ", headers, secret=made.signing_secret)

        rotated = ours.webhooks.rotate_secret(made.id)
        assert ours.webhooks.test(made.id, event_type="video.failed").status_code == 200
        headers, body = receiver.next()
        assert ours.webhooks.unwrap(body, headers, secret=rotated.signing_secret).type == "video.failed"
    finally:
        assert ours.webhooks.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        ours.webhooks.retrieve(made.id)


# Names and keys


def test_models_are_listed(ours):
    names = [model.id for model in ours.models.list()]
    assert {"auto", "draft", "standard", "hero", "sketch-scene", "sketch-voice"} <= set(names)
    assert ours.models.retrieve("sketch-scene").owned_by == "impasto"
    with pytest.raises(openai.NotFoundError):
        ours.models.retrieve("no/such-model")


def test_an_unknown_model_is_not_found(ours):
    with pytest.raises(openai.NotFoundError) as refused:
        ours.images.generate(model="sketch-scenes", prompt="a tree")
    assert refused.value.code == "model_not_found" and refused.value.param == "model"
    assert "sketch-scene" in str(refused.value)


def test_a_model_that_does_something_else_is_refused(ours):
    with pytest.raises(openai.BadRequestError, match="does not do"):
        ours.images.generate(model="sketch-voice", prompt="a tree")


@pytest.mark.parametrize("key", ["imp_wrong", "sk-proj-0123456789"])
def test_a_bad_key_is_refused(key):
    with client(api_key=key) as other, pytest.raises(openai.AuthenticationError) as refused:
        other.models.list()
    assert refused.value.code == "invalid_api_key" and refused.value.request_id


def test_an_unknown_parameter_is_named(ours):
    with pytest.raises(openai.BadRequestError, match="negativ_prompt"):
        ours.images.generate(prompt="a tree", extra_body={"negativ_prompt": "fog"})


def test_an_unknown_path_is_not_found(ours):
    with pytest.raises(openai.NotFoundError):
        ours.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hello"}])


# What goes wrong


def test_refused_content_is_a_bad_request():
    with client("refusing") as other, pytest.raises(openai.BadRequestError) as refused:
        other.images.generate(prompt="a tree", size=SMALL)
    assert refused.value.code == "content_policy_violation"


def test_a_provider_that_fails_is_a_server_error_and_is_not_asked_again():
    with client("failing") as other, pytest.raises(openai.InternalServerError) as failed:
        other.images.generate(prompt="a tree that fails", size=SMALL)
    assert failed.value.status_code == 502 and failed.value.code == "provider_failed"
    assert failed.value.response.headers["x-should-retry"] == "false"
    assert failed.value.response.request.headers["x-stainless-retry-count"] == "0"


def test_a_stream_that_fails_is_an_error():
    with client("failing") as other:
        with pytest.raises(openai.APIError):
            list(other.images.generate(prompt="a tree", size=SMALL, stream=True, partial_images=1))
        with pytest.raises(openai.APIError):
            other.audio.speech.create(model="auto", voice="alloy", input="Hello.")


def test_a_client_that_gives_up_gets_its_timeout():
    with client("hanging", timeout=0.5, max_retries=0) as other:
        with pytest.raises(openai.APITimeoutError):
            other.images.generate(prompt="a tree", size=SMALL)


def test_a_call_is_given_up(given_up):
    async def call():
        async with openai.AsyncOpenAI(
            api_key=server.key_of("hanging"), base_url=server.secure("hanging") + "/openai/v1"
        ) as other:
            await other.images.generate(prompt=f"a tree, {uuid.uuid4()}", size=SMALL)

    given_up(call)


def test_a_retry_after_a_timeout_joins_the_same_run():
    """The first try gives up while the run is under way; the second gets what it made."""
    with Runs("slow") as runs, client("slow", timeout=openai.Timeout(1.0), max_retries=4) as other:
        made = other.images.generate(prompt="a patient tree", size=SMALL)
        assert is_png(base64.b64decode(made.data[0].b64_json))
    assert runs.count == 1


def test_a_broken_connection_begins_no_second_run():
    way = server.Breaking()
    with Runs() as runs, client(base_url=f"http://{way.host}/openai/v1") as other:
        made = other.images.generate(prompt="a tree behind a broken wire", size=SMALL)
    assert way.broken == 1 and is_png(base64.b64decode(made.data[0].b64_json))
    assert runs.count == 1
    way.close()


def test_the_same_call_twice_is_two_runs(ours):
    with Runs() as runs:
        for _ in range(2):
            ours.images.generate(prompt="a tree wanted twice", size=SMALL)
    assert runs.count == 2


def test_a_body_that_is_too_large_is_refused():
    with client(max_retries=0) as other:
        with pytest.raises(openai.APIStatusError) as refused:
            other.images.generate(prompt="x" * (65 << 20))
    assert refused.value.status_code == 413


@pytest.mark.parametrize("call", ["edit", "transcription", "video"])
def test_a_file_that_is_too_large_is_refused(call):
    def send(other):
        file = ("a.png", server.Endless(), "image/png")
        if call == "edit":
            return other.images.edit(model="classical-cutout", image=file, prompt="")
        if call == "transcription":
            return other.audio.transcriptions.create(model="elsewhere-words", file=file)
        return other.videos.create(prompt="closer", model="auto", input_reference=file, **TINY)

    with client("elsewhere", max_retries=0) as other, pytest.raises(openai.APIStatusError) as refused:
        send(other)
    assert refused.value.status_code == 413 and "too large" in str(refused.value)
    assert refused.value.type == "invalid_request_error"


def test_many_at_once(ours):
    made = []

    def one(number):
        made.append(ours.audio.speech.create(model="auto", voice="alloy", input=f"Number {number}."))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8


@pytest.mark.parametrize("streams", [False, True])
def test_the_asynchronous_client(streams):
    import anyio

    async def ask():
        async with openai.AsyncOpenAI(
            api_key=server.KEY, base_url=server.plain() + "/openai/v1"
        ) as other:
            made = await other.images.generate(prompt="a boat", size=SMALL, stream=streams)
            if streams:
                return [event async for event in made][-1].b64_json
            return made.data[0].b64_json

    assert is_png(base64.b64decode(anyio.run(ask)))


class Runs:
    """How many runs a server begins in the meantime."""

    def __init__(self, name="normal"):
        self._name = name

    def _ids(self):
        import httpx

        headers = {"authorization": f"Bearer {server.key_of(self._name)}"}
        url = server.plain(self._name) + "/v1/runs"
        return {run["id"] for run in httpx.get(url, params={"limit": 200}, headers=headers).json()["runs"]}

    def __enter__(self):
        self._before = self._ids()
        return self

    def __exit__(self, *_):
        self.count = len(self._ids() - self._before)
