"""Policy gradients with averages that follow the motion: how far they are from the gradient of a decision process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_most, below, near
from ..drawing import fitted_order, legend_under, letter, look_of, mark, panels, slopes
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "arXiv:2302.01734; the process and its sizes are made here"
_LABELS = {
    "": "no correction",
    "look_ahead": "look-ahead (N-PG-IGT)",
    "hessian": "Hessian (N-HARPG)",
}
_METHODS = {"look_ahead": "implicit_gradient_transport", "hessian": "hessian_aided_momentum"}
_SHARES = {
    "": 2 / 3,
    "look_ahead": 4 / 5,
    "hessian": 1.0,
}  # exponents of the weight of a new estimate
_ORDERS = {
    "": -0.3333,
    "look_ahead": -2 / 5,
    "hessian": -1 / 2,
}  # of the error, where noise and lag balance
_EVERY = 10  # steps between two looks
_TAIL = 0.2  # of the steps up to a count, over which an error is averaged


def decision_process(
    states: int, actions: int, length: int, discount: float, ridge: float, seed: int
) -> Any:
    """A softmax policy's negative return in a random decision process, with ridge/2 |w|^2, its exact value known.

    Transitions are Dirichlet(1/2), rewards uniform in (-1, 1). An outcome is a trajectory of states and actions.
    """
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(seed)
    moves = jnp.asarray(rng.dirichlet(np.full(states, 0.5), (states, actions)))
    rewards = jnp.asarray(rng.uniform(-1, 1, (states, actions)))
    weights = discount ** np.arange(length)

    def logits(w: Any) -> Any:
        return jax.nn.log_softmax(w.reshape(states, actions), 1)

    def value(w: Any) -> Any:
        policy = jnp.exp(logits(w))

        def back(after: Any, _: Any) -> Any:
            return jnp.sum(policy * (rewards + discount * (moves @ after)), 1), None

        first, _ = jax.lax.scan(back, jnp.zeros(states), None, length=length)
        return ridge / 2 * (w @ w) - jnp.mean(first)

    follow = jnp.cumsum(moves, -1)[..., :-1]

    def drawn(w: Any, key: Any) -> Any:
        choose, numbers = (
            jnp.cumsum(jnp.exp(logits(w)), 1)[:, :-1],
            jax.random.uniform(key, (length + 1, 2)),
        )

        def step(s: Any, u: Any) -> Any:
            a = jnp.sum(choose[s] < u[0])
            return jnp.sum(follow[s, a] < u[1]), (s, a)

        start = jnp.floor(states * numbers[0, 0]).astype(int)
        return jax.lax.scan(step, start, numbers[1:])[1]

    def cost(w: Any, path: Any) -> Any:
        return ridge / 2 * (w @ w) - rewards[path] @ jnp.asarray(weights)

    return od.Expectation(
        "f", drawn, lambda w, path: jnp.sum(logits(w)[path]), cost, fun=value,
        dimension=states * actions,
    )  # fmt: skip


def following(
    correction: str, f: Any, steps: int, seeds: int
) -> Callable[[float], tuple[np.ndarray, np.ndarray]]:
    """A function of the rate: squares of d - grad f and values of f by seed, after every ten steps.

    Steps have the length 2 rate/(t + 2). A new estimate has the weight (2/(t + 2))^p, with the exponent p of the
    correction.
    """
    import jax
    import jax.numpy as jnp

    from ...discretize.emit import load

    batch, gradient, share = f.oracles["batch"], jax.grad(f.fun), _SHARES[correction]
    if correction:
        method = od.algorithm(_METHODS[correction], normalized=True, noise="minibatch")
    else:
        parts = od.scheme("lie_trotter", [("average", "frozen exact"), ("descent", "explicit")])
        flow = od.system("averaged_gradient_flow", normalized=True, batched=True)
        method = od.Algorithm(flow, parts)
    module = load(method, "jax")
    product = lambda w, v, u: jax.jvp(lambda z: batch(z, u), (w,), (v,))[1]
    asked: tuple[Callable[..., Any], ...] = (
        (product, batch) if correction == "hessian" else (batch,)
    )

    def one(key: Any, rate: Any) -> Any:
        def step(both: Any, timed: Any) -> Any:
            state, (t, key) = both[0], timed
            h, kept = rate * 2 / (t + 2), jnp.maximum(1 - (2 / (t + 2)) ** share, 1e-12)
            known = module.coefficients(h, kept if correction else -h / jnp.log(kept))
            after = module.step(state, *asked, known, key)
            # the average is one of estimates at the end of a step, or at its beginning
            return (after, after.x if correction == "hessian" else state.x), None

        def look(both: Any, timed: Any) -> Any:
            (state, at), _ = jax.lax.scan(step, both, timed)
            return (state, at), (jnp.sum((state.d - gradient(at)) ** 2), f.fun(at))

        begin = module.init(jnp.zeros(f.dimension), gradient)
        times = jnp.arange(1.0, steps + 1), jax.random.split(key, steps)
        parts = jax.tree.map(lambda a: a.reshape(-1, _EVERY, *a.shape[1:]), times)
        return jax.lax.scan(look, (begin, begin.x), parts)[1]

    every, keys = jax.jit(jax.vmap(one, (0, None))), jax.random.split(jax.random.key(0), seeds)

    def followed(rate: float) -> tuple[np.ndarray, np.ndarray]:
        errors, values = every(keys, rate)
        return np.asarray(errors), np.asarray(values)

    return followed


def error_at(squares: np.ndarray, count: int) -> float:
    """The root mean square over seeds and over the last fifth of so many steps."""
    last = count // _EVERY
    return float(np.sqrt(np.mean(squares[:, int((1 - _TAIL) * last) : last])))


def compute_policy(
    states: int, actions: int, length: int, discount: float, ridge: float, seed: int, rate: float, long: float,
    counts: list[int], seeds: int,
) -> Result:  # fmt: skip
    """Errors of three averages of policy gradients, one trajectory an estimate.

    Args:
        states, actions, length, discount: of the process, whose trajectories have so many actions.
        ridge: curvature that keeps the policy random.
        seed: of the process.
        rate: of the steps.
        long: a rate that is too large for the third average.
        counts: steps at which errors are looked at.
        seeds: of the trajectories.
    """
    f = decision_process(states, actions, length, discount, ridge, seed)
    least = float(od.minimize(f, np.zeros(f.dimension)).fun)
    errors: dict[str, list[float]] = {}
    gaps: dict[str, np.ndarray] = {}
    walks = {c: following(c, f, max(counts), seeds) for c in _LABELS}
    for c, walk in walks.items():
        squares, values = walk(rate)
        errors[c] = [error_at(squares, n) for n in counts]
        gaps[c] = np.mean(values, 0) - least
        if c == "hessian":  # two trajectories in a step
            halved = error_at(squares, max(counts) // 2)
    orders = {c: fitted_order(counts, row) for c, row in errors.items()}
    far = {c: error_at(walks[c](long)[0], max(counts)) for c in _METHODS}
    shown = np.unique(np.geomspace(1, max(counts) // _EVERY, 60).astype(int)) - 1
    claims = (
        Claim("After the most steps: error with the look-ahead to that without a correction.",
              at_most(0.6), errors["look_ahead"][-1] / errors[""][-1], SOURCE),
        Claim("With the Hessian, after half as many steps of two trajectories: to the look-ahead's.",
              below(1), halved / errors["look_ahead"][-1], SOURCE),
        *(Claim(f"Order of the error in the steps, {label}.", near(_ORDERS[c], absolute=0.1), orders[c],
                "derived here, where noise and lag balance") for c, label in _LABELS.items()),
        Claim("The order with the look-ahead less that without a correction.",
              below(0), orders["look_ahead"] - orders[""], SOURCE),
        Claim("The order with the Hessian less that with the look-ahead.",
              below(0), orders["hessian"] - orders["look_ahead"], SOURCE),
        Claim("What is left of f - min f at the end, the worst of the three, to that after ten steps.",
              at_most(0.04), max(float(row[-1] / row[0]) for row in gaps.values()), "measured here"),
        Claim("With steps that are too long the Hessian's own noise adds up: its error to the look-ahead's.",
              above(1.2), far["hessian"] / far["look_ahead"], "limit; measured here"),
    )  # fmt: skip
    return Result(
        {"counts": counts, "errors": errors, "shown": _EVERY * (shown + 1),
         "gaps": {c: g[shown] for c, g in gaps.items()}},
        claims,
    )  # fmt: skip


def draw_policy(data: Mapping[str, Any]) -> Figure:
    figure, axes = panels(1, 2, height=2.7)
    for c, label in _LABELS.items():
        look: dict[str, Any] = {"color": "black", "marker": "s"}
        if c:
            own = look_of(_METHODS[c])
            look = {"color": own.color, "marker": own.marker}
        axes[0].loglog(data["counts"], data["errors"][c], **look, ms=4, ls="none", label=label)
        axes[1].loglog(data["shown"], data["gaps"][c], **look, ms=3, lw=1.2, markevery=6)
    slopes(axes[0], [(data["counts"], data["errors"][c], _ORDERS[c]) for c in _LABELS], factor=0.8)
    axes[0].lines[-len(_LABELS)].set_label(
        r"(a): slopes $-\frac{1}{3}$, $-\frac{2}{5}$, $-\frac{1}{2}$"
    )
    axes[0].set(xlabel="steps", ylabel=r"$|d - \nabla f|$, root mean square")
    axes[1].set(xlabel="steps", ylabel=r"$f - \min f$")
    mark(axes[0], y=(0.05, 0.1, 0.2, 0.5))
    letter(axes, ["error of the average", "value"])
    legend_under(figure, axes, ncols=2)
    return figure


FIGURES = (
    PaperFigure(
        "policy", "Policy gradients: averages that follow the motion are nearer to the gradient.",
        compute_policy, draw_policy,
        {"states": 5, "actions": 4, "length": 10, "discount": 0.95, "ridge": 0.1, "seed": 3, "rate": 1.0, "long": 6.0,
         "counts": [1000, 2000, 5000, 10000, 20000], "seeds": 32},
    ),
)  # fmt: skip
