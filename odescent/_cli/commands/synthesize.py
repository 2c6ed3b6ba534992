"""``odescent synthesize``: the best method of a family, with its proof or its closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from ..._support.errors import unknown
from ..._support.files import write_whole
from ..._support.numbers import number
from ..base import console
from ..base.values import NamedParameters, Seed, Written, named

if TYPE_CHECKING:
    from ...analysis.synthesis import Synthesis

MARKS = [(r"\A.*$", "bold"), (r"^(this is .*)$", "green")]


def run(
    family: Annotated[str, named("systems", "algorithms", metavar="FAMILY")],
    *,
    parameters: NamedParameters,
    rate: Annotated[str, ("certified", "spectral")] = "certified",
    scheme: list[Annotated[str, named("schemes")]] | None = None,
    seed: Seed = 0,
    out: Written | None = None,
    json: bool = False,
) -> None:
    """Optimize the gains and the scheme of a family for the best worst-case rate over F(mu, L).

    If the poles of the optimum show a pattern, it is solved exactly and recognized. --set fixes gains, such as a=0.

    Args:
        family: A system with free gains, or an algorithm.
        rate: certified or spectral.
        scheme: A scheme to try; may be repeated.
        seed: Seed of the random starts.
        out: Write the result to FILE.
        json: Print one JSON document, for machines.

    Examples:
        odescent synthesize passive --mu 1 --L 10 --rate spectral
        odescent synthesize passive --mu 1 --L 10 --set a=0 --scheme explicit_euler --rate spectral
        odescent synthesize gradient_flow --mu 1 --L 10 --json
    """
    constants = parameters.needed("mu", "L")
    from ...analysis.synthesis import synthesize

    fixed = {name: number(name, text) for name, text in parameters.settings.items()}
    found = synthesize(
        _family(family), rate=rate, schemes=scheme or None, where=fixed, seed=seed, progress=console.report,
        mu=constants["mu"], L=constants["L"],
    )  # fmt: skip
    text = str(found)
    if out is not None:
        write_whole(out, console.document(to_dict(found)) if json else text + "\n")
    shown = text if out is None else f"{text}\n  written to {out}"
    console.answer(json, shown, to_dict(found), marks=MARKS)


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
    """A system, where one has the name, else an algorithm; OdescentError naming the nearest of both."""
    import odescent as od

    from ...discretize.library import REGISTRY as ALGORITHMS
    from ...dynamics.library import REGISTRY as SYSTEMS

    if name not in SYSTEMS and ALGORITHMS.full(name) not in ALGORITHMS:
        raise unknown("system or algorithm", name, [*SYSTEMS, *ALGORITHMS])
    return name if name in SYSTEMS else od.algorithm(name)
