"""Local regularization under every adjoint and solver (arXiv 2303.02262): one penalty, one gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..claims import Claim, at_most, exactly
from ..drawing import letter
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SOURCE = "arXiv:2303.02262, abstract"
REFERENCE = "RecursiveCheckpointAdjoint"
# Compiled to run once: to optimize the programs would take longer than they do.
_ONCE: Any = {
    "compiler_options": {
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
    }
}
ADJOINTS = (REFERENCE, "DirectAdjoint", "ForwardMode", "BacksolveAdjoint")


def compute(
    ode: Sequence[str],
    sde: Sequence[str],
    quantities: Sequence[str],
    width: int,
    rtol: float,
    seed: int,
) -> Result:
    """The derivative of the local penalty and of a loss along one direction of the weights, by each adjoint.

    Args:
        ode, sde: names of diffrax solvers for the one and the other; an SDE's diffusion is diagonal.
        quantities: of the penalty: "error", and for ODEs stiffness by "jvp".
        width: of the network's hidden layer.
        rtol: of the solves (atol too); of SDEs its square root.
        seed: of weights, noise and the penalty's time.
    """
    import diffrax as dfx
    import numpy as np

    from ...neural_de import error

    cases = [(s, q, False) for s in ode for q in quantities] + [(s, "error", True) for s in sde]
    names = [f"{s}, {'SDE' if noisy else 'ODE'}, {q}" for s, q, noisy in cases]
    rows, grid = [], np.zeros((len(cases), len(ADJOINTS)))
    totals = np.zeros_like(grid)
    for i, (solver, quantity, noisy) in enumerate(cases):
        found = {a: _derivatives(solver, quantity, noisy, a, width, rtol, seed) for a in ADJOINTS}
        penalty, loss = found[REFERENCE]
        for j, a in enumerate(ADJOINTS):
            grid[i, j] = abs(found[a][0] - penalty) / abs(penalty)
            totals[i, j] = abs(found[a][1] - loss) / abs(loss)
            rows.append([names[i], a, *found[a], grid[i, j], totals[i, j]])
    columns = [
        "solver",
        "adjoint",
        *(f"{x}, {y}" for y in ("derivative", "difference") for x in ("penalty", "loss")),
    ]
    both = grid[:, 1:].max(), totals[: len(cases) - len(sde), 1:].max()
    backsolve: Any = dfx.BacksolveAdjoint  # carries no types
    refused = _refuses(error(), backsolve())
    claims = (
        Claim("The local penalty's gradient is the same under every adjoint: largest relative difference",
              at_most(1e-9), float(both[0]), _SOURCE),
        Claim("That of an ODE's loss differs by the solve's accuracy at most, relative", at_most(1e-3), float(both[1]),
              _SOURCE),
        Claim("The penalty on all steps has no gradient under BacksolveAdjoint, and is refused", exactly(True), refused,
              "arXiv:2105.03918"),
    )  # fmt: skip
    data = {
        "table": {"columns": columns, "rows": rows}, "names": names, "adjoints": list(ADJOINTS), "penalty": grid,
        "loss": totals,
    }  # fmt: skip
    return Result(data, claims)


def _refuses(penalty: Any, adjoint: Any) -> bool:
    from ..._support.errors import OdescentError

    try:
        penalty.check_adjoint(adjoint)
    except OdescentError:
        return True
    return False


def _derivatives(
    solver: str, quantity: str, noisy: bool, adjoint: str, width: int, rtol: float, seed: int
) -> tuple[float, float]:
    """Of the penalty and of the loss, along a fixed direction of all weights."""
    import diffrax as dfx
    import jax
    import jax.numpy as jnp
    import jax.random as jr

    from ...neural_de import local, solve

    keys = jr.split(jr.key(seed), 7)
    weights = {
        "a": jr.normal(keys[0], (2, width)), "b": jr.normal(keys[1], (1, width)), "s": 0.3 * jr.normal(keys[3], (1, 2)),
        "c": jr.normal(keys[2], (width, 2)) / 2,
    }  # fmt: skip
    along = {
        n: jr.normal(jr.fold_in(keys[4], i), w.shape) for i, (n, w) in enumerate(weights.items())
    }
    start = jr.normal(keys[5], (8, 2))
    noise: dict[str, Any] = {}
    if noisy:
        noise = {"diffusion": lambda t, y, w: w["s"] * jnp.cos(y), "noise": "commutative"}
    tolerance = rtol**0.5 if noisy else rtol

    def both(w: Any) -> Any:
        out = solve(
            lambda t, y, w: jnp.tanh(y @ w["a"] + t * w["b"]) @ w["c"], start, 0.0, 1.0, w,
            solver=getattr(dfx, solver)(), rtol=tolerance, atol=tolerance, key=keys[6], max_steps=4096, dt0=0.05,
            adjoint=getattr(dfx, adjoint)(), regularizer=local(quantity), **noise,
        )  # fmt: skip
        return jnp.stack([out.penalty, jnp.mean(out.ys[-1] ** 2)])

    if adjoint == "ForwardMode":
        penalty, loss = jax.jit(lambda w: jax.jvp(both, (w,), (along,))[1], **_ONCE)(weights)
        return float(penalty), float(loss)
    jacobian = jax.jit(jax.jacrev(both), **_ONCE)(weights)
    penalty, loss = jnp.stack([jnp.tensordot(jacobian[n], along[n]) for n in weights]).sum(0)
    return float(penalty), float(loss)


def draw(data: Mapping[str, Any]) -> Figure:
    """The relative differences as two tables in grey."""
    import numpy as np

    from ..._support import style

    fig, (left, right) = style.figure(style.FULL_WIDTH, 0.75, ncols=2)
    for ax, name in ((left, "penalty"), (right, "loss")):
        shown = np.log10(np.maximum(data[name], 1e-17))
        ax.imshow(shown, cmap="Greys", vmin=-17, vmax=0, aspect="auto")
        for i, j in np.ndindex(shown.shape):
            digits, _, power = f"{data[name][i, j]:.0e}".partition("e")
            text = "0" if data[name][i, j] == 0 else f"${digits} \\cdot 10^{{{int(power)}}}$"
            ax.text(
                j,
                i,
                text,
                ha="center",
                va="center",
                fontsize=7,
                color="w" if shown[i, j] > -7 else "k",
            )
        short = [a.removesuffix("Adjoint") for a in data["adjoints"]]
        ax.set_xticks(range(len(short)), short, rotation=20, ha="right", fontsize=7)
        ax.set_yticks(range(len(data["names"])), data["names"] if ax is left else [], fontsize=7)
    letter(
        (left, right), [f"{name}: difference of its gradient" for name in ("local penalty", "loss")]
    )
    return fig


FIGURES = (
    PaperFigure(
        "adjoints",
        "The gradient of the local penalty under every adjoint, for several solvers.",
        compute,
        draw,
        quick={
            "ode": ["Tsit5"], "sde": ["Heun"], "quantities": ["error"], "width": 8, "rtol": 1e-6, "seed": 0,
        },
        full={"ode": ["Tsit5", "Dopri5", "Dopri8", "Bosh3", "Heun"], "quantities": ["error", "jvp"], "width": 32},
    ),
)  # fmt: skip
