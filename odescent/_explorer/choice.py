"""Choices of the explorer: a method, its scheme, an objective, the parameters and their ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from types import MappingProxyType

import numpy as np
import sympy as sp

import odescent as od

from .._support.errors import NotCarried, OdescentError, check_choice
from ..discretize import Algorithm, Scheme
from ..discretize.programs.program import CallOracle
from ..dynamics import Objective, System
from ..dynamics.algebra.calculus import symbols_of
from ..dynamics.evaluation.evaluate import evaluate
from ..dynamics.grammar import read_text
from ..dynamics.vector_fields.system import Field

OWN = "its own"  # the scheme that a registered algorithm comes with
MODE = "one mode of a quadratic"
PLANE = "quadratic in the plane"
OWN_SYSTEM = "your own system"
OWN_FUNCTION = "your own function"
LARGEST = 2  # variables of an objective that can be drawn
PATHS = 100  # of an ensemble, at most
HEAT = "T"  # the temperature of noise that has no strength of its own

# Where a slider starts for a parameter that no tuning sets: the values customary in the field.
_CUSTOMARY = {
    "mu": 1.0, "L": 10.0, "h": 0.1, "beta": 0.9, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "sigma": 0.1, "rho": 0.85,
    "omega": 1.2, "c": 2.0, "gam": 2.0, "delta": 1.0, "u": 1.0, "tau": 1.0, "rate": 0.1, "alpha": 1.0,
}  # fmt: skip
_STEPS = 241  # to look for the longest stable one among
_NEUTRAL = 1e-9  # a radius of 1 but for rounding
# The same for particles that meet in a consensus point.
_OF_CONSENSUS = {
    "alpha": 30.0, "lam": 1.0, "sigma": 0.7, "h": 0.1, "s": 0.5, "kappa": 0.5, "jump": 0.7, "rate": 1.0,
}  # fmt: skip
_WHOLE = (
    "explicit_euler", "midpoint", "heun", "rk4", "implicit_euler", "cayley", "exact", "extragradient",
)  # schemes of the whole field  # fmt: skip
_DECADES = 1.5  # a slider goes so many powers of ten up and down


@dataclass(frozen=True)
class Parameter:
    """One slider: a name, where it starts, and its range; positive numbers go by their logarithm.

    Attributes:
        name: as in the algorithm, mu and L among them.
        start, low, high: values of the parameter itself.
        logarithmic: whether equal distances on the slider are equal factors.
    """

    name: str
    start: float
    low: float
    high: float
    logarithmic: bool = True


@dataclass(frozen=True)
class Choice:
    """What is shown.

    Attributes:
        method: the name of an algorithm or of a system, a system file's, or an `own_system`.
        scheme: `OWN` for a registered algorithm's, or a scheme's name.
        objective: `MODE`, `PLANE`, a registered objective of one or two variables, or an `own_function`.
        tuned: whether the parameters that the algorithm's tuning sets follow it.
        values: the sliders' numbers by name; what is left out has the slider's start.
        curvature: of the mode that is drawn, lambda.
        x0: the starting point; the first number alone for an objective of one variable.
        steps: how many iterates are shown, 1 to 200.
        target: of the emitted code.
        seed: of the noise.
        paths: how many paths of a method with noise are drawn, or how many particles meet, 1 to 100.
        width: standard deviation of the particles' start around x0; other paths start there.
    """

    method: str = "nesterov_sc"
    scheme: str = OWN
    objective: str = MODE
    tuned: bool = True
    values: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    curvature: float = 1.0
    x0: tuple[float, float] = (1.0, 1.0)
    steps: int = 40
    target: str = "numpy"
    seed: int = 0
    paths: int = 40
    width: float = 1.0


def options() -> list[str]:
    """The algorithms and systems to begin with."""
    return [*od.algorithms(), *(n for n in od.systems() if n not in od.algorithms())]


def meetings(made: Algorithm) -> tuple[CallOracle, ...]:
    """The calls of a step that all particles take part in."""
    return tuple(c for c in made.tuned.calls if c.oracle.form.particles)


def begin(method: str, objective: str | None = None) -> Choice:
    """The choice that the name of a method makes, with its own scheme or the first that fits.

    Raises OdescentError for an unknown name, or an objective of more variables.
    """
    found = schemes(method)
    if not found:
        raise OdescentError(f"no scheme fits {said(method)}: give it its own in a system file.")
    on = PLANE if objective == "quadratic" else objective or MODE
    concrete(on)
    return Choice(method, found[0], on, x0=start(on))


def start(objective: str) -> tuple[float, float]:
    """Where to start: the objective's own point, or 1."""
    known = concrete(objective)
    if known is None or known.x0 is None:
        return 1.0, 1.0
    own = [float(v) for v in np.ravel(known.x0)]
    return own[0], own[-1]


def objectives() -> list[str]:
    """What can be drawn: a mode, a quadratic in the plane, and the registered objectives of one or two variables."""
    drawn = [n for n in od.objectives() if "/" not in n and n != "quadratic"]
    return [MODE, PLANE, *(n for n in drawn if (od.objective(n).dimension or 1) <= LARGEST)]


def schemes(method: str) -> list[str]:
    """The schemes that make an algorithm of a method's system; its own first, where it is an algorithm."""
    found = [OWN] if isinstance(_named(method), Algorithm) else []
    for name in _made(_system(method)):
        try:
            algorithm(method, name)
        except OdescentError:
            continue
        found.append(name)
    return found


@lru_cache(maxsize=256)
def algorithm(method: str, scheme: str, tuned: bool = True) -> Algorithm:
    """The algorithm that a scheme makes of a method's system.

    Args:
        method: name of an algorithm or a system.
        scheme: name of a scheme, or `OWN` for the algorithm's own.
        tuned: keep the method's tuning; otherwise its parameters are free.

    Raises:
        OdescentError: the scheme does not fit the system.
    """
    if not tuned:
        own = algorithm(method, scheme)
        return own.replace(tuning={}) if own.tuning else own
    named = _named(method)
    if scheme == OWN:
        if isinstance(named, Algorithm):
            return named
        raise OdescentError(f"{said(method)} is a system: choose a scheme for it.")
    return _fitting(method, scheme)[1]


def _fitting(method: str, scheme: str) -> tuple[partial[Scheme], Algorithm]:
    """The first way to make a scheme that fits, and the algorithm that it makes."""
    named, system = _named(method), _system(method)
    known = _made(system)
    check_choice(f"scheme for {said(method)}", scheme, known)
    refusal = OdescentError("")
    for candidate in known[scheme]:
        try:
            if isinstance(named, Algorithm):
                return candidate, named.replace(scheme=candidate(), clock=None)
            name = method if method.isidentifier() else system.name
            return candidate, Algorithm(system, candidate(), name=name)
        except OdescentError as error:
            refusal = error
    raise refusal


def scheme_call(method: str, scheme: str) -> str:
    """The Python expression that makes a scheme for a method; `algorithm` has accepted it."""
    made, _ = _fitting(method, scheme)
    given = [*map(repr, made.args), *(f"{n}={v!r}" for n, v in made.keywords.items())]
    return f"od.scheme({', '.join(given)})"


def parameters(choice: Choice) -> list[Parameter]:
    """The sliders: the algorithm's own free parameters, and mu and L where they span a spectrum or make the objective.

    Raises OdescentError where there is no such algorithm.
    """
    made = algorithm(choice.method, choice.scheme)
    free = [s.name for s in algorithm(choice.method, choice.scheme, choice.tuned).parameters]
    spanned = in_class(choice.objective) and has_modes(made)
    common = ["mu", "L"] if spanned or choice.objective == PLANE else []
    constants = spectrum(choice.objective)
    if concrete(choice.objective) is not None and made.step in made.parameters:
        constants |= {"h": min(_CUSTOMARY["h"], stable_step(made, choice.objective))}
    return [_slider(n, made, constants) for n in dict.fromkeys([*common, *sorted(free)])]


@lru_cache(maxsize=256)
def stable_step(made: Algorithm, objective: str) -> float:
    """Half of the longest step that the method bears on the largest curvature at the objective's start.

    For gradient descent that is 1 / curvature, for what moves by a velocity a multiple of its root. No bound for what
    is not linear in the gradient: what normalizes it, as Adam does, takes a step of its own length.
    """
    most = steepest(objective)
    if not most > 0:
        return math.inf
    tried = np.geomspace(1e-3 / most, _CUSTOMARY["h"] * 2, _STEPS)
    others = [s.name for s in made.parameters if s != made.step and s.name not in ("mu", "L")]
    own = {n: _CUSTOMARY.get(n, 1.0) for n in others}
    try:
        locus = od.analysis.spectrum(
            made, most, most, parameters=own, against=str(made.step), values=tried
        ).locus
    except NotCarried:
        return math.inf
    except OdescentError:
        return float(f"{1 / most:.1g}")
    assert locus is not None  # it was asked for
    leaves = np.flatnonzero(~(locus.worst <= 1 + _NEUTRAL))
    return float(f"{tried[leaves[0]] / 2:.1g}") if len(leaves) else math.inf


def complete(made: Algorithm, values: Mapping[str, float]) -> dict[str, float]:
    """The values of all parameters, those that the tuning sets included."""
    numbers = {n: float(v) for n, v in values.items()}
    for symbol, expression in made.tuning_values.items():
        known = {s: numbers.get(s.name) for s in expression.free_symbols}
        if symbol.name not in numbers and all(v is not None for v in known.values()):
            try:
                numbers[symbol.name] = float(evaluate(expression, known, {}, np))
            except ZeroDivisionError:
                where = ", ".join(sorted(f"{s} = {v:.4g}" for s, v in known.items()))
                raise OdescentError(f"{symbol} has no finite value at {where}.") from None
    return numbers


def spectrum(objective: str) -> dict[str, float]:
    """mu and L where an objective has them; else L is the curvature at its start, and mu at most a tenth of it."""
    known = concrete(objective)
    if known is None:
        return {n: _CUSTOMARY[n] for n in ("mu", "L")}
    largest = float(known.L) if known.L else float(f"{steepest(objective):.2g}")
    least = float(known.mu) if known.mu else min(_CUSTOMARY["mu"], largest / 10)
    return {"mu": least, "L": largest} if largest > 0 else spectrum(MODE)


def in_class(objective: str) -> bool:
    """Whether an objective is in a class F(mu, L), mu > 0: what a modal radius over [mu, L] is about."""
    known = concrete(objective)
    return known is None or bool(known.mu and known.L)


@lru_cache(maxsize=256)
def has_modes(made: Algorithm) -> bool:
    """Whether a step on a quadratic, its mean where it draws, is a matrix for each curvature."""
    if meetings(made):
        return False
    try:
        space = made.state_space(mean=True)
        space.modal_matrix(sp.Symbol("curvature", positive=True))
    except OdescentError:
        return False
    return all(oracle.kind == "grad" for oracle in space.inputs)


@lru_cache(maxsize=32)
def steepest(objective: str) -> float:
    """The largest curvature of an objective at its start."""
    import jax
    import jax.numpy as jnp

    known = concrete(objective)
    assert known is not None  # those of the explorer have their own curvatures
    with jax.enable_x64(True):
        at = jnp.asarray(start(objective)[: known.dimension or 1])
        return float(jnp.abs(jnp.linalg.eigvalsh(jax.hessian(known.value)(at))).max())


def _slider(name: str, made: Algorithm, constants: Mapping[str, float]) -> Parameter:
    symbol = next((s for s in (*made.program.parameters, *made.parameters) if s.name == name), None)
    customary = {**_CUSTOMARY, **(_OF_CONSENSUS if meetings(made) else {}), **constants}
    free = {s.name: customary.get(s.name, 1.0) for s in made.parameters}
    own = complete(made, {**free, **constants}).get(name, 1.0)
    start = own if symbol in made.tuning else customary.get(name, own)
    if name not in ("mu", "L") and not (
        symbol is None or symbol.is_positive or symbol.is_nonnegative
    ):
        reach = max(4.0, 4 * abs(start))
        return Parameter(name, start, -reach, reach, logarithmic=False)
    if name.startswith("beta") and 0 < start < 1:  # a share of what was
        least = 0.001 if symbol is not None and symbol.is_positive else 0.0
        return Parameter(name, start, least, 0.999, logarithmic=False)
    if not start > 0 or not math.isfinite(start):
        start = 1.0
    return Parameter(name, start, start / 10**_DECADES, start * 10**_DECADES)


@lru_cache(maxsize=256)
def _named(method: str) -> System | Algorithm:
    found = as_registered(method)
    if isinstance(found, System):
        return warmed(found) or found
    system = warmed(found.system)
    return found if system is None else found.replace(system=system)


@lru_cache(maxsize=256)
def as_registered(method: str) -> System | Algorithm:
    """What a method's name or text stands for, before `warmed`."""
    from .._cli.base.own_system import FileOptions, named, opened

    text = text_of(method)
    if text is None:
        return named(method, FileOptions())
    return opened(OWN_SYSTEM, FileOptions(), content=text)


def warmed(system: System) -> System | None:
    """With a temperature T, the square of a factor of its noise, where this has no strength of its own; else None.

    Langevin's systems then sample exp(-f / T); T = 1 leaves all as it is.
    """
    fields = system.fields.values()
    noises = [d for f in fields for d in f.noise.values()]
    strengths = {s for d in noises for s in symbols_of(d.amplitude)} & set(system.parameters)
    drift = {s for f in fields for e in f.drift.values() for s in symbols_of(e)}
    if not noises or strengths - drift or HEAT in {s.name for s in system.parameters}:
        return None
    root = sp.sqrt(od.parameters(HEAT))
    heated = {
        n: Field(f.drift, {b: replace(d, amplitude=d.amplitude * root) for b, d in f.noise.items()})
        for n, f in system.fields.items()
    }
    return system.with_fields(heated)


def _system(method: str) -> System:
    named = _named(method)
    return named.system if isinstance(named, Algorithm) else named


def _made(system: System) -> dict[str, list[partial[Scheme]]]:
    """For each scheme that needs no more than the system to be made, ways to make it, the best first."""
    blocks = [b.name for b in system.blocks]
    fields = system.fields
    linear = {
        n: not any(e.calls() for e in f.drift.values() if hasattr(e, "calls"))
        for n, f in fields.items()
    }
    parts = [[(n, by if linear[n] else "explicit") for n in fields] for by in ("exact", "explicit")]
    found: dict[str, list[partial[Scheme]]] = {n: [partial(od.scheme, n)] for n in _WHOLE}
    found["semi_implicit_euler"] = [partial(od.scheme, "semi_implicit_euler", order=blocks)]
    for name in ("lie_trotter", "strang"):
        found[name] = [partial(od.scheme, name, p) for p in parts]
    if {"damp", "kick", "drift"} <= set(fields):
        moved = [s.name for s in fields["drift"].drift]
        found["look_ahead"] = [partial(od.scheme, "look_ahead", block=b) for b in moved]
    return found


def concrete(objective: str) -> Objective | None:
    """The objective; None for those that the explorer makes from its sliders.

    Raises OdescentError for an unknown name, a function that cannot be read, or more variables than can be drawn.
    """
    if objective in (MODE, PLANE):
        return None
    found = _objective(objective)
    if (found.dimension or 1) > LARGEST:
        raise OdescentError(
            f"the explorer draws objectives of one or two variables, and {said(objective)} has more."
        )
    return found


@lru_cache(maxsize=64)
def _objective(objective: str) -> Objective:
    text = text_of(objective)
    return od.objective(objective) if text is None else od.parse_function(text)


def own_system(text: str) -> str:
    """The method of a `Choice` that a text in the language of system files describes."""
    return f"{OWN_SYSTEM}\n{text}"


def own_function(text: str) -> str:
    """The objective of a `Choice` that an expression in x, or in x and y, describes; see `od.parse_function`."""
    return f"{OWN_FUNCTION}\n{text}"


def text_of(name: str) -> str | None:
    """The text of an own system or function; None for a name."""
    head, _, text = name.partition("\n")
    return text if head in (OWN_SYSTEM, OWN_FUNCTION) else None


def written(method: str) -> str | None:
    """The text of a system of one's own or of a system file; None for a registered name."""
    from .._cli.base.own_system import is_file, is_text

    text = text_of(method)
    if text is not None or is_text(method):
        return text or method
    return read_text(method).text if is_file(method) else None


def said(name: str) -> str:
    """What a method or an objective is called: a text by the word for it."""
    return name.partition("\n")[0]
