"""``odescent portrait``: the phase portrait of a system or an algorithm, as a picture, a film, or data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from ..._support.errors import OdescentError
from ..._support.files import check_file, make_folder
from ..._support.numbers import real_number
from ..._support.progress import bar, waiting
from ..base import console, own_system
from ..base.own_system import FileOptions
from ..base.values import (
    METHOD,
    File,
    NamedParameters,
    Number,
    OptionKind,
    Point,
    count,
    floats,
    named,
    whole,
)
from .simulate import start

_PICTURES = (".pdf", ".svg", ".png", "")
_FILMS = (".gif", ".mp4")
_PAGE = ".html"  # that answers the pointer
_EITHER = "give either --curvature, for one mode of a quadratic, or --objective."


def _window(option: str, text: str) -> list[list[float]]:
    parts = floats(option, text)
    if len(parts) != 4:
        raise OdescentError(f"{option} takes X0,X1,Y0,Y1, such as -2,2,-1,1, not {text!r}.")
    return [parts[:2], parts[2:]]


def _slow(option: str, text: str) -> tuple[str, str, int]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3:
        raise OdescentError(f"{option} takes FAST,SMALL,ORDER, such as psi,1/K,2, not {text!r}.")
    return parts[0], parts[1], whole(option, parts[2], 0)


def run(
    name: Annotated[str, METHOD],
    *,
    objective: Annotated[str | None, named("objectives")] = None,
    curvature: Number | None = None,
    x0: Point | None = None,
    t0: Number | None = None,
    steps: Annotated[int, count(1)] = 30,
    window: Annotated[list[list[float]] | None, OptionKind("X0,X1,Y0,Y1", read=_window)] = None,
    with_: list[Annotated[str, named("algorithms", files=".ode")]] | None = None,
    slow: Annotated[tuple[str, str, int] | None, OptionKind("FAST,SMALL,ORDER", read=_slow)] = None,
    parameters: NamedParameters,
    story: bool = False,
    out: File | None = None,
    file: FileOptions,
    json: bool = False,
) -> None:
    """Draw the phase portrait of a system, or of an algorithm with its iterates over its flow.

    NAME may be a system file; with a scheme, the iterates of its algorithm are drawn over the flow.
    The portrait has fixed points, separatrices, limit cycles and, with --slow, the slow manifold.
    On a function of two or more variables, a method with memory is drawn over the level lines.

    Args:
        name: An algorithm or a system, such as nesterov_sc or gradient_flow, or a system file.
        objective: The objective.
        curvature: Draw one mode of a quadratic.
        x0: Starting point; by default the objective's.
        t0: Time at the start of a flow with time in it, over level lines.
        steps: Number of steps, such as 1000 or 1e6.
        window: Ranges of the axes.
        with_: Add the iterates of another algorithm; may be repeated.
        slow: Draw the expansion of the slow manifold.
        story: For heavy_ball: figures and checked steps on its non-convergence, in the folder --out.
        out: Picture (pdf, svg, png), film (gif, mp4), or page that turns and shows eigenvalues (html).
        json: Print one JSON document, for machines.

    Examples:
        odescent portrait nesterov_sc --curvature 1 --mu 1 --L 100 --out nesterov.pdf
        odescent portrait heavy_ball --objective lessard_recht_packard --x0 3.3 --out cycle.gif
        odescent portrait heavy_ball --objective himmelblau --with gradient_descent --out valleys.svg
        odescent portrait heavy_ball --objective himmelblau --out valleys.html
        odescent portrait passive --curvature 1 --set K=3 --set a=0 --set b=2 --slow psi,1/K,3
        odescent portrait heavy_ball --curvature 1 --set step=0.1 --set momentum=0.9
        odescent portrait "x'' + (3/t)*x' + grad f(x) = 0" --objective quadratic --t0 0.1 --out nesterov.svg
        odescent portrait my_system.ode --curvature 1 --set c=1/2 --out portrait.pdf
        odescent portrait heavy_ball --story --out story
    """
    if story:
        return _story(name, out, json)
    # what can be refused before anything is loaded
    if out is not None and out.suffix not in (*_PICTURES, *_FILMS, _PAGE):
        raise OdescentError(
            "--out takes a picture (.pdf, .svg, .png, or all three without a suffix), a film (.gif, .mp4) or an "
            f"interactive page (.html), not {str(out)!r}."
        )
    if out is not None:
        check_file(out)
    if objective is not None and curvature is not None:
        raise OdescentError(_EITHER)
    if curvature is not None and not curvature > 0:
        raise OdescentError(f"--curvature must be more than 0, not {curvature}.")
    system: Any
    system, texts = own_system.configured(name, file, parameters.texts)
    values = {n: real_number(n, text) for n, text in texts.items()}
    laid: dict[str, Any] = {n: own_system.named(n, FileOptions()) for n in with_ or ()}

    import odescent as od

    calls = getattr(system, "system", system).oracles  # of an algorithm's system, or its own
    if calls and objective is None and curvature is None:
        raise OdescentError(_EITHER)
    flows = [n for n, a in laid.items() if not isinstance(a, od.Algorithm)]
    if flows:
        raise OdescentError(f"--with takes algorithms, but {flows[0]!r} has no scheme.")
    # the portrait, as data, and written where asked
    known: dict[str, Any] = {"curvature": None if curvature is None else float(curvature)}
    target = None if objective is None else od.objective(objective)
    if target is not None:
        known = {"target": target}
    begin = _begin(x0, target)
    with waiting(f"drawing {name}"):
        if target is not None and _over_level_lines(system, target, begin):
            if slow is not None:
                raise OdescentError("--slow needs a state of two numbers, and this one has more.")
            portrait: Any = od.analysis.landscape(
                {name: system, **laid}, target, begin, steps=steps, t0=float(t0 or 0), parameters=values, window=window
            )  # fmt: skip
        elif t0 is not None:
            raise OdescentError(
                "--t0 is for flows with time in them, on a function of two or more variables."
            )
        else:
            portrait = od.analysis.phase_portrait(
                system,
                window=window,
                x0=begin,
                steps=steps,
                parameters=values,
                algorithms=laid,
                slow=slow,
                **known,
            )
    written: tuple[Path, ...] = ()
    if out is not None and out.suffix in _FILMS:
        written = od.analysis.animate(portrait, out, progress=bar("frames"))
    elif out is not None and out.suffix == _PAGE:
        written = (od.analysis.interactive(portrait).save(out),)
    elif out is not None:
        written = portrait.save(out)
    lines = [f"{name}: {portrait}", *map(str, written[:3])]
    lines += [f"and {len(written) - 3} more"] if len(written) > 3 else []
    if isinstance(portrait, od.analysis.Landscape):
        data = {"name": name, **portrait.to_dict(), "out": [str(p) for p in written]}
        console.answer(json, "\n".join([str(portrait), *lines[1:]]), data, "odescent.landscape/1")
        return
    console.answer(json, "\n".join(lines), _data(name, portrait, written), "odescent.portrait/1")


def _over_level_lines(system: Any, target: Any, begin: Any) -> bool:
    """Whether the state has more numbers than a phase portrait shows, on a function of several variables."""
    if "value" not in target.oracles:
        return False
    import numpy as np

    variables = target.dimension or np.size(begin)
    flow = getattr(system, "system", system)
    return variables >= 2 and (not flow.autonomous or len(flow.blocks) * variables > 2)


def _story(name: str, out: Path | None, as_json: bool) -> None:
    """Write the argument for non-convergence, and print the paths of its files."""
    import odescent as od

    if name != "heavy_ball":
        raise OdescentError(f"--story is available for heavy_ball, not for {name!r}.")
    folder = Path("out/story") if out is None else out
    if folder.suffix in (*_PICTURES[:-1], *_FILMS, _PAGE):
        raise OdescentError(
            f"--story writes several files: give --out a folder, such as {str(folder.with_suffix(''))!r}, not "
            f"{str(folder)!r}."
        )
    make_folder(folder)
    with waiting("drawing the story"):
        written = od.analysis.heavy_ball_story(folder)
    value = {"name": name, "story": True, "out": [str(p) for p in written]}
    text = "\n".join([f"{name}: why it need not converge.", *map(str, written)])
    console.answer(as_json, text, value, "odescent.story/1")


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


def _begin(x0: Sequence[float] | None, target: Any) -> Any:
    """Where iterates and the flow start: 1 by default, or at the objective's own starting point."""
    if target is None:
        values = x0 or [1.0]
        return values[0] if len(values) == 1 else values
    return 1.0 if x0 is None and target.x0 is None else start(x0, target)
