"""Reading, deriving and emitting an untrusted file: in a separate process, with a time limit.

The parent sends a request as JSON to the standard input of `python -m odescent._cli.base.own_system` and reads
the answer, JSON too, from its standard output; nothing is pickled, and nothing but text comes back.
"""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..._support.child import MEMORY, NoAnswer, TimeUp, ask, serve
from ..._support.errors import OdescentError, check_choice
from ..._support.numbers import is_number, number
from . import console
from .console import Refused
from .values import OptionKind, Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from ...discretize import Algorithm, Derivation
    from ...dynamics import System
    from ...dynamics.grammar import Document

TIME = 20.0  # seconds, by default
_LONGEST = 3600.0
_TYPED = "the equation"  # what messages call a text on the command line


@dataclass(frozen=True)
class FileRequest:
    """What to derive, and how to show it: as text of a width, latex, html or json; or what to read or emit.

    With the form "read" nothing is shown: it is seen whether the file can be read, and its algorithm be run.
    A ``content`` stands in the place of the file's.
    With a ``target`` the algorithm is emitted for it, its parameters set to the exact numbers in ``settings``.
    """

    path: str
    scheme: str = ""
    where: str = ""
    tuning: str = ""
    clock: str = ""
    form: str = "text"
    width: int = 96
    target: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    content: str = ""


@dataclass(frozen=True)
class Answer:
    """The derivation as it is shown, how many steps it has, and the titles of those that do not hold."""

    text: str
    total: int
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Emitted:
    """Source text, the algorithm's name, and the parameters that are still free in it."""

    text: str
    name: str
    free: tuple[str, ...]


@dataclass(frozen=True)
class FileOptions:
    """What goes with a system file, and with nothing that is registered.

    Attributes:
        scheme: Scheme for a system file.
        where: Bindings for a system file, part of the discretization.
        tuning: Values for parameters of a system file, substituted last.
        clock: Time at step k for a system file, such as k*h.
        time_limit: For a system file; 20 by default.
    """

    scheme: Annotated[str | None, OptionKind("SCHEME")] = None
    where: Annotated[str | None, OptionKind("A=VALUE,...")] = None
    tuning: Annotated[str | None, OptionKind("H=VALUE,...")] = None
    clock: Annotated[str | None, OptionKind("TIME")] = None
    time_limit: Seconds | None = None

    @property
    def seconds(self) -> float:
        """How long reading, deriving or emitting the file may take."""
        return TIME if self.time_limit is None else float(self.time_limit)

    def request(self, path: str, **how: Any) -> FileRequest:
        """The request for a file, or for equations in the place of one, that these options make."""
        given = {n: v for n, v in vars(self).items() if v is not None and n != "time_limit"}
        if is_text(path):
            path, how = _TYPED, {**how, "content": path}
        return FileRequest(path, **given, **how)

    def none_for(self, name: str) -> None:
        """OdescentError if there are any: the name is that of no system file."""
        given = [n for n, v in vars(self).items() if v is not None]
        if given:
            raise OdescentError(
                f"--{given[0].replace('_', '-')} is for a system file such as my_system.ode, which {name!r} is not."
            )


def is_file(name: str) -> bool:
    """Whether a name on the command line means a system of one's own: in a file, or typed as equations."""
    return name.endswith(".ode") or is_text(name) or Path(name).is_file()


def is_text(name: str) -> bool:
    """Whether a name on the command line is itself a text with equations of motion, as "x'' + x' + grad f(x) = 0"."""
    return "'" in name and "=" in name


def derive(request: FileRequest, seconds: float = TIME) -> Answer:
    """The derivation that a request asks for.

    Raises Refused for what cannot be read or derived, and for what takes longer than the limit.
    """
    found = _asked(request, seconds, "deriving")
    return Answer(found["text"], found["total"], tuple(found["wrong"]))


def emit(request: FileRequest, seconds: float = TIME) -> Emitted:
    """The source that a request with a target asks for; raises as `derive` does."""
    found = _asked(request, seconds, "emitting")
    return Emitted(found["text"], found["name"], tuple(found["free"]))


def opened(
    path: str, options: FileOptions, flow: bool = False, content: str = ""
) -> System | Algorithm:
    """The algorithm in a file, or its system where it has no scheme, or where only the ``flow`` is wanted.

    A process of its own reads it first, within the limits; so this one can do it too.

    Args:
        path: of the file.
        options: what goes with it on the command line.
        flow: whether its scheme is ignored.
        content: a text that is read in the place of a file; then ``path`` says what it is, in messages.

    Raises:
        Refused: as for `derive`.
    """
    request = options.request(path, form="read", content=content)
    found = _asked(request, options.seconds, "reading")
    return _read(request) if found["scheme"] and not flow else _document(request).system


def variant(name: str, texts: Mapping[str, str]) -> tuple[Algorithm, dict[str, str]]:
    """A registered algorithm in the variant that --set chooses, and what else --set says: values of parameters.

    Args:
        name: of the algorithm.
        texts: what is set, such as step=2/(L+mu), a variant, or step=0.1, a value.
    """
    import odescent as od

    from ...discretize.library import chooses

    chosen = {n: text for n, text in texts.items() if chooses(name, n, is_number(text))}
    return od.algorithm(name, **chosen), {n: t for n, t in texts.items() if n not in chosen}


def named(name: str, options: FileOptions, flow: bool = False) -> System | Algorithm:
    """What a name on the command line means: what is in a file, or what is registered.

    Of an algorithm and a system of one name it is the algorithm; with ``flow``, the system.

    Args:
        name: of a file, or of what is registered.
        options: what goes with a file; there are none for other names.
        flow: whether the system is wanted.

    Raises:
        OdescentError: a name that is not known, options for what is no file, or a file that is refused.
    """
    if is_file(name):
        return opened(name, options, flow)
    options.none_for(name)
    import odescent as od

    from ...discretize.library import REGISTRY as ALGORITHMS
    from ...dynamics.library import REGISTRY as SYSTEMS

    check_choice("algorithm or system", name, {*ALGORITHMS, *SYSTEMS})
    return od.system(name) if flow or name not in ALGORITHMS else od.algorithm(name)


def configured(
    name: str, options: FileOptions, texts: Mapping[str, str], flow: bool = False
) -> tuple[System | Algorithm, dict[str, str]]:
    """What a name means, as `named`, in the variant that --set chooses, and the values of parameters in --set.

    Args:
        name: of a file, or of what is registered.
        options: what goes with a file.
        texts: what is set: step=2/(L+mu) and noise=white choose variants, step=0.1 is a value.
        flow: whether the system is wanted.

    Raises:
        OdescentError: as `named`, or an option that the algorithm or the system does not take.
    """
    found = named(name, options, flow)
    if is_file(name):
        return found, dict(texts)
    import odescent as od

    from ...discretize import Algorithm
    from ...dynamics.library import REGISTRY as SYSTEMS

    if isinstance(found, Algorithm):
        return variant(name, texts)
    accepted = inspect.signature(SYSTEMS.function(name)).parameters
    chosen = {n: text for n, text in texts.items() if n in accepted}
    return od.system(name, **chosen), {n: t for n, t in texts.items() if n not in chosen}


def _asked(request: FileRequest, seconds: float, doing: str) -> dict[str, Any]:
    """What the child answers."""
    if not 0 < seconds <= _LONGEST:
        raise OdescentError(
            f"--time-limit must be more than 0 and at most {_LONGEST:g} seconds, not {seconds:g}."
        )
    try:
        found: dict[str, Any] = ask("odescent._cli.base.own_system", asdict(request), seconds)
    except TimeUp:
        raise Refused(
            f"{doing} {request.path!r} took longer than {seconds:g} s and was stopped; "
            "use a simpler system or scheme, or a longer --time-limit."
        ) from None
    except NoAnswer as last:
        raise Refused(f"{doing} {request.path!r} ended without a result ({last}).") from None
    if "error" in found:
        raise Refused(found["error"], found["excerpt"])
    return found


def main() -> None:
    """The child: a request on the standard input, an answer on the standard output."""
    serve(lambda asked: _carried_out(FileRequest(**asked)))


def _carried_out(request: FileRequest) -> dict[str, Any]:
    from ...dynamics.grammar import ParseError

    try:
        if request.form == "read":
            return _looked_at(request)
        return _emitted(request) if request.target else _derived(request)
    except ParseError as error:
        return {"error": error.sentence, "excerpt": error.excerpt}
    except OdescentError as error:
        return {"error": str(error), "excerpt": ""}
    except MemoryError:
        reason = f"it needs more than {MEMORY >> 30} GiB of memory"
    except RecursionError:
        reason = "its expressions become nested too deeply"
    except Exception as error:  # the engine, on what nobody thought of: a sentence, no traceback
        reason = f"{type(error).__name__}: {error}"
    done = "emitted" if request.target else "read" if request.form == "read" else "derived"
    return {"error": f"{request.path!r} cannot be {done}: {reason}.", "excerpt": ""}


def shown(derivation: Derivation, form: str, width: int) -> Answer:
    """A derivation as it is shown.

    Args:
        derivation: any.
        form: "text", "latex", "html" or "json".
        width: of the text, in characters.
    """
    from ...discretize.proof.report import derivation_text

    if form == "json":
        text = console.document(derivation.to_dict())
    else:
        known = {"latex": derivation.latex, "html": derivation.html}
        text = known[form]() if form in known else derivation_text(derivation, width)
    wrong = tuple(s.title for s in derivation.steps if not s.verified)
    return Answer(text, len(derivation.steps), wrong)


def _read(request: FileRequest) -> Algorithm:
    from ...discretize.reading.method_text import parse_algorithm, read_algorithm

    given = {n: getattr(request, n) for n in ("scheme", "where", "tuning", "clock")}
    if request.content:
        return parse_algorithm(request.content, **given)
    return read_algorithm(request.path, **given)


def _document(request: FileRequest) -> Document:
    from ...dynamics.grammar import Document, Source, read_text

    return Document(Source(request.content) if request.content else read_text(request.path))


def _looked_at(request: FileRequest) -> dict[str, Any]:
    """Whether the file says how to discretize its system; all that a run or a picture needs is made once."""
    document = _document(request)
    scheme = bool(request.scheme) or document.one("scheme") is not None
    if scheme:
        _read(request).source("jax")
    elif request.where or request.tuning or request.clock:
        raise OdescentError(
            "--where, --tuning and --clock require a scheme; give one with --scheme."
        )
    else:
        document.system.parameters  # noqa: B018
    # what the parent does at its leisure, done here under the clock first: a drift in normal form
    document.system.drift  # noqa: B018
    return {"scheme": scheme}


def _derived(request: FileRequest) -> dict[str, Any]:
    return asdict(shown(_read(request).derivation(), request.form, request.width))


def _emitted(request: FileRequest) -> dict[str, Any]:
    algorithm = bound(_read(request), {n: number(n, v) for n, v in request.settings.items()})
    free = tuple(s.name for s in algorithm.parameters)
    return asdict(Emitted(algorithm.source(request.target), algorithm.name, free))


def bound(algorithm: Algorithm, numbers: Mapping[str, Fraction]) -> Algorithm:
    """The algorithm with parameters set to exact numbers; OdescentError for what it cannot take."""
    import sympy as sp

    values = {n: sp.Rational(v.numerator, v.denominator) for n, v in numbers.items()}
    try:
        made = algorithm.bind(values)
    except OdescentError:
        raise
    except ValueError as error:
        raise OdescentError(str(error)) from None
    algorithm.freed(dict.fromkeys(values))  # it depends on each of them
    return made


if __name__ == "__main__":
    main()
