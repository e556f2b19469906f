"""Fronts: every public name is there, asked for or not, and none needs torch before it is used."""

import importlib
import subprocess
import sys

import pytest

LAZY = [
    "nctransfer",
    "nctransfer.data",
    "nctransfer.engine",
    "nctransfer.metrics",
    "nctransfer.models",
    "nctransfer.report",
    "nctransfer.scores",
    "nctransfer.training",
    "nctransfer.transfer",
    "nctransfer.studies",
]


@pytest.mark.parametrize("name", LAZY)
def test_a_front_offers_its_names_and_refuses_others(name):
    front = importlib.import_module(name)
    offered = {key: getattr(front, key) for key in front.__all__}
    assert offered.keys() <= set(dir(front))
    with pytest.raises(AttributeError, match=f"module {name!r} has no attribute 'nonsense'"):
        front.nonsense  # noqa: B018


@pytest.mark.parametrize("name", LAZY)
def test_the_type_checker_sees_what_the_front_loads(name):
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(importlib.import_module(name)))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name for statement in block.body for alias in statement.names}
    assert seen == set(importlib.import_module(name).__all__) - {"__version__"}


@pytest.mark.parametrize(
    "code",
    [
        "import nctransfer.transfer.predict; from nctransfer.transfer import predict; assert callable(predict)",
        "import nctransfer.data.augment; from nctransfer.data import augment; assert callable(augment)",
        "from nctransfer.data import augment; from nctransfer.data.augment import LEVELS; assert callable(augment)",
    ],
)
def test_a_function_is_not_hidden_by_its_module(code):
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_and_fronts_need_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import nctransfer.training.settings, nctransfer.transfer.settings, nctransfer.studies\n"
        "assert nctransfer.transfer.settings.settings_from({'data': 'digits'}).epochs is None\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
