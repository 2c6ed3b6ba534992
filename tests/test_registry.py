"""Registries: names to functions in modules that load on first use."""

import subprocess
import sys

import pytest

from odescent import OdescentError
from odescent._registry import Registry

FRACTIONS = Registry("number", "email", {"text": "mime.text:MIMEText", "quote": "utils"})


def test_names_and_functions():
    assert FRACTIONS.names() == ["quote", "text"]
    from email.mime.text import MIMEText
    from email.utils import quote

    assert FRACTIONS.function("text") is MIMEText and FRACTIONS.function("quote") is quote


def test_build_passes_options_and_lets_the_entry_speak():
    assert FRACTIONS.build("text", _text="hello").get_payload() == "hello"
    with pytest.raises(LookupError):
        FRACTIONS.build("text", _text="hello", _charset="no-such-charset")


def test_an_option_that_the_entry_does_not_take_is_named():
    with pytest.raises(
        OdescentError, match=r"no option .* 'text' called 'charset': did you mean '_charset'"
    ):
        FRACTIONS.build("text", _text="", charset="ascii")


def test_an_option_that_is_missing_is_named():
    with pytest.raises(
        OdescentError, match=r"^the number 'text' needs the option _text, which must be given"
    ):
        FRACTIONS.build("text")
    needy = Registry("tool", "shutil", {"move": ":move"})
    with pytest.raises(
        OdescentError, match="needs the options src and dst, which must be given, as in src="
    ):
        needy.build("move")


def test_an_entry_that_takes_any_option_takes_any():
    assert Registry("double", "unittest", {"mock": "mock:Mock"}).build("mock", colour=3).colour == 3


def test_unknown_names():
    with pytest.raises(OdescentError, match="there is no number 'tex': did you mean 'text'"):
        FRACTIONS.build("tex")


def test_listing_loads_neither_entries_nor_jax():
    code = (
        "import sys; from odescent.dynamics import systems; assert 'adam' in systems();"
        "print([m for m in sys.modules if m.startswith(('jax', 'odescent.dynamics.library.', 'matplotlib'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
