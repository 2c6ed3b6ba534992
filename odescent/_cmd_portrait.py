"""``odescent portrait``: the phase portrait of a system or an algorithm, as a picture, a film, or data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from . import _console, _own_system
from ._cmd_simulate import settings, start, whole
from ._errors import OdescentError
from ._files import check_file, make_folder
from ._numbers import number
from ._progress import bar, waiting

_PICTURES = (".pdf", ".svg", ".png", "")
_FILMS = (".gif", ".mp4")
_EITHER = "give either --curvature, for one mode of a quadratic, or --objective."
_NONE: Mapping[str, str | None] = MappingProxyType({})


def run(
    name: str,
    objective: str | None,
    curvature: str | None,
    x0: str | None,
    steps: str,
    window: str | None,
    others: Sequence[str],
    slow: str | None,
    given: Sequence[str],
    direct: Mapping[str, str | None],
    out: Path | None,
    as_json: bool,
    own: Mapping[str, str | None] = _NONE,
) -> int:
    """Compute a portrait, say what is in it, and write it where asked.

    ``own`` has the options of a system file, which a name that ends in .ode, or is that of a file, means.
    Returns the exit code: 2 if the file is refused.
    """
    if out is not None and out.suffix not in (*_PICTURES, *_FILMS):
        raise OdescentError(
            "--out takes a picture (.pdf, .svg, .png, or all three without a suffix) or a film (.gif, .mp4), "
            f"not {str(out)!r}."
        )
    if out is not None:
        check_file(out)
    if objective is not None and curvature is not None:
        raise OdescentError(_EITHER)
    sides = None if window is None else _window(window)
    try:
        system: Any = _own_system.named(name, _own_system.given(own))
        laid: dict[str, Any] = {n: _own_system.named(n, {}) for n in others}
    except _own_system.Refused as error:
        return _own_system.refuse(error)

    import odescent as od

    calls = getattr(system, "system", system).oracles  # of an algorithm's system, or its own
    if calls and objective is None and curvature is None:
        raise OdescentError(_EITHER)
    flows = [n for n, a in laid.items() if not isinstance(a, od.Algorithm)]
    if flows:
        raise OdescentError(f"--with takes algorithms, but {flows[0]!r} has no scheme.")
    height = None if curvature is None else float(number("--curvature", curvature))
    if height is not None and not height > 0:
        raise OdescentError(f"--curvature must be more than 0, not {curvature}.")
    known: dict[str, Any] = {"curvature": height}
    target = None if objective is None else od.objective(objective)
    if target is not None:
        known = {"target": target}
    with waiting(f"drawing {name}"):
        portrait = od.analysis.phase_portrait(
            system, window=sides, x0=_begin(x0, target), steps=whole("--steps", steps, 1),
            parameters=settings(given, direct), algorithms=laid, slow=None if slow is None else _slow(slow), **known,
        )  # fmt: skip
    written: tuple[Path, ...] = ()
    if out is not None and out.suffix in _FILMS:
        written = od.analysis.animate(portrait, out, progress=bar("frames"))
    elif out is not None:
        written = portrait.save(out)
    if as_json:
        _console.say_exactly(
            _console.document(_data(name, portrait, written), "odescent.portrait/1")
        )
        return 0
    lines = [f"{name}: {portrait}"]
    lines += [str(p) for p in written[:3]] + (
        [f"and {len(written) - 3} more"] if len(written) > 3 else []
    )
    _console.say("\n".join(lines))
    return 0


def story(name: str, out: Path | None, as_json: bool) -> int:
    """Write the argument why a method need not converge, and say where it stands."""
    import odescent as od

    if name != "heavy_ball":
        raise OdescentError(f"--story is told of heavy_ball, not of {name!r}.")
    folder = Path("out/story") if out is None else out
    if folder.suffix in (*_PICTURES[:-1], *_FILMS):
        raise OdescentError(
            f"--story writes several files: give --out a folder, such as {str(folder.with_suffix(''))!r}, not "
            f"{str(folder)!r}."
        )
    make_folder(folder)
    with waiting("drawing the story"):
        written = od.analysis.heavy_ball_story(folder)
    if as_json:
        value = {"name": name, "story": True, "out": [str(p) for p in written]}
        _console.say_exactly(_console.document(value, "odescent.story/1"))
    else:
        _console.say("\n".join([f"{name}: why it need not converge.", *map(str, written)]))
    return 0


def _data(name: str, portrait: Any, written: Sequence[Path]) -> dict[str, Any]:
    return {
        "name": name,
        "window": portrait.window,
        "labels": portrait.labels,
        "search": {
            "method": portrait.search.method, "complete": portrait.search.complete, "reason": portrait.search.reason,
        },
        "fixed_points": [
            {"point": p.point, "kind": p.kind, "eigenvalues": [[v.real, v.imag] for v in p.eigenvalues.tolist()]}
            for p in portrait.fixed_points
        ],
        "limit_cycles": [
            {"period": c.period, "multiplier": c.multiplier, "stable": c.stable, "amplitude": c.amplitude}
            for c in portrait.limit_cycles
        ],
        "separatrices": [
            {"saddle": s.saddle, "stable": s.stable, "ended": s.ended, "error": s.error} for s in portrait.separatrices
        ],
        "out_of_plane": portrait.out_of_plane,
        "iterates": dict(portrait.iterates),
        "out": [str(p) for p in written],
    }  # fmt: skip


def _begin(x0: str | None, target: Any) -> Any:
    """Where iterates and the flow start: 1 by default, or at the objective's own starting point."""
    if target is None:
        values = [float(number("--x0", part)) for part in (x0 or "1").split(",")]
        return values[0] if len(values) == 1 else values
    return 1.0 if x0 is None and target.x0 is None else start(x0, target)


def _window(text: str) -> list[list[float]]:
    parts = [float(number("--window", part)) for part in text.split(",")]
    if len(parts) != 4:
        raise OdescentError(f"--window takes X0,X1,Y0,Y1, such as -2,2,-1,1, not {text!r}.")
    return [parts[:2], parts[2:]]


def _slow(text: str) -> tuple[str, str, int]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3:
        raise OdescentError(f"--slow takes FAST,SMALL,ORDER, such as psi,1/K,2, not {text!r}.")
    return parts[0], parts[1], whole("--slow", parts[2], 0)
