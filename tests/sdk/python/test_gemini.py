"""The google-genai SDK: content, pictures, videos, files, models; with a developer's key and as in the cloud."""

import base64
import io
import time
import uuid

import httpx
import pytest
from google import genai
from google.genai import errors, types

import server

PNG = b"\x89PNG\r\n\x1a\n"
MODEL = "sketch-scene"
CLIP = {"duration_seconds": 1, "resolution": "240p"}
# What nobody looks at need not be large.
SMALL = {"image_config": {"aspect_ratio": "1:1", "image_size": "512"}}


def options(name="normal", at=server.secure, **more):
    return types.HttpOptions(base_url=at(name) + "/gemini", **more)


# A client that nobody holds closes its connections in the middle of a call.
HELD = []


def held(made):
    HELD.append(made)
    return made


def client(name="normal", at=server.secure, key=None, **more):
    key = server.key_of(name) if key is None else key
    return held(genai.Client(api_key=key, http_options=options(name, at, **more)))


def cloud(name="normal"):
    return held(genai.Client(vertexai=True, api_key=server.key_of(name), http_options=options(name)))


@pytest.fixture(scope="module")
def normal():
    return client()


def blobs(response):
    return [part.inline_data for part in response.candidates[0].content.parts]


def test_content_is_a_picture(normal):
    response = normal.models.generate_content(model=MODEL, contents="A red mug on a table", config=SMALL)
    [blob] = blobs(response)
    assert blob.mime_type == "image/png" and blob.data.startswith(PNG)
    assert response.candidates[0].finish_reason == types.FinishReason.STOP
    assert response.model_version == MODEL and response.response_id


def test_without_encryption_and_by_the_environment(monkeypatch):
    plain = client(at=server.plain)
    assert blobs(plain.models.generate_content(model=MODEL, contents="A mug", config=SMALL))[0].data
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.secure() + "/gemini")
    monkeypatch.setenv("GOOGLE_API_KEY", server.KEY)
    assert blobs(held(genai.Client()).models.generate_content(model=MODEL, contents="A mug", config=SMALL))[0].data


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1beta1"])
def test_every_version_is_answered(version):
    mine = client(api_version=version)
    assert blobs(mine.models.generate_content(model=MODEL, contents="A mug", config=SMALL))[0].data
    assert mine.models.list(config={"page_size": 3}).page


@pytest.mark.parametrize("model", ["auto", "hero", "draft", "text-to-image/standard", "models/sketch-scene"])
def test_tiers_and_tasks_are_models(normal, model):
    assert blobs(normal.models.generate_content(model=model, contents="A mug", config=SMALL))[0].data.startswith(PNG)


def test_shape_seed_and_count_are_heeded(normal):
    config = types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"],
        image_config=types.ImageConfig(aspect_ratio="16:9", image_size="512"),
        system_instruction="In the style of a woodcut.",
        temperature=0.5,
        seed=5,
    )
    first, second = (normal.models.generate_content(model=MODEL, contents="A mug", config=config) for _ in range(2))
    assert blobs(first)[0].data == blobs(second)[0].data
    assert blobs(first)[0].data[16:24] == (512).to_bytes(4) + (288).to_bytes(4)
    two = normal.models.generate_content(model=MODEL, contents="A mug", config={"candidate_count": 2, "seed": 5, **SMALL})
    assert [candidate.index or 0 for candidate in two.candidates] == [0, 1]


def test_content_is_streamed(normal):
    """The offline model tells two previews. What was made before would come at once, without any."""
    words = f"A mug in the rain, {uuid.uuid4()}"
    *previews, last = normal.models.generate_content_stream(model=MODEL, contents=words, config=SMALL)
    assert last.candidates[0].finish_reason == types.FinishReason.STOP
    assert last.candidates[0].content.parts[0].inline_data.data.startswith(PNG)
    thoughts = [part for chunk in previews for part in chunk.candidates[0].content.parts]
    assert len(thoughts) == 2 and all(part.thought for part in thoughts)
    assert len({part.inline_data.data for part in thoughts}) == 2


def test_content_asynchronously():
    import asyncio

    async def go():
        return await client().aio.models.generate_content(model=MODEL, contents="A mug", config=SMALL)

    assert blobs(asyncio.run(go()))[0].data.startswith(PNG)


SPEECH = types.GenerateContentConfig(
    response_modalities=["AUDIO"],
    speech_config=types.SpeechConfig(
        voice_config=types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="default"))
    ),
)


def test_speech_is_content(normal):
    [blob] = blobs(normal.models.generate_content(model="auto", contents="Good morning.", config=SPEECH))
    assert "rate=24000" in blob.mime_type and len(blob.data) > 24_000 and not blob.data.startswith(b"RIFF")


def test_speech_is_streamed(normal):
    chunks = normal.models.generate_content_stream(model="sketch-voice", contents="Good evening.", config=SPEECH)
    sound = b"".join(
        part.inline_data.data for chunk in chunks for part in chunk.candidates[0].content.parts or []
    )
    assert len(sound) > 24_000


def test_a_picture_is_an_input(normal, picture):
    part = types.Part.from_bytes(data=picture.read_bytes(), mime_type="image/png")
    [blob] = blobs(normal.models.generate_content(model="back-projection-upscaler", contents=[part]))
    assert blob.data.startswith(PNG)


def test_files_are_uploaded_found_and_deleted(normal, picture):
    file = normal.files.upload(file=str(picture), config={"display_name": "coffee", "mime_type": "image/png"})
    assert file.state == types.FileState.ACTIVE and file.mime_type == "image/png" and file.size_bytes > 0
    found = normal.files.get(name=file.name)
    assert found.uri == file.uri and found.uri.startswith("https://")
    assert file.name in [one.name for one in normal.files.list(config={"page_size": 2})]
    [blob] = blobs(normal.models.generate_content(model="back-projection-upscaler", contents=[file]))
    assert blob.data.startswith(PNG)
    assert len(normal.files.download(file=file)) == file.size_bytes
    normal.files.delete(name=file.name)
    check_error(errors.ClientError, 404, lambda: normal.files.get(name=file.name))


def test_a_file_of_many_pieces_is_uploaded(normal):
    # A picture of nine million bytes: more than one piece.
    size = 1733
    rows = b"".join(b"\0" + bytes(3 * size) for _ in range(size))
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    png = PNG + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")
    assert len(png) > 8 << 20
    file = normal.files.upload(file=io.BytesIO(png), config={"mime_type": "image/png"})
    assert file.state == types.FileState.ACTIVE


def check_error(kind, code, act, match=""):
    with pytest.raises(kind) as caught:
        act()
    assert caught.value.code == code and caught.value.status and match in caught.value.message


def test_errors_are_told_in_the_sdk_s_own_shape(normal):
    def generate(model=MODEL, contents="A mug", **config):
        return lambda: normal.models.generate_content(model=model, contents=contents, config=config)

    refused = errors.ClientError
    check_error(refused, 404, generate(model="sketch-scenes"), "did you mean `sketch-scene`")
    check_error(refused, 400, generate(response_modalities=["TEXT"]), "IMAGE or AUDIO")
    check_error(refused, 400, generate(image_config={"aspect_ratio": "1:9"}), "aspect_ratio")
    check_error(refused, 400, generate(max_output_tokens=5, stop_sequences=["x"]), "stopSequences")
    check_error(refused, 400, generate(tools=[{"google_search": {}}]), "tools")
    check_error(refused, 404, lambda: normal.files.get(name="files/nonesuch"), "nonesuch")
    check_error(refused, 404, lambda: normal.models.get(model="nonesuch"), "nonesuch")
    check_error(refused, 404, lambda: normal.caches.list(), "nothing at")
    check_error(refused, 400, lambda: normal.files.upload(file=io.BytesIO(b"x"), config={"mime_type": "image/png"}))


@pytest.mark.parametrize("key", ["imp_0123456789ab_" + "0" * 48, "AIzaWrong"])
def test_a_bad_key_is_refused(key):
    mine = client(key=key)
    check_error(errors.ClientError, 401, lambda: mine.models.generate_content(model=MODEL, contents="A mug", config=SMALL))


def test_what_failed_is_a_server_error():
    failing = client("failing")
    act = lambda: failing.models.generate_content(model=MODEL, contents="A mug", config=SMALL)
    check_error(errors.ServerError, 500, act)
    stream = lambda: list(failing.models.generate_content_stream(model=MODEL, contents="A mug", config=SMALL))
    check_error(errors.ServerError, 500, stream)


def test_what_was_refused_has_a_reason():
    refusing = client("refusing")
    response = refusing.models.generate_content(model=MODEL, contents="A mug", config=SMALL)
    assert response.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT
    assert not response.candidates and response.prompt_feedback.block_reason_message
    [chunk] = refusing.models.generate_content_stream(model=MODEL, contents="A mug", config=SMALL)
    assert chunk.prompt_feedback.block_reason


def runs(name):
    headers = {"authorization": f"Bearer {server.key_of(name)}"}
    return len(httpx.get(server.secure(name) + "/v1/runs?limit=200", headers=headers).json()["runs"])


def test_a_call_that_took_too_long_goes_on_when_it_is_sent_again():
    slow, before = client("slow"), runs("slow")
    words = f"A mug at {time.time()}"

    def generate(seconds):
        config = {"http_options": {"headers": {"X-Server-Timeout": str(seconds)}}, **SMALL}
        return slow.models.generate_content(model=MODEL, contents=words, config=config)

    check_error(errors.ServerError, 504, lambda: generate(1), "send the same request again")
    assert blobs(generate(60))[0].data
    assert runs("slow") == before + 1


def test_a_call_is_given_up(given_up):
    async def call():
        mine = client("hanging")
        await mine.aio.models.generate_content(model=MODEL, contents=f"A mug, {uuid.uuid4()}")

    given_up(call)


def test_a_client_has_a_time(under_way):
    hasty, before = client("hanging", timeout=1_000), set(under_way("hanging"))
    # The server is told the time too: whoever is first says so.
    with pytest.raises(Exception, match="timed out|DEADLINE_EXCEEDED"):
        hasty.models.generate_content(model=MODEL, contents=f"A mug, {uuid.uuid4()}")
    assert len(set(under_way("hanging")) - before) == 1


def test_a_huge_upload_is_refused(normal):
    size = 600 << 20

    class Huge(io.RawIOBase):
        place = 0

        def seek(self, offset, whence=0):
            self.place = offset + {0: 0, 1: self.place, 2: size}[whence]
            return self.place

        def tell(self):
            return self.place

        def read(self, count=-1):
            raise AssertionError("nothing of it is sent")

    act = lambda: normal.files.upload(file=Huge(), config={"mime_type": "image/png"})
    check_error(errors.ClientError, 400, act, "the most is")


def test_a_huge_call_is_refused(normal):
    act = lambda: normal.models.generate_content(model=MODEL, contents="x" * (70 << 20))
    check_error(errors.ClientError, 413, act, "too large")


def test_models_are_listed(normal):
    models = {model.name: model for model in normal.models.list(config={"page_size": 4})}
    assert {"models/auto", "models/hero", "models/sketch-scene", "models/sketch-voice"} <= set(models)
    assert "predictLongRunning" in models["models/sketch-scene"].supported_actions
    assert normal.models.get(model="sketch-voice").display_name


def test_pictures_are_predicted():
    config = types.GenerateImagesConfig(number_of_images=2, aspect_ratio="4:3", include_rai_reason=True)
    made = cloud().models.generate_images(model=MODEL, prompt="A mug", config=config)
    assert len(made.generated_images) == 2
    assert all(one.image.image_bytes.startswith(PNG) for one in made.generated_images)
    act = lambda: cloud("failing").models.generate_images(model=MODEL, prompt="A mug")
    check_error(errors.ServerError, 500, act)


def test_a_refused_picture_says_why():
    config = types.GenerateImagesConfig(include_rai_reason=True)
    made = cloud("refusing").models.generate_images(model=MODEL, prompt="A mug", config=config)
    assert made.generated_images[0].rai_filtered_reason


def test_a_picture_is_enlarged(picture):
    image = types.Image(image_bytes=picture.read_bytes(), mime_type="image/png")
    made = cloud().models.upscale_image(model="back-projection-upscaler", image=image, upscale_factor="x2")
    assert made.generated_images[0].image.image_bytes.startswith(PNG)


def ended(mine, operation):
    began = time.monotonic()
    while not operation.done:
        assert time.monotonic() - began < 60
        time.sleep(0.2)
        operation = mine.operations.get(operation)
    return operation


def test_a_video_is_made():
    mine = cloud()
    begun = mine.models.generate_videos(model=MODEL, prompt="A mug turns", config=CLIP)
    assert "/operations/" in begun.name
    [video] = ended(mine, begun).response.generated_videos
    assert video.video.mime_type == "video/mp4" and video.video.video_bytes[4:8] == b"ftyp"


def test_a_video_is_made_of_a_picture(picture):
    mine = cloud()
    image = types.Image(image_bytes=picture.read_bytes(), mime_type="image/png")
    begun = mine.models.generate_videos(
        model="camera-moves", image=image, prompt="It comes nearer", config={"duration_seconds": 1}
    )
    assert ended(mine, begun).response.generated_videos[0].video.video_bytes[4:8] == b"ftyp"


def test_a_video_that_failed_has_an_error():
    mine = cloud("failing")
    over = ended(mine, mine.models.generate_videos(model=MODEL, prompt="A mug", config=CLIP))
    assert over.error["code"] == 13 and over.error["message"] and not over.response


def test_a_refused_video_is_counted():
    mine = cloud("refusing")
    over = ended(mine, mine.models.generate_videos(model=MODEL, prompt="A mug", config=CLIP))
    assert over.response.rai_media_filtered_count == 1 and over.response.rai_media_filtered_reasons


def test_a_video_is_given_up():
    mine = cloud("hanging")
    begun = mine.models.generate_videos(model=MODEL, prompt="A mug", config=CLIP)
    address = f"{server.secure('hanging')}/gemini/v1beta1/{begun.name}:cancel"
    headers = {"x-goog-api-key": server.key_of("hanging")}
    assert httpx.post(address, headers=headers).status_code == 200
    assert ended(mine, begun).error["code"] == 1


def test_an_unknown_operation_is_not_found():
    mine = cloud()
    operation = types.GenerateVideosOperation(name="publishers/google/models/x/operations/nonesuch")
    check_error(errors.ClientError, 404, lambda: mine.operations.get(operation), "nonesuch")


def test_a_list_is_streamed_to_those_who_do_not_want_events():
    address = f"{server.secure()}/gemini/v1beta/models/{MODEL}:streamGenerateContent?key={server.KEY}"
    body = {"contents": [{"parts": [{"text": "A mug"}]}], "generation_config": {"seed": 5, "imageConfig": {"imageSize": "512"}}}
    answers = httpx.post(address, json=body, timeout=30).json()
    data = answers[-1]["candidates"][0]["content"]["parts"][0]["inlineData"]["data"]
    assert base64.b64decode(data).startswith(PNG)
