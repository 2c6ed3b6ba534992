"""`bilevel`: minimization of F(x, y) over x where y minimizes G(x, y), by the reduced flows of the library."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ..._support.arguments import checked
from ..._support.errors import OdescentError, check_choice
from ..._support.numbers import check_whole
from .constrained import Constrained
from .levels import Reduced, floats, levels_of, projection, row_counts
from .result import BilevelResult, result_of
from .single_loop import SingleLoop, drawn, loop_of, looped

METHODS = ("implicit", "penalty", "single_loop")
_SHRINK, _SUFFICIENT, _TRIALS = 0.5, 1e-4, 40  # of a search along the hypergradient


@checked
def bilevel(
    upper: Any,
    lower: Any,
    x0: Any,
    y0: Any,
    *,
    method: str = "implicit",
    sigma: float = 0.05,
    step: float | None = None,
    lower_step: float | None = None,
    ratio: float = 1.0,
    steps: int = 200,
    tolerance: float = 1e-6,
    lower_tolerance: float = 1e-9,
    constraints: Callable[[Any], Any] | None = None,
    lower_constraints: Callable[[Any], Any] | None = None,
    inner: Any = None,
    rows: Any = None,
    batch: int | None = None,
    momentum: float = 0.0,
    key: Any = 0,
    resume: BilevelResult | None = None,
    callback: Callable[[BilevelResult], Any] | None = None,
) -> BilevelResult:
    """Minimize F(x, y) over x, where y minimizes G(x, y).

    "implicit" follows the hypergradient: an adjoint equation with the lower level's Hessian, by products. "penalty"
    follows the gradient of min_y (F + G/sigma) - min_z G/sigma, with first derivatives and an error of the order of
    sigma. Both search for the lower minimizer to a tolerance in every step, from the one before. "single_loop" takes
    one gradient step in each of x, y and z of the penalty's flow. What is compiled for two levels serves for other
    starts, small parameters, steps and tolerances.

    Args:
        upper: F, a JAX function of (x, y), or an objective with two arguments.
        lower: G, likewise; an objective's mu, its strong convexity in y, gives bounds on the error.
        x0: the starting point, an array or a pytree.
        y0: where the search for the lower minimizer begins, an array or a pytree.
        method: "implicit", "penalty" or "single_loop".
        sigma: the penalty's small parameter.
        step: of the upper level; found by a search along the hypergradient if it is not given ("single_loop" needs it).
        lower_step: of the lower level in "single_loop"; 1/L of sigma F + G at the start if it is not given.
        ratio: of the two lower time scales in "single_loop", z's to y's: unequal ones add an error of order 1/sigma.
        steps: the most iterations of the upper level.
        tolerance: the search ends where the length of the hypergradient, or of the step with it that a constraint
            leaves, is at most this.
        lower_tolerance: of the lower searches: the length of their last step relative to 1 + that of y; "penalty"
            takes sigma times as much, since it divides by sigma.
        constraints: the projection of x on a closed convex set, a JAX function.
        lower_constraints: that of y on a set in which it minimizes G, and which does not depend on x. Lower searches
            take projected gradients then, and G has to be convex in y.
        inner: what searches the lower level, and solves for the adjoint: Newton's method with products of the Hessian
            by default, or an algorithm whose parameters are numbers, as ``algorithm("nesterov_sc", mu=1, L=10)``, with
            bounds for sigma F + G or G. It needs less memory, and more steps.
        rows: the data of F and of G, pytrees of arrays with a row per entry; the levels are functions of (x, y, rows)
            then, each the mean of a loss over the rows that it gets.
        batch: how many rows of each a step of "single_loop" takes, drawn anew with replacement. The history has an
            entry per 50 steps then, of all rows, with its "iteration". Steps that stay as they are leave the noise
            of a batch in the result; it is of the order of lower_step/sigma and of step.
        momentum: beta of averages d of the estimates that batches give, beta d + (1 - beta) g, each g asked for at
            v + h d beta/(1 - beta) for the blocks v and their steps h d: the method `implicit_gradient_transport` on
            the penalty's flow, whose averages have no lag where it is linear.
        key: of the rows that are drawn, a JAX key or its seed.
        resume: a result, from which the search goes on; x0 and y0 give the shapes.
        callback: is called with the result so far after each iteration; the search ends if it returns True.

    Returns:
        the result: ``.x``, ``.y``, ``.value``, ``.success``, ``.message``, ``.history``.

    Raises:
        OdescentError: parameters that are not positive, a lower level that has no minimizer near its start, a
            projection that is none, an infeasible start, or scales beyond the threshold of stability.
    """
    check_choice("method of bilevel called", method, METHODS)
    steps = check_whole("steps", steps, 0)
    if not 0 <= float(momentum) < 1:
        raise OdescentError(
            f"momentum of bilevel must be at least 0 and less than 1, not {momentum}."
        )
    if momentum and batch is None:
        raise OdescentError(
            "momentum= averages the estimates of batches: give rows= and batch= too."
        )
    given = {"sigma": sigma, "step": step, "lower_step": lower_step, "ratio": ratio, "tolerance": tolerance,
             "lower_tolerance": lower_tolerance}  # fmt: skip
    for name, value in given.items():
        if value is not None and not 0 < float(value) < np.inf:
            raise OdescentError(f"{name} of bilevel must be positive, not {value}.")
    if inner is not None and (method == "single_loop" or lower_constraints is not None):
        what = "the single loop" if method == "single_loop" else "a search in lower_constraints"
        raise OdescentError(f"{what} takes its own steps: leave inner= out.")
    with jax.enable_x64(True):
        flat_x, shape_x = ravel_pytree(floats("x0", x0))
        flat_y, shape_y = ravel_pytree(floats("y0", y0))
        counts = row_counts(rows, batch, method)
        levels_on = partial(levels_of, upper, lower, shape_x, shape_y)
        levels = levels_on(rows or ())
        project = projection(constraints, shape_x, flat_x)
        inside = projection(lower_constraints, shape_y, flat_y, "lower_constraints", "y0")
        begin: dict[str, Any] = {
            "x": flat_x,
            "fast": None,
            "step": step or 1.0,
            "steps": 0,
            "history": [],
        }
        state = begin if resume is None else dict(resume.state)
        shapes = (shape_x, shape_y)
        if method == "single_loop":
            if step is None:
                raise OdescentError(
                    "the single loop has no search along its step: give step=, that of the upper level."
                )
            if batch is None or rows is None:
                loop = loop_of(levels, project, inside)
            else:  # its draws serve this call alone
                draws = drawn(levels_on, rows, counts, batch, key)
                loop = SingleLoop(levels, project, inside, draws, float(momentum))
            scales = {"sigma": float(sigma), "h": float(step), "lower": lower_step, "ratio": ratio}
            return looped(loop, scales, state, steps, float(tolerance), shapes, callback, flat_y)
        look: Reduced | Constrained
        if lower_constraints is None:
            look = Reduced(method, levels, float(sigma), float(lower_tolerance), inner)
        else:
            look = Constrained(method, levels, float(sigma), float(lower_tolerance), inside)
        return _searched(
            look, state, steps, tolerance, shapes, callback, flat_y, project, step, method
        )


def _searched(
    look: Reduced | Constrained,
    state: dict[str, Any],
    steps: int,
    tolerance: float,
    shapes: Any,
    callback: Any,
    y0: Any,
    project: Any,
    fixed: float | None,
    method: str,
) -> BilevelResult:
    """Projected gradient descent on the reduced function, with a search along the step if none is fixed."""
    x, guess = state["x"], state["fast"] or tuple(y0 for _ in look.fast)
    now = state.get("now") or look(x, guess)
    if not np.isfinite(float(now["value"])) or not np.isfinite(float(now["residual"])):
        raise OdescentError(f"at x = {_short(x)} {look.failure}")
    size, solves = float(state["step"]), 1
    history = list(state["history"])
    for taken in range(steps + 1):
        gradient, value = now["gradient"], float(now["value"])
        left = float(jnp.linalg.norm(x - project(x - gradient)))
        if not np.isfinite(left):
            raise OdescentError(
                f"the hypergradient is not finite at x = {_short(x)}: the solve with the Hessian of the lower level "
                "fails, as it does where the lower level has several minimizers or the upper one is not finite; add a "
                'curvature to the lower level, or take method="penalty", which has no such solve.'
            )
        row = {
            "value": float(now["upper"]), "hypergradient": left, "lower_residual": float(now["residual"]),
            "lower_error": np.nan if look.mu is None else float(now["residual"]) / look.mu,
            "step": size, "solves": solves,
        }  # fmt: skip
        if taken or not history:
            history.append(row)
        state = {"x": x, "fast": now["fast"], "step": size, "steps": state["steps"] + bool(taken), "history": history,
                 "gradient": gradient, "now": now}  # fmt: skip
        if callback is not None and callback(result_of(state, False, "running", shapes, method)):
            return result_of(state, False, "the callback ended it", shapes, method)
        if left <= tolerance:
            return result_of(
                state,
                True,
                f"the hypergradient is {left:.3g}, at most {tolerance:g}",
                shapes,
                method,
            )
        if taken == steps:
            break
        if fixed is None:
            size = min(2 * size, 1e6)
        for trial in range(_TRIALS):
            ahead = project(x - size * gradient)
            after = look(ahead, now["fast"])
            solves = trial + 1
            drop = _SUFFICIENT / size * float(jnp.sum((ahead - x) ** 2))
            rounding = 1e-14 * max(1.0, abs(value))
            if fixed is not None or float(after["value"]) <= value - drop + rounding:
                break
            size *= _SHRINK
        else:
            return result_of(
                state, False, f"no step along the hypergradient decreases the function; its length is {left:.3g}",
                shapes, method,
            )  # fmt: skip
        if not np.isfinite(float(after["value"])):
            raise OdescentError(
                f"the lower search fails in step {state['steps'] + 1}, at x = {_short(ahead)}: take a smaller step, or "
                "none for a search along the hypergradient."
            )
        x, now = ahead, after
    return result_of(
        state,
        False,
        f"{steps} steps were taken; the hypergradient is {left:.3g}, more than {tolerance:g}",
        shapes,
        method,
    )


def _short(x: Any) -> str:
    flat = np.asarray(x).reshape(-1)
    shown = ", ".join(f"{v:.3g}" for v in flat[:4])
    return f"[{shown}{', ...' if flat.size > 4 else ''}]"


def hypergradient(
    upper: Any,
    lower: Any,
    x: Any,
    y: Any,
    *,
    method: str = "implicit",
    sigma: float = 0.05,
    lower_tolerance: float = 1e-9,
    lower_constraints: Callable[[Any], Any] | None = None,
    inner: Any = None,
) -> Any:
    """The gradient over x of F(x, y*(x)), or of its penalty function.

    Args:
        upper: F, as for `bilevel`.
        lower: G, likewise.
        x: where.
        y: where the search for the lower minimizer begins.
        method: "implicit"; "penalty", with an error of the order of sigma; or "richardson", the combination of
            penalties at sigma/2 and sigma whose error is of the order of sigma squared.
        sigma: the penalty's small parameter.
        lower_tolerance: of the lower searches.
        lower_constraints, inner: as for `bilevel`.

    Returns:
        an array or a pytree of the shape of x.

    Raises:
        OdescentError: as `bilevel`.
    """
    check_choice("method of hypergradient called", method, ("implicit", "penalty", "richardson"))
    if method == "richardson":
        half, whole = (
            hypergradient(
                upper, lower, x, y, method="penalty", sigma=s, lower_tolerance=lower_tolerance,
                lower_constraints=lower_constraints, inner=inner,
            )
            for s in (sigma / 2, sigma)
        )  # fmt: skip
        return jax.tree.map(lambda a, b: 2 * a - b, half, whole)
    found = bilevel(
        upper, lower, x, y, method=method, sigma=sigma, steps=0, lower_tolerance=lower_tolerance,
        lower_constraints=lower_constraints, inner=inner,
    )  # fmt: skip
    return found.hypergradient
