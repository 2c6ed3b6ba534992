"""``odescent simulate``: an algorithm on an objective, or a flow, with progress; interrupted runs can be resumed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from . import _console, _own_system
from ._errors import OdescentError
from ._files import write_whole
from ._numbers import assignments, number
from ._progress import bar

_MOST = 10**15  # steps; more would not end
_NONE: Mapping[str, str | None] = MappingProxyType({})


def start(text: str | None, target: Any) -> Any:
    """The starting point that --x0 says: one number for all coordinates or one for each; the objective's by default.

    Raises OdescentError where there is none or it has another length.
    """
    import numpy as np

    n = target.dimension
    if text is None:
        if target.x0 is None:
            raise OdescentError("there is no starting point here: give one, as in --x0 1,2.")
        return np.asarray(target.x0)
    values = np.array([float(number("--x0", part)) for part in text.split(",")])
    if n is None or len(values) == n:
        return values
    if len(values) != 1:
        raise OdescentError(f"--x0 has {len(values)} numbers, but the objective has {n} variables.")
    return np.full(n, values[0])


def settings(texts: Sequence[str], direct: Mapping[str, str | None]) -> dict[str, float]:
    """Parameters by name as numbers, from --set, --mu and --L."""
    both = [f"{k}={v}" for k, v in direct.items() if v is not None]
    return {k: float(number(k, v)) for k, v in assignments([*both, *texts]).items()}


def whole(name: str, text: str, least: int) -> int:
    """A whole number that an option says, such as 1000 or 1e6; OdescentError for another."""
    value = number(name, text)
    if value.denominator != 1 or value < least:
        raise OdescentError(f"{name} must be a whole number, at least {least}, not {text!r}.")
    if value > _MOST:
        raise OdescentError(f"{name} must be at most {_MOST:g}, not {text}.")
    return int(value)


def run(
    name: str,
    objective: str | None,
    x0: str | None,
    steps: str,
    time: str | None,
    every: str,
    statistics: str,
    seed: int,
    given: Sequence[str],
    direct: Mapping[str, str | None],
    resume: Path | None,
    out: Path | None,
    as_json: bool,
    own: Mapping[str, str | None] = _NONE,
) -> int:
    """Run an algorithm, or simulate a system for the time given, and show or write where it comes to.

    ``own`` has the options of a system file, which a name that ends in .ode, or is that of a file, means.
    Returns the exit code: 2 if the file is refused.
    """
    if out is not None and out.suffix not in (".npz", ".csv"):
        raise OdescentError(f"--out takes a file that ends in .npz or .csv, not {str(out)!r}.")
    values = settings(given, direct)
    wanted = tuple(s.strip() for s in statistics.split(",") if s.strip())
    if time is not None and (resume is not None or wanted):
        raise OdescentError(
            "--resume and --statistics are for algorithms, not for a flow over --time."
        )
    try:
        found = _own_system.named(name, _own_system.given(own), flow=time is not None)
    except _own_system.Refused as error:
        return _own_system.refuse(error)

    import jax
    import numpy as np

    from .discretize import Algorithm

    method = found if isinstance(found, Algorithm) else None
    if method is None and time is None:
        which = (
            "has no scheme: give one with --scheme, or"
            if _own_system.is_file(name)
            else "is a system:"
        )
        raise OdescentError(f"{name!r} {which} say for how long to follow it, as in --time 10.")
    system = found.system if isinstance(found, Algorithm) else found
    target = _target(system, objective)
    begin = start(x0, target)
    if any(o.kind == "ensemble" for o in system.oracles):
        raise OdescentError(
            f"{name} moves many particles, and a run has one point here: see od.minimize and od.particles.simulate, "
            f"or odescent explore {name}."
        )
    if time is not None:
        noisy = any(f.noise for f in system.fields.values())
        until = float(number("--time", time))
        more: dict[str, Any] = {"key": jax.random.key(seed), "dt": until / 1000} if noisy else {}
        solution = system.simulate(target, begin, until, parameters=values, **more)
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
        done = method.run(
            target, begin, whole("--steps", steps, 0), jax.random.key(seed), every=whole("--every", every, 1),
            statistics=wanted, progress=bar("steps"), resume=resume, **values,
        ).to_numpy()  # fmt: skip
        x, t, f, k, diverged = done.x, done.t, done.f, done.k, done.diverged_at
        kind, extra = "run", {"statistics": done.statistics}
    if out is not None:
        write_whole(out, _file(out.suffix, k, t, x, f))
    first, last = (None, None) if f is None else (float(f[0]), float(f[-1]))
    if as_json:
        value = {
            "name": name, "kind": kind, "objective": target.name if system.oracles else None,
            "steps": int(k[-1]), "records": len(k), "time": float(t[-1]),
            "f_first": first, "f_last": last, "x_last": x[-1], "diverged_at": diverged,
            "out": None if out is None else str(out), **extra,
        }  # fmt: skip
        _console.say_exactly(_console.document(value, "odescent.simulate/1"))
        return 0
    what = f"{name} on {target.name}: " if system.oracles else f"{name}: "
    what += f"{int(k[-1]):,} steps" if kind == "run" else f"t = {t[-1]:g}"
    lines = [what + ("" if last is None else f", f from {first:.6g} to {last:.6g}") + "."]
    if last is None:
        lines.append(f"x is {', '.join(f'{v:.6g}' for v in np.ravel(x[-1])[:8])}.")
    if diverged is not None:
        lines.append(f"It diverges at step {diverged}; what came before is kept.")
    lines += [
        f"{n} of f: {float(v['f']):.6g}" for n, v in extra.get("statistics", {}).items() if "f" in v
    ]
    lines += [] if out is None else [f"{out}: {len(k)} records."]
    _console.say("\n".join(lines))
    return 0


def _target(system: Any, objective: str | None) -> Any:
    """The objective of that name, by default the quadratic one; none for a system that calls no oracle."""
    import odescent as od

    from .dynamics.solution import objective_for

    if objective is None and not system.oracles:
        return objective_for(system, None)
    return od.objective(objective or "quadratic")


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
