"""The reference: one page for each part of the package, from the names that it makes public."""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from typing import Any

PARTS = ("odescent", "dynamics", "discretize", "analysis", "neural_de", "particles")


@cache
def addresses() -> dict[str, str]:
    """The public classes and functions of all parts by name: where each is defined."""
    found: dict[str, str] = {}
    for part in PARTS:
        module = importlib.import_module(part if part == "odescent" else f"odescent.{part}")
        for public in module.__all__:
            value = getattr(module, public)
            if inspect.isclass(value) or inspect.isfunction(value):
                found.setdefault(public, f"{value.__module__}.{value.__qualname__}")
    return found


def pages() -> dict[str, str]:
    """The Markdown of every reference page, by its path."""
    made = {f"reference/{part}.md": _part(part) for part in PARTS}
    return {"reference/index.md": _names(), **made, "reference/commands.md": _commands()}


def _names() -> str:
    """All public names in alphabetical order, each with its first line and a link to its entry."""
    rows: dict[str, str] = {}
    for part in PARTS:
        module = importlib.import_module(part if part == "odescent" else f"odescent.{part}")
        for public in module.__all__:
            found = getattr(module, public)
            if inspect.isclass(found) or inspect.isfunction(found):
                said = (inspect.getdoc(found) or "").partition("\n")[0].replace("|", r"\|")
                address = f"{found.__module__}.{found.__qualname__}"
                rows.setdefault(address, f"| [`{module.__name__}.{public}`][{address}] | {said} |")
    ordered = sorted(
        rows.values(), key=lambda row: row.partition("`]")[0].rpartition(".")[2].lower()
    )
    return "\n".join(["# Index of names", "", "| name | summary |", "|---|---|", *ordered, ""])


def _part(part: str) -> str:
    name = part if part == "odescent" else f"odescent.{part}"
    module = importlib.import_module(name)
    said = inspect.getdoc(module) or ""
    lines = [f"# `{name}`", "", said, ""]
    values = []
    for public in sorted(module.__all__, key=str.lower):
        found = getattr(module, public)
        if inspect.isclass(found) or inspect.isfunction(found):
            lines += _documented(f"{name}.{public}", found, part)
        elif not inspect.ismodule(found):
            values.append(public)
    if values:
        lines += ["## Values", "", ", ".join(f"`{v}`" for v in values), ""]
    return "\n".join(lines)


_seen: dict[str, str] = {}


def _documented(public: str, found: Any, part: str) -> list[str]:
    """The entry, once; where it has its place on an earlier page, a link to it."""
    address = f"{found.__module__}.{found.__qualname__}"
    if _seen.setdefault(address, part) != part:
        return [f"### {public.rpartition('.')[2]}", "", f"See [`{address}`][{address}].", ""]
    return [f"::: {address}", "    options:", f"      heading: {public}", ""]


def _commands() -> str:
    from typer.testing import CliRunner

    from odescent.cli import app

    lines = ["# Command line", ""]
    commands: list[tuple[str, ...]] = [(), *((c.name or "",) for c in app.registered_commands)]
    for command in commands:
        done = CliRunner().invoke(
            app, [*command, "--help"], env={"COLUMNS": "96", "NO_COLOR": "1", "TERM": "dumb"}
        )
        if done.exit_code != 0:
            raise SystemExit(f"odescent {' '.join(command)} --help failed: {done.output}")
        lines += [
            f"## odescent {' '.join(command)}".rstrip(),
            "",
            "```text",
            done.stdout.rstrip(),
            "```",
            "",
        ]
    return "\n".join(lines)
