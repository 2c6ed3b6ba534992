"""Values of options: how each kind is written on the command line, read, and completed by a shell."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from ..._support.errors import OdescentError
from ..._support.files import check_file
from ..._support.numbers import MOST, assignments, number, real_number
from .registries import known

Complete = Callable[[str], list[str]]


@dataclass(frozen=True)
class OptionKind:
    """The declaration of a value for typer: its name in the help, completion, parsing and checks.

    ``read`` takes the option's name and the text, or, of a ``path``, the name of the file.
    """

    metavar: str | None = None
    complete: Complete | None = None
    read: Callable[[str, str], Any] | None = None
    path: bool = False
    least: int | None = None
    most: int | None = None

    @property
    def parser(self) -> Callable[[str], Any] | None:
        """What makes a text, which is read after it is known to be one; a path of one."""
        return _path if self.path else None if self.read is None else str

    @property
    def callback(self) -> Callable[..., Any] | None:
        """What reads the text, by the option's own name in errors."""
        read = self.read
        if read is None:
            return None

        def called(param: typer.CallbackParam, value: Any) -> Any:
            return None if value is None else read(param.opts[0], value)

        return called


@dataclass(frozen=True)
class Settings:
    """Options out of those fields of a dataclass that have a help of one, and their values, in their metadata.

    Attributes:
        record: the dataclass, which is loaded when they are asked for.
        completed: what a shell completes, by field, where no words say it.
    """

    record: Callable[[], type]
    completed: Mapping[str, Complete] = field(default_factory=dict)


def _path(text: str) -> Path:
    """A file or a folder by its name, which is not empty: that would be the current folder, unsaid."""
    if not str(text):
        raise typer.BadParameter("the name of a file or a folder, not ''")
    return Path(text)


def _written(_: str, path: Path) -> Path:
    """A file to write, looked at before anything is computed for it."""
    check_file(path)
    return path


def use_data(folder: Path | None) -> None:
    """Let data sets be read from a folder; OdescentError if there is none."""
    if folder is None:
        return
    if not folder.is_dir():
        raise OdescentError(
            f"there is no folder {str(folder)!r}: --data names the one with the data."
        )
    os.environ["ODESCENT_DATA"] = str(folder)


def count(least: int, metavar: str = "N") -> OptionKind:
    """A whole number such as 1000 or 1e6."""
    return OptionKind(metavar, read=lambda option, text: whole(option, text, least))


def whole(option: str, text: str, least: int) -> int:
    """A whole number that an option says, such as 1000 or 1e6.

    Args:
        option: its name, for the message.
        text: what was given.
        least: the least number that it takes.

    Raises:
        OdescentError: no whole number, one below the least, or one above 10^15.
    """
    value = number(option, text)
    if value.denominator != 1 or value < least:
        raise OdescentError(f"{option} must be a whole number, at least {least}, not {text!r}.")
    if value > MOST:
        raise OdescentError(f"{option} must be at most {MOST:g}, not {text}.")
    return int(value)


def floats(option: str, text: str) -> list[float]:
    """Numbers with commas."""
    return [real_number(option, part) for part in text.split(",")]


def words(*choices: str) -> Complete:
    """Completion of a few fixed words."""
    return lambda incomplete: [w for w in choices if w.startswith(incomplete)]


def names(*kinds: str, files: str = "") -> Complete:
    """Completion of the names of some kinds, and of files that end in ``files``."""

    def complete(incomplete: str) -> list[str]:
        found = [name for kind in kinds for name in known(kind) if name.startswith(incomplete)]
        return [*dict.fromkeys(found), *(_files(incomplete, files) if files else ())]

    return complete


def named(*kinds: str, files: str = "", metavar: str = "NAME") -> OptionKind:
    """A name of one of some kinds, or that of a file that ends in ``files``."""
    return OptionKind(metavar, names(*kinds, files=files))


def _files(incomplete: str, suffix: str) -> list[str]:
    """Files with that suffix, and folders, that continue a path."""
    folder, _, begun = incomplete.rpartition("/")
    at = Path(folder + "/" if folder or incomplete.startswith("/") else ".")
    prefix = incomplete[: len(incomplete) - len(begun)]
    try:
        entries = sorted(at.iterdir())
    except OSError:
        return []
    found = [e for e in entries if e.name.startswith(begun) and not e.name.startswith(".")]
    return [
        prefix + e.name + ("/" if e.is_dir() else "")
        for e in found
        if e.name.endswith(suffix) or (e.is_dir() and (begun or prefix))
    ]


Number = Annotated[Fraction, OptionKind("NUMBER", read=number)]
Seconds = Annotated[Fraction, OptionKind("SECONDS", read=number)]
Point = Annotated[list[float], OptionKind("X,...", read=floats)]
File = Annotated[Path, OptionKind("FILE", path=True)]
Written = Annotated[Path, OptionKind("FILE", read=_written, path=True)]
Folder = Annotated[Path, OptionKind("FOLDER", path=True)]
Seed = Annotated[int, OptionKind(least=0, most=2**31 - 1)]
Setting = Annotated[str, OptionKind("NAME=VALUE")]
METHOD = named("algorithms", "systems", files=".ode")


@dataclass(frozen=True)
class NamedParameters:
    """Parameters of a method by name.

    Attributes:
        mu: Strong convexity.
        L: Smoothness.
        set: A parameter or option by name; may be repeated.
    """

    mu: Number | None = None
    L: Number | None = None
    set: list[Setting] | None = None

    @property
    def settings(self) -> dict[str, str]:
        """What --set says, as text."""
        return assignments(self.set or ())

    @property
    def texts(self) -> dict[str, str]:
        """All of them as text; OdescentError for one that is given twice."""
        return assignments([*(f"{n}={v}" for n, v in self.constants.items()), *(self.set or ())])

    @property
    def constants(self) -> dict[str, Fraction]:
        """Of mu and L those that are given."""
        return {n: v for n, v in (("mu", self.mu), ("L", self.L)) if v is not None}

    def needed(self, *needed: str) -> dict[str, Fraction]:
        """mu and L; OdescentError where one that is needed is missing."""
        missing = [f"--{n}" for n in needed if n not in self.constants]
        if missing:
            raise OdescentError(
                "a rate depends on the class of functions: give "
                f"{' and '.join(missing)}, as in --mu 1 --L 10."
            )
        return self.constants
