"""Mean times of crossing a barrier: exact in one dimension, and asymptotic by the Eyring-Kramers law.

For dX = -U'(X) dt + sqrt(2/beta) dW. Sources: Gardiner, Handbook of Stochastic Methods, 5.5; Bovier, Eckhoff,
Gayrard and Klein, J. Eur. Math. Soc. 6 (2004), doi:10.4171/JEMS/14.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import ArrayLike, Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ...dynamics.vector_fields.objective import Objective

LIMIT = 12  # doublings of the number of panels


@checked
def mean_passage_time(
    potential: Callable[[Any], Any], start: float, end: float, beta: float, digits: int = 15
) -> Any:
    """The mean passage time from ``start`` to ``end`` in one dimension, exactly, as an mpmath number.

    beta times the integral, over y from start to end, of e^(beta U(y)) times the integral of e^(-beta U) over all
    that lies behind y.

    Args:
        potential: U of an mpmath number, smooth, with e^(-beta U) integrable behind the start.
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
        a, b, strength = mp.mpf(start), mp.mpf(end), mp.mpf(beta)
        sign = 1 if b > a else -1  # a passage to the left is one to the right in the mirror
        a, b = sign * a, sign * b
        base = mp.mpf(potential(sign * a))

        def above(z: Any) -> Any:
            return strength * (mp.mpf(potential(sign * z)) - base)

        def weight(z: Any) -> Any:
            return mp.exp(-above(z))

        if any(weight(a - r) * r > 1 for r in map(mp.mpf, (10**4, 10**6))):
            raise OdescentError(
                "e^(-beta U) has no finite integral behind the start; give a confining potential."
            )
        behind = mp.quad(weight, [-mp.inf, a - 1, a])
        rule = mp.calculus.quadrature.GaussLegendre(mp.mp).calc_nodes(4, mp.mp.prec)
        before, panels = None, 4
        for _ in range(LIMIT):
            found = strength * _double(above, a, b, behind, panels, rule)
            if before is not None and abs(found - before) <= abs(found) * mp.mpf(10) ** -(
                digits + 1
            ):
                return +found
            before, panels = found, 2 * panels
    raise OdescentError(
        f"the passage time did not converge to {digits} digits; is the potential smooth?"
    )


def _double(u: Callable[[Any], Any], a: Any, b: Any, behind: Any, panels: int, rule: Any) -> Any:
    """The integral of e^u(y) (behind + the integral of e^-u from a to y), panel by panel."""
    import mpmath as mp

    half = (b - a) / panels / 2
    total = mp.mpf(0)
    for i in range(panels):
        left = a + 2 * half * i
        for node, weight in rule:
            y = left + half * (1 + node)
            part = (y - left) / 2
            inner = part * mp.fsum(w * mp.exp(-u(left + part * (1 + n))) for n, w in rule)
            total += weight * half * mp.exp(u(y)) * (behind + inner)
        behind += half * mp.fsum(w * mp.exp(-u(left + half * (1 + n))) for n, w in rule)
    return total


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
        OdescentError: the Hessians are not those of a minimum and of a saddle with one unstable direction.
    """
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        points = [jnp.asarray(np.asarray(p, dtype=float)) for p in (minimum, saddle)]
        eye = jnp.eye(points[0].size)
        low, high = (np.asarray(jax.vmap(lambda e, p=p: objective.hess(p, e))(eye)) for p in points)
        rise = float(objective.value(points[1]) - objective.value(points[0]))
    bottom, top = np.linalg.eigvalsh(low), np.linalg.eigvalsh(high)
    if bottom[0] <= 0 or top[0] >= 0 or (top[1:] <= 0).any():
        raise OdescentError(
            f"the Hessian has the eigenvalues {bottom} at the minimum, which are positive, and {top} at the saddle, of "
            "which one is negative; give such points."
        )
    ratio = np.exp(np.sum(np.log(np.abs(top))) - np.sum(np.log(bottom)))
    return float(2 * np.pi / -top[0] * np.sqrt(ratio) * np.exp(beta * rise))
