"""Estimates of mu and L: the extreme eigenvalues of the Hessian along a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int

from ..._support.errors import OdescentError, check_choice
from ..._support.numbers import check_whole
from ..._support.rendering.brief import quantity, short
from ..._support.rendering.rendered import Rendered
from ...dynamics.flows.starts import starting_point
from ...dynamics.vector_fields.estimates import Estimate, Supposition
from ...dynamics.vector_fields.objective import Objective, wrapped

if TYPE_CHECKING:
    from ...discretize.faces import Algorithm

_DENSE = 200  # variables; above, Lanczos' method
_NEGATIVE = 1e-8  # of the greatest curvature: what is less negative is rounding
_HALVINGS = 100


@dataclass(frozen=True, repr=False)
class EstimatedConstants(Rendered):
    """Curvatures of a function at some points, and the constants that they suggest.

    Attributes:
        steps: the steps of the run at which the Hessian was evaluated, shape (n,).
        least, greatest: its extreme eigenvalues there, shape (n,).
        safety: the factor between these curvatures and the constants.
        along: the run, in words.
        eigenvalues: how they were computed, in words.
        fun: the function as an objective without constants.
    """

    steps: Int[np.ndarray, " n"]
    least: Float[np.ndarray, " n"]
    greatest: Float[np.ndarray, " n"]
    safety: float
    along: str
    eigenvalues: str
    fun: Objective = field(repr=False)

    @property
    def convex(self) -> bool:
        """Whether no negative curvature was seen."""
        return bool(self.least.min() >= -_NEGATIVE * np.abs(self.greatest).max())

    @property
    def condition(self) -> Supposition:
        """The supposition that results based on the constants state."""
        least = float(self.least.min()) / self.safety
        mu = least if least > _NEGATIVE * self.greatest.max() else 0.0
        greatest = self.safety * float(self.greatest.max())
        return Supposition(mu, greatest, quantity(len(self.steps), "point"), self.convex)

    @property
    def mu(self) -> float:
        """The least curvature seen over the safety factor; 0 where that is not positive."""
        return Estimate(self.condition.mu, self.condition)

    @property
    def L(self) -> float:
        """The greatest curvature seen times the safety factor."""
        return Estimate(self.condition.L, self.condition)

    @property
    def objective(self) -> Objective:
        """The function with these constants: its runs say what they suppose, and whether they refute it."""
        known = self.fun
        oracles: dict[str, Any] = {n: f for n, f in known.oracles.items() if n != "value"}
        return Objective(
            known.name, known.fun, mu=self.mu, L=self.L, dimension=known.dimension, x0=known.x0,
            minimizer=known._minimizer, **oracles,
        )  # fmt: skip

    def keys(self) -> tuple[str, str]:
        """The names of the constants, so that ``**found`` gives both."""
        return ("mu", "L")

    def __getitem__(self, name: object) -> float:
        found = {"mu": self.mu, "L": self.L}
        return found[check_choice("estimated constant called", str(name), found)]

    def __str__(self) -> str:
        points = quantity(len(self.steps), "point")
        head = f"curvature of {self.fun.name} at {points} of {self.along} ({self.eigenvalues})"
        rows = [f"{'step':>8} {'least':>12} {'greatest':>12}"]
        parts = zip(self.steps, self.least, self.greatest, strict=True)
        rows += [f"{k:>8} {a:>12.4g} {b:>12.4g}" for k, a, b in parts]
        seen = f"range {self.least.min():.4g} to {self.greatest.max():.4g}"
        said = (
            f"{seen}; with the safety factor {self.safety:g}: mu = {self.mu:.4g}, L = {self.L:.4g}"
        )
        if not self.convex:
            said += "\nnegative curvature was seen: f is not convex, and what is proved over F(mu, L) is not for it"
        elif not self.mu:
            said += "\nno positive curvature from below: only convexity is left, mu = 0"
        last = "a few points are no proof: what is made from these constants holds if they do"
        return "\n".join([head, *rows, said, last])


def estimate_constants(
    fun: Objective | Callable[[Any], Any],
    x0: Any,
    steps: int = 50,
    *,
    points: int = 8,
    safety: float = 2.0,
    method: Algorithm | None = None,
    seed: int = 0,
    **parameters: Any,
) -> EstimatedConstants:
    """Estimate mu and L of a function from the extreme eigenvalues of its Hessian along a run.

    An estimate is not a bound: the curvature may be larger or smaller elsewhere. Results that use the constants
    state this condition, and a run of ``.objective`` whose gradients refute them reports it.

    >>> found = estimate_constants(fun, x0)
    >>> run = algorithm("nesterov_sc").run(found.objective, x0, 100)
    >>> run.remark
    >>> algorithm("nesterov_sc").bind(**found)

    Args:
        fun: a twice differentiable JAX function of one array or pytree, or an objective.
        x0: the starting point.
        steps: number of steps of the run.
        points: number of points of the run that are used, the first and the last included, denser at the beginning.
        safety: L is the largest curvature times this factor, mu the smallest one divided by it.
        method: the method of the run; by default gradient descent with backtracking.
        seed: seed of the first vector of Lanczos' method.
        parameters: values of the method's parameters.

    Returns:
        the curvatures by point, with ``.mu``, ``.L`` and ``.objective``; printing it shows a table.

    Raises:
        OdescentError: options out of range, a function that JAX cannot trace, or curvatures that are not finite.
    """
    check_whole("steps", steps, 1)
    check_whole("points", points, 1)
    if not 1 <= safety < np.inf:
        raise OdescentError(f"safety must be a factor of at least 1, not {short(safety)}.")
    if method is None and parameters:
        raise OdescentError(f"{', '.join(parameters)} belong to a method: give method= as well.")
    start = jax.tree.map(lambda a: np.asarray(a, float), starting_point(x0))
    with jax.enable_x64(True):
        target = (
            fun if isinstance(fun, Objective) else wrapped(fun, jax.tree.map(jnp.asarray, start))
        )
        if method is None:
            path, along = _descent(target, start, steps), "gradient descent with backtracking"
        else:
            run = method.run(target, start, steps, **parameters)
            path = [jax.tree.map(lambda a, i=i: np.asarray(a[i]), run.x) for i in range(len(run.t))]
            along = method.name or "the method"
        chosen = _spread(len(path), points)
        size = sum(np.size(a) for a in jax.tree.leaves(start))
        extremes = _dense if size <= _DENSE else _lanczos(seed)
        curvatures = np.array([extremes(target, path[i]) for i in chosen])
    if not np.isfinite(curvatures).all():
        bad = chosen[int(np.argmin(np.isfinite(curvatures).all(axis=1)))]
        raise OdescentError(f"the Hessian of {target.name} is not finite at step {bad} of the run.")
    if not curvatures.max() > 0:
        raise OdescentError(
            f"no positive curvature was found: {target.name} is concave or affine along the run, so there is no L to "
            "estimate."
        )
    return EstimatedConstants(
        np.array(chosen), curvatures[:, 0], curvatures[:, 1], float(safety), f"{len(path) - 1} steps of {along}",
        "dense Hessians" if size <= _DENSE else "Lanczos' method", target,
    )  # fmt: skip


def _spread(length: int, points: int) -> list[int]:
    """Indices from 0 to the last, denser at the beginning, where a run moves most."""
    last = length - 1
    found = {round(last * (i / max(points - 1, 1)) ** 2) for i in range(points)}
    return sorted(found)


def _descent(target: Objective, start: Any, steps: int) -> Sequence[Any]:
    """Points of gradient descent: each step is halved until f falls by half of what the gradient promises.

    The first step tried is the one to the minimum of the parabola along the gradient.
    """
    from ...discretize.library import algorithm

    method, x = algorithm("gradient_descent"), start
    slope, product, _ = _compiled(target)
    first = ravel_pytree(slope(start))[0]
    bend = abs(float(first @ product(start, first)))
    step = float(first @ first) / bend if 0 < bend < np.inf else 1.0
    path = [start]
    for _ in range(steps):
        square = sum(float(jnp.sum(a**2)) for a in jax.tree.leaves(slope(x)))
        if not square > 0:
            break
        for _ in range(_HALVINGS):
            run = method.run(target, x, 1, step=step)
            if run.diverged_at is None and run.f[1] <= run.f[0] - step / 2 * square:
                break
            step /= 2
        else:
            break  # no step lowers f any more: rounding
        x = jax.tree.map(lambda a: np.asarray(a[1]), run.x)
        path.append(x)
        step *= 2
    return path


@lru_cache(maxsize=64)
def _compiled(target: Objective) -> tuple[Any, Any, Any]:
    """The gradient at a point; the Hessian there times a flat vector; the Hessian as a matrix."""

    def product(x: Any, v: Any) -> Any:
        flat, shaped = ravel_pytree(x)
        grad = lambda z: ravel_pytree(target.grad(shaped(z)))[0]
        return jax.jvp(grad, (flat,), (v,))[1]

    def hessian(x: Any) -> Any:
        return jax.lax.map(partial(product, x), jnp.eye(ravel_pytree(x)[0].size))

    return jax.jit(target.grad), jax.jit(product), jax.jit(hessian)


def _dense(target: Objective, x: Any) -> tuple[float, float]:
    hessian = np.asarray(_compiled(target)[2](x))
    if not np.isfinite(hessian).all():
        return np.nan, np.nan
    found = np.linalg.eigvalsh((hessian + hessian.T) / 2)
    return float(found[0]), float(found[-1])


def _lanczos(seed: int) -> Callable[[Objective, Any], tuple[float, float]]:
    """The extreme eigenvalues by Lanczos' method; those that it has not resolved lie further out by its residual."""

    def extremes(target: Objective, x: Any) -> tuple[float, float]:
        from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

        at = jax.tree.map(jnp.asarray, x)
        size = ravel_pytree(at)[0].size
        product = _compiled(target)[1]
        operator = LinearOperator(
            (size, size), lambda v: np.asarray(product(at, np.ravel(v))), dtype=float
        )
        first = np.random.default_rng(seed).standard_normal(size)
        if not np.isfinite(operator @ first).all():
            return np.nan, np.nan
        try:
            found = eigsh(operator, 2, which="BE", v0=first, tol=1e-5, return_eigenvectors=False)
        except ArpackNoConvergence as stopped:
            found = stopped.eigenvalues
            if len(found) < 2:
                raise OdescentError(
                    "Lanczos' method does not resolve the extreme curvatures: start elsewhere, or scale the variables."
                ) from None
        return float(min(found)), float(max(found))

    return extremes
