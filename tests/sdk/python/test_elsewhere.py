"""What no offline model does, by every SDK that has a call for it: `provider.py` does it, behind a server."""

import base64
import io
import struct
import time
import wave
import zlib

import fal_client
import httpx
import openai
import pytest
import replicate
from elevenlabs import ElevenLabs
from elevenlabs.core.api_error import ApiError
from google import genai
from google.genai import errors, types
from replicate.exceptions import ModelError

import provider
import server

NAME = "elsewhere"
CUTOUTS, PICTURES, SOUNDS, WORDS = "elsewhere-cutouts", "elsewhere-pictures", "elsewhere-sounds", "elsewhere-words"
FAL_QUEUE = f"https://{server.host(NAME)}/fal/queue/"
FAL_RUN = f"https://{server.host(NAME)}/fal/run/"


@pytest.fixture(scope="module")
def openai_client():
    with openai.OpenAI(api_key=server.key_of(NAME), base_url=server.secure(NAME) + "/openai/v1") as client:
        yield client


@pytest.fixture(scope="module")
def elevenlabs_client():
    return ElevenLabs(api_key=server.key_of(NAME), base_url=server.secure(NAME) + "/elevenlabs")


@pytest.fixture(scope="module")
def gemini_client():
    return genai.Client(
        api_key=server.key_of(NAME), http_options=types.HttpOptions(base_url=server.secure(NAME) + "/gemini")
    )


@pytest.fixture(scope="module")
def replicate_client():
    return replicate.Client(api_token=server.key_of(NAME), base_url=server.secure(NAME) + "/replicate")


@pytest.fixture
def falling(monkeypatch):
    monkeypatch.setattr("fal_client.client.RUN_URL_FORMAT", FAL_RUN)
    monkeypatch.setattr("fal_client.client.QUEUE_URL_FORMAT", FAL_QUEUE)
    return fal_client.SyncClient(key=server.key_of(NAME))


def grey(width, height):
    """A picture that is sent, as bytes."""
    return provider.png_of(width, height, (120, 120, 120))


def seen(png):
    """Width, height and colour of a picture of one colour that the provider made."""
    width, height = provider.size_of(png)
    data = png[png.index(b"IDAT") + 4 :]
    return width, height, tuple(zlib.decompressobj().decompress(data)[1:4])


def tone(seconds):
    sound = io.BytesIO()
    with wave.open(sound, "wb") as written:
        written.setparams((1, 2, 16_000, 0, "NONE", ""))
        written.writeframes(struct.pack("<h", 900) * int(16_000 * seconds))
    return sound.getvalue()


def jobs(prompt):
    """What the provider knows of jobs with this prompt."""
    return [job for job in httpx.get(server.PROVIDER + "/jobs").json() if job["prompt"] == prompt]


# Pictures changed by words


@pytest.mark.parametrize("model", ["auto", PICTURES])
def test_openai_edits_by_words(openai_client, model):
    made = openai_client.images.edit(model=model, image=("a.png", grey(70, 50)), prompt="make it red", n=2)
    assert [seen(base64.b64decode(one.b64_json)) for one in made.data] == [(70, 50, provider.COLOURS["red"])] * 2


def test_openai_edits_several_pictures_by_words(openai_client):
    several = [("a.png", grey(70, 50)), ("b.png", grey(64, 80))]
    events = list(openai_client.images.edit(model=PICTURES, image=several, prompt="make it blue", stream=True))
    assert events[-1].type == "image_edit.completed"
    assert seen(base64.b64decode(events[-1].b64_json)) == (70, 130, provider.COLOURS["blue"])


def mask_of(width, height, inside, outside):
    """A mask, of two pixels, with a box of 30 by 20 in it."""
    x, y = 25, 10
    rows = (
        b"\0" + b"".join(inside if x <= column < x + 30 and y <= row < y + 20 else outside for column in range(width))
        for row in range(height)
    )
    return provider.png_with(width, height, 6, b"".join(rows))


@pytest.mark.parametrize("model", [PICTURES, CUTOUTS])
def test_openai_masks_are_transparent_where_the_picture_may_change(openai_client, model):
    """Whatever a mask means to the provider: one of them knows white, the other transparent."""
    mask = mask_of(70, 50, inside=bytes([0, 0, 0, 0]), outside=bytes([255, 255, 255, 255]))
    made = openai_client.images.edit(model=model, image=grey(70, 50), mask=mask, prompt="make it red")
    assert seen(base64.b64decode(made.data[0].b64_json)) == (30, 20, provider.COLOURS["red"])


@pytest.mark.parametrize("model", [PICTURES, CUTOUTS])
def test_masks_of_others_are_white_where_the_picture_may_change(falling, model):
    mask = mask_of(70, 50, inside=bytes([255, 255, 255, 255]), outside=bytes([0, 0, 0, 255]))
    uris = [f"data:image/png;base64,{base64.b64encode(png).decode()}" for png in (grey(70, 50), mask)]
    made = falling.run(model, arguments={"prompt": "make it red", "images": uris[:1], "mask": uris[1]})
    [picture] = made["images"]
    assert (picture["width"], picture["height"]) == (30, 20)


def test_openai_refuses_an_opaque_mask(openai_client):
    mask = mask_of(70, 50, inside=bytes([255, 255, 255, 255]), outside=bytes([0, 0, 0, 255]))
    with pytest.raises(openai.BadRequestError, match="opaque everywhere"):
        openai_client.images.edit(model=PICTURES, image=grey(70, 50), mask=mask, prompt="make it red")


@pytest.mark.parametrize("model", ["auto", PICTURES])
def test_gemini_edits_by_words(gemini_client, model):
    picture = types.Part.from_bytes(data=grey(70, 50), mime_type="image/png")
    response = gemini_client.models.generate_content(model=model, contents=[picture, "make it green"])
    [part] = response.candidates[0].content.parts
    assert seen(part.inline_data.data) == (70, 50, provider.COLOURS["green"])


def test_gemini_edits_in_a_chat(gemini_client):
    """What the model gave is what the next words are about."""
    chat = gemini_client.chats.create(model=PICTURES)
    first = chat.send_message([types.Part.from_bytes(data=grey(70, 50), mime_type="image/png"), "make it green"])
    second = chat.send_message("now make it red")
    pictures = [one.candidates[0].content.parts[0].inline_data.data for one in (first, second)]
    assert [seen(one)[2] for one in pictures] == [provider.COLOURS["green"], provider.COLOURS["red"]]
    assert seen(pictures[1])[:2] == (70, 50)


def test_replicate_edits_by_words(replicate_client):
    with io.BytesIO(grey(70, 50)) as file:
        file.name = "a.png"
        output = replicate_client.run(f"elsewhere/{PICTURES}", input={"prompt": "make it red", "images": [file]})
    assert seen(output[0].read()) == (70, 50, provider.COLOURS["red"])


def test_fal_edits_by_words(falling):
    url = "data:image/png;base64," + base64.b64encode(grey(70, 50)).decode()
    result = falling.subscribe(f"elsewhere/{PICTURES}/edit-image", {"prompt": "make it blue", "image_urls": [url]})
    [image] = result["images"]
    assert seen(httpx.get(image["url"]).content) == (70, 50, provider.COLOURS["blue"])


def test_an_edit_that_is_refused_or_fails(openai_client, gemini_client, replicate_client):
    picture = grey(70, 50)
    with pytest.raises(openai.BadRequestError) as refused:
        openai_client.images.edit(model=PICTURES, image=("a.png", picture), prompt="refuse it")
    assert refused.value.code == "content_policy_violation"
    with pytest.raises(openai.InternalServerError) as failed:
        openai_client.images.edit(model=PICTURES, image=("a.png", picture), prompt="fail now")
    assert failed.value.code == "provider_failed"
    part = types.Part.from_bytes(data=picture, mime_type="image/png")
    response = gemini_client.models.generate_content(model=PICTURES, contents=[part, "refuse it"])
    assert response.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT
    with pytest.raises(errors.ServerError):
        gemini_client.models.generate_content(model=PICTURES, contents=[part, "fail again"])
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    with pytest.raises(ModelError, match="refused"):
        replicate_client.run(f"elsewhere/{PICTURES}", input={"prompt": "refuse it", "images": [url]})


# Sounds


@pytest.mark.parametrize("model", [{}, {"model_id": "auto"}, {"model_id": SOUNDS}])
def test_elevenlabs_makes_sounds(elevenlabs_client, model):
    sound = b"".join(elevenlabs_client.text_to_sound_effects.convert(
        text="a door", duration_seconds=1.5, output_format="pcm_24000", **model))
    assert len(sound) == 2 * 1.5 * provider.RATE
    # As loud at the end as the provider made it.
    assert max(struct.unpack(f"<{len(sound) // 2}h", sound)) > 19_000


def test_elevenlabs_says_what_is_wrong_with_a_sound(elevenlabs_client):
    def status(**asked):
        with pytest.raises(ApiError) as told:
            b"".join(elevenlabs_client.text_to_sound_effects.convert(**asked))
        return told.value.status_code, told.value.body["detail"]["status"]

    assert status(text="refuse it") == (403, "content_against_policy")
    assert status(text="fail now") == (424, "provider_failed")
    assert status(text="a door", model_id="nothing") == (404, "model_not_found")
    assert status(text="a door", duration_seconds=900) == (400, "invalid_parameters")


def test_fal_and_replicate_make_sounds(falling, replicate_client):
    result = falling.run(f"elsewhere/{SOUNDS}", {"prompt": "a bell", "duration": 2})
    assert result["audio"]["duration"] == 2
    output = replicate_client.run(f"elsewhere/{SOUNDS}", input={"prompt": "a bell", "duration": 1})
    with wave.open(io.BytesIO(output.read())) as heard:
        assert heard.getnframes() == provider.RATE


# Words


def test_openai_takes_down_what_is_said(openai_client):
    def heard(**more):
        file = ("a.wav", tone(1.5), "audio/wav")
        return openai_client.audio.transcriptions.create(model=WORDS, file=file, **more)

    assert heard().text == "en second 1. en second 2."
    assert heard(language="de", prompt="Teil").text == "de Teil 1. de Teil 2."
    assert heard(response_format="text") == "en second 1. en second 2.\n"
    verbose = heard(response_format="verbose_json", timestamp_granularities=["segment"])
    assert [(part.start, part.end, part.text) for part in verbose.segments] == [
        (0, 1, "en second 1."), (1, 1.5, "en second 2.")]
    assert verbose.duration == 1.5
    assert "2\n00:00:01,000 --> 00:00:01,500\nen second 2." in heard(response_format="srt")
    assert heard(response_format="vtt").startswith("WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.000\n")


def test_openai_takes_words_down_by_any_model(openai_client):
    heard = openai_client.audio.transcriptions.create(model="auto", file=("a.wav", tone(0.5)))
    assert heard.text == "en second 1."


def test_openai_says_what_is_wrong_with_a_sound(openai_client):
    def refused(kind, **more):
        asked = {"model": WORDS, "file": ("a.wav", tone(0.5)), **more}
        with pytest.raises(kind) as told:
            openai_client.audio.transcriptions.create(**asked)
        return str(told.value)

    assert "file" in refused(openai.BadRequestError, file=("a.wav", b"no sound"))
    assert "response_format" in refused(openai.BadRequestError, response_format="diarized_json")
    assert "temperature" in refused(openai.BadRequestError, temperature=0.5)
    assert "elsewhere-words" in refused(openai.NotFoundError, model="elsewhere-word")


def test_fal_and_replicate_take_words_down(falling, replicate_client):
    url = "data:audio/wav;base64," + base64.b64encode(tone(0.5)).decode()
    result = falling.run(f"elsewhere/{WORDS}", {"audio_url": url, "language": "fr"})
    assert result["text"] == "fr second 1."
    output = replicate_client.run(f"elsewhere/{WORDS}", input={"audio": url})
    assert output["text"] == "en second 1." and output["segments"][0]["end"] == 0.5


# Jobs at a provider


def inpainting(words):
    return {"prompt": words, "image_url": "data:image/png;base64," + base64.b64encode(grey(70, 50)).decode()}


def test_a_job_is_submitted_once_and_asked_for_until_it_is_done(falling):
    words = "red, in time"
    result = falling.subscribe(f"elsewhere/{PICTURES}/inpaint-image", inpainting(words))
    assert seen(httpx.get(result["images"][0]["url"]).content) == (70, 50, (0, 0, 0))
    [job] = jobs(words)
    assert job["asked"] == provider.ASKED and not job["cancelled"]


def check_cancelled(words, act):
    """The provider is told, once, that a job is not wanted any more."""
    began = time.monotonic()
    while not jobs(words) or not jobs(words)[0]["asked"]:
        assert time.monotonic() - began < 60
        time.sleep(0.05)
    act()
    while not jobs(words)[0]["cancelled"]:
        assert time.monotonic() - began < 60
        time.sleep(0.05)
    assert [job["cancelled"] for job in jobs(words)] == [1]


def test_a_cancelled_request_is_cancelled_at_its_provider(falling, replicate_client):
    words = "hang for fal"
    handle = falling.submit(f"elsewhere/{PICTURES}/inpaint-image", inpainting(words))
    check_cancelled(words, handle.cancel)
    words = "hang for replicate"
    url = inpainting(words)["image_url"]
    made = replicate_client.predictions.create(
        model=f"inpaint-image/{PICTURES}", input={"prompt": words, "image": url})
    check_cancelled(words, lambda: replicate_client.predictions.cancel(made.id))
