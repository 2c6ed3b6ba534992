"""The reason: the energy balance proved and perturbed, its numbers on the cycle, and the story's files."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import schemas
import sympy as sp
from faults_of_figures import faults
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

import odescent as od
from odescent.analysis import cycle_region, cycles, energy_balance, energy_ledger, heavy_ball_story
from odescent.analysis.cycling.balance import known_cycle, run_ledger
from odescent.analysis.plots.cycles import draw_cycle, draw_iterates, draw_ledger
from odescent.cli import main
from odescent.dynamics.problems.lessard_recht_packard import GRADIENT
from odescent.dynamics.problems.piecewise_quadratic import PiecewiseLinear

RATIO = st.fractions(Fraction(1, 10), 2, max_denominator=10)


def test_every_step_is_checked() -> None:
    balance = energy_balance()
    assert balance.verified and len(balance.steps) == 7
    for step in balance.steps[:-1]:
        assert not any(wrong.verified for wrong in step.perturbed())
    for shown in (balance.text(), balance.html(), balance.latex()):
        assert "energy" in shown.lower()
    json.dumps(balance.to_dict())


def test_numbers_of_the_cycle() -> None:
    """Per step, from .6465 on, at h = 1/3, b = 1: published decimals, and the exact sum 12672/49."""
    points, ledger = known_cycle()
    assert points[0] == sp.Rational(792, 1225)
    expected = [
        (22.3107038733861, 74.9687630154102),
        (134.46397334444, 177.137992503124),
        (101.837567680133, 6.50548937942524),
    ]
    pairs = np.stack([ledger.dissipation, ledger.injection], axis=1).astype(float)
    np.testing.assert_allclose(pairs, expected, rtol=1e-13)
    assert sum(ledger.dissipation) == sum(ledger.injection) == sp.Rational(12672, 49)
    assert not np.any(ledger.feedthrough)


@pytest.mark.parametrize("name", ["heavy_ball", "nesterov_sc", "triple_momentum"])
@given(
    st.integers(-40, 40),
    st.sampled_from([((1, 2), (25, 1, 25)), ((-2, 1), (4, 25, 1)), ((0,), (1, 4))]),
)
@settings(max_examples=6)
def test_the_balance_holds_along_runs(
    name: str, start: int, shape: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    points, ledger = run_ledger(name, PiecewiseLinear(*shape), Fraction(start, 10), 5)
    gained = ledger.energy[1:] - ledger.energy[:-1]
    assert all(e == 0 for e in gained - ledger.injection + ledger.dissipation)
    assert len(points) == 6 and all(v >= 0 for v in (*ledger.dissipation, *ledger.injection))


def test_the_other_methods_lose_energy() -> None:
    """From the same start: sums of injection below those of dissipation, with a share of the feed-through."""
    for name in ("nesterov_sc", "triple_momentum"):
        _, ledger = run_ledger(name, GRADIENT, Fraction(33, 10), 8)
        assert sum(ledger.injection) < sum(ledger.dissipation)
        assert sum(ledger.feedthrough) > sum(ledger.dissipation) / 3
        assert ledger.energy[-1] < ledger.energy[0] / 100


@settings(max_examples=10)
@given(RATIO, RATIO, RATIO, RATIO, st.integers(2, 6))
def test_closed_orbits_of_any_dimension(
    K: Fraction, a: Fraction, b: Fraction, h: Fraction, n: int
) -> None:
    """The identity needs only the update of y: psi is read off it, and the memory's own update is not assumed,

    so on points that obey both updates the sums agree: here a method's points on a circle in the plane.
    """
    theta = 2 * np.pi / n
    turn = np.exp(1j * theta)
    beta = 1 - float(K * h)
    c_psi = lambda g: -float(b * h) * g / (turn - beta)  # psi+ = beta psi - b h g
    # y+ = y + h psi+ - a h g with y = 1: (turn - 1) = g (-b h^2 turn / (turn - beta) - a h)
    g = (turn - 1) / (-float(b) * float(h) ** 2 * turn / (turn - beta) - float(a * h))
    around = turn ** np.arange(n)
    plane = lambda z: np.stack([z.real, z.imag], axis=1)
    ledger = energy_ledger(
        plane(around), plane(g * around), np.zeros(n), K=float(K), a=float(a), b=float(b), h=float(h)
    )  # fmt: skip
    psi = np.abs(c_psi(g))
    np.testing.assert_allclose(ledger.damping, (1 - beta**2) / 2 * psi**2, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(sum(ledger.dissipation), sum(ledger.injection), rtol=1e-6, atol=1e-9)


def test_pictures_return_their_axes() -> None:
    (cycle,) = cycles("heavy_ball", 1, 25, 3)
    figure = Figure(layout="constrained")
    assert draw_cycle(cycle, figure.add_subplot()).get_xlabel() == "$x_1$"
    assert faults(figure) == []
    assert len(draw_ledger(known_cycle()[1]).patches) == 3 * 4
    assert draw_iterates({"a": np.zeros(3)}, levels=[1.0]).get_ylabel() == "$x_k$"
    with pytest.raises(od.OdescentError, match="at least one run"):
        draw_iterates({})
    with pytest.raises(od.OdescentError, match="shape"):
        energy_ledger([1.0, 2.0], [1.0], [0.0, 0.0], K=1, a=0, b=1, h=1)


def test_the_story_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files; the map of the plane is as coarse as in the quick story, for it is one parameter of the same map."""
    coarse = lambda *plane, **_: cycle_region(*plane, resolution=120, certified=16)
    monkeypatch.setattr("odescent.analysis.plots.cycles.cycle_region", coarse)
    monkeypatch.setattr(
        "sys.argv",
        ["odescent", "portrait", "heavy_ball", "--story", "--json", "--out", str(tmp_path / "a")],
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert len(schemas.check(json.loads(capsys.readouterr().out))["out"]) == 14


def test_the_story(tmp_path: Path) -> None:
    written = heavy_ball_story(tmp_path / "story", quick=True)
    assert [p.name for p in written] == [
        "iterates.png", "energy.png", "region.png", "cycle.png", "energy_balance.html", "energy_balance.txt",
    ]  # fmt: skip
    assert all(p.stat().st_size > 1000 for p in written)


@pytest.mark.parametrize("arguments", [["nesterov_sc"], ["heavy_ball", "--out", "a.png"]])
def test_the_story_refuses(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["odescent", "portrait", *arguments, "--story"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
