"""Equality of methods with guards: disguises are proved equal, and whatever changes a guard or a branch is not."""

from __future__ import annotations

import pytest
import sympy as sp

import odescent as od

h, c, share = od.parameters("h c share")
f = od.Objective("f")
TRIAL = od.Flow("descent", "explicit")


def method(name: str = "x", number: str = "s", **change: object) -> od.Algorithm:
    """A step that is accepted or taken back, under some names, with one thing changed."""
    block = od.Block(name, init=od.dynamics.start)
    length = od.Block(number, "scalar", "coefficient", change.get("begin", sp.S.One))
    x, s = block.symbol, length.symbol
    g = f.grad(od.at(x))
    fall = f.value(od.at(x)) - f.value(x) - change.get("share", c) * s * od.inner(g, g)
    guard = fall * change.get("times", 1) >= 0
    guard = fall > 0 if change.get("strict") else guard
    accept = [od.Let({s: change.get("grow", 2) * s})]
    reject = [od.Let({x: od.at(x), s: s / 2})]
    if change.get("stays"):
        reject = [od.Let({s: s / 2})]
    if change.get("swapped"):
        accept, reject = [od.Let({s: s / 2})], [od.Let({x: od.at(x), s: 2 * s})]
    flow = od.System({"descent": {x: -s * f.grad(x)}}, blocks=[block, length], output=x)
    return od.Algorithm(
        flow, od.Scheme((TRIAL, od.Select(guard, accept, reject))), step=h, name="driver"
    )


def search(**change: object) -> od.Algorithm:
    """A search with one thing changed."""
    block = od.Block("x", init=od.dynamics.start)
    length = od.Block("s", "scalar", "coefficient", sp.S.One)
    x, s = block.symbol, length.symbol
    enough = f.value(x) <= f.value(od.at(x)) * change.get("share", 1)
    trial = [od.Let({s: s / change.get("by", 2), x: od.at(x)}), TRIAL]
    flow = od.System({"descent": {x: -s * f.grad(x)}}, blocks=[block, length], output=x)
    loop = od.Repeat(trial, enough, change.get("most", 30))
    return od.Algorithm(flow, od.Scheme((od.Let({s: 4 * s}), loop)), step=h, name="search")


@pytest.mark.parametrize(
    "change", [{}, {"times": 3}, {"times": h}, {"name": "y", "number": "w"}], ids=str
)
def test_disguises_are_equal(change: dict[str, object]) -> None:
    found = method().equivalent(method(**change))
    assert found.verdict == "proved" and "by the same guards" in found.reason


@pytest.mark.parametrize(
    "change",
    [{"strict": True}, {"share": 2 * c}, {"share": c + share}, {"grow": sp.Rational(5, 4)}, {"swapped": True},
     {"stays": True}, {"times": -1}, {"times": c - share}, {"begin": 2}],
    ids=str,
)  # fmt: skip
def test_what_differs_in_one_thing_is_not_equal(change: dict[str, object]) -> None:
    for pair in ((method(), method(**change)), (method(**change), method())):
        assert pair[0].equivalent(pair[1]).verdict != "proved"


@pytest.mark.parametrize("change", [{"share": sp.Rational(1, 2)}, {"by": 3}, {"most": 31}], ids=str)
def test_searches_that_differ_are_not_equal(change: dict[str, object]) -> None:
    assert search().equivalent(search()).verdict == "proved"
    assert search().equivalent(search(**change)).verdict != "proved"


def test_trials_refute_with_a_witness() -> None:
    for one, other in (
        ("armijo", "bold_driver"),
        ("armijo", "gradient_descent"),
        ("wolfe", "armijo"),
    ):
        found = od.algorithm(one).equivalent(od.algorithm(other))
        assert found.verdict == "refuted" and found.witness is not None


@pytest.mark.parametrize("name", od.algorithms())
def test_methods_with_guards_are_recognized(name: str) -> None:
    if not od.algorithm(name).program.guarded:
        pytest.skip("it has no guards")
    found = od.recognize(od.algorithm(name))
    assert (found.verdict, found.name) == ("equal", name), found.reason


def driver(
    grow: object = sp.Rational(5, 4), kept: object = 1, strict: bool = False
) -> od.Algorithm:
    """The bold driver, written down under other names."""
    block = od.Block("w", init=od.dynamics.start)
    length = od.Block("q", "scalar", "coefficient", sp.S.One)
    w, q = block.symbol, length.symbol
    fall = f.value(od.at(w)) - kept * f.value(w)
    guard = fall > 0 if strict else fall >= 0
    back = [od.Let({w: od.at(w), q: q / 2})]
    flow = od.System({"descent": {w: -q * f.grad(w)}}, blocks=[block, length], output=w)
    scheme = od.Scheme((TRIAL, od.Select(guard, [od.Let({q: grow * q})], back)))
    return od.Algorithm(flow, scheme, step=share)


def test_a_disguise_is_recognized_and_a_near_miss_is_left_open() -> None:
    found = od.recognize(driver())
    assert found.name == "bold_driver" and found.substitution == {"h": share}, found.reason
    for near in (driver(grow=2), driver(kept=2), driver(strict=True)):
        missed = od.recognize(near)
        assert missed.verdict == "undecided" and "bold_driver" in missed.undecided
        assert "gradient_descent" not in missed.undecided  # it asks for no values
