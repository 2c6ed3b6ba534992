"""``odescent synthesize``: the best method of a family, with its proof or its closed form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _console
from ._errors import OdescentError
from ._files import write_whole
from ._numbers import assignments, number

if TYPE_CHECKING:
    from .analysis.synthesis import Synthesis

MARKS = [(r"\A.*$", "bold"), (r"^(this is .*)$", "green")]


def run(
    family: str,
    mu: str | None,
    L: str | None,
    *,
    rate: str,
    schemes: Sequence[str],
    settings: Sequence[str],
    seed: int,
    out: Path | None,
    as_json: bool,
) -> int:
    """Search a system's gains and schemes, or an algorithm's parameters, and print what was found or write it.

    ``settings`` fix gains: structural constraints such as a=0.
    """
    missing = [f"--{key}" for key, text in (("mu", mu), ("L", L)) if text is None]
    if missing or mu is None or L is None:
        raise OdescentError(
            f"a worst-case rate depends on the class of functions: give {' and '.join(missing)}, as in --mu 1 --L 10."
        )
    from .analysis.synthesis import synthesize

    fixed = {name: number(name, text) for name, text in assignments(settings).items()}
    found = synthesize(
        _family(family), mu=number("--mu", mu), L=number("--L", L), rate=rate, schemes=schemes or None,
        where=fixed, seed=seed, progress=_console.report,
    )  # fmt: skip
    text = str(found)
    if out is not None:
        write_whole(out, _console.document(to_dict(found)) if as_json else text + "\n")
    if as_json:
        _console.say_exactly(_console.document(to_dict(found)))
    else:
        _console.say(text if out is None else f"{text}\n  written to {out}", MARKS)
    return 0


def to_dict(found: Synthesis) -> dict[str, Any]:
    """What a search found as plain data."""
    known, exact = found.recognition, found.closed_form
    return {
        "schema": "odescent.synthesize/1",
        "objective": found.objective, "mu": str(found.mu), "L": str(found.L), "rate": found.rate,
        "gains": {name: str(value) for name, value in found.gains.items()},
        "closed_form": None if exact is None else {"rate": str(exact.rate), "poles": dict(exact.poles)},
        "recognized": known.name if set(known.but_for) <= {"output"} else None,
        "scheme": str(found.algorithm.scheme),
        "candidates": [{"scheme": scheme, "rate": rate} for scheme, rate in found.candidates],
        "evaluations": found.evaluations,
    }  # fmt: skip


def _family(name: str) -> Any:
    """A system, where one has the name, else an algorithm."""
    import odescent as od

    from .dynamics.library import REGISTRY as SYSTEMS

    return name if name in SYSTEMS.entries else od.algorithm(name)
