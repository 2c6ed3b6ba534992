"""Substeps and schemes as data: what they accept, refuse and say."""

from __future__ import annotations

import pytest
import sympy as sp

import odescent as od
from odescent.discretize.programs.substeps import START, composition

x, v = od.blocks("x v")
E = od.Integrator("explicit")


def test_integrators_by_name_and_tableau() -> None:
    assert od.Integrator.of("frozen implicit") == od.Integrator("implicit", frozen_oracles=True)
    tableau = od.discretize.Tableau(((), (sp.Rational(1, 2),)), (sp.S.Zero, sp.S.One))
    assert od.Integrator.of(tableau).tableau is tableau and tableau.c == (0, sp.Rational(1, 2))
    with pytest.raises(od.OdescentError, match=r"one of explicit, .*not 'leapfrog'"):
        od.Integrator.of("leapfrog")
    with pytest.raises(od.OdescentError, match="give a Tableau"):
        od.Integrator("tableau")
    with pytest.raises(od.OdescentError, match="give a Tableau"):
        od.Integrator("explicit", tableau=tableau)


def test_flows_are_forgiving() -> None:
    """Names instead of tuples, symbols instead of names, numbers instead of expressions."""
    flow = od.Flow("kick", "explicit", 0.5, on=x, read={v: START}, time=1)
    assert (flow.fields, flow.on, flow.read, flow.by) == (("kick",), ("x",), {"v": "start"}, E)
    assert flow.fraction == sp.Rational(1, 2) and flow.time == 1


def test_what_does_nothing_is_refused() -> None:
    with pytest.raises(od.OdescentError, match="give save="):
        od.Flow(("kick",), E, commit=False)


def test_stages_must_be_saved_before() -> None:
    late = (od.Flow(("a",), E, read={"x": "half"}), od.Flow(("a",), E, save="half"))
    with pytest.raises(od.OdescentError, match="substep 1 reads 'x' at the stage 'half'"):
        od.Scheme(late)
    assert od.Scheme(late[::-1]).steps == late[::-1]
    with pytest.raises(od.OdescentError, match="rename it"):
        od.Scheme((od.Flow(("a",), E, save=START),))


@pytest.mark.untyped
def test_only_substeps_are_substeps() -> None:
    with pytest.raises(od.OdescentError, match="substep 1 of the scheme is 'kick'"):
        od.Scheme(("kick",))


def test_compositions() -> None:
    parts = [("a", "explicit"), ("b", "exact"), ("c", "cayley")]
    assert [s.fields[0] for s in composition(parts).steps] == ["a", "b", "c"]
    strang = composition(parts, symmetric=True)
    assert [(s.fields[0], s.fraction) for s in strang.steps] == [
        ("a", sp.Rational(1, 2)), ("b", sp.Rational(1, 2)), ("c", 1), ("b", sp.Rational(1, 2)), ("a", sp.Rational(1, 2))
    ]  # fmt: skip
    covered = [s.time for s in strang.steps]  # the middles of what they cover
    assert covered == [
        sp.Rational(1, 4),
        sp.Rational(1, 4),
        sp.Rational(1, 2),
        sp.Rational(3, 4),
        sp.Rational(3, 4),
    ]
    with pytest.raises(od.OdescentError, match="at least one"):
        composition([])


def test_schemes_describe_themselves() -> None:
    look = od.scheme("look_ahead")
    assert (
        str(look)
        == "damp cayley; drift explicit (look ahead); kick explicit, x at ahead; drift explicit"
    )
    memory = od.Scheme((od.Let({x: v}), od.Flow((), E, sp.Rational(1, 2), on=("x",))))
    assert str(memory) == "let x; all on x explicit for 1/2 h"
    assert "frozen oracles" in str(od.Scheme((od.Flow((), od.Integrator.of("frozen exact")),)))
