"""The official ElevenLabs package, as its users use it."""

import base64
import io
import shutil
import threading
import uuid
import wave

import pytest
from elevenlabs import AsyncElevenLabs, ElevenLabs, MusicPrompt, SongSection, VoiceSettings
from elevenlabs.core.api_error import ApiError

import server

TEXT = "Hello, world. This is a test."
# The package calls a deprecated method of the one that it opens sockets with.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def client(name="normal", **options):
    options.setdefault("api_key", server.key_of(name))
    options.setdefault("base_url", server.secure(name) + "/elevenlabs")
    return ElevenLabs(**options)


@pytest.fixture(scope="module")
def ours():
    return client()


def samples(wav):
    with wave.open(io.BytesIO(wav)) as sound:
        return sound.getframerate(), sound.readframes(sound.getnframes())


def is_usual(sound):
    """Whether it is what comes when nothing is said: MP3, or WAV where there is no ffmpeg."""
    if shutil.which("ffmpeg") is None:
        return sound.startswith(b"RIFF")
    return sound[0] == 0xFF and sound[1] & 0xE0 == 0xE0


# Speech


def test_speech_is_made(ours):
    assert is_usual(b"".join(ours.text_to_speech.convert("female", text=TEXT)))
    wav = b"".join(ours.text_to_speech.convert("female", text=TEXT, output_format="wav_24000"))
    rate, frames = samples(wav)
    assert len(frames) > rate


@pytest.mark.parametrize("model", ["auto", "draft", "sketch-voice"])
def test_a_model_by_any_name(ours, model):
    sound = b"".join(ours.text_to_speech.convert("male", text="Hello.", model_id=model))
    assert is_usual(sound)


def test_a_voice_by_the_id_that_programs_carry(ours):
    sound = b"".join(ours.text_to_speech.convert(
        "JBFqnCBsd6RMkjVDRZzb", text="Hello.",
        voice_settings=VoiceSettings(stability=0.5, similarity_boost=0.7, speed=1.1),
    ))
    assert is_usual(sound)


@pytest.mark.parametrize("format, bytes_per_second", [
    ("pcm_16000", 32_000), ("pcm_44100", 88_200), ("ulaw_8000", 8_000), ("alaw_8000", 8_000),
])
def test_formats(ours, format, bytes_per_second):
    whole = b"".join(ours.text_to_speech.convert("female", text=TEXT, output_format="wav_24000"))
    rate, frames = samples(whole)
    sound = b"".join(ours.text_to_speech.stream("female", text=TEXT, output_format=format))
    assert abs(len(sound) / bytes_per_second - len(frames) / 2 / rate) < 0.02


def test_timestamps(ours):
    spoken = ours.text_to_speech.convert_with_timestamps("female", text=TEXT)
    assert is_usual(base64.b64decode(spoken.audio_base_64))
    times = spoken.alignment
    assert "".join(times.characters) == TEXT
    starts, ends = times.character_start_times_seconds, times.character_end_times_seconds
    assert starts == sorted(starts) and all(a <= b for a, b in zip(starts, ends))
    spoken = ours.text_to_speech.convert_with_timestamps(
        "female", text=TEXT, output_format="pcm_16000")
    seconds = len(base64.b64decode(spoken.audio_base_64)) / 2 / 16_000
    assert 0.5 < spoken.alignment.character_end_times_seconds[-1] <= seconds + 0.01


def test_timestamps_in_a_stream(ours):
    pieces = list(ours.text_to_speech.stream_with_timestamps("female", text=TEXT))
    assert is_usual(b"".join(base64.b64decode(p.audio_base_64) for p in pieces))
    characters = [c for piece in pieces if piece.alignment for c in piece.alignment.characters]
    assert "".join(characters) == TEXT


def test_text_that_comes_bit_by_bit(ours):
    def text():
        yield "Hello there. "
        yield "This is the second sentence, which is a little longer. "
        yield "And this is the last one."

    sound = b"".join(ours.text_to_speech.convert_realtime(
        "female", text=text(), output_format="pcm_16000"))
    assert len(sound) > 3 * 32_000


def test_a_socket_tells_what_is_wrong():
    with pytest.raises(ApiError) as refused:
        list(client().text_to_speech.convert_realtime(
            "nobody", text=iter(["Hello."]), output_format="pcm_16000"))
    assert "voice" in str(refused.value.body)
    with pytest.raises(ApiError) as refused:
        list(client(api_key="wrong").text_to_speech.convert_realtime(
            "female", text=iter(["Hello."]), output_format="pcm_16000"))
    assert "key" in str(refused.value.body)


def test_the_asynchronous_client():
    import anyio

    async def ask():
        other = AsyncElevenLabs(api_key=server.KEY, base_url=server.plain() + "/elevenlabs")
        return b"".join([piece async for piece in other.text_to_speech.convert("male", text="Hello.")])

    assert is_usual(anyio.run(ask))


# Music and sounds


def test_music_is_made(ours):
    wav = b"".join(ours.music.compose(
        prompt="a calm piano", music_length_ms=3000, output_format="wav_44100"))
    rate, frames = samples(wav)
    assert len(wav) > rate


def test_music_is_streamed(ours):
    sound = b"".join(ours.music.stream(
        prompt="a calm piano", music_length_ms=3000, output_format="pcm_24000"))
    assert abs(len(sound) / 48_000 - 3) < 0.2


def test_music_in_detail(ours):
    made = ours.music.compose_detailed(composition_plan=MusicPrompt(
        positive_global_styles=["calm", "piano"],
        negative_global_styles=[],
        sections=[SongSection(
            section_name="Verse", positive_local_styles=["soft"], negative_local_styles=[],
            duration_ms=3000, lines=[],
        )],
    ))
    assert is_usual(made.audio) and made.filename.endswith((".mp3", ".wav"))
    plan = made.json.get("composition_plan") or made.json.get("compositionPlan")
    assert plan["sections"][0]["duration_ms"] == 3000


def test_sounds_are_refused_as_long_as_no_model_makes_them(ours):
    with pytest.raises(ApiError) as refused:
        b"".join(ours.text_to_sound_effects.convert(text="a door"))
    assert refused.value.status_code == 404 and "no model" in str(refused.value.body)


# Lists


def test_voices_and_models_are_listed(ours):
    voices = {voice.voice_id for voice in ours.voices.get_all().voices}
    assert {"female", "male-deep"} <= voices
    first = ours.voices.search(page_size=2)
    assert len(first.voices) == 2 and first.has_more and first.total_count == len(voices)
    second = ours.voices.search(page_size=100, next_page_token=first.next_page_token)
    assert len(second.voices) == len(voices) - 2 and not second.has_more
    assert ours.voices.get("female").name == "female"
    models = {model.model_id: model for model in ours.models.list()}
    assert {"auto", "hero", "sketch-voice"} <= set(models)
    assert any(language.language_id == "de" for language in models["sketch-voice"].languages)


# What goes wrong


@pytest.mark.parametrize("voice, options, status, word", [
    ("nobody", {}, 404, "voice_not_found"),
    ("female", {"model_id": "no-such-model"}, 404, "model_not_found"),
    ("female", {"output_format": "pcm_1"}, 400, "invalid_parameters"),
    ("female", {"language_code": "tlh"}, 400, "invalid_parameters"),
])
def test_what_cannot_be_done_is_said(ours, voice, options, status, word):
    with pytest.raises(ApiError) as refused:
        b"".join(ours.text_to_speech.convert(voice, text="Hello.", **options))
    assert refused.value.status_code == status
    assert refused.value.body["detail"]["status"] == word


def test_a_bad_key_is_refused():
    with pytest.raises(ApiError) as refused:
        client(api_key="wrong").voices.get_all()
    assert refused.value.status_code == 401
    assert refused.value.body["detail"]["status"] == "invalid_api_key"


@pytest.mark.parametrize("name, status, word", [
    ("refusing", 403, "content_against_policy"),
    ("failing", 424, "provider_failed"),
])
def test_a_run_that_fails_is_told_and_not_tried_again(name, status, word):
    with Runs(name) as runs, pytest.raises(ApiError) as failed:
        client(name).text_to_speech.convert_with_timestamps("female", text="Hello.")
    assert (failed.value.status_code, failed.value.body["detail"]["status"]) == (status, word)
    assert runs.count == 1


def test_a_client_that_gives_up_gets_its_timeout():
    import httpx

    with pytest.raises(httpx.TimeoutException):
        b"".join(client("hanging", timeout=0.5).text_to_speech.convert("female", text="Hello."))


def test_a_call_is_given_up(given_up):
    async def call():
        other = AsyncElevenLabs(
            api_key=server.key_of("hanging"), base_url=server.secure("hanging") + "/elevenlabs"
        )
        async for _ in other.text_to_speech.convert("female", text=f"Hello, {uuid.uuid4()}."):
            pass

    given_up(call)


def test_a_listener_who_goes_away_hinders_nobody(ours):
    pieces = ours.text_to_speech.stream("female", text=" ".join([TEXT] * 8), output_format="pcm_16000")
    assert next(pieces)
    pieces.close()
    assert is_usual(b"".join(ours.text_to_speech.convert("female", text=f"Hello, {uuid.uuid4()}.")))


def test_a_body_that_is_too_large_is_refused(ours):
    with pytest.raises(ApiError) as refused:
        b"".join(ours.text_to_speech.convert("female", text="x" * (65 << 20)))
    assert refused.value.status_code == 413


def test_many_at_once(ours):
    made = []

    def one(number):
        made.append(b"".join(ours.text_to_speech.convert("female", text=f"Number {number}.")))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8 and all(is_usual(sound) for sound in made)


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
