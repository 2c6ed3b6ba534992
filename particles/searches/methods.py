"""Methods of `minimize` by name, with default parameters."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..._support.errors import OdescentError, OdescentWarning, check_choice
from ..._support.numbers import real
from ..._support.rendering.brief import short
from ...discretize.faces import Algorithm
from ...discretize.library import algorithm
from ..engine.population import Population, polar
from ..engine.schedules import effective_alpha, geometric, kernel_width

ISOTROPIC = 0.85  # of anisotropic noise's strength, where it is shared by the coordinates


def default_share(particles: int) -> float:
    """Effective samples by default: a fiftieth of the particles, and one and a half at least."""
    return min(0.5, max(0.02, 1.5 / particles))


# Parameters by name, and those that follow a geometric law: first value, factor.
Known = tuple[dict[str, Any], dict[str, tuple[float, float]]]


class TunedMethod(NamedTuple):
    """A method with its parameters: numbers, laws of the values, and a schedule; and whether all particles have one
    consensus point, which is the answer."""

    algorithm: Algorithm
    numbers: dict[str, float]
    laws: tuple[tuple[str, Callable[[Any], Any]], ...]
    schedule: Callable[[Any, Any], Mapping[str, Any]] | None
    one_center: bool


def _cbo(scale: float, steps: int, particles: int) -> Known:
    return {"alpha": effective_alpha(default_share(particles)), "lam": 1.0, "sigma": 3.0, "h": 0.05, "lam_own": 0.5,
            "sigma_own": 0.5, "kappa": 20.0, "beta": 30.0, "M": scale, "gamma": 0.0}, {}  # fmt: skip


def _hopping(scale: float, steps: int, particles: int) -> Known:
    """The width falls to a thousandth over all steps."""
    return {"alpha": effective_alpha(default_share(particles))}, {"s": (scale, 1e-3 ** (1 / steps))}


def _freezing(scale: float, steps: int, particles: int) -> Known:
    """The stationary width sigma / sqrt(2 lam) falls to a thousandth over all steps."""
    law = (scale * math.sqrt(2.0), 1e-3 ** (1 / steps))
    return {"alpha": effective_alpha(default_share(particles)), "lam": 1.0, "h": 0.5}, {
        "sigma": law
    }


def _jumping(scale: float, steps: int, particles: int) -> Known:
    """Half of the noise's variance by jumps, one in twenty steps in the mean."""
    known, laws = _cbo(scale, steps, particles)
    return {**known, "sigma": 2.0, "jump": 2.0, "rate": 1.0}, laws


def _polar(scale: float, steps: int, particles: int) -> Known:
    """A kernel of the width at the start that narrows as the weights sharpen."""
    known, laws = _cbo(scale, steps, particles)
    return {**known, "kappa": kernel_width(default_share(particles), scale)}, laws


METHODS = {
    "cbo": _cbo,
    "consensus_hopping": _hopping,
    "consensus_freezing": _freezing,
    "jump_cbo": _jumping,
    "mirror_cbo": _cbo,
    "polar_cbo": _polar,
}


def settled(
    method: str | Algorithm,
    options: Mapping[str, Any] | None,
    params: Mapping[str, Any] | None,
    schedule: Callable[[Any, Any], Mapping[str, Any]] | None,
    scale: float,
    steps: int,
    dimension: int,
    particles: int,
) -> TunedMethod:
    """The method with values for all its parameters; user values take precedence over the defaults.

    Args:
        method: a name, or an algorithm of an ensemble.
        options: structural options of a method given by name.
        params: values of parameters.
        schedule: maps the step and the previous record to values of parameters that change along the run.
        scale: the typical width of the start, in units of x.
        steps: the maximal number of steps.
        dimension: the number of variables.
        particles: in each run.

    Raises:
        OdescentError: an unknown method or parameter, or values that the method does not support.
    """
    given, own = dict(params or {}), dict(options or {})
    defaults: dict[str, Any] = {}
    annealed: dict[str, tuple[float, float]] = {}
    if isinstance(method, Algorithm):
        if own:
            raise OdescentError(
                "options belong to a method given by name; build the algorithm with them."
            )
        chosen = method
    else:
        check_choice("method of minimize called", method, METHODS)
        if method.endswith("cbo"):
            plane = method == "cbo" and dimension == 2
            own = {"noise": "isotropic" if plane else "anisotropic", **own}
        chosen = algorithm(method, **own)
        defaults, annealed = METHODS[method](scale, steps, particles)
        if own.get("noise") == "isotropic" and "sigma" in defaults:
            defaults["sigma"] *= ISOTROPIC / math.sqrt(dimension)
    chosen = chosen.released(given)
    # only methods with a consensus point can agree on an answer
    population = Population.of(chosen)
    if not population.meetings:
        raise OdescentError(
            f"{population.name} has no consensus point: minimize takes methods of ensembles; run it with .run()."
        )
    names = [s.name for s in population.program.parameters]
    for name in given:
        check_choice(f"parameter of {population.name} called", name, names)
    # a user's value replaces the default and the annealing of that parameter
    values = {n: v for n, v in {**defaults, **given}.items() if n in names}
    laws = {n: law for n, law in annealed.items() if n in names and n not in given}
    if laws:
        schedule = _both(geometric(**laws), schedule)
    missing = [n for n in names if n not in values and n not in laws and schedule is None]
    if missing:
        raise OdescentError(
            f"{population.name} needs values of {', '.join(missing)}; give them in params=."
        )
    # constants are checked for stability; functions of the values cannot be
    numbers = {n: _number(n, v) for n, v in values.items() if not callable(v)}
    _stable(chosen, own, numbers, dimension)
    calls = tuple(sorted((n, v) for n, v in values.items() if callable(v)))
    return TunedMethod(chosen, numbers, calls, schedule, not polar(population.meetings[0]))


class _Both(NamedTuple):
    first: Any
    second: Any

    def __call__(self, k: Any, record: Any) -> dict[str, Any]:
        return {**self.first(k, record), **self.second(k, record)}


def _both(first: Any, second: Any) -> Any:
    return first if second is None else _Both(first, second)


def _number(name: str, value: Any) -> float:
    number = real(value)
    if math.isnan(number):
        raise OdescentError(
            f"the parameter {name} must be a number or a function of the values, not {short(value)}."
        )
    if not math.isfinite(number) or number < 0:
        raise OdescentError(
            f"the parameter {name} must be a finite number, at least 0, not {short(value)}."
        )
    return number


def agreement(noise: str, lam: float, sigma: float, h: float, dimension: int) -> float:
    """The mean of log(|X+ - m| / |X - m|) over a CBO step with m held fixed.

    |X+ - m| / |X - m| is |1 - lam h + sigma sqrt(h) xi| in each coordinate for anisotropic noise, and for isotropic
    noise sigma sqrt(h) times the root of a noncentral chi square of d degrees of freedom. If the mean is negative, the
    particles agree almost surely.

    Args:
        noise: "anisotropic" or "isotropic".
        lam: the drift coefficient.
        sigma: the diffusion coefficient.
        h: the step size.
        dimension: d.
    """
    from scipy import integrate, stats

    keep, noise_size = 1 - lam * h, sigma * math.sqrt(h)
    if noise_size == 0:
        return math.log(abs(keep)) if keep else -math.inf
    law = stats.ncx2(1 if noise == "anisotropic" else dimension, (keep / noise_size) ** 2)
    # in the logarithm the integrand is smooth
    density = lambda u: u * math.exp(u) * law.pdf(math.exp(u))
    middle = math.log(law.mean())
    mean, _ = integrate.quad(density, middle - 60, middle + 6, limit=200, points=[middle])
    return math.log(noise_size) + float(mean) / 2


def _stable(
    chosen: Algorithm, options: Mapping[str, Any], numbers: Mapping[str, float], dimension: int
) -> None:
    """Refuse a drift that overshoots for ever; warn where the particles never agree."""
    lam, h, sigma = (numbers.get(n) for n in ("lam", "h", "sigma"))
    if chosen.name != "cbo" or lam is None or h is None or sigma is None:
        return
    if lam * h >= 2:
        raise OdescentError(
            f"lam h = {lam * h:g} makes every step overshoot the consensus point: take 0 < lam h < 2."
        )
    noise = str(options.get("noise"))
    if (
        noise not in ("isotropic", "anisotropic")
        or options.get("memory")
        or options.get("truncated")
    ):
        return
    if agreement(noise, lam, sigma, h, dimension) >= 0:
        from scipy import optimize

        def rate(s: float) -> float:
            return agreement(noise, lam, s, h, dimension)

        low = sigma
        while rate(low) >= 0:  # without noise they come together, since lam h < 2
            low /= 10
        most = optimize.brentq(rate, low, 10 * low)
        warnings.warn(
            f"with sigma = {sigma:g} the particles never agree: a step takes them further apart in the mean; "
            f"below sigma = {most:.4g} they come together.",
            OdescentWarning,
            stacklevel=4,
        )
