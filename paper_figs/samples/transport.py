"""Averages of gradients along a flow: their lags without correction, with the look-ahead and with the Hessian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_most, below, exactly, near
from ..drawing import fitted_order, legend_under, letter, look_of, mark, panels, slopes
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "derived here; arXiv:1906.03532, arXiv:2302.01734"
_LABELS = {"": "no correction", "look_ahead": "look-ahead", "hessian": "Hessian"}
_ORDERS = {"": 0.3333, "look_ahead": 2 / 5, "hessian": 1 / 2}  # of the best error in the step
_METHODS = {
    "": "exponential average",
    "look_ahead": "implicit_gradient_transport",
    "hessian": "hessian_aided_momentum",
}
_Q = np.array([[1.5, 0.5, 0.2], [0.5, 1.0, -0.3], [0.2, -0.3, 0.8]])


def function(p: Any) -> Any:
    """A quartic with a minimum at zero."""
    import jax.numpy as jnp

    return p @ (jnp.asarray(_Q) @ p) / 2 + jnp.sum(p**4) / 12


def terms_are_claimed() -> int:
    """How many of the coefficients of the slow manifolds, and of what is left with the Hessian, are those claimed."""
    from ...dynamics.algebra.calculus import substitute, vanishes
    from ...dynamics.algebra.vectors import VectorSymbol

    x, d = od.blocks("x d")
    T, tau = od.parameters("T tau")
    g = od.Objective("f").grad(x)
    u, w = VectorSymbol("u"), VectorSymbol("w")
    hg = substitute(od.dynamics.derivative(g, {x: u}), {u: g})
    third = od.dynamics.derivative(od.dynamics.derivative(g, {x: u}), {x: w})
    third = substitute(third, {u: g, w: g})
    plain = od.system("averaged_gradient_flow").with_fast({d: T}).slow_manifold(2)[d]
    ahead = od.system("averaged_gradient_flow", correction="look_ahead").bind({tau: T})
    _, first, second = ahead.with_fast({d: T}).slow_manifold(2)[d]
    aided = od.system("averaged_gradient_flow", correction="hessian")
    rest = aided.with_fast({d: T}).slow_manifold(2)[d]
    left = [
        plain[1] - hg,
        first,
        second - third / 2,
        rest[1],
        rest[2],
        aided.derivative(d - g) + (d - g) / T,
    ]
    return sum(vanishes(e) for e in left)


def followed(
    correction: str, start: np.ndarray, T: float, times: np.ndarray
) -> dict[str, np.ndarray]:
    """The lag d - g along a flow from d = 0, and what is claimed of it at each time."""
    import jax

    flow = od.system("averaged_gradient_flow", correction=correction)
    known = {"T": T, "tau": T} if correction == "look_ahead" else {"T": T}
    run = flow.simulate(
        function,
        start,
        float(times[-1]),
        times=times,
        parameters=known,
        rtol=1e-11,
        atol=1e-14,
    )
    g: Any = jax.grad(function)

    def claimed(p: Any) -> Any:
        along = lambda q: jax.jvp(g, (q,), (g(p),))[1]
        return T * along(p), T**2 / 2 * jax.jvp(along, (p,), (g(p),))[1]  # type: ignore[no-untyped-call]

    points = np.asarray(run.x)
    first, second = (np.linalg.norm(np.asarray(row), axis=1) for row in jax.vmap(claimed)(points))
    lag = np.asarray(run.states["d"]) - np.asarray(jax.vmap(g)(points))
    return {"lag": np.linalg.norm(lag, axis=1), "": first, "look_ahead": second}


def steps_of(correction: str) -> Any:
    """One step of the normalized method: of state, noise and key, with numbers from a step and T.

    Gradient and Hessian are those of a function with a random linear and a random quadratic term.
    """
    import jax
    import jax.numpy as jnp

    from ...discretize.emit import load

    if correction:
        method = od.algorithm(_METHODS[correction], normalized=True)
    else:
        parts = od.scheme("lie_trotter", [("average", "frozen exact"), ("descent", "explicit")])
        method = od.Algorithm(od.system("averaged_gradient_flow", normalized=True), parts)
    module = load(method, "jax")

    def numbers(h: Any, T: Any) -> Any:
        return module.coefficients(h, jnp.exp(-h / T) if correction else T)

    def step(state: Any, known: Any, noise: tuple[Any, Any], key: Any) -> tuple[Any, Any]:
        linear, square = noise
        g = lambda p: jax.grad(function)(p) + linear
        if correction == "hessian":
            product = lambda p, v: jax.jvp(jax.grad(function), (p,), (v,))[1] + square * v
            after = module.step(state, product, g, known, key)
            return after, after.x  # its gradient is asked for at the end of the step
        return module.step(state, g, known), state.x

    return module, numbers, step


def tracking(
    correction: str, start: np.ndarray, h: float, windows: np.ndarray, time: float, noise: tuple[float, float],
    seeds: int,
) -> np.ndarray:  # fmt: skip
    """The root mean square of d - g over the second half of a run and over seeds, by T."""
    import jax
    import jax.numpy as jnp

    module, numbers, step = steps_of(correction)
    count = round(time / h)
    gradient = jax.grad(function)

    def run(T: Any, key: Any) -> Any:
        known = numbers(h, T)

        def body(state: Any, key: Any) -> tuple[Any, Any]:
            one, two, three = jax.random.split(key, 3)
            drawn = (
                noise[0] * jax.random.normal(one, start.shape),
                noise[1] * jax.random.normal(two, start.shape),
            )
            after, at = step(state, known, drawn, three)
            return after, jnp.sum((after.d - gradient(at)) ** 2)

        _, errors = jax.lax.scan(
            body, module.init(jnp.asarray(start), gradient), jax.random.split(key, count)
        )
        return jnp.mean(errors[count // 2 :])

    keys = jax.random.split(jax.random.key(0), seeds)
    whole = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))
    return np.asarray(np.sqrt(np.mean(whole(jnp.asarray(windows), keys), axis=1)))


def compute_transport(
    start: list[float], times: list[float], at: float, shown: float, far: list[float], steps: list[float],
    windows: list[float], time: float, noise: list[float], seeds: int,
) -> Result:  # fmt: skip
    """Lags of the three averages along their flows, and their errors with noise.

    Args:
        start: of the flows.
        times: T of the averages.
        at: the time at which lags are compared.
        shown: T of the decay that is shown.
        far: the start of the runs with noise.
        steps: of these.
        windows: T of these.
        time: of these, at unit speed.
        noise: standard deviations of the gradient's entries and of the Hessian's, each step.
        seeds: of the noise.
    """
    begin, clock = np.array(start), np.linspace(0, at, 41)
    found = {c: [followed(c, begin, T, clock) for T in times] for c in ("", "look_ahead")}
    lags = {c: [float(row["lag"][-1]) for row in rows] for c, rows in found.items()}
    claimed = {c: [float(row[c][-1]) for row in rows] for c, rows in found.items()}
    near_ = {c: lags[c][-1] / claimed[c][-1] for c in lags}
    fast = np.linspace(0, 12 * shown, 61)
    decay = {c: followed(c, begin, shown, fast)["lag"] for c in _LABELS}
    slope = float(np.polyfit(fast, np.log(decay["hessian"]), 1)[0] * shown)
    exact = float(
        np.abs(decay["hessian"] / (decay["hessian"][0] * np.exp(-fast / shown)) - 1).max()
    )
    grid, pair = np.array(windows), (noise[0], noise[1])
    errors = {
        c: [tracking(c, np.array(far), h, grid, time, pair, seeds) for h in steps] for c in _LABELS
    }
    best = {c: [float(row.min()) for row in rows] for c, rows in errors.items()}
    orders = {c: fitted_order(steps, row) for c, row in best.items()}
    inner = sum(0 < int(np.argmin(row)) < len(grid) - 1 for rows in errors.values() for row in rows)
    short = {c: float(rows[-1][0]) for c, rows in errors.items()}
    claims = (
        Claim("The engine finds the lags T H g and (T^2/2) D^3 f[g, g], and none with the Hessian: terms that agree.",
              exactly(6), terms_are_claimed(), SOURCE),
        Claim("The lag of a plain average is of the first order in T: fitted order.",
              near(1, absolute=0.05), fitted_order(times, lags[""]), SOURCE),
        Claim("It is T |H g|: measured to claimed, least T.",
              near(1, absolute=0.05), near_[""], SOURCE),
        Claim("With the look-ahead the lag is of the second order: fitted order.",
              near(2, absolute=0.1), fitted_order(times, lags["look_ahead"]), SOURCE),
        Claim("It is (T^2/2) |D^3 f[g, g]|: measured to claimed, least T.",
              near(1, absolute=0.05), near_["look_ahead"], SOURCE),
        Claim("With the Hessian the lag decays as e^(-t/T), whatever the function: slope of its logarithm in t/T.",
              near(-1, absolute=1e-4), slope, SOURCE),
        Claim("The worst relative distance to that exponential, over twelve T.",
              at_most(1e-4), exact, SOURCE),
        Claim("With noisy gradients, each at its best T: error with the look-ahead to the plain average's.",
              at_most(0.6), best["look_ahead"][-1] / best[""][-1], SOURCE),
        Claim("That with the Hessian is smaller still: to the look-ahead's.",
              below(1), best["hessian"][-1] / best["look_ahead"][-1], SOURCE),
        Claim("The best error of a plain average falls with the step as h^(1/3): fitted order.",
              near(1 / 3, absolute=0.05), orders[""], "derived here"),
        Claim("With the look-ahead as h^(2/5): fitted order.",
              near(0.4, absolute=0.05), orders["look_ahead"], "derived here"),
        Claim("With the Hessian, whose noise adds up, as h^(1/2): fitted order.",
              near(0.5, absolute=0.05), orders["hessian"], "derived here"),
        Claim("Each best T lies inside the grid: number of them.",
              exactly(3 * len(steps)), inner, "measured here"),
        Claim("A short average gains nothing by a correction: error with the Hessian to that without, least T.",
              above(0.95), short["hessian"] / short[""], "limit; measured here"),
        Claim("Noise of the Hessian limits the third: its error at the largest T to its least.",
              above(1.2), float(errors["hessian"][-1][-1] / best["hessian"][-1]), "limit; measured here"),
    )  # fmt: skip
    return Result(
        {"T": times, "lags": lags, "claimed": claimed, "clock": fast / shown, "decay": decay, "windows": windows,
         "errors": {c: rows[-1] for c, rows in errors.items()}, "steps": steps, "best": best}, claims,
    )  # fmt: skip


def draw_transport(data: Mapping[str, Any]) -> Figure:
    figure, axes = panels(2, 2, height=4.8)
    looks: dict[str, dict[str, Any]] = {"": {"color": "black", "marker": "s", "ms": 4}}
    for c in ("look_ahead", "hessian"):
        own = look_of(_METHODS[c])
        looks[c] = {"color": own.color, "marker": own.marker, "ms": 4}
    for c in ("", "look_ahead"):
        axes[0].loglog(data["T"], data["lags"][c], **looks[c], ls="none")
        axes[0].loglog(data["T"], data["claimed"][c], color=looks[c]["color"], lw=0.9,
                       label=r"(a): $T |H g|$" if not c else r"(a): $\frac{1}{2} T^2 |D^3 f[g, g]|$")  # fmt: skip
    slopes(axes[0], [(data["T"], data["lags"][""], 1), (data["T"], data["lags"]["look_ahead"], 2)])
    axes[0].set(xlabel="$T$", ylabel="lag $|d - g|$")
    mark(axes[0], x=data["T"])
    for c, row in data["decay"].items():
        axes[1].semilogy(data["clock"], row, **looks[c], lw=1.2, markevery=4)
    axes[1].semilogy(data["clock"], 0.4 * data["decay"]["hessian"][0] * np.exp(-np.asarray(data["clock"])),
                     color="0.45", ls=(0, (4, 1.5)), lw=1.0, label="(b): $e^{-t/T}$")  # fmt: skip
    axes[1].set(xlabel="time $t/T$", ylabel="lag $|d - g|$")
    for c, row in data["errors"].items():
        axes[2].loglog(data["windows"], row, **looks[c], lw=1.2, label=_LABELS[c])
        axes[3].loglog(data["steps"], data["best"][c], **looks[c], ls="none")
    slopes(axes[3], [(data["steps"], data["best"][c], _ORDERS[c]) for c in _LABELS], factor=0.85)
    axes[3].lines[-len(_LABELS)].set_label(
        r"(d): slopes $\frac{1}{3}$, $\frac{2}{5}$, $\frac{1}{2}$"
    )
    axes[2].set(xlabel="$T$", ylabel=r"$|d - g|$, root mean square")
    axes[3].set(xlabel="step $h$", ylabel=r"$|d - g|$ at the best $T$")
    mark(axes[2], x=(0.01, 0.03, 0.1, 0.3), y=(0.05, 0.1, 0.3, 1, 3))
    mark(axes[3], x=data["steps"], y=(0.03, 0.1, 0.3))
    letter(
        axes,
        [
            "lag of the flow against $T$",
            "lag of the flow against time",
            "noise, smallest step",
            "noise, each at its best $T$",
        ],
    )
    legend_under(figure, axes, ncols=4)
    return figure


FIGURES = (
    PaperFigure(
        "transport", "Averages of gradients that follow the motion: lags of the first and second order, and none.",
        compute_transport, draw_transport,
        {"start": [1.5, -1.0, 0.8], "times": [0.012, 0.006, 0.003], "at": 1.0, "shown": 0.05,
         "far": [4.0, -3.0, 3.0], "steps": [0.008, 0.004, 0.002],
         "windows": [0.01, 0.017, 0.03, 0.05, 0.085, 0.14, 0.24, 0.4, 0.7, 1.2], "time": 3.0,
         "noise": [0.5, 2.5], "seeds": 16},
    ),
)  # fmt: skip
