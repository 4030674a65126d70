"""The schema that editors know the catalogue's files by fits the files that there are."""

import json
import pathlib
import tomllib

import jsonschema
import pytest

CATALOG = pathlib.Path(__file__).parents[3] / "catalog"
SCHEMA = json.loads((CATALOG / "schema" / "model.json").read_text())


def test_every_model_fits_the_schema():
    check = jsonschema.Draft202012Validator(SCHEMA)
    files = sorted((CATALOG / "models").glob("*/*.toml"))
    assert len(files) > 100
    wrong = [(str(file), error.json_path, error.message) for file in files
             for error in check.iter_errors(tomllib.loads(file.read_text()))]
    assert not wrong, wrong[:5]


@pytest.mark.parametrize("name", ["mask", "file"])
def test_a_word_that_is_not_known_does_not_fit(name):
    text = (CATALOG / "models" / "openai" / "gpt-image-2.toml").read_text()
    model = tomllib.loads(text)
    edit = next(offer for offer in model["offers"] if isinstance(offer["input"].get("mask"), dict))
    edit["input"]["mask"][name] = "grey"
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(model)
