"""The gradient descent of an ensemble: its step, the remainder and its origin.

One consensus point follows from the last by x_k = x_{k-1} - tau_k grad f(x_{k-1}) + g_k with tau_k = alpha C_k,
the covariance of the particles times the exponent of their weights (Riedl, Klock, Geldhauser and Fornasier,
arXiv:2306.09778; `odescent derive cbo`). None of it depends on how the particles were moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._support.errors import OdescentError, check_choice
from ..._support.numbers import reals
from ..._support.rendering.brief import quantity, short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ...discretize.runs.trajectory import Trajectory
from ...dynamics.vector_fields.objective import Objective
from ..engine.ensembles import Ensemble

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMS = ("scalar", "diagonal", "matrix")


@dataclass(frozen=True)
class EffectiveGradient(Rendered):
    """The decomposition of an ensemble's run into gradient steps and a remainder; K steps in d dimensions.

    Attributes:
        consensus: x_0, ..., x_K, shape (K + 1, d).
        gradient: grad f(x_0), ..., grad f(x_{K-1}), shape (K, d).
        step: tau_1, ..., tau_K: shape (K,), (K, d) or (K, d, d) for the forms "scalar" (alpha tr C / d),
            "diagonal" and "matrix" (alpha C).
        residual: g_1, ..., g_K, shape (K, d).
        parts: three vectors that add up to g_k, each of shape (K, d). "relaxation": the particles' mean is not at
            the last consensus point (their drift has not brought them there, or they are few). "shape": the
            weights of a linear f move the mean otherwise than by alpha C_k times its slope (the cloud is not a
            Gaussian, or they are few, or C_k is no multiple of what the form says). "curvature": f is not linear
            over the cloud.
        budget: estimates of |g_k| by its causes, each of shape (K,): "relaxation", |1 - lam h| times how far the
            mean was off (NaN without lam and h); "noise", the width sqrt(tr C_k / d) of the cloud, which is
            sigma sqrt(h) times the distances and, as sqrt(tau_k/alpha), the Laplace term for f that is not smooth;
            "laplace", tau_k^2 |grad Laplacian f| / (2 alpha) for smooth f; "explicit", tau_k^2 |Hess f grad f|;
            "monte_carlo", the standard error of the consensus point.
        ess: effective sample sizes (sum w)^2 / sum w^2 of the weights of x_0, ..., x_K.
        temperature: 1 / (2 alpha N), that of the Langevin dynamics due to sampling noise.
        reach, distance: how far the steps that are left may still lead (their sum, if C_k goes on as in the last
            quarter, and three widths of the cloud), and the distance to where the gradient vanishes, by Newton's
            step. At the end.
    """

    consensus: Float[np.ndarray, "K+1 d"]
    gradient: Float[np.ndarray, "K d"]
    step: Float[np.ndarray, "K ..."]
    residual: Float[np.ndarray, "K d"]
    parts: dict[str, Float[np.ndarray, "K d"]]
    budget: dict[str, Float[np.ndarray, " K"]]
    ess: Float[np.ndarray, " K+1"]
    temperature: float
    reach: float
    distance: float

    @property
    def share(self) -> Float[np.ndarray, " K"]:
        """|g_k| over the length of the gradient step: how much of the move is something else."""
        moved = self.consensus[1:] - self.consensus[:-1] - self.residual
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.linalg.norm(self.residual, axis=1) / np.linalg.norm(moved, axis=1))

    @property
    def stalled(self) -> bool:
        """Whether the ensemble has contracted where the gradient does not vanish, too far from where it does."""
        return self.reach < self.distance

    @property
    def warning(self) -> str:
        """A sentence if the run has stalled, else the empty string."""
        if not self.stalled:
            return ""
        return (
            f"the particles have contracted to where the gradient is still {np.linalg.norm(self.gradient[-1]):.2g}: "
            f"the steps that are left reach {self.reach:.2g}, but the nearest stationary point is about "
            f"{self.distance:.2g} away; use more noise, constant noise or more particles."
        )

    def __str__(self) -> str:
        scalar = self.step.reshape(len(self.step), -1)
        lines = [
            f"{quantity(len(self.step), 'step')} of gradient descent, "
            f"of length {scalar[0].mean():.3g} to {scalar[-1].mean():.3g}",
            f"besides: {np.nanmedian(self.share):.2g} of a step in the median; lengths by cause (medians):",
            *(
                f"    {n}: {np.median(np.linalg.norm(v, axis=1)):.3g}"
                for n, v in self.parts.items()
            ),
            f"effective samples: {np.median(self.ess):.3g} in the median; temperature {self.temperature:.3g}",
        ]
        return "\n".join([*lines, *([self.warning] if self.stalled else [])])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Sizes against the step: the gradient's part, g_k and its three parts; the axes are returned."""
        return drawn(self, ax)


def effective_gradient(
    run: Any,
    objective: Objective | Callable[[Any], Any],
    *,
    alpha: float,
    lam: float | None = None,
    h: float | None = None,
    form: str = "scalar",
    index: int = 0,
) -> EffectiveGradient:
    """Decompose a run's consensus points into gradient descent and a remainder.

    Args:
        run: particles at every step, shape (K + 1, N, d): an array, or a `Trajectory`, whose particles are its x
            (with a memory, give its states["y"]: those are the places that are weighed). Or an `Ensemble`, which has
            the consensus points and the spreads alone; parts are then not known, and tau_k is alpha times the spread,
            without the square of the move where lam h = 1 (taken for granted where they are not given).
        objective: with values and, where it is not made by JAX from them, a gradient; or a JAX function of a point.
        alpha: the exponent of the weights, a number.
        lam, h: the drift and the step, for the estimate of the first cause.
        form: "scalar", "diagonal" or "matrix": what C_k is taken to be.
        index: which run of an `Ensemble`.

    Returns:
        The steps of the consensus point, split into a gradient step and its remainder.

    Raises OdescentError for particles of another shape or fewer than two steps, alpha that is not positive, an
    unknown form.
    """
    check_choice("form", form, FORMS)
    if not (np.isfinite(alpha) and alpha > 0):
        raise OdescentError(f"alpha must be a number more than 0, not {short(alpha)}.")
    f = objective if isinstance(objective, Objective) else Objective("f", objective)
    if isinstance(run, Ensemble):
        full = lam is None or h is None or abs(1 - lam * h) < 1e-6
        return _of_records(run, f, float(alpha), form, index, full)
    x = reals(run.x if isinstance(run, Trajectory) else run)
    if x.ndim != 3 or len(x) < 2 or x.shape[1] < 2:
        raise OdescentError(
            f"particles must have the shape (K + 1, N, d) with K >= 1 steps and N >= 2 of them, not {x.shape}."
        )
    try:
        with jax.enable_x64(True):
            found = jax.device_get(_measured(jnp.asarray(x), jnp.asarray(float(alpha)), f))
    except jax.errors.JAXTypeError:
        raise OdescentError(
            f"the objective {f.name!r} is not written in JAX, so it has no derivatives; write it with "
            f"jax.numpy."
        ) from None
    found = {n: np.asarray(v) for n, v in found.items()}
    move = _step_of(found, float(alpha), form)
    last, mean, linear = found["consensus"][:-1], found.pop("mean"), found.pop("linear")
    found["residual"] = found["consensus"][1:] - last + move
    parts = {
        "relaxation": mean - last, "shape": linear - mean + move,
        "curvature": found["consensus"][1:] - linear,
    }  # fmt: skip
    off = 1.0 if lam is None or h is None else abs(1 - lam * h)
    budget = {
        "relaxation": off * found.pop("off") if lam is not None and h is not None else np.full(len(x) - 1, np.nan),
        **{n: found.pop(n) for n in ("noise", "laplace", "explicit", "monte_carlo")},
    }  # fmt: skip
    found.pop("off", None)
    newton = _newton(found["gradient"][-1], found.pop("bent")[-1])
    return EffectiveGradient(
        **found, parts=parts, budget=budget, temperature=1 / (2 * float(alpha) * x.shape[1]),
        reach=_reach(found, budget["noise"]), distance=newton,
    )  # fmt: skip


def _of_records(
    run: Ensemble, f: Objective, alpha: float, form: str, index: int, full: bool
) -> EffectiveGradient:
    """From consensus points, spreads and sample sizes, as the engine records them at every step."""
    kept = {n: getattr(run.records, n) for n in ("spread", "ess")}
    if form != "scalar" or any(v is None for v in kept.values()) or np.any(np.diff(run.k) != 1):
        raise OdescentError(
            "of an Ensemble the scalar form is known, where every step recorded its spread and ess: simulate with "
            "record_every=1 and all records, or give the particles."
        )
    consensus = np.asarray(run.consensus[index], dtype=np.float64)
    spread, ess = (np.asarray(v[index], dtype=np.float64) for v in kept.values())
    with jax.enable_x64(True):
        found = jax.device_get(jax.vmap(lambda p: _derivatives(f, p))(jnp.asarray(consensus[:-1])))
    gradient, bent, third = (np.asarray(v) for v in found)
    size, N = spread[1:], max(v.shape[-1] for v in run.particles.values())
    if full:  # the cloud is drawn around the last point, and its spread is recorded around the next
        size = np.maximum(size - np.mean(np.diff(consensus, axis=0) ** 2, axis=1), 0)
    tau, width = alpha * size, np.sqrt(size)
    unknown_ = np.full(len(tau), np.nan)
    budget = {
        "relaxation": unknown_, "noise": width, "laplace": tau**2 * np.linalg.norm(third, axis=1) / (2 * alpha),
        "explicit": tau**2 * np.linalg.norm(bent, axis=1), "monte_carlo": width * np.sqrt(consensus.shape[1] / ess[1:]),
    }  # fmt: skip
    moved = {"step": tau, "gradient": gradient}
    return EffectiveGradient(
        consensus, gradient, tau, consensus[1:] - consensus[:-1] + tau[:, None] * gradient, {}, budget, ess,
        1 / (2 * alpha * N), _reach(moved, width), _newton(gradient[-1], bent[-1]),
    )  # fmt: skip


def _step_of(found: dict[str, Any], alpha: float, form: str) -> Float[np.ndarray, "K d"]:
    """Puts tau_k of that form in the place of the covariances; tau_k times the gradient."""
    covariance, gradient = found.pop("covariance"), found["gradient"]
    width = np.trace(covariance, axis1=1, axis2=2) / gradient.shape[1]
    if form == "matrix":
        found["step"] = alpha * covariance
        return np.asarray(np.einsum("kij,kj->ki", found["step"], gradient))
    diagonal = form == "diagonal"
    found["step"] = alpha * (np.diagonal(covariance, axis1=1, axis2=2) if diagonal else width)
    return np.asarray((found["step"] if diagonal else found["step"][:, None]) * gradient)


@partial(jax.jit, static_argnums=2)
def _measured(x: Float[Array, "K1 N d"], alpha: Array, f: Objective) -> dict[str, Any]:
    """What does not depend on the form, over all steps at once."""
    values = jax.vmap(jax.vmap(f.value))(x)
    consensus, ess, error = jax.vmap(_weighed, in_axes=(0, 0, None))(x, values, alpha)
    last, now = consensus[:-1], x[1:]
    gradient, bent, third = jax.vmap(lambda p: _derivatives(f, p))(last)
    mean = jnp.mean(now, axis=1)
    gap = now - mean[:, None]
    covariance = jnp.einsum("kni,knj->kij", gap, gap) / (x.shape[1] - 1)
    width = jnp.trace(covariance, axis1=1, axis2=2) / x.shape[2]
    linear, _, _ = jax.vmap(_weighed, in_axes=(0, 0, None))(
        now, jnp.einsum("kni,ki->kn", gap, gradient), alpha
    )
    tau = alpha * width
    norm = partial(jnp.linalg.norm, axis=1)
    return {
        "consensus": consensus, "gradient": gradient, "ess": ess,
        "covariance": covariance, "mean": mean, "linear": linear,
        "off": norm(jnp.mean(x[:-1], axis=1) - last), "noise": jnp.sqrt(width),
        "laplace": tau**2 * norm(third) / (2 * alpha), "explicit": tau**2 * norm(bent),
        "monte_carlo": error[1:], "bent": bent,
    }  # fmt: skip


def _weighed(x: Array, values: Array, alpha: Array) -> tuple[Array, Array, Array]:
    """The mean of the particles with the weights exp(-alpha values), its sample size and its standard error."""
    finite = jnp.isfinite(values)
    exponent = jnp.where(finite, -alpha * jnp.where(finite, values, 0), -jnp.inf)
    weight = jax.nn.softmax(exponent)
    point = weight @ jnp.where(finite[:, None], x, 0)
    gap = jnp.where(finite[:, None], x - point[None], 0)
    return point, 1 / jnp.sum(weight**2), jnp.sqrt(jnp.sum(weight[:, None] ** 2 * gap**2))


def _derivatives(f: Objective, p: Array) -> tuple[Array, Array, Array]:
    """The gradient, the Hessian along it, and the gradient of the Laplacian."""
    slope = f.grad(p)

    def along(q: Array) -> Array:
        pairs = jax.vmap(lambda e: jnp.vdot(e, f.hess(q, e)))(jnp.eye(p.size, dtype=p.dtype))
        return jnp.sum(pairs)

    return slope, f.hess(p, slope), jax.grad(along)(p)


def _newton(slope: Float[np.ndarray, " d"], bent: Float[np.ndarray, " d"]) -> float:
    """The distance to where the gradient vanishes, as far as its change along itself tells."""
    return float(slope @ slope / max(float(np.linalg.norm(bent)), 1e-300))


def _reach(found: dict[str, Any], width: Float[np.ndarray, " K"]) -> float:
    """The length of all steps that are left, if their sizes go on as in the last quarter, and the cloud's width."""
    quarter = max(1, len(width) // 4)
    first, final = width[-1 - quarter] if len(width) > quarter else width[0], width[-1]
    if final == 0 or not np.isfinite(final):
        return 0.0
    ratio = (final / first) ** (2 / quarter) if first > 0 else 1.0
    if ratio >= 1:
        return float("inf")
    sizes = found["step"][-1]
    move = sizes @ found["gradient"][-1] if sizes.ndim == 2 else sizes * found["gradient"][-1]
    return float(np.linalg.norm(move) * ratio / (1 - ratio) + 3 * final)
