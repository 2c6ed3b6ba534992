"""``odescent simulate``: an algorithm on an objective, or a flow, with progress; interrupted runs can be resumed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any

from ..._support.errors import OdescentError
from ..._support.files import write_whole
from ..._support.numbers import assignments, number, real_number
from ..._support.progress import bar
from ..base import console, own_objective, own_system
from ..base.own_system import FileOptions
from ..base.values import (
    METHOD,
    File,
    NamedParameters,
    OptionKind,
    Point,
    Seed,
    Written,
    count,
    named,
    whole,
)

_STEPS = 100  # where neither steps nor a budget are given


def run(
    name: Annotated[str, METHOD],
    *,
    objective: Annotated[str | None, named("objectives")] = None,
    x0: Point | None = None,
    steps: Annotated[int | None, count(0)] = None,
    until: Annotated[str, OptionKind("NAME=VALUE")] = "",
    budget: Annotated[str, OptionKind("NAME=N")] = "",
    time: Annotated[Fraction | None, OptionKind("T", read=number)] = None,
    t0: Annotated[Fraction | None, OptionKind("T", read=number)] = None,
    every: Annotated[int, count(1, "K")] = 1,
    statistics: Annotated[str, OptionKind("NAMES")] = "",
    seed: Seed = 0,
    parameters: NamedParameters,
    resume: File | None = None,
    out: Written | None = None,
    file: FileOptions,
    json: bool = False,
) -> None:
    """Run an algorithm on an objective, or integrate a system.

    NAME may be a system file, or its text: with a scheme its algorithm is run, with --time its flow is integrated.
    Long runs show a bar, store only requested quantities, and continue from --resume FILE after Ctrl-C.

    Args:
        name: An algorithm or a system, such as nesterov_sc or gradient_flow, or a system file.
        objective: The objective, or MODULE:FUNCTION, your own in JAX, whose module is imported; quadratic by default.
        x0: Starting point; by default the objective's.
        steps: Number of steps, such as 1000 or 1e6; 100 by default, the most that a run with an end takes.
        until: Stop once it is below the tolerance: gradient=1e-6, value=0.01 or distance=0.1, separated by commas.
        budget: Stop before more is asked for: gradients=1000, values=500, separated by commas.
        time: For a system: final time.
        t0: For a system: time at the start, 0 by default.
        every: Store every K-th step and the last.
        statistics: mean, variance, minimum, maximum, separated by commas.
        seed: Seed of the noise.
        resume: Run file to resume and update.
        out: Write the result to FILE.
        json: Print one JSON document, for machines.

    Examples:
        odescent simulate nesterov --objective logistic/breast_cancer --steps 1000
        odescent simulate heavy_ball --objective lessard_recht_packard --x0 3.3 --steps 60 --out run.csv
        odescent simulate gradient_descent --objective quadratic --steps 1e6 --every 1e4 --resume run.npz
        odescent simulate heavy_ball --objective my_module:fun --x0 1,2 --set step=0.1 --set momentum=0.9
        odescent simulate nesterov --objective logistic/breast_cancer --until gradient=1e-3 --budget gradients=1e4
        odescent simulate gradient_flow --objective quadratic --time 5
        odescent simulate my_system.ode --objective quadratic --time 5 --set c=1/2
        odescent simulate "x'' + (3/t)*x' + grad f(x) = 0" --objective quadratic --t0 0.1 --time 5
    """
    # what can be refused before anything is loaded
    if out is not None and out.suffix not in (".npz", ".csv"):
        raise OdescentError(f"--out takes a file that ends in .npz or .csv, not {str(out)!r}.")
    wanted = tuple(s.strip() for s in statistics.split(",") if s.strip())
    if time is not None and (resume is not None or wanted or budget):
        raise OdescentError(
            "--resume, --statistics and --budget are for algorithms, not for a flow over --time."
        )
    if t0 is not None and time is None:
        raise OdescentError("--t0 is for a flow, and goes with its final time, --time.")
    tolerances = _listed("--until", until, "gradient=1e-6")
    ends = {n: real_number(f"--until {n}", v) for n, v in tolerances.items()}
    most = _listed("--budget", budget, "gradients=1000")
    asked = {n: whole(f"--budget {n}", v, 1) for n, v in most.items()}
    found, texts = own_system.configured(name, file, parameters.texts, flow=time is not None)

    import jax
    import numpy as np

    from ...discretize import Algorithm

    method = found if isinstance(found, Algorithm) else None
    values = {n: real_number(n, text) for n, text in texts.items()}
    if method is None and time is None:
        lacks = "has no scheme: give one with --scheme, or"
        which = lacks if own_system.is_file(name) else "is a system:"
        raise OdescentError(f"{name!r} {which} give the final time of its flow, as in --time 10.")
    system = found.system if isinstance(found, Algorithm) else found
    target = _target(system, objective)
    begin = start(x0, target)
    if any(o.form.particles for o in system.oracles):
        raise OdescentError(
            f"{name} moves many particles, and a run has one point here: see od.minimize and od.particles.simulate, "
            f"or odescent explore {name}."
        )
    # the flow for a time, or the algorithm for a number of steps
    if time is not None:
        noisy = any(f.noise for f in system.fields.values())
        more: dict[str, Any] = (
            {"key": jax.random.key(seed), "dt": float(time) / 1000} if noisy else {}
        )
        more |= {"until": ends} if ends else {}
        more |= {"t0": float(t0)} if t0 is not None else {}
        solution = system.simulate(target, begin, float(time), parameters=values, **more)
        x, t = solution.x, solution.t
        f: Any = None
        diverged: int | None = None
        extra: dict[str, Any] = {"stopped": solution.stopped}
        if "value" in target.oracles:
            with jax.enable_x64(True):
                f = np.asarray(jax.vmap(target.value)(jax.numpy.asarray(x)))
        kind, k = "flow", np.arange(len(t))
    else:
        assert method is not None
        if steps is None and not asked:  # a budget is an end of its own
            steps = _STEPS
        done = method.run(
            target, begin, steps, jax.random.key(seed), every=every, statistics=wanted, progress=bar("steps"),
            until=ends or None, budget=asked or None, resume=resume, **values,
        ).to_numpy()  # fmt: skip
        x, t, f, k, diverged = done.x, done.t, done.f, done.k, done.diverged_at
        counts = {n: int(np.ravel(v)[-1]) for n, v in done.counts.items()}
        kind = "run"
        extra = {"statistics": done.statistics, "stopped": done.stopped, "counts": counts}
    # the records, and what came of them
    if out is not None:
        write_whole(out, _file(out.suffix, k, t, x, f))
    first, last = (None, None) if f is None else (float(f[0]), float(f[-1]))
    value = {
        "name": name, "kind": kind, "objective": target.name if system.oracles else None,
        "steps": int(k[-1]), "records": len(k), "time": float(t[-1]),
        "f_first": first, "f_last": last, "x_last": x[-1], "diverged_at": diverged,
        "out": None if out is None else str(out), **extra,
    }  # fmt: skip
    what = f"{name} on {target.name}: " if system.oracles else f"{name}: "
    what += f"{int(k[-1]):,} steps" if kind == "run" else f"t = {t[-1]:g}"
    lines = [what + ("" if last is None else f", f from {first:.6g} to {last:.6g}") + "."]
    if f is not None and len(f) > 1:
        lines += _rows("step" if kind == "run" else "t", k if kind == "run" else t, f)
    if last is None:
        lines.append(f"x is {', '.join(f'{v:.6g}' for v in np.ravel(x[-1])[:8])}.")
    if method is None and extra["stopped"]:
        lines.append(f"It was stopped by {extra['stopped']} at t = {t[-1]:g}.")
    if method is not None and done.stopped:
        lines.append(f"It was {done.reason}.")
        lines += [done.remark] if done.remark else []
    if method is not None and (ends or asked):
        lines.append(f"It asked for {', '.join(f'{v:,} {n}' for n, v in counts.items())}.")
    if diverged is not None:
        lines.append(f"It diverges at step {diverged}; what came before is kept.")
    lines += [
        f"{n} of f: {float(v['f']):.6g}" for n, v in extra.get("statistics", {}).items() if "f" in v
    ]
    lines += [] if out is None else [f"{out}: {len(k)} records."]
    console.answer(json, "\n".join(lines), value, "odescent.simulate/1")


def _listed(option: str, text: str, example: str) -> dict[str, str]:
    """The values by name of NAME=VALUE,NAME=VALUE; a name may have several words."""
    parts = filter(None, (p.strip() for p in text.split(",")))
    return assignments(parts, option, f"as in {example}", bool)


def start(x0: Sequence[float] | None, target: Any) -> Any:
    """The starting point that --x0 says: one number for all coordinates or one for each; the objective's by default.

    Raises OdescentError where there is none or it has another length.
    """
    import numpy as np

    n = target.dimension
    if x0 is None:
        if target.x0 is None:
            raise OdescentError("there is no starting point here: give one, as in --x0 1,2.")
        return np.asarray(target.x0)
    values = np.array(x0)
    if n is None or len(values) == n:
        return values
    if len(values) != 1:
        raise OdescentError(f"--x0 has {len(values)} numbers, but the objective has {n} variables.")
    return np.full(n, values[0])


def _target(system: Any, objective: str | None) -> Any:
    """The objective that is named, by default the quadratic one; none for a system that calls no oracle."""
    from ...dynamics.flows.solution import objective_for

    if objective is None and not system.oracles:
        return objective_for(system, None)
    return own_objective.objective(objective or "quadratic")


def _file(suffix: str, k: Any, t: Any, x: Any, f: Any) -> bytes:
    """The records as .npz (k, t, x, f) or as .csv with one row each."""
    import numpy as np

    buffer = io.BytesIO()
    if suffix == ".npz":
        np.savez(buffer, allow_pickle=False, k=k, t=t, x=x, **({} if f is None else {"f": f}))
        return buffer.getvalue()
    flat = np.asarray(x).reshape(len(x), -1)
    columns = [k, t, *([] if f is None else [f]), *flat.T]
    names = ["k", "t", *([] if f is None else ["f"]), *(f"x{i + 1}" for i in range(flat.shape[1]))]
    np.savetxt(
        buffer,
        np.column_stack(columns),
        delimiter=",",
        header=",".join(names),
        comments="",
        fmt="%.17g",
    )
    return buffer.getvalue()


def _rows(clock: str, at: Any, f: Any) -> list[str]:
    """Some records of f, closer to one another at the start."""
    shown = [0, *sorted({round(len(at) ** (j / 6)) - 1 for j in range(1, 7)} - {0})]
    return [f"{clock:>12}  f", *(f"{at[i]:>12.6g}  {f[i]:.6g}" for i in shown)]
