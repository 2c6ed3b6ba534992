"""The view of a choice: one pure function from the choice to arrays, texts and a picture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from .._support.errors import OdescentError
from .._support.rendering.brief import capital
from .._support.style import looks
from ..discretize.emit import find, source
from .choice import (
    HEAT,
    MODE,
    OWN,
    PATHS,
    Choice,
    algorithm,
    complete,
    concrete,
    in_class,
    parameters,
    said,
    text_of,
)  # fmt: skip
from .choice import spectrum as constants
from .drawing import Pictured, draw
from .ensemble import PathEnsemble, average
from .model import STEPS, Model, Track, coefficients, model
from .modes import modes
from .panel import Points

_MARGIN = 0.12
_FARTHEST = 3.0  # iterates that run away are shown as far as this many times the flow's extent
_EMPTY = np.zeros((0, 2))
_PLAIN_WORDS = ("a", "an", "no", "the", "there", "this")
_COMMENTS = {".tex": ("% ", ""), ".md": ("<!-- ", " -->")}  # of a target's files; elsewhere "# "


@dataclass(frozen=True)
class View:
    """What the explorer shows of a choice.

    Attributes:
        choice: what was chosen, with the values of all sliders.
        numbers: all parameters, those that the tuning sets among them.
        iterates, flow: shape (k + 1, 2) and (m, 2) in the picture's coordinates; of an ensemble its first path.
        ensemble: all paths, where there is noise or particles meet; else None.
        window: shape (2, 2), the ends of the two axes.
        curvatures, radius: the modal radius over [mu, L], shape (n,), with noise of the mean; empty where there are no
            modes.
        rate: its largest value, the asymptotic rate on quadratics; None where there are no modes.
        bound: how the distance to the minimizer decays, in the rate ρ.
        gap: f(x_k) - min f, shape (k + 1,), or None where the minimum is unknown; of an ensemble the mean.
        values: of f at the iterates, shape (k + 1,), of an ensemble (n, k + 1); None for an operator.
        axes: names of the two coordinates.
        kind: "phase", "time" or "plane", as of a `Model`; empty where nothing can be drawn.
        code: the emitted source, its settings first, which are the first `header` characters.
        command: the same on the command line.
        notes: sentences: what diverged, what cannot be shown and why.
        picture: an SVG document; empty where nothing can be drawn.
    """

    choice: Choice
    numbers: Mapping[str, float] = field(default_factory=dict)
    iterates: Points = field(default_factory=lambda: _EMPTY)
    flow: Points = field(default_factory=lambda: _EMPTY)
    window: Float[np.ndarray, "2 2"] = field(default_factory=lambda: np.array([[-1.0, 1], [-1, 1]]))
    curvatures: Float[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    radius: Float[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    rate: float | None = None
    bound: str = "ρᵏ"
    gap: Float[np.ndarray, " k"] | None = None
    values: Float[np.ndarray, "*n k"] | None = None
    axes: tuple[str, str] = ("", "")
    kind: str = ""
    code: str = ""
    header: int = 0
    command: str = ""
    notes: tuple[str, ...] = ()
    picture: str = ""
    ensemble: PathEnsemble | None = None


def view(choice: Choice) -> View:
    """The view of a choice; errors become sentences in its notes, never exceptions."""
    try:
        return _view(choice)
    except OdescentError as error:
        return View(choice, notes=(_sentence(error),))


def _view(choice: Choice) -> View:
    starts = {p.name: p.start for p in parameters(choice)}
    choice = replace(choice, values={n: choice.values.get(n, v) for n, v in starts.items()})
    steps = min(max(int(choice.steps), 1), STEPS)
    notes: list[str] = []
    # the code and the command exist even where the method cannot be run
    text, header = _code(choice, notes)
    shown = View(choice, code=text, header=header, command=_command(choice))
    try:
        found = model(choice.method, choice.scheme, choice.tuned, choice.objective)
        numbers = found.numbers(choice.values)
    except OdescentError as error:
        return replace(shown, notes=tuple(dict.fromkeys([*notes, _sentence(error)])))
    # an empty track means a start that cannot be used: a run of no steps tells why
    spectrum = modes(found, numbers, notes)
    # iterates and flow from the same start
    x0 = np.asarray(choice.x0[: found.dimension], float)
    crowd = (min(max(int(choice.paths), 1), PATHS), choice.width)
    track = found.track(numbers, choice.curvature, x0, steps, choice.seed, crowd)
    if not len(track.iterates) or not (len(track.flow) or found.meets):
        try:
            found.start(numbers, choice.curvature, x0, choice.seed)
        except OdescentError as error:
            notes.append(_sentence(error))
        else:
            notes.append("The flow leaves the finite numbers where it starts.")
        return replace(shown, numbers=numbers, notes=tuple(notes))
    # the window follows from the track, and the field is drawn in the window
    notes += _leaving(track)
    many = track.ensemble
    window = _window(track, found)
    arcs, speed = np.zeros((0, 2, 2)), np.zeros(0)
    if found.has_field:
        arcs, speed = found.arcs(numbers, choice.curvature, window)
    # without a known minimum there is no gap to draw
    least = 0.0 if found.known is None else _minimum(found.objective)
    values = track.values if many is None else many.values
    gaps = None if values is None or least is None else values - least
    gap = gaps if gaps is None or many is None else average(gaps)
    pictured = Pictured(
        found.kind, found.axes, window, track.iterates, track.flow, arcs, speed,
        found.levels(numbers, choice.curvature, window), spectrum,
        choice.curvature if choice.objective == MODE else None, gap,
        spectrum.rate, looks([choice.method])[choice.method].color, many, gaps, least or 0.0, found.hidden,
    )  # fmt: skip
    return replace(
        shown, numbers=numbers, iterates=track.iterates, flow=track.flow, window=window,
        curvatures=spectrum.curvatures, radius=spectrum.radius, rate=spectrum.rate, bound=spectrum.bound, gap=gap,
        notes=tuple(notes), picture=draw(pictured), ensemble=many, values=values, axes=found.axes, kind=found.kind,
    )  # fmt: skip


def _leaving(track: Track) -> list[str]:
    """Sentences on what leaves the finite numbers."""
    said = []
    if track.diverged_at is not None:
        said.append(f"It diverges at step {track.diverged_at}; what came before is shown.")
    if track.ensemble is not None:
        lost, first = track.ensemble.left_at()
        n, called = len(track.ensemble.paths), track.ensemble.names[0]
        rest = "what came before is" if lost == n else "means and quantiles of the others are"
        if lost:
            said.append(f"{lost} of {n} {called} diverge, the first at step {first}; {rest} shown.")
    if track.cut:
        said.append("The flow leaves the finite numbers; what came before is shown.")
    return said


def certified(choice: Choice) -> str:
    """A sentence: the certified rate over all functions of the class, or why there is none."""
    import odescent as od

    try:
        starts = {**constants(choice.objective), **{p.name: p.start for p in parameters(choice)}}
        values = {n: exact(choice.values.get(n, v)) for n, v in starts.items()}
        made = algorithm(choice.method, choice.scheme, choice.tuned)
        bound = made.bind({s: values[s.name] for s in made.parameters if s.name not in ("mu", "L")})
        proof = od.analysis.certify(bound, mu=values["mu"], L=values["L"])
    except OdescentError as error:
        return _sentence(error)
    mu, L = float(values["mu"]), float(values["L"])
    proved = f"‖xₖ − x*‖ = O(ρᵏ) with ρ = {proof.rate:.6f} for every f in F({mu:g}, {L:g})"
    about = (
        ""
        if in_class(choice.objective)
        else (
            f" It holds for {said(choice.objective)} only if all its curvatures are between {mu:g} and {L:g}."
        )
    )
    return f"Certified, in exact arithmetic: {proved}.{about}"


def exact(value: float) -> Fraction:
    """What a slider shows, as an exact number: four digits."""
    return Fraction(f"{value:.4g}")


@lru_cache(maxsize=32)
def _minimum(objective: str) -> float | None:
    import jax
    import jax.numpy as jnp

    known = concrete(objective)
    if known is None or known.minimizer is None:
        return None
    with jax.enable_x64(True):
        at = np.asarray(known.minimizer, float)
        first = at.reshape(-1, known.dimension or 1)[0]
        return float(known.value(jnp.asarray(first)))


def _window(track: Track, found: Model) -> Float[np.ndarray, "2 2"]:
    """Ends of the axes around the flow and the iterates, rounded outwards so that they stay put as sliders move."""
    flow, iterates = track.flow, track.iterates
    if track.ensemble is not None:
        iterates = track.ensemble.extent()
        flow = flow if len(flow) else iterates
    low, high = flow.min(0), flow.max(0)
    latest = float(
        flow[-1, 0] if track.ensemble is None else np.nanmax(track.ensemble.paths[..., 0])
    )
    if found.kind != "time":  # the point of rest is at the origin or near it
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    size = np.maximum(high - low, 1e-3 * max(1.0, float(np.abs(flow).max())))
    size = np.where(size > 0, size, 1.0)
    inside = np.clip(iterates, low - _FARTHEST * size, high + _FARTHEST * size)
    low, high = np.minimum(low, inside.min(0)), np.maximum(high, inside.max(0))
    size = np.maximum(high - low, size)
    if found.kind == "plane":  # as long as it is wide
        size = np.full(2, size.max())
        middle = (low + high) / 2
        low, high = middle - size / 2, middle + size / 2
    grid = 10.0 ** np.floor(np.log10(size)) / 5
    low, high = low - _MARGIN * size, high + _MARGIN * size
    ends = np.stack([np.floor(low / grid) * grid, np.ceil(high / grid) * grid], 1)
    if found.kind == "time":
        ends[0] = [0.0, latest if latest > 0 else 1.0]
    return ends


def _code(choice: Choice, notes: list[str]) -> tuple[str, int]:
    """The source, with the sliders' numbers and what they make of the step's coefficients in front."""
    made = algorithm(choice.method, choice.scheme, choice.tuned)
    begin, end = _COMMENTS.get(find(choice.target).suffix, ("# ", ""))
    try:
        text = source(made, choice.target)
        numbers = coefficients(made, complete(made, choice.values))
    except OdescentError as error:
        notes.append(_sentence(error))
        return "", 0
    free = {s.name: choice.values[s.name] for s in made.parameters}
    own = {n: v for n, v in numbers.items() if n not in free and re.search(rf"\b{n}\b", text)}
    lines = [f"with {_listed(free)}"] * bool(free) + [f"in the step: {_listed(own)}"] * bool(own)
    head = "".join(f"{begin}{line}{end}\n" for line in lines)
    return head + text, len(head)


def _listed(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{n} = {v:.4g}" for n, v in numbers.items())


def _command(choice: Choice) -> str:
    """The command that emits the same with the numbers in it; empty where it takes more than one."""
    made = algorithm(choice.method, choice.scheme, choice.tuned)
    own = text_of(choice.method) is not None
    if own or choice.scheme != OWN or HEAT in {s.name for s in made.parameters}:
        return ""
    values = [f"--set {s.name}={choice.values[s.name]:.4g}" for s in made.parameters]
    return " ".join([f"odescent emit {choice.method} --target {choice.target}", *values])


def _sentence(error: OdescentError) -> str:
    """The message in one line; it may begin with a symbol, whose case must stay."""
    said = " ".join(str(error).split())
    return capital(said) if said.partition(" ")[0] in _PLAIN_WORDS else said
