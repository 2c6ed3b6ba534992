"""Methods with sequential updates of the coordinates."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import check_choice
from ...dynamics.algebra.scalars import parameters
from ...dynamics.library import system
from ..faces import Algorithm
from ..programs.substeps import Scheme, Sweep
from ..step.iteration import STEP

_ORDERS = {"forward": (False,), "backward": (True,), "symmetric": (False, True)}


def _swept(by: str, order: str) -> Scheme:
    check_choice("order of a sweep called", order, _ORDERS)
    passes = _ORDERS[order]
    share = sp.Rational(1, len(passes))
    return Scheme(tuple(Sweep("descent", by, share, on="x", backward=b) for b in passes), "sweep")


def sor(order: str = "forward") -> Algorithm:
    """x_i+ = x_i - omega (grad f)_i / a_ii, coordinate by coordinate: successive over-relaxation for A x = b.

    A sweep of Cayley steps on x' = -D^-1 grad f(x), with omega = 2 h / (2 + h), so h = 2 omega / (2 - omega);
    on a quadratic f it is Itoh and Abe's discrete gradient too, whence f decreases for every h > 0, 0 <
    omega < 2. omega = 1 is Gauss and Seidel's method. ``order`` is "forward", "backward", or "symmetric":
    SSOR, a sweep each way, with h/2 each; then omega is 2 h / (4 + h) in both, and h = 4 omega / (2 - omega).
    """
    omega, passes = parameters("omega"), len(_ORDERS.get(order, ()))
    return Algorithm(
        system("diagonally_preconditioned_gradient"), _swept("cayley", order),
        tuning={STEP: 2 * passes * omega / (2 - omega)}, name="sor", reference="miyatake2018",
    )  # fmt: skip


def itoh_abe(order: str = "forward") -> Algorithm:
    """x_i+ = x_i - (h / d_i) (f(x with x_i+) - f(x)) / (x_i+ - x_i), coordinate by coordinate: f decreases for every h.

    The discrete gradient method on x' = -D^-1 grad f(x), for f that is smooth and bounded below: f(x+) - f(x) is
    the sum of -(d_i / h) (x_i+ - x_i)^2. So d, the diagonal of the Hessian at x0, has to be positive; where it is
    not, f would climb, and a run is refused. h is free. ``order`` as in "sor".
    """
    return Algorithm(
        system("diagonally_preconditioned_gradient"), _swept("discrete_gradient", order),
        name="itoh_abe", reference="itoh1988", positive=("d",),
    )  # fmt: skip


def coordinate_descent(order: str = "forward") -> Algorithm:
    """x_i+ = x_i - (h / d_i) (grad f)_i, each coordinate seeing those before it: explicit coordinate descent.

    d and ``order`` as in "itoh_abe"; where every d_i is at least the i-th diagonal entry of every Hessian,
    f decreases for 0 < h < 2.
    """
    return Algorithm(
        system("diagonally_preconditioned_gradient"), _swept("explicit", order),
        name="coordinate_descent", reference="wright2015", positive=("d",),
    )  # fmt: skip
