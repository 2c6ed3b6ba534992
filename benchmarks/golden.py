"""Golden numbers: results that refactoring must preserve, recorded and compared.

    python benchmarks/golden.py record before.npz [--only iterates certificates ...]
    python benchmarks/golden.py compare before.npz [--only ...]

Iterates of every algorithm and of every system by every scheme, runs of systems, texts of derivations and
emitted modules, certified rates, trained weights, minima and portraits, through the public surface alone, so that
the command runs at any commit. Numbers agree to the bit, to rounding (1e-12 of their size; 1e-6 of 1 - r for
certified rates, whose search may find other multipliers), or differ; texts agree or differ. An item that raises is
recorded as the sentence that it raised. Exit status 1 if anything differs, is lost or is new.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import odescent as od
from odescent import neural_de

Item = tuple[str, Callable[[], Any]]

STEPS = 20
VALUES = {
    "mu": 1.0,
    "L": 10.0,
    "h": 0.05,
    "beta1": 0.9,
    "beta2": 0.99,
    "eps": 1e-6,
    "rho": 0.8,
    "rate": 30.0,
    "alpha": 5.0,
}
CURVATURES = jnp.asarray([1.0, 3.0, 10.0])
START = np.asarray([1.0, -0.5, 0.25])
CROWD = START + np.random.default_rng(1).normal(size=(6, 3))
ROUNDING, GAP = 1e-12, 1e-6


def objective() -> Any:
    """A quadratic with every oracle that a registered method calls."""
    return od.Objective(
        "f",
        fun=lambda x: jnp.sum(CURVATURES * x * x) / 2 + 0 * jnp.sum(x),
        mu=1.0,
        L=10.0,
        minimizer=[0.0, 0.0, 0.0],
        prox=lambda x, step: x / (1 + step * CURVATURES),
        operator=lambda x: CURVATURES * x,
        map=jnp.sinh,
        map_mirror=jnp.sinh,
        map_dual=jnp.arcsinh,
        map_steepest=lambda x: x / jnp.maximum(jnp.linalg.norm(x), 1e-12),
        map_newton=lambda x: x,
        map_hessian_diagonal=lambda x: CURVATURES,
    )


def numbers(parameters: Any, bound: tuple[str, ...] = ("mu", "L")) -> dict[str, float]:
    """A value for every free parameter."""
    return {p.name: VALUES.get(p.name, 0.1) for p in parameters if p.name not in bound}


def iterated(algorithm: Any) -> dict[str, Any]:
    """All blocks of a short run: from one point, or for methods of populations from several."""
    given = numbers(algorithm.parameters)
    try:
        run = algorithm.run(objective(), START, STEPS, key=7, **given)
    except od.OdescentError:
        run = algorithm.run(objective(), CROWD, STEPS, key=7, **given)
    return {"x": run.x, **{f"state {k}": v for k, v in run.states.items()}}


def iterates() -> Iterator[Item]:
    """Every registered algorithm, and every system by every scheme that takes it."""
    for name in od.algorithms():
        yield name, lambda name=name: iterated(od.algorithm(name))
    for name in od.systems():
        for scheme in od.schemes():
            yield (
                f"{name} by {scheme}",
                lambda name=name, scheme=scheme: iterated(
                    od.Algorithm(od.system(name), od.scheme(scheme), name="golden")
                ),
            )


def flows() -> Iterator[Item]:
    """Every registered system, simulated by the default and by a fixed-step solver."""

    def simulated(name: str, **options: Any) -> dict[str, Any]:
        system = od.system(name)
        given: Any = {"t0": 0.1, "parameters": numbers(system.parameters)}
        try:
            solution = system.simulate(objective(), START, 0.6, **options, **given)
        except od.OdescentError:  # noise asks for a key and a fixed step
            given |= {"dt": 0.01, "key": 3, "path": "increments"}
            start = CROWD if "cbo" in name else START
            solution = system.simulate(objective(), start, 0.6, **given)
        return {"t": solution.t, "x": solution.x}

    for name in od.systems():
        yield name, lambda name=name: simulated(name)
        yield f"{name} fixed", lambda name=name: simulated(name, dt=0.01)


def texts() -> Iterator[Item]:
    """Derivations as text, and emitted modules in every target."""
    for name in od.algorithms():
        yield (
            f"derivation {name}",
            lambda name=name: od.algorithm(name).derivation().text(),
        )
        for target in ("numpy", "jax", "optax", "torch", "latex", "markdown"):
            yield (
                f"{target} {name}",
                lambda name=name, target=target: od.algorithm(name).source(target),
            )
        yield (
            f"modified equation {name}",
            lambda name=name: str(od.algorithm(name).modified_equation(order=2)),
        )
    for route in ("immersion", "model", "direct"):
        yield (
            f"derive nesterov by {route}",
            lambda route=route: od.derive("nesterov", route=route).text(),
        )


def certificates() -> Iterator[Item]:
    """Certified gaps 1 - r of the linear methods, of flows, and horizons."""
    from odescent.analysis import certify

    def method(name: str, kappa: int) -> Any:
        alg = od.algorithm(name)
        return alg.bind(rho=1 - 0.7 / kappa**0.5) if name == "robust_momentum" else alg

    def gap(name: str, kappa: int) -> Any:
        return {"gap": np.asarray(float(certify(method(name, kappa), mu=1, L=kappa).gap))}

    def bound(name: str, mu: int, L: int, steps: int) -> Any:
        return {
            "gap": np.asarray(float(certify(od.algorithm(name), mu=mu, L=L, horizon=steps).bound))
        }

    def flow(name: str, **values: Any) -> Any:
        return {"gap": np.asarray(certify(od.system(name).bind(values), mu=1, L=10).rate)}

    linear = ("gradient_descent", "nesterov_sc", "triple_momentum", "robust_momentum")
    for name, kappa in [(n, k) for n in linear for k in (2, 100, 10**6)] + [("heavy_ball", 10)]:
        yield f"{name} {kappa}", lambda name=name, kappa=kappa: gap(name, kappa)
    for name, mu, L, steps in (
        ("nesterov_sc", 1, 100, 8),
        ("nesterov_c", 0, 1, 6),
        ("heavy_ball", 1, 10, 5),
    ):
        yield (
            f"horizon {name}",
            lambda name=name, mu=mu, L=L, steps=steps: bound(name, mu, L, steps),
        )
    yield "flow gradient", lambda: flow("gradient_flow")
    yield "flow heavy ball", lambda: flow("heavy_ball", c=2)


def weights() -> Iterator[Item]:
    """Trained weights, with every regularizer and several optimizers."""

    def trained(**settings: Any) -> dict[str, Any]:
        config = neural_de.Config(
            "digits-ode", steps=3, batch=16, max_steps=64, precision="float64", **settings
        )
        run = neural_de.train(config)
        leaves = [x for x in jax.tree.leaves(run.model) if hasattr(x, "dtype")]
        return {str(i): np.asarray(x) for i, x in enumerate(leaves)}

    yield "plain", trained
    for name in neural_de.regularizers():
        yield (
            f"regularizer {name}",
            lambda name=name: trained(regularizer=name, coefficient=0.1),
        )
    yield (
        "nesterov",
        lambda: trained(optimizer="nesterov_sc", optimizer_options={"mu": 1.0, "L": 50.0}),
    )


def minima() -> Iterator[Item]:
    """Minima by consensus-based methods, and basins and cycles of methods with momentum."""

    def found(method: str) -> dict[str, Any]:
        got = od.minimize(
            od.objective("himmelblau"), [(-5, 5)] * 2, method=method, steps=60, seed=3
        )
        return {"x": got.x, "value": np.asarray(got.fun)}

    def portrait() -> dict[str, Any]:
        drawn = od.analysis.phase_portrait(
            od.system("heavy_ball").bind({"c": 1}), od.objective("lessard_recht_packard")
        )
        return {
            "fixed points": np.asarray([p.point for p in drawn.fixed_points], dtype=float),
            "lines": np.concatenate([line.points for line in drawn.flow_lines]),
        }

    for method in ("cbo", "consensus_hopping", "polar_cbo", "jump_cbo"):
        yield method, lambda method=method: found(method)
    yield (
        "cycles of heavy ball",
        lambda: {
            str(i): np.asarray(cycle.points, dtype=float)
            for i, cycle in enumerate(od.analysis.cycles(od.algorithm("heavy_ball"), 1, 25))
        },
    )
    yield "portrait", portrait


GROUPS: dict[str, Callable[[], Iterator[Item]]] = {
    "iterates": iterates,
    "flows": flows,
    "texts": texts,
    "certificates": certificates,
    "weights": weights,
    "minima": minima,
}


def taken(thunk: Callable[[], Any]) -> dict[str, Any]:
    """What an item gives, as arrays by name; its sentence where it raises."""
    try:
        value = thunk()
    except Exception as error:  # an item that is refused is refused alike before and after
        return {"raised": np.asarray(f"{type(error).__name__}: {error}")}
    if isinstance(value, str):
        return {"text": np.asarray(hashlib.sha256(value.encode()).hexdigest()[:16])}
    parts = {name: jax.tree.leaves(array) for name, array in value.items()}  # a window has several
    return {
        f"{name} {i}" if i else name: np.asarray(array)
        for name, arrays in parts.items()
        for i, array in enumerate(arrays)
    }


def record(groups: list[str], report: bool = True) -> dict[str, Any]:
    """All arrays by "group/item/name"."""
    kept: dict[str, Any] = {}
    for group in groups:
        began, raised, count = time.process_time(), [], 0
        for item, thunk in GROUPS[group]():
            got = taken(thunk)
            kept |= {f"{group}/{item}/{name}": array for name, array in got.items()}
            raised += [f"{item}: {got['raised']}"] if "raised" in got else []
            count += 1
        seconds = time.process_time() - began
        if report:
            print(
                f"{group}: {count} items, {len(raised)} raised, {seconds:.0f} s of CPU", flush=True
            )
        jax.clear_caches()
    return kept


def verdict(name: str, before: Any, after: Any) -> str:
    """ "equal", "rounding" or "differs"."""
    if before.shape == after.shape and before.dtype == after.dtype:
        if before.tobytes() == after.tobytes():
            return "equal"
        if before.dtype.kind == "f":
            relative = GAP if name.startswith("certificates/") else ROUNDING
            if np.allclose(
                before, after, rtol=relative, atol=0 if relative == GAP else 1e-14, equal_nan=True
            ):
                return "rounding"
    return "differs"


def main() -> int:
    """Record or compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("record", "compare"))
    parser.add_argument("file")
    parser.add_argument("--only", nargs="+", choices=tuple(GROUPS), default=list(GROUPS))
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    now = record(options.only)
    if options.what == "record":
        np.savez_compressed(options.file, **now)
        return 0
    stored = np.load(options.file)
    before = {k: stored[k] for k in stored.files if k.split("/")[0] in options.only}
    counts = {"equal": 0, "rounding": 0, "differs": 0, "lost": 0, "new": 0}
    for name in sorted(before.keys() | now.keys()):
        if name not in now or name not in before:
            said = "lost" if name not in now else "new"
        else:
            said = verdict(name, before[name], now[name])
        counts[said] += 1
        if said not in ("equal", "rounding"):
            shown = [str(x[name])[:120] if name in x else "-" for x in (before, now)]
            print(f"{said}: {name}: {shown[0]} -> {shown[1]}")
    print(", ".join(f"{count} {said}" for said, count in counts.items()))
    return 1 if counts["differs"] + counts["lost"] + counts["new"] else 0


if __name__ == "__main__":
    sys.exit(main())
