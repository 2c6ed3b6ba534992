"""M-FAC on softmax regression of the digits: its solve against the dense one, its cost, and three peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_most, below
from ..drawing import legend_under, letter, look_of, mark, panels
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "arXiv:2107.03356; derived here"
_PEERS = {
    "sgd": "Stochastic gradient descent",
    "momentum": "Heavy ball, momentum 0.9",
    "adam": "Adam",
}
Carry = Any


def batches(size: int, epochs: int, seed: int) -> tuple[Any, Any, np.ndarray]:
    """The digits' pixels with a column of ones, their labels, and the rows of each step."""
    from sklearn.datasets import load_digits

    found = load_digits()
    X, y = np.column_stack([found.data / 16, np.ones(len(found.target))]), found.target
    rng, rows = np.random.default_rng(seed), []
    for _ in range(epochs):
        order = rng.permutation(len(y))
        rows += [order[i : i + size] for i in range(0, len(y) - size + 1, size)]
    return X, y, np.array(rows)


def loss(w: Any, X: Any, y: Any) -> Any:
    """Mean cross-entropy of softmax regression."""
    import jax
    import jax.numpy as jnp

    z = X @ w.reshape(X.shape[1], -1)
    return jnp.mean(jax.nn.logsumexp(z, 1) - jnp.take_along_axis(z, y[:, None], 1)[:, 0])


def emitted(window: int) -> Any:
    """The module of M-FAC in JAX."""
    from ...discretize.emit import load

    return load(od.algorithm("m_fac", window=window), "jax")


def apart(
    window: int, rate: float, damping: float, data: tuple[Any, Any, np.ndarray]
) -> np.ndarray:
    """The relative distance of each direction from that of a dense solve with the last gradients."""
    import jax

    X, y, rows = data
    module, gradient = emitted(window), jax.jit(jax.grad(loss))
    numbers = module.coefficients(rate, damping)
    step = jax.jit(lambda state, g: module.step(state, lambda _: g, numbers))
    at = np.zeros(X.shape[1] * 10)
    state, found = module.init(at), []
    kept: list[np.ndarray] = []
    for b in rows:
        g = np.asarray(gradient(state.x, X[b], y[b]))
        kept = [*kept, g][-window:]
        after = step(state, g)
        fisher = damping * np.eye(len(g)) + sum(np.outer(v, v) for v in kept) / window
        dense = np.linalg.solve(fisher, g)
        moved = np.asarray(state.x - after.x) / rate
        found.append(np.linalg.norm(moved - dense) / np.linalg.norm(dense))
        state = after
    return np.array(found)


def flops(window: int, size: int) -> float:
    """Floating-point operations of a compiled step."""
    import jax
    import jax.numpy as jnp

    module, g = emitted(window), jnp.zeros(size, jnp.float32)
    numbers = module.coefficients(0.1, 0.3)
    step = jax.jit(lambda state, g: module.step(state, lambda _: g, numbers))
    cost: Any = step.lower(module.init(g), g).compile().cost_analysis()
    return float((cost[0] if isinstance(cost, list) else cost)["flops"])


def trained(
    window: int, damping: float, data: tuple[Any, Any, np.ndarray]
) -> dict[str, Callable[[float], Any]]:
    """The loss after all batches as a function of the rate, for each method."""
    import jax
    import jax.numpy as jnp
    import optax

    X, y, rows = (jnp.asarray(a) for a in data)
    module, start = emitted(window), jnp.zeros(X.shape[1] * 10)

    def whole(step: Callable[[Carry, Any], Carry], begin: Carry) -> Any:
        end, _ = jax.lax.scan(
            lambda s, b: (step(s, jax.grad(loss)(s[0], X[b], y[b])), None), begin, rows
        )
        return loss(end[0], X, y)

    def m_fac(rate: float) -> Any:
        numbers = module.coefficients(rate, damping)

        def step(s: Carry, g: Any) -> Carry:
            after = module.step(s[1], lambda _: g, numbers)
            return after.x, after

        return whole(step, (start, module.init(start)))

    def peer(transform: Any) -> Callable[[float], Any]:
        def step(rate: float, s: Carry, g: Any) -> Carry:
            d, state = transform.update(g, s[1])
            return s[0] - rate * d, state

        return lambda rate: whole(lambda s, g: step(rate, s, g), (start, transform.init(start)))

    peers = {"sgd": optax.identity(), "momentum": optax.trace(0.9), "adam": optax.scale_by_adam()}
    return {"m_fac": m_fac, **{name: peer(t) for name, t in peers.items()}}


def compute_window(
    window: int, damping: float, rate: float, batch: int, epochs: int, seed: int,
    sizes: list[int], windows: list[int], rates: list[float],
) -> Result:  # fmt: skip
    """The solve beside a dense one, the count of operations, and the loss at each rate of a grid.

    Args:
        window: m, the number of gradients.
        damping: delta.
        rate: of the run beside the dense solve.
        batch: rows of a gradient.
        epochs: of the trainings; the run beside the dense solve is the first.
        seed: of the order of the rows.
        sizes: numbers of parameters for which operations are counted, at equal distances.
        windows: numbers of gradients for which they are.
        rates: grid of rates of all methods.
    """
    import jax

    data = batches(batch, epochs, seed)
    first = len(data[2]) // epochs
    distance = apart(window, rate, damping, (data[0], data[1], data[2][: max(first, window + 8)]))
    with jax.enable_x64(False):
        counts = {str(m): [flops(m, d) for d in sizes] for m in windows}
    bent = max(float(np.abs(np.diff(row, 2)).max()) for row in counts.values())
    slope = {m: (row[-1] - row[0]) / (sizes[-1] - sizes[0]) for m, row in counts.items()}
    with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in whole numbers
        curves = {
            name: [float(v) for v in map(jax.jit(run), rates)]
            for name, run in trained(window, damping, data).items()
        }
    best = {name: float(np.nanmin(row)) for name, row in curves.items()}
    claims = (
        Claim("A direction equals that of a dense solve with the last gradients: worst relative distance.",
              at_most(1e-10), float(distance.max()), SOURCE),
        Claim("The operations of a compiled step are affine in the number d of parameters: second differences.",
              at_most(0), bent, SOURCE),
        *(Claim(f"They are those of two products with the window, 4 m d for m = {m}, and few more: per d, over 4 m.",
                at_most(1 + 3 / int(m)), value / (4 * int(m)), SOURCE) for m, value in slope.items()),
        Claim("It trains further than the stochastic gradient alone, at the best rates of one grid: ratio of losses.",
              below(1), best["m_fac"] / best["sgd"], "measured here"),
        *(Claim(f"It does not train further than {said}: ratio of losses.",
                above(1), best["m_fac"] / best[name], "limit; measured here")
          for name, said in (("momentum", "momentum"), ("adam", "Adam"))),
    )  # fmt: skip
    return Result(
        {"distance": distance, "sizes": sizes, "counts": counts, "rates": rates, "curves": curves, "window": window},
        claims,
    )  # fmt: skip


def draw_window(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 3, height=2.9)
    looks = {
        "m_fac": look_of("m_fac"),
        "sgd": look_of("sgd"),
        "momentum": look_of("heavy_ball"),
        "adam": look_of("adam"),
    }
    axes[0].semilogy(
        np.arange(1, len(data["distance"]) + 1), data["distance"], color=looks["m_fac"].color
    )
    axes[0].axvline(data["window"], color="0.6", lw=0.8, ls=(0, (4, 2)))
    axes[0].text(
        data["window"], 3e-13, "window full ", ha="right", fontsize=style.SMALL, color="0.35"
    )
    axes[0].set(
        xlabel="iteration $k$", ylabel="distance to the dense direction", ylim=(1e-16, 1e-12)
    )
    sizes = np.asarray(data["sizes"], float)
    for i, (m, row) in enumerate(data["counts"].items()):
        axes[1].plot(
            sizes / 1e3,
            np.asarray(row) / 1e6,
            color=style.TINTS[i],
            marker="osD"[i],
            ms=3.5,
            lw=0.9,
        )
        axes[1].annotate(f"$m = {m}$", (sizes[-1] / 1e3, row[-1] / 1e6), xytext=(-4, 5), ha="right",
                         textcoords="offset points", fontsize=style.SMALL, color=style.TINTS[i])  # fmt: skip
    axes[1].set(xlabel="parameters $d$, in thousands", ylabel="operations per step, $10^6$")
    axes[1].margins(y=0.15)
    for name, row in data["curves"].items():
        label = "M-FAC" if name == "m_fac" else _PEERS[name]
        axes[2].loglog(
            data["rates"], row, marker=looks[name].marker, ms=3, **looks[name].line, label=label
        )
    axes[2].set(xlabel="rate", ylabel="loss on the digits", ylim=(0.05, 8))
    mark(axes[2], y=(0.1, 0.3, 1, 3))
    letter(axes, [f"the solve, $m = {data['window']}$", "affine in $d$", "one grid of rates"])
    legend_under(figure, axes, ncols=4)
    return figure


FIGURES = (
    PaperFigure(
        "window", "M-FAC: a solve with the last gradients, at a cost that is affine in the number of parameters.",
        compute_window, draw_window,
        {"window": 32, "damping": 0.01, "rate": 0.03, "batch": 64, "epochs": 3, "seed": 0,
         "sizes": [1000, 2000, 3000, 4000], "windows": [8, 32],
         "rates": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]},
    ),
)  # fmt: skip
