"""The Markdown backend: pseudocode with mathematics in dollar signs, as GitHub, GitLab and pandoc show it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..backend import POWERS, Backend
from .latex import listing

if TYPE_CHECKING:
    from ...step.iteration import Iteration
    from ..lowering.names import Naming


def source(algorithm: Iteration, _: Naming) -> str:
    """The algorithm: input, initialization, the loop as a numbered list, output, where it comes from."""
    made = listing(algorithm, "markdown")
    note = " (coefficients depend on $k$)" if made.numbered else ""
    runs = re.findall("`+", "\n".join(made.facts))
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))  # nothing written inside can close it
    sections = [
        f"# {made.title}",
        f"**Input:** {'; '.join(made.inputs)}",
        *([f"**Initialize:** {_unescaped(', '.join(made.initial))}"] if made.initial else []),
        rf"**For** $k = 0, \dots, N - 1${note}:",
        "\n".join(f"{i}. {_shown(line)}" for i, line in enumerate(made.steps, 1)),
        f"**Output:** {_unescaped(made.output)}",
        "## Where it comes from",
        "\n".join([f"{fence}text", *made.facts, fence]),
    ]
    return "\n\n".join(sections) + "\n"


def _unescaped(line: str) -> str:
    r"""A line of mathematics without what Markdown reads as escapes: \|, \, and \\ between rows."""
    return line.replace(r"\\", r"\cr").replace(r"\|", r"\Vert ").replace(r"\,", r"\thinspace ")


def _shown(line: str) -> str:
    r"""A line of mathematics in full size, since inline fractions are small, and with no Markdown escape."""
    line = _unescaped(line)
    return rf"$\displaystyle {line[1:]}" if r"\frac" in line else line


BACKEND = Backend("markdown", ".md", frozenset(POWERS), source)
