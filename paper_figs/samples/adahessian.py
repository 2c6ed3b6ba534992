"""AdaHessian under a change of the coordinates' units, and what it takes for the diagonal of the Hessian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_least, at_most, below, exactly, near
from ..drawing import legend_under, letter, look_of, panels
from ..entry import PaperFigure, Result
from .digits_network import accuracies

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "arXiv:2006.00719; derived here"
_TINY = 1e-300  # for eps = 0, without a division of zero by zero


def separable(d: int) -> Any:
    """A sum of quadratics and quartics of the coordinates."""
    import jax.numpy as jnp

    curved = jnp.asarray(np.geomspace(0.3, 3.0, d))
    return lambda p: jnp.sum(curved * p**2) / 2 + jnp.sum(p**4) / 20


def rotated(d: int, seed: int) -> tuple[Any, np.ndarray]:
    """A quadratic with eigenvectors off the axes, and its Hessian."""
    import jax.numpy as jnp

    Q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))
    H = (Q * np.geomspace(0.1, 10.0, d)) @ Q.T
    return (lambda p: p @ (jnp.asarray(H) @ p) / 2), H


def in_units(f: Any, scale: np.ndarray) -> tuple[Any, np.ndarray]:
    """f as a function of x / scale, and the scale."""
    import jax.numpy as jnp

    by = jnp.asarray(scale)
    return lambda p: f(p * by), scale


def values(
    f: Any,
    units: tuple[Any, np.ndarray],
    name: str,
    start: np.ndarray,
    steps: int,
    seed: int,
    **numbers: float,
) -> np.ndarray:
    """f along the iterates in some units, from one point.

    The iterates are brought back to the units 1 before f is taken, so that sums are rounded the same in all units.
    """
    import jax

    fun, scale = units
    drawn: dict[str, Any] = {**numbers, "key": seed} if name == "adahessian" else {**numbers}
    run = od.algorithm(name).run(fun, start / scale, steps, **drawn)
    found = np.asarray(jax.vmap(f)(np.asarray(run.x) * scale))
    return np.where(np.isfinite(found), found, np.inf)


def _lowest(runs: Mapping[float, np.ndarray]) -> float:
    """The rate of the run with the least value at the end."""
    return min(runs, key=lambda h: float(runs[h][-1]))


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest distance of two rows of values, to the first of them."""
    return float(np.abs(one - other).max() / one[0])


def is_row_norms() -> bool:
    """Whether the mean of what the second average follows is diag(H H^T), and not the square of diag H."""
    from ...dynamics.algebra.calculus import vanishes

    x, v = od.blocks("x v")
    b = od.parameters("b")
    H = od.Objective("f").hessian(x)
    found = od.mean(od.system("adahessian").fields["second"].drift[v])
    rows = (od.diagonal(od.apply(H, H)) - v) * b
    square = (od.hadamard(od.diagonal(H), od.diagonal(H)) - v) * b
    return vanishes(found - rows) and not vanishes(found - square)


def compute_units(
    d: int, spread: float, steps: int, rate: float, beta1: float, beta2: float, grid: list[float], small: int,
    slow: float, long: int, rates: list[float], epochs: int, networks: int, seed: int,
) -> Result:  # fmt: skip
    """Values of f in several units, Adam beside, the second average on a quadratic off the axes, and a network.

    Args:
        d: the dimension of the separable function.
        spread: the scales run from 1/spread to spread.
        steps: of the runs.
        rate: of AdaHessian.
        beta1, beta2: of both.
        grid: of rates of Adam; on the quadratic off the axes of both.
        small: the dimension of the quadratic.
        slow: beta2 of the run in which the second average is measured.
        long: steps of that.
        rates: of both on the digits.
        epochs: of a network's training there.
        networks: how many are trained at each rate.
        seed: of start and signs.
    """
    rng = np.random.default_rng(seed)
    start, own = rng.normal(size=d), {"beta1": beta1, "beta2": beta2}
    scales = np.geomspace(1 / spread, spread, d)
    f, without = separable(d), {"eps": _TINY}

    def along(f: Any, name: str, units: Any, start: Any, h: float, **more: float) -> np.ndarray:
        return values(f, units, name, start, steps, seed, h=h, **own, **more)

    changed = in_units(f, scales)
    plain = along(f, "adahessian", in_units(f, np.ones(d)), start, rate, **without)
    scaled = along(f, "adahessian", changed, start, rate, **without)
    # powers of two are exact in floating point; units that are all equal are folded away when a run is compiled
    powers = 2.0 ** np.round(np.log2(scales))
    twos, others = (
        along(f, "adahessian", in_units(f, by), start, rate, **without)
        for by in (powers, powers[::-1])
    )
    usual = along(f, "adahessian", changed, start, rate, eps=1e-8)
    adam = {h: along(f, "adam", changed, start, h, eps=1e-8) for h in grid}
    best = _lowest(adam)
    # off the axes
    g, H = rotated(small, seed)
    begin = rng.normal(size=small)
    wide = in_units(g, np.geomspace(1 / spread, spread, small)[rng.permutation(small)])
    off = {
        name: {h: along(g, name, wide, begin, h, eps=1e-8) for h in grid}
        for name in ("adahessian", "adam")
    }
    tops = {name: _lowest(runs) for name, runs in off.items()}
    turned = {name: runs[tops[name]] for name, runs in off.items()}
    same, other = (
        along(g, "adahessian", units, begin, rate, eps=1e-8)
        for units in (in_units(g, np.ones(small)), wide)
    )
    run = od.algorithm("adahessian").run(
        g, begin, long, key=seed, h=0.01, beta1=beta1, beta2=slow, eps=1e-8
    )
    late = np.asarray(run.states["v"])[long // 4 :]
    seen, rows, square = late.mean(0), (H**2).sum(1), np.diag(H) ** 2
    inner = sum(0 < grid.index(h) < len(grid) - 1 for h in (best, *tops.values()))
    right = {
        name: accuracies(name, rates, 32, epochs, 60, networks, **own, eps=1e-8).mean(1)
        for name in ("adahessian", "adam")
    }
    inner += sum(0 < int(np.argmax(r)) < len(rates) - 1 for r in right.values())
    points = 100 * float(right["adahessian"].max() - right["adam"].max())
    claims = (
        Claim("The engine finds that the second average follows diag(H H^T) in the mean and not the square of diag H.",
              exactly(True), is_row_norms(), SOURCE),
        Claim(f"In units from 1/{spread:g} to {spread:g} f is the same, eps = 0: largest distance, to f at the start.",
              at_most(1e-14), apart(plain, scaled), SOURCE),
        Claim("In two systems of units that are powers of two it is the same to the bit.",
              exactly(True), bool(np.array_equal(twos, others)), SOURCE),
        Claim(f"In those units f after {steps} steps by Adam, at the best rate of a grid, to that by AdaHessian.",
              at_least(100), float(adam[best][-1] / scaled[-1]), SOURCE),
        Claim("Off the axes the second average settles at the squared row norms of H: least of the quotients.",
              near(1, absolute=0.1), float((seen / rows).min()), SOURCE),
        Claim("The largest of these quotients.",
              near(1, absolute=0.1), float((seen / rows).max()), SOURCE),
        Claim("It is not the square of the diagonal: median quotient.",
              above(1.5), float(np.median(seen / square)), "limit; derived here"),
        Claim("Off the axes f depends on the units: largest distance to f at the start, at one rate.",
              above(1e-3), apart(same, other), "limit; derived here"),
        Claim(f"There it has no such lead: after {steps} steps at the best rates its f to that of Adam.",
              above(1e-2), float(turned["adahessian"][-1] / turned["adam"][-1]), "limit; measured here"),
        Claim("With eps = 1e-8 units matter a little: largest distance to f at the start.",
              above(1e-14), apart(plain, usual), "limit; measured here"),
        Claim("Each best rate lies inside the grid: number of them.",
              exactly(5), inner, "measured here"),
        Claim(f"On the digits a network is right as often as by Adam: best of {len(rates)} rates less that of "
              "Adam, in points.", at_least(-1), points, "measured here"),
        Claim("It is not better there: the same difference.",
              below(1), points, "limit; measured here"),
    )  # fmt: skip
    return Result(
        {"plain": plain, "scaled": scaled, "adam": adam[best], "turned": turned, "same": same,
         "other": other, "spread": spread,
         "rates": rates, "right": right, "seen": seen,
         "ends": np.percentile(late, (5, 95), axis=0), "rows": rows, "square": square},
        claims,
    )  # fmt: skip


def draw_units(data: Mapping[str, Any]) -> Figure:
    figure, axes = panels(2, 2, height=5.2)
    look, adam = look_of("adahessian"), look_of("adam")
    steps = np.arange(len(data["plain"]))
    units = rf"units $1/{data['spread']:g}$ to ${data['spread']:g}$"
    first = data["plain"][0]
    axes[0].semilogy(steps, data["adam"] / first, **adam.line, label=f"Adam, best rate, {units}")
    axes[0].semilogy(
        steps, data["plain"] / first, color=look.color, lw=1.4, label="AdaHessian, units 1"
    )
    axes[0].semilogy(steps[::12], data["scaled"][::12] / first, color=look.color, marker="o", mfc="white", ms=4,
                     ls="none", label=f"AdaHessian, {units}")  # fmt: skip
    axes[0].set(xlabel="iteration $k$", ylabel="$f_k / f_0$")
    seen, ends = np.asarray(data["seen"]), np.asarray(data["ends"])
    line = [0.7 * min(data["square"]), 1.4 * max(seen)]
    axes[1].vlines(data["rows"], *ends, color=look.color, lw=0.8, alpha=0.5)
    axes[1].loglog(data["rows"], seen, color=look.color, marker="s", ms=4, ls="none",
                   label=r"against $\sum_j H_{ij}^2$")  # fmt: skip
    axes[1].loglog(data["square"], seen, color="0.45", marker="D", mfc="white", ms=4, ls="none",
                   label="against $H_{ii}^2$")  # fmt: skip
    axes[1].loglog(line, line, color="black", ls=(0, (1, 1.3)), lw=0.9, label="equality")
    axes[1].set(xlabel="square from the Hessian", ylabel="mean of the second average")
    turned, first = data["turned"], data["same"][0]
    axes[2].semilogy(steps, turned["adam"] / first, **adam.line)
    axes[2].semilogy(steps, data["same"] / first, color=look.color, lw=1.4)
    axes[2].semilogy(steps[::12], data["other"][::12] / first, color=look.color, marker="o", mfc="white", ms=4,
                     ls="none")  # fmt: skip
    axes[2].semilogy(steps, turned["adahessian"] / first, color=look.color, ls=(0, (1, 1.2)),
                     label=f"AdaHessian, best rate, {units}")  # fmt: skip
    axes[2].set(xlabel="iteration $k$", ylabel="$f_k / f_0$")
    right = data["right"]
    axes[3].semilogx(data["rates"], 100 * np.asarray(right["adam"]), **adam.line)
    own = 100 * np.asarray(right["adahessian"])
    axes[3].semilogx(data["rates"], own, color=look.color, lw=1.4)
    axes[3].set(xlabel="learning rate $h$", ylabel="right on unseen digits, per cent")
    letter(axes, ["on the axes", "what it averages", "off the axes", "a network on the digits"])
    legend_under(figure, axes, ncols=3)
    return figure


FIGURES = (
    PaperFigure(
        "units", "AdaHessian: indifferent to the units of the coordinates, where the Hessian is diagonal.",
        compute_units, draw_units,
        {"d": 24, "spread": 100.0, "steps": 200, "rate": 0.15, "beta1": 0.9, "beta2": 0.99,
         "grid": [1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0], "small": 12, "slow": 0.999, "long": 20000,
         "rates": [1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0], "epochs": 20, "networks": 8, "seed": 0},
    ),
)  # fmt: skip
