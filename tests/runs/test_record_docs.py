"""docs/record.md is what the models say, and every field says something."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from nctransfer.runs import PretrainRecord, Result, StudyResult, Summary

DOCS = Path(__file__).parents[2] / "docs"


def _maker():
    spec = importlib.util.spec_from_file_location("record_fields", DOCS / "record_fields.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_made_of_the_models():
    made = _maker().page()
    assert made == (DOCS / "record.md").read_text(encoding="utf-8"), "run python docs/record_fields.py"


def test_every_field_is_described():
    maker = _maker()
    for kind in (Result, PretrainRecord, Summary, StudyResult):
        for model in maker.models_of(kind):
            assert model.__doc__, model
            for name, field in model.model_fields.items():
                assert field.description, (model.__name__, name)
