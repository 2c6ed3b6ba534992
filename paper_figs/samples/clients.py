"""Federated averaging on the digits: local steps, the point of rest that they move, and fewer numbers sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_most, below, between, exactly, near
from ..drawing import fitted_order, legend_under, letter, look_of, panels, slopes
from ..entry import PaperFigure, Result
from .directions import softmax_loss

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "derived here; the method is that of McMahan et al. 2017"


def clients_of_digits(each: int, classes: int, ridge: float, pixel: int = 1) -> tuple[Any, int]:
    """Softmax regression of the digits over ten clients with so many rows each, sorted by their digits in part.

    Client c has rows of the digits c, ..., c + classes - 1, modulo ten. A pixel is the mean of so many by so many.
    """
    import jax.numpy as jnp
    from sklearn.datasets import load_digits

    found = load_digits()
    n = 8 // pixel
    small = found.images.reshape(-1, n, pixel, n, pixel).mean((2, 4)).reshape(-1, n * n) / 16
    X = np.column_stack([small, np.ones(len(found.target))])
    rows = {k: list(np.flatnonzero(found.target == k)) for k in range(10)}
    picked = [[rows[(c + i % classes) % 10].pop() for i in range(each)] for c in range(10)]
    data = jnp.asarray(X[picked]), jnp.asarray(found.target[picked])

    loss = lambda w, client: softmax_loss(w, client[0], client[1], ridge)
    return od.FiniteSum("f", loss, data), 10 * X.shape[1]


def round_of_all(f: Any, steps: int) -> Any:
    """The mean of a round over all clients, as a function of the point and h: what a round is in the mean."""
    import jax
    import jax.numpy as jnp

    from ...discretize.emit import load

    method = od.algorithm("federated_averaging", clients=1, local_steps=steps)
    module = load(method, "jax")
    count = len(jax.tree.leaves(f.data)[0])

    def one(x: Any, h: Any, c: Any) -> Any:
        row = jax.tree.map(lambda leaf: leaf[c], f.data)
        gradient = jax.grad(f.row_fun)
        known = module.coefficients(h)
        state = module.init(x)
        after = module.step(state, lambda p, _: gradient(p, row), known, jax.random.key(0))
        return module.output(after, known)

    return lambda x, h: jnp.mean(jax.vmap(one, (None, None, 0))(x, h, jnp.arange(count)), 0)


def minimizer(f: Any, d: int) -> Any:
    """By Newton's method from zero."""
    import jax
    import jax.numpy as jnp

    fall, bend = jax.jit(jax.grad(f.fun)), jax.jit(jax.hessian(f.fun))
    x = jnp.zeros(d)
    for _ in range(30):
        step = jnp.linalg.solve(bend(x), fall(x))
        x = x - step / max(1.0, float(jnp.linalg.norm(step)) / 3)
        if float(jnp.linalg.norm(fall(x))) < 1e-13:
            break
    return x


def drift_of_clients(f: Any, x: Any) -> Any:
    """E[H_c g_c], the mean over the clients of their gradients' derivatives along themselves."""
    import jax
    import jax.numpy as jnp

    def own(row: Any) -> Any:
        g = jax.grad(f.row_fun)
        return jax.jvp(lambda p: g(p, row), (x,), (g(x, row),))[1]

    return jnp.mean(jax.vmap(own)(f.data), 0)


def shift_per_step(f: Any, steps: int, best: Any) -> Any:
    """How the point of rest moves by h, as the modified equation says."""
    import jax
    import jax.numpy as jnp

    bent = jnp.linalg.solve(jax.hessian(f.fun)(best), drift_of_clients(f, best))
    return bent * (steps - 1) / (2 * steps)


def shifts(f: Any, steps: int, sizes: list[float], best: Any) -> tuple[np.ndarray, np.ndarray]:
    """How far the point of rest of the mean round is from the minimizer, and from where it is predicted, by h."""
    import jax
    import jax.numpy as jnp

    mean = round_of_all(f, steps)
    moved = jax.jit(lambda x, h: mean(x, h) - x)
    slope = jax.jit(jax.jacobian(moved))
    predicted, found = shift_per_step(f, steps, best), []
    for h in sizes:
        x = best + h * predicted
        for _ in range(12):
            x = x - jnp.linalg.solve(slope(x, h), moved(x, h))
        ends = x - best, x - best - h * predicted
        found.append([float(jnp.linalg.norm(v)) for v in ends])
    return np.array(found)[:, 0], np.array(found)[:, 1]


def errors_of_round(f: Any, steps: int, sizes: list[float], x: Any) -> np.ndarray:
    """How far the mean round is from the flow of its modified equation, by h."""
    import jax
    import jax.numpy as jnp

    mean = jax.jit(round_of_all(f, steps))
    share, g = (steps - 1) / (2 * steps), jax.grad(f.fun)(x)
    bent = drift_of_clients(f, x)
    ends = [x - h * g + h**2 * share * bent for h in sizes]
    return np.array(
        [float(jnp.linalg.norm(mean(x, h) - e)) for h, e in zip(sizes, ends, strict=True)]
    )


def losses(
    f: Any, d: int, rounds: int, rates: list[float], seed: int, values: dict[str, float] | None = None,
    **options: Any,
) -> np.ndarray:  # fmt: skip
    """The losses by rate and round."""
    import jax
    import jax.numpy as jnp

    from ...discretize.emit import load

    module = load(od.algorithm("federated_averaging", **options), "jax")

    def batch(x: Any, u: Any) -> Any:
        c = jnp.minimum((u * f.rows).astype(int), f.rows - 1)
        return jax.grad(f.row_fun)(x, jax.tree.map(lambda leaf: leaf[c], f.data))

    def run(rate: Any) -> Any:
        known = module.coefficients(h=rate, **(values or {}))

        def body(state: Any, key: Any) -> Any:
            return module.step(state, batch, known, key), f.fun(module.output(state, known))

        keys = jax.random.split(jax.random.key(seed), rounds)
        end, row = jax.lax.scan(body, module.init(jnp.zeros(d)), keys)
        return jnp.append(row, f.fun(module.output(end, known)))

    return np.asarray(jax.jit(jax.vmap(run))(jnp.asarray(rates)))


def compute_clients(
    each: int, classes: int, ridge: float, pixels: list[int], picked: int, steps: int, rows: int, rounds: int,
    rates: list[float],
    goal: float, bound: float, sigma: float, sizes: list[float], seed: int,
) -> Result:  # fmt: skip
    """Mean rounds and points of rest against the modified equation, and losses by rounds and rates.

    Args:
        each: rows of the digits of a client.
        classes: of which they are.
        ridge: of the loss.
        pixels: their width, of the runs and of the points of rest.
        picked: clients in a round, of ten.
        steps: local ones.
        rows: of the sketch.
        rounds: of a run.
        rates: the grid of h, of all.
        goal: a loss, to which rounds are counted.
        bound: of the private gradients.
        sigma: of their noise.
        sizes: h, for the orders.
        seed: of clients and sketches.
    """
    f, d = clients_of_digits(each, classes, ridge, pixels[1])
    best = minimizer(f, d)
    away = best + 0.1 * np.random.default_rng(seed).standard_normal(d)
    off = errors_of_round(f, steps, sizes, away)
    moved, beside = shifts(f, steps, sizes, best)
    still, _ = shifts(f, 1, sizes[-1:], best)
    slope = float(np.linalg.norm(shift_per_step(f, steps, best)))
    f, d = clients_of_digits(each, classes, ridge, pixels[0])
    low = float(f.fun(minimizer(f, d)))
    kept: dict[str, Any] = {"clients": picked, "local_steps": steps}
    private = {"bound": bound, "sigma": sigma}
    found = {
        "one": losses(f, d, rounds, rates, seed, clients=picked, local_steps=1),
        "local": losses(f, d, rounds, rates, seed, **kept),
        "sketch": losses(f, d, rounds, rates, seed, rows=rows, **kept),
        "private": losses(f, d, rounds, rates, seed, private, private=True, **kept),
    }
    ends = {n: np.where(np.isfinite(r[:, -1]), r[:, -1], np.inf) for n, r in found.items()}
    at = {n: int(np.argmin(row)) for n, row in ends.items()}
    least = {n: float(row[at[n]]) for n, row in ends.items()}
    inner = sum(0 < k < len(rates) - 1 for k in at.values())
    reached = {}  # infinitely many, where it is not reached
    for n, r in found.items():
        first = [int(np.argmax(row <= goal)) for row in r if np.any(row <= goal)]
        reached[n] = min(first, default=np.inf)
    claims = (
        Claim("The mean of a round is the flow of x' = -g - h/2 H g + h (K - 1)/(2 K) E[H_c g_c], through h^2: order "
              "of the difference in h.", between(2.9, 3.1), fitted_order(sizes, off), SOURCE),
        Claim("Local steps move the point of rest by h (K - 1)/(2 K) H^-1 E[H_c g_c]: order of what is left in h.",
              between(1.9, 2.1), fitted_order(sizes, beside), SOURCE),
        Claim("The same: measured to predicted length, at the shortest step.", near(1, absolute=0.02),
              float(moved[0] / (sizes[0] * slope)), SOURCE),
        Claim("One local step moves it not at all.", at_most(1e-9), float(still[0]), SOURCE),
        Claim("Each best rate lies inside the grid: number of them.", exactly(len(ends)), inner, "measured here"),
        Claim(f"{rows} of {d} numbers sent: loss after {rounds} rounds to that of all, each at its best rate.",
              at_most(1.1), least["sketch"] / least["local"], "measured here"),
        Claim(f"Rounds to the loss {goal:g}, at the best rate for it: {steps} local steps to one.", below(1),
              reached["local"] / reached["one"], "measured here"),
        Claim("But the end is no nearer to the minimum: gaps at the best rates, local steps to one.", above(1),
              (least["local"] - low) / (least["one"] - low), "limit; measured here"),
        Claim("A sketch costs more than its ratio of losses says: gap to the minimum to that of all numbers.",
              above(2), (least["sketch"] - low) / (least["local"] - low), "limit; measured here"),
        Claim(f"Clipped to {bound:g} with noise {sigma:g} in each local gradient: gap to that without.", above(1),
              (least["private"] - low) / (least["local"] - low), "limit; measured here"),
    )  # fmt: skip
    return Result(
        {
            "sizes": sizes,
            "off": off,
            "moved": moved,
            "beside": beside,
            "slope": slope,
            "paths": {n: r[at[n]] for n, r in found.items()},
            "rates": rates,
            "ends": ends,
            "low": low,
            "names": [f"{steps} local steps", f"the same, {rows} of {d} numbers sent"],
        },
        claims,
    )


def draw_clients(data: Mapping[str, Any]) -> Figure:
    figure, axes = panels(1, 3, height=2.9)
    look, sizes = look_of("federated_averaging"), np.asarray(data["sizes"])
    own: dict[str, Any] = {"color": look.color, "ls": "none", "ms": 4}
    axes[0].loglog(sizes, data["moved"], marker="o", label="point of rest moved", **own)
    axes[0].loglog(sizes, sizes * data["slope"], color="black", lw=0.9, label="predicted")
    axes[0].loglog(sizes, data["beside"], marker="s", mfc="white", label="rest, less predicted", **own)  # fmt: skip
    axes[0].loglog(sizes, data["off"], marker="^", label="mean round, less flow", **own)
    slopes(axes[0], [(sizes, data["beside"], 2), (sizes, data["off"], 3)])
    axes[0].set(xlabel="round's time $h$", ylabel="distance")
    local, sketch = data["names"]
    styles = {
        "one": ("one local step", "-", "0.45"),
        "local": (local, "-", look.color),
        "sketch": (sketch, (0, (5, 1.5)), look.color),
        "private": ("clipped and noisy gradients", (0, (1, 1.2)), look.color),
    }
    for name, (label, dash, color) in styles.items():
        row, ends = np.asarray(data["paths"][name]), np.asarray(data["ends"][name])
        line: dict[str, Any] = {"lw": 1.2, "color": color, "ls": dash}
        axes[1].plot(np.arange(len(row)), row, label=label, **line)
        axes[2].semilogx(data["rates"], np.where(ends < 2, ends, np.nan), **line)
    for axis in axes[1:]:
        axis.axhline(data["low"], color="0.55", lw=0.8, label="minimum" if axis is axes[1] else "_")
    axes[1].set(xlabel="round", ylabel="loss at the best rate", ylim=(0.6, 1.5))
    axes[2].set(xlabel="round's time $h$", ylabel="final loss", ylim=(0.6, 1.5))
    letter(axes, ["means and modified equation", "digits, ten clients", "final loss"])
    legend_under(figure, axes, ncols=3)
    return figure


FIGURES = (
    PaperFigure(
        "clients", "Federated averaging: what local steps move, and how few numbers are sent.",
        compute_clients, draw_clients,
        {"each": 40, "classes": 5, "ridge": 1e-2, "pixels": [1, 2], "picked": 5, "steps": 5, "rows": 65, "rounds": 300,
         "rates": [0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0], "goal": 1.0, "bound": 1.0, "sigma": 0.1,
         "sizes": [0.01, 0.02, 0.05, 0.12], "seed": 0},
    ),
)  # fmt: skip
