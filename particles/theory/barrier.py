"""Mean times of crossing a barrier, of dX = -U'(X) dt + sqrt(2/beta) dW.

Exactly in one dimension (Gardiner, Handbook of Stochastic Methods, 5.5), and by the Eyring-Kramers law (Bovier,
Eckhoff, Gayrard and Klein, J. Eur. Math. Soc. 6, 2004, doi:10.4171/JEMS/14).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import lru_cache, partial, reduce
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ...dynamics.vector_fields.objective import Objective

_DEGREE = 4  # in mpmath's words, of Gauss's rule: 24 nodes
_ON_THE_WAY, _IN_A_STRETCH = 32, 8  # panels, before any is halved
_STRETCHES = 13  # behind the start, each as long as all before it; then an integral to infinity
_MOST = 6000  # panels
_AT_REST = 1e-5  # a gradient over the Hessian times the way


class _Panel(NamedTuple):
    """Integrals over a stretch: of e^u, of e^-u, and over y of e^u(y) times that of e^-u up to y."""

    up: Any
    down: Any
    both: Any

    def then(self, other: _Panel) -> _Panel:
        """Over this stretch and the next one."""
        both = self.both + other.both + other.up * self.down
        return _Panel(self.up + other.up, self.down + other.down, both)


@checked
def mean_passage_time(
    potential: Callable[[Any], Any], start: float, end: float, beta: float, digits: int = 15
) -> Any:
    """The mean passage time from ``start`` to ``end`` in one dimension, exactly, as an mpmath number.

    beta times the integral, over y from start to end, of e^(beta U(y)) times the integral of e^(-beta U) over all
    that lies behind y. Panels are halved until Gauss's rule does not change; what is narrower than a thousandth of the
    way, or of its distance behind the start, can be missed.

    Args:
        potential: U of an mpmath number, with e^(-beta U) integrable behind the start.
        start, end: where the path begins and where the clock stops; either may be the larger.
        beta: the inverse temperature, more than 0.
        digits: correct ones; more cost time.

    Returns:
        The mean time, an mpmath number.

    Raises OdescentError where the integrals do not converge to that many digits.
    """
    import mpmath as mp

    if not beta > 0 or start == end:
        raise OdescentError(
            "a passage time needs beta more than 0 and an end that is not the start."
        )
    with mp.workdps(digits + 10):
        a, strength = mp.mpf(start), mp.mpf(beta)
        way, base = mp.mpf(end) - a, mp.mpf(potential(a))

        def above(r: Any) -> Any:
            """u, where a share r of the way is left behind."""
            return strength * (mp.mpf(potential(a + r * way)) - base)

        behind = _behind(above, digits)
        measure = partial(_panel, above, _rule(mp.mp.prec))
        panels = _cut(measure, mp.mpf(0), mp.mpf(1), _ON_THE_WAY)
        up, down, both = reduce(_Panel.then, (p for _, _, p in panels))
        small = (both + up * behind) * mp.mpf(10) ** -(digits + 1)

        def settled(one: _Panel, other: _Panel) -> bool:
            off = [abs(x - y) for x, y in zip(one, other, strict=True)]
            return bool(off[0] * (behind + down) + off[1] * up + off[2] <= small)

        found = _halved(measure, _Panel.then, settled, panels, digits)
        return strength * way**2 * (found.both + found.up * behind)


def _behind(above: Callable[[Any], Any], digits: int) -> Any:
    """The integral of e^-u over all that is less than 0."""
    import mpmath as mp

    weight: Callable[[Any], Any] = lambda r: mp.exp(-above(-r))
    if any(weight(r) * r > 1 for r in map(mp.mpf, (10**4, 10**6))):
        raise OdescentError(
            "e^(-beta U) has no finite integral behind the start; give a confining potential."
        )
    rule, found, near = _rule(mp.mp.prec), mp.mpf(0), mp.mpf(0)
    small = mp.mpf(10) ** -(digits + 1)

    def measure(left: Any, width: Any) -> Any:
        return width / 2 * mp.fsum(w * weight(left + width * (1 + x) / 2) for x, w, _ in rule)

    for k in range(_STRETCHES):
        far = mp.mpf(2) ** k
        panels = _cut(measure, near, far, _IN_A_STRETCH)
        most = small * (found + mp.fsum(p for _, _, p in panels))
        settled: Callable[[Any, Any], bool] = lambda p, q, most=most: abs(p - q) <= most  # type: ignore[misc]
        found += _halved(measure, operator.add, settled, panels, digits)
        near = far
    # at near t^-8: powers of the distance whose integral is finite are bounded in t, but for those close to 1 / r
    rest, error = mp.quad(lambda t: 8 * near * weight(near * t**-8) * t**-9, [0, 1], error=True)
    if not error <= small * (found + rest):
        raise _unsettled(digits)
    return found + rest


def _panel(u: Callable[[Any], Any], rule: Any, left: Any, width: Any) -> _Panel:
    """By Gauss's rule; the inner integral is that of the polynomial through the rule's nodes."""
    import mpmath as mp

    half = width / 2
    up = [mp.exp(u(left + half * (1 + x))) for x, _, _ in rule]
    down = [1 / e for e in up]
    weights = [w for _, w, _ in rule]
    inner = [mp.fdot(row, down) for _, _, row in rule]
    both = mp.fsum(w * e * i for w, e, i in zip(weights, up, inner, strict=True))
    return _Panel(half * mp.fdot(weights, up), half * mp.fdot(weights, down), half**2 * both)


@lru_cache(maxsize=8)
def _rule(precision: int) -> list[tuple[Any, Any, list[Any]]]:
    """Gauss's nodes in [-1, 1], their weights, and those of the integral from -1 to each node, in so many bits.

    The polynomial through values f_j is the sum of (2k + 1)/2 w_j f_j P_k(x_j) P_k, and (2k + 1) P_k is the derivative
    of P_k+1 - P_k-1.
    """
    import mpmath as mp

    nodes = mp.calculus.quadrature.GaussLegendre(mp.mp).calc_nodes(_DEGREE, precision)
    legendre = []
    for x, _ in nodes:
        p = [mp.mpf(1), x]
        for k in range(1, len(nodes)):
            p.append(((2 * k + 1) * x * p[k] - k * p[k - 1]) / (k + 1))
        legendre.append(p)
    rows = [
        [
            w / 2 * (1 + p[1] + mp.fsum(q[k] * (p[k + 1] - p[k - 1]) for k in range(1, len(nodes))))
            for (_, w), q in zip(nodes, legendre, strict=True)
        ]
        for p in legendre
    ]
    return [(x, w, row) for (x, w), row in zip(nodes, rows, strict=True)]


def _cut(measure: Callable[[Any, Any], Any], near: Any, far: Any, into: int) -> list[Any]:
    """A stretch as panels of one width: where each begins, its width, and what is measured of it."""
    width = (far - near) / into
    return [(near + i * width, width, measure(near + i * width, width)) for i in range(into)]


def _halved(
    measure: Callable[[Any, Any], Any],
    join: Callable[[Any, Any], Any],
    settled: Callable[[Any, Any], bool],
    panels: list[Any],
    digits: int,
) -> Any:
    """What is measured of all panels, each halved until its halves together are what it was."""
    waiting, found = panels[::-1], None
    for _ in range(_MOST):
        left, width, whole = waiting.pop()
        halves = _cut(measure, left, left + width, 2)
        joined = join(halves[0][2], halves[1][2])
        if settled(whole, joined):
            found = joined if found is None else join(found, joined)
        else:
            waiting += halves[::-1]
        if not waiting:
            return found
    raise _unsettled(digits)


def _unsettled(digits: int) -> OdescentError:
    return OdescentError(
        f"the passage time did not converge to {digits} digits; is the potential continuous and finite, and does "
        "e^(-beta U) fall faster than 1/r?"
    )


@checked
def eyring_kramers(
    objective: Objective,
    minimum: Float[ArrayLike, " d"] | Sequence[float],
    saddle: Float[ArrayLike, " d"] | Sequence[float],
    beta: float,
) -> float:
    """The mean transition time from a minimum over a saddle as beta -> infinity (the Eyring-Kramers law).

    2 pi / |lambda| sqrt(|det Hess f(saddle)| / det Hess f(minimum)) e^(beta (f(saddle) - f(minimum))), with lambda
    the one negative eigenvalue at the saddle; the relative error is of order 1/beta.

    Args:
        objective: with a Hessian.
        minimum: the point, shape (d,).
        saddle: the point, shape (d,), with one unstable direction.
        beta: the inverse temperature.

    Returns:
        The time, in the time unit of dX = -grad f dt + sqrt(2/beta) dW.

    Raises:
        OdescentError: the gradient is not 0 there, or the Hessians are not those of a minimum and of a saddle with one
            unstable direction.
    """
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        points = [jnp.asarray(np.asarray(p, dtype=float)) for p in (minimum, saddle)]
        eye = jnp.eye(points[0].size)
        low, high = (np.asarray(jax.vmap(lambda e, p=p: objective.hess(p, e))(eye)) for p in points)
        rise = float(objective.value(points[1]) - objective.value(points[0]))
        slopes = [np.asarray(objective.grad(p)) for p in points]
    way = float(np.linalg.norm(np.asarray(points[0] - points[1])))
    ends = zip(("minimum", "saddle"), points, slopes, (low, high), strict=True)
    for said, z, slope, curvature in ends:
        if not np.linalg.norm(slope) <= _AT_REST * np.linalg.norm(curvature, 2) * way:
            raise OdescentError(
                f"the gradient is {short(slope)} at the {said}, {short(z)}; give critical points, to more digits."
            )
    bottom, top = np.linalg.eigvalsh(low), np.linalg.eigvalsh(high)
    if bottom[0] <= 0 or top[0] >= 0 or (top[1:] <= 0).any():
        raise OdescentError(
            f"the Hessian has the eigenvalues {bottom} at the minimum, which are positive, and {top} at the saddle, of "
            "which one is negative; give such points."
        )
    ratio = np.exp(np.sum(np.log(np.abs(top))) - np.sum(np.log(bottom)))
    return float(2 * np.pi / -top[0] * np.sqrt(ratio) * np.exp(beta * rise))
