"""Mean passage times where quadrature is hard: wells far behind the start, kinks, spikes, tails that are powers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import odescent as od
import odescent.particles as odp


def by_pieces(u: Callable[[Any], Any], cuts: list[float], first: int, beta: float = 2.0) -> Any:
    """From 0 to the last cut, by mpmath's quadrature between cuts; of them those up to ``first`` lie behind 0."""
    behind = mp.quad(lambda z: mp.exp(-beta * u(z)), cuts[: first + 1])

    def inner(y: Any) -> Any:
        return behind + mp.quad(
            lambda z: mp.exp(-beta * u(z)), [0, *(c for c in cuts if 0 < c < y), y]
        )

    return beta * mp.quad(lambda y: mp.exp(beta * u(y)) * inner(y), cuts[first:])


HARD = {
    "a well far behind": (
        lambda x: x**2 / 200 - 6 * mp.exp(-(((x + 23) * 20) ** 2)), [-100, -24, -23.2, -23, -22.8, -22, 0, 1]
    ),
    "a kink": (lambda x: x**2 / 2 + 3 * max(x - mp.mpf("0.4321"), 0), [-9, 0, mp.mpf("0.4321"), 1]),
    "a spike": (
        lambda x: x**2 / 2 + 3 * mp.exp(-(((x - mp.mpf("0.4321")) * 200) ** 2)), [-9, 0, 0.41, 0.4321, 0.455, 1]
    ),
    "ripples behind": (
        lambda x: x**2 / 2 + (mp.cos(40 * x) / 2 if x < 0 else mp.mpf("0.5")),
        [*(-k / 10 for k in range(70, 0, -1)), 0, 1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_potentials_with_features(name: str) -> None:
    u, cuts = HARD[name]
    with mp.workdps(15):
        wanted = by_pieces(u, cuts, cuts.index(0))
        assert abs(odp.mean_passage_time(u, 0, 1, 2.0, 10) / wanted - 1) < 1e-10


@pytest.mark.parametrize("beta", [0.55, 0.6, 0.8, 1.0, 2.5])
def test_tails_that_are_powers(beta: float) -> None:
    """U = log(1 + x^2), whose weight (1 + x^2)^-beta has a hypergeometric function as its integral."""
    with mp.workdps(25):
        b = mp.mpf(beta)
        behind = mp.sqrt(mp.pi) * mp.gamma(b - 0.5) / mp.gamma(b) / 2
        inner = lambda y: behind + y * mp.hyp2f1(0.5, b, 1.5, -(y**2))
        wanted = b * mp.quad(lambda y: (1 + y**2) ** b * inner(y), [0, 1])
        found = odp.mean_passage_time(lambda x: mp.log(1 + x**2), 0, 1, beta, 12)
        assert abs(found / wanted - 1) < 1e-12


def test_what_does_not_converge_is_refused() -> None:
    heavy = lambda x: mp.log(1 + x**2)
    with pytest.raises(od.OdescentError, match="confining"):
        odp.mean_passage_time(heavy, 0, 1, 0.4)
    with pytest.raises(od.OdescentError, match="did not converge to 5 digits"):
        odp.mean_passage_time(heavy, 0, 1, 0.51, 5)


def test_eyring_and_kramers_need_critical_points() -> None:
    well = od.Objective("well", lambda z: ((z**2 - 1) ** 2).sum())
    assert odp.eyring_kramers(well, [-1.0], [0.0], 4.0) == pytest.approx(
        2 * np.pi / 4 * np.sqrt(4 / 8) * np.exp(4.0)
    )
    for ends in ([-0.9], [0.0]), ([-1.0], [0.1]):
        with pytest.raises(od.OdescentError, match="give critical points"):
            odp.eyring_kramers(well, *ends, 4.0)
