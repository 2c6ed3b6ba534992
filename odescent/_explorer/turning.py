"""The interactive picture of a view: turned, moved and zoomed, with eigenvalues under the pointer."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .._support.errors import OdescentError
from .._support.rendering.scene import Scene
from .model import Model, model
from .view import View


def turned(seen: View) -> Scene:
    """The surface of f with the flow and the iterates on it, or the phase portrait of two blocks.

    Args:
        seen: the view.

    Raises:
        OdescentError: a view without a picture, of many paths, or of one block against time; and what a portrait or a
            landscape refuses.
    """
    choice = seen.choice
    if not seen.kind:
        raise OdescentError(" ".join(seen.notes) or "there is no picture.")
    found = model(choice.method, choice.scheme, choice.tuned, choice.objective)
    if seen.ensemble is not None:
        raise OdescentError(
            "many paths have no interactive picture: choose a method without noise, or save the svg."
        )
    if seen.kind == "time":
        raise OdescentError(
            f"{seen.axes[1]} against time has no interactive picture: choose a function of two variables, or a method "
            "with a second block."
        )
    own = tuple((s.name, seen.numbers[s.name]) for s in found.algorithm.parameters)
    spectrum = tuple(seen.numbers.get(n, 1.0) for n in ("mu", "L"))
    x0 = tuple(float(v) for v in choice.x0[: found.dimension])
    return _scene(found, own, spectrum, choice.curvature, x0, max(int(choice.steps), 1))


@lru_cache(maxsize=8)
def _scene(
    found: Model,
    own: tuple[tuple[str, float], ...],
    spectrum: tuple[float, ...],
    curvature: float,
    x0: tuple[float, ...],
    steps: int,
) -> Scene:
    import odescent as od

    target = found.objective_of(curvature, np.asarray(spectrum))
    made, start = found.algorithm, np.asarray(x0)
    draw = od.analysis.landscape if found.kind == "plane" else od.analysis.phase_portrait
    return od.analysis.interactive(draw(made, target, x0=start, steps=steps, parameters=dict(own)))


__all__ = ["turned"]
