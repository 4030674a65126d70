"""The google-genai SDK before version 2: with a developer's key it makes pictures by `:predict`, and videos too.

Later versions do so in the cloud only: `test_gemini.py`. Programs that were written before still run.
"""

import time

import pytest
from google import genai
from google.genai import errors, types

import server

PNG = b"\x89PNG\r\n\x1a\n"
MODEL = "sketch-scene"
SMALL = types.GenerateContentConfig(image_config=types.ImageConfig(aspect_ratio="1:1", image_size="512"))


def client(name="normal", key=None):
    at = types.HttpOptions(base_url=server.secure(name) + "/gemini")
    return genai.Client(api_key=server.key_of(name) if key is None else key, http_options=at)


@pytest.fixture(scope="module")
def normal():
    return client()


def check_error(kind, code, act, match=None):
    with pytest.raises(kind, match=match) as caught:
        act()
    assert caught.value.code == code


def test_it_is_the_former_version():
    assert genai.__version__.startswith("1.")


def test_content_is_a_picture(normal):
    response = normal.models.generate_content(model=MODEL, contents="A red mug", config=SMALL)
    assert response.candidates[0].content.parts[0].inline_data.data.startswith(PNG)


def test_pictures_are_predicted_for_developers(normal):
    config = types.GenerateImagesConfig(number_of_images=2, aspect_ratio="4:3", include_rai_reason=True)
    made = normal.models.generate_images(model=MODEL, prompt="A mug", config=config)
    sizes = [one.image.image_bytes[16:24] for one in made.generated_images]
    assert len(sizes) == 2 and all(one.image.image_bytes.startswith(PNG) for one in made.generated_images)
    assert all(3 * int.from_bytes(size[:4]) == 4 * int.from_bytes(size[4:]) for size in sizes)


def test_what_goes_wrong_with_pictures(normal):
    def predict(mine, model=MODEL):
        config = types.GenerateImagesConfig(include_rai_reason=True)
        return mine.models.generate_images(model=model, prompt="A mug", config=config)

    check_error(errors.ClientError, 404, lambda: predict(normal, "sketch-scenes"), "sketch-scene")
    check_error(errors.ClientError, 401, lambda: predict(client(key="wrong")))
    check_error(errors.ServerError, 500, lambda: predict(client("failing")))
    assert predict(client("refusing")).generated_images[0].rai_filtered_reason


def test_a_video_is_made_and_fetched(normal):
    config = types.GenerateVideosConfig(duration_seconds=1, resolution="240p")
    operation = normal.models.generate_videos(model=MODEL, prompt="A mug turns", config=config)
    began = time.monotonic()
    while not operation.done:
        assert time.monotonic() - began < 60
        time.sleep(0.2)
        operation = normal.operations.get(operation)
    [video] = operation.response.generated_videos
    assert normal.files.download(file=video.video)[4:8] == b"ftyp"


def test_files_are_uploaded_found_and_deleted(normal, picture):
    file = normal.files.upload(file=str(picture), config={"mime_type": "image/png"})
    assert normal.files.get(name=file.name).uri == file.uri and file.state == types.FileState.ACTIVE
    assert file.name in [one.name for one in normal.files.list(config={"page_size": 2})]
    normal.files.delete(name=file.name)
    check_error(errors.ClientError, 404, lambda: normal.files.get(name=file.name))
