"""Growth of rounding errors in emitted optax steps: float32 and bfloat16 runs against float64.

    python benchmarks/mixed_precision.py [--steps 1000] [--json]

Logistic regression with ridge on the breast-cancer data, from zero. In "float32" parameters, gradients
and memory are float32. In "bfloat16" the parameters and gradients are bfloat16 and the memory is float32,
as emitted transformations keep it. Errors are |x - x64| / |x64| of the parameters.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import odescent as od

METHODS = ("gradient_descent", "heavy_ball", "nesterov_sc", "triple_momentum", "adam")
MARKS = (1, 10, 100, 1000)


@dataclass(frozen=True)
class Row:
    """Relative errors of one method in one precision, by step, and the worst of the run."""

    method: str
    precision: str
    errors: dict[int, float]
    worst: float


def problem(dtype: Any) -> tuple[Any, Any, float, float]:
    """The gradient, the start, mu and L."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    features = (data.data - data.data.mean(0)) / data.data.std(0)
    signed = features * (2 * data.target - 1)[:, None]
    mu = 1e-2
    big = float(np.linalg.eigvalsh(features.T @ features / len(features))[-1]) / 4 + mu
    rows = jnp.asarray(signed, dtype)

    def value(x: Any) -> Any:
        return jnp.mean(jax.nn.softplus(-(rows @ x))) + jnp.asarray(mu / 2, dtype) * jnp.sum(x * x)

    return jax.grad(value), jnp.zeros(features.shape[1], dtype), mu, big


def run(method: str, dtype: Any, steps: int) -> Any:
    """The parameters after each step, in float64."""
    grad, params, mu, big = problem(dtype)
    values = {"mu": mu, "L": big, "h": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    alg = od.algorithm(method)
    opt = alg.to_optax(**{s.name: values[s.name] for s in alg.parameters})

    def body(carry: Any, _: None) -> tuple[Any, Any]:
        params, state = carry
        updates, state = opt.update(grad(params), state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    scan = jax.jit(lambda c: jax.lax.scan(body, c, None, length=steps)[1])
    return np.asarray(scan((params, opt.init(params))).astype(jnp.float64))


def measure(steps: int) -> list[Row]:
    """All methods in both precisions."""
    rows = []
    for method in METHODS:
        exact = run(method, jnp.float64, steps)
        scale = np.linalg.norm(exact, axis=1)
        for dtype in (jnp.float32, jnp.bfloat16):
            error = np.linalg.norm(run(method, dtype, steps) - exact, axis=1) / scale
            marks = {k: float(error[k - 1]) for k in MARKS if k <= steps}
            rows.append(Row(method, jnp.dtype(dtype).name, marks, float(error.max())))
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    given = parser.parse_args()
    if given.steps < 1:
        parser.error("steps must be at least 1.")
    jax.config.update("jax_enable_x64", True)
    rows = measure(given.steps)
    if given.json:
        document = {"schema": "odescent.benchmark.mixed_precision/1", "settings": vars(given)}
        print(json.dumps({**document, "rows": [asdict(r) for r in rows]}, indent=2))
        return
    print("relative error of the parameters against float64, by step")
    marks = list(rows[0].errors)
    print(
        f"{'method':<18} {'precision':<9}" + "".join(f"{k:>10}" for k in marks) + f"{'worst':>10}"
    )
    for r in rows:
        cells = "".join(f"{r.errors[k]:10.1e}" for k in marks)
        print(f"{r.method:<18} {r.precision:<9}{cells}{r.worst:10.1e}")


if __name__ == "__main__":
    main()
