"""What the tests of a paper's figures share: a figure drawn from its file, and methods that are perturbed."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import sympy as sp
from faults_of_figures import faults

import odescent as od
from odescent import paper_figs as pf
from odescent._support import style
from odescent._support.store import decode, encode
from odescent.paper_figs.records import keep, restore


def cases(names: Iterable[str], long: Iterable[str]) -> list[Any]:
    """Figures to try, those optimized that run for longer than they compile."""
    return [pytest.param(n, marks=pytest.mark.optimized) if n in long else n for n in names]


def wrong(result: pf.Result) -> list[str]:
    """The claims that do not hold."""
    return [c.text for c in result.claims if c.verdict != pf.HOLDS]


def drawn_from_its_file(figure: pf.PaperFigure, result: pf.Result) -> tuple[Any, Any]:
    """The figure, drawn in its style from what its file keeps, without faults; and these data."""
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(encode(keep(result.data), arrays), allow_nan=False)
    data = restore(decode(json.loads(text), arrays))
    with style.context():
        drawn = figure.draw(data)
    assert faults(drawn, result.claims) == []
    return drawn, data


def check_claims_and_drawing(figure: pf.PaperFigure, result: pf.Result) -> None:
    """All claims hold, a limit is among them, and the figure is drawn from what its file keeps, without faults."""
    assert result.claims and {c.text: c.shown for c in result.claims if c.verdict != pf.HOLDS} == {}
    assert any(c.source.startswith("limit") for c in result.claims)
    drawn, _ = drawn_from_its_file(figure, result)
    assert drawn.get_size_inches()[0] == 7.0


def scaled(system: od.System, field: str, by: sp.Expr) -> od.System:
    """The system with one of its fields multiplied by a number."""
    fields = {n: dict(f.drift) for n, f in system.fields.items()}
    fields[field] = {s: e * by for s, e in fields[field].items()}
    return od.System(
        fields, output=system.output, blocks=system.blocks, time=system.time, name=system.name
    )


def perturb(patch: pytest.MonkeyPatch, method: str, flow: str, field: str, by: str) -> None:
    """Registered under their names: an algorithm and a system with one of their fields multiplied by a number."""
    algorithm, system, number = od.algorithm, od.system, sp.Rational(by)

    def other_algorithm(wanted: str, **options: Any) -> od.Algorithm:
        found = algorithm(wanted, **options)
        if wanted != method:
            return found
        return found.replace(system=scaled(found.system, field, number))

    def other_system(wanted: str, **options: Any) -> od.System:
        found = system(wanted, **options)
        return scaled(found, field, number) if wanted == flow else found

    patch.setattr(od, "algorithm", other_algorithm)
    patch.setattr(od, "system", other_system)
