"""The English of messages and pages, as far as a program can judge it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from faults_of_english import in_message, long_ones, messages
from package_files import ROOT, modules
from public_classes import public

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_messages_say_what_is_required() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {', '.join(faults)}: {text}"
        for path in modules().values()
        for line, text in messages(path.read_text(encoding="utf-8"))
        if (faults := in_message(text))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_sentences_are_short(page: Path) -> None:
    assert long_ones(page.read_text(encoding="utf-8")) == []


def test_the_first_line_of_a_public_docstring_is_a_sentence() -> None:
    """The index of names has it alone."""
    ours = [v for v in public() if inspect.isclass(v) or inspect.isfunction(v)]
    first = {v.__qualname__: (inspect.getdoc(v) or "").partition("\n")[0] for v in ours}
    assert {name: line for name, line in first.items() if not line.endswith(".")} == {}


def test_public_docstrings_refer_to_public_names() -> None:
    ours = {v.__name__: v for v in public() if inspect.isclass(v) or inspect.isfunction(v)}
    found = []
    for v in ours.values():
        members = vars(v) if inspect.isclass(v) else {}
        shown = [v, *(m for n, m in members.items() if not n.startswith("_"))]
        for text in (inspect.getdoc(m) or "" for m in shown):
            seen = re.findall(r"\bsee `([\w.]+)`", text)
            heads = {name: name.removeprefix("od.").partition(".")[0] for name in seen}
            found += [f"{v.__name__}: {n}" for n, h in heads.items() if h not in {*ours, *members}]
    assert found == []


@pytest.mark.parametrize(("text", "fault"), [
    ("a tolerance is positive and finite, not {}.", "a fact for a requirement"),
    ("{} counts the steps; give what has that name another.", "a clause for a noun"),
    ("a bound for all steps is about convex functions.", "about"),
    ("an argument is of the kind {}, or is not of it.", "a riddle"),
])  # fmt: skip
def test_a_fault_is_found(text: str, fault: str) -> None:
    assert in_message(text) == [fault]


def test_plain_messages_have_no_fault() -> None:
    assert in_message("a tolerance must be positive and finite, not {}.") == []
    assert in_message("there is no folder {}: --data names the one with the data.") == []
    long = "A " + "long " * 61 + "sentence. A short one (with `a b c` and $x$).\n\n| a | table |\n"
    assert [s[:6] for s in long_ones(long)] == ["A long"]
