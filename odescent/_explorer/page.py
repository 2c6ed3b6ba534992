"""Parts of the explorer's page as plain functions: the positions of sliders, and pieces of HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from types import MappingProxyType

import numpy as np

from .._support.errors import NotCarried, OdescentError
from .._support.rendering.brief import capital
from ..discretize.emit import source
from ..dynamics.grammar.bounds import MAX_TEXT
from ..dynamics.notation.unicode import pretty
from .choice import (
    HEAT,
    MODE,
    PATHS,
    Choice,
    Parameter,
    algorithm,
    begin,
    concrete,
    in_class,
    own_function,
    own_system,
    parameters,
    said,
    start,
    text_of,
)  # fmt: skip
from .link import link, linked
from .model import STEPS, model
from .turning import turned
from .view import View

_POSITIONS = 121
_BOX = "background:#f6f8fa;padding:.8rem 1rem;border-radius:8px;font-size:14px;line-height:1.4"
_NONE: Mapping[str, float] = MappingProxyType({})
_LONGEST = 180  # characters of a sentence
_FOOT = "display:flex;justify-content:flex-end;gap:1rem;color:#9aa5b1;font-size:12px"
_PLACE = "height:26rem;display:flex;align-items:center;justify-content:center;font-size:1.2rem;color:#57606a"
_FLOATING = (
    "position:fixed;top:.8rem;left:50%;z-index:50;padding:.3rem .9rem;border-radius:1rem;background:#fff8e5;"
    "border:1px solid #e6d9b8;color:#57606a"
)
_WORD = re.compile(r"\\mathrm\{([A-Za-z]{2,})\}")
_SPACED = r"\\operatorname{\1}"  # with space around a name
HEAD = "<strong>odescent explorer</strong>"
OWN = '<p style="margin:0;font-size:1.25rem;font-weight:600">Your own system or function</p>'
EXAMPLE = """system damped
blocks x, v
parameters c > 0
objective f
field damp:  v' = -c*v
field kick:  v' = -grad f(x)
field drift: x' = v
output x
init x = x0, v = 0
"""
FUNCTION = "(1 - x)^2 + 5*(y - x^2)^2"
_COEFFICIENTS = "c_a is the factor of a in the step, and c_a_b the one in the update of b."
_STRENGTHS = {HEAT: ("temperature",), "sigma": ("noise",)}


@dataclass(frozen=True)
class Shown:
    """Which controls a structure needs."""

    tunable: bool
    mode: bool
    plane: bool
    noisy: bool
    meets: bool


def shown(method: str, scheme: str, objective: str, tuned: bool) -> Shown:
    """Which controls to show.

    Args:
        method: name of an algorithm or a system.
        scheme: name of a scheme.
        objective: name of an objective.
        tuned: keep the method's tuning.

    Returns:
        The visible controls; all optional ones if the choice is invalid.
    """
    try:
        made = algorithm(method, scheme)
        found = model(method, scheme, tuned, objective)
    except OdescentError:
        return Shown(True, objective == MODE, True, False, False)
    return Shown(
        bool(made.tuning), objective == MODE, found.dimension == 2, found.noisy, found.meets
    )


@dataclass(frozen=True)
class Slider:
    """A slider of the page: its positions, its current position, and its label."""

    name: str
    label: str
    positions: list[float]
    value: float


def sliders(
    method: str, scheme: str, objective: str, tuned: bool, kept: Mapping[str, float],
    values: Mapping[str, float] = _NONE,
) -> list[Slider]:  # fmt: skip
    """The sliders of the parameters, and those of the picture.

    Args:
        method: name of an algorithm or a system.
        scheme: name of a scheme.
        objective: name of an objective.
        tuned: keep the method's tuning.
        kept: current positions of the picture's sliders.
        values: of parameters that do not start where they usually do.
    """
    found = []
    for p in parameters(Choice(method, scheme, objective, tuned)):
        value = values.get(p.name, nearest(p))
        found.append(Slider(p.name, named(p.name), sorted({*steps(p), value}), value))
    needed = shown(method, scheme, objective, tuned)
    starts = [round(v, 2) for v in np.linspace(-4, 4, 161).tolist()]
    more = {
        "λ": ("curvature λ", geometric(0.05, 100.0, 1.0), needed.mode),
        "x₁": ("start x₁", starts, True),
        "x₂": ("start x₂", starts, needed.plane),
        "steps": ("steps", [float(n) for n in range(1, STEPS + 1)], True),
        "width": ("width of the start", geometric(0.01, 10.0, 1.0), needed.meets),
        "paths": (
            "particles" if needed.meets else "paths",
            [float(n) for n in range(1, PATHS + 1)],
            needed.noisy or needed.meets,
        ),
        "seed": ("seed of the noise", [float(n) for n in range(51)], needed.noisy),
    }
    for name, (label, positions, wanted) in more.items():
        if wanted:  # what was asked for is one of them
            found.append(Slider(name, label, sorted({*positions, kept[name]}), kept[name]))
    return found


def restart(objective: str, kept: dict[str, float]) -> None:
    """Put the start where another objective has its own."""
    kept["x₁"], kept["x₂"] = start(objective)


def choice(
    method: str, scheme: str, objective: str, tuned: bool, kept: Mapping[str, float],
    moved: Mapping[str, float], target: str,
) -> Choice:  # fmt: skip
    """The choice that the controls represent.

    Args:
        method: name of an algorithm or a system.
        scheme: name of a scheme.
        objective: name of an objective.
        tuned: keep the method's tuning.
        kept: positions of the picture's sliders.
        moved: values of the sliders that the user has moved.
        target: language of the emitted code.
    """
    own = {n: v for n, v in moved.items() if n not in kept}
    return Choice(
        method, scheme, objective, tuned, own, kept["λ"], (kept["x₁"], kept["x₂"]),
        int(kept["steps"]), target, int(kept["seed"]), int(kept["paths"]), kept["width"],
    )  # fmt: skip


def geometric(low: float, high: float, among: float) -> list[float]:
    """Slider positions in geometric progression, rounded to three digits.

    Args:
        low: the first position.
        high: the last position.
        among: a value that must be one of them.
    """
    made = {float(f"{v:.3g}") for v in np.geomspace(low, high, _POSITIONS)} | {among}
    return sorted(made)


def steps(p: Parameter) -> list[float]:
    """The positions of a parameter's slider; its start is one of them."""
    if p.logarithmic:
        return geometric(p.low, p.high, nearest(p))
    return sorted(
        {float(f"{v:.4g}") for v in np.linspace(p.low, p.high, _POSITIONS)} | {nearest(p)}
    )


def nearest(p: Parameter) -> float:
    """Where the slider starts: the start with the four digits that are shown."""
    return float(f"{p.start:.4g}")


def named(name: str) -> str:
    """A parameter's displayed name; parameters of the noise are marked."""
    return " ".join([*_STRENGTHS.get(name, ()), pretty(name)])


def picture(seen: View, seconds: float) -> str:
    """The picture and its notes, the link that holds them, and how long they took."""
    notes = "".join(sentence(n) for n in seen.notes)
    query = link(seen.choice)
    held = f'<a id="odescent-link" href="{escape(query)}">link to this view</a>' if query else ""
    return (
        f'<div id="odescent-view" style="width:100%">{seen.picture}{notes}'
        f'<div style="{_FOOT}">{held}<span id="odescent-time">{1e3 * seconds:.0f} ms</span></div></div>'
    )


def turning(seen: View) -> str:
    """The interactive picture in a frame of its own, or why there is none."""
    try:
        return f'<div id="odescent-turned">{turned(seen).framed()}</div>'
    except OdescentError as error:
        return sentence(str(error))


def computing(method: str, objective: str, floating: bool = False) -> str:
    """What is computed, said while it lasts.

    Args:
        method: name or text of an algorithm or a system.
        objective: name or text of an objective; empty while it is not needed.
        floating: at the top of the window, beside what is there, and not in the place of the picture.
    """
    place = _FLOATING if floating else _PLACE
    what = said(method) + (f" on {said(objective)}" if objective else "")
    return f'<div class="odescent-busy" style="{place}">computing {escape(what)} …</div>'


def refusal(error: OdescentError) -> str:
    """An error as HTML; that of a text with the line and the caret below it."""
    head, _, excerpt = str(error).partition("\n")
    below = f'<pre style="{_BOX};margin:.4rem 0">{escape(excerpt)}</pre>' if excerpt.strip() else ""
    return sentence(head) + below


def opened(query: Mapping[str, str | Sequence[str]], otherwise: Choice) -> tuple[Choice, str]:
    """The choice that a page opens with, from its address, and HTML that says why it is not the address's.

    Args:
        query: of the address.
        otherwise: what an address without a query shows.
    """
    try:
        return linked(query) or otherwise, ""
    except OdescentError as error:
        return otherwise, f'<div id="odescent-refusal">{refusal(error)}</div>'


def checked_system(text: str) -> str:
    """The method that a text describes; OdescentError where it is not in the language or no scheme fits."""
    method = own_system(text)
    return begin(method).method


def checked_function(text: str) -> str:
    """The objective that a text describes; OdescentError where it cannot be read or drawn."""
    objective = own_function(text.strip())
    concrete(objective)
    return objective


def menu(names: Iterable[str], *more: str) -> dict[str, str]:
    """Entries of a menu: what each is called, and what it stands for; texts and files come first.

    Args:
        names: registered names.
        more: what is in use, and texts; empty ones are left out.
    """
    return {said(n): n for n in (*filter(None, more), *names)}


def box(contents: bytes | None, begun: str, example: str) -> tuple[str, str]:
    """What a text box says above itself, HTML, and holds.

    Args:
        contents: of a file that was opened; None for none.
        begun: the method or the objective that the page began with.
        example: a text to begin with where there is no other.
    """
    own = text_of(begun) or example
    if contents is None:
        return "", own
    try:
        return "", uploaded(contents)
    except OdescentError as error:
        return refusal(error), own


def uploaded(contents: bytes) -> str:
    """The text of a file; OdescentError for one that is not UTF-8 or is too long."""
    if len(contents) > 4 * MAX_TEXT:
        raise OdescentError(
            f"the file has {len(contents):,} bytes: a text has at most {MAX_TEXT:,} characters."
        )
    try:
        return contents.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise OdescentError("the file is not UTF-8 text.") from None


def sentence(text: str) -> str:
    """One sentence for people; a formula in it may be too long for a screen."""
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    said = f'<p class="odescent-note" style="margin:0;font-size:1.1rem">{escape(text)}</p>'
    return said if text else ""


def rate(seen: View) -> str:
    """A sentence on the rate, from the spectrum; what it is about is said where that is not what is drawn."""
    on = seen.choice.objective
    if seen.rate is None:
        return "" if in_class(on) else f"No rate is claimed: {said(on)} is in no class F(μ, L)."
    where = "On quadratics"
    if concrete(on) is not None:
        where += f" with curvatures from {seen.curvatures[0]:g} to {seen.curvatures[-1]:g}"
    if seen.rate >= 1:
        return f"{where} it does not contract: ρ = {seen.rate:.4f}."
    digit = np.log(0.1) / np.log(seen.rate) if seen.rate > 0 else 1.0
    point = "xₖ" if seen.ensemble is None else "E xₖ"
    decay = f"‖{point} − x*‖ = O({seen.bound}) with ρ = {seen.rate:.6f}"
    return f"{where} {decay}, one more digit every {digit:.1f} steps."


def heading(method: str, scheme: str) -> str:
    """The displayed label of a name."""
    try:
        made = algorithm(method, scheme)
    except OdescentError:
        return ""
    title = made.title or (made.name or Path(said(method)).stem).replace("_", " ")
    return (
        '<p id="odescent-title" style="margin:0;font-size:1.25rem;font-weight:600">'
        f"{escape(capital(title))}</p>"
    )


def equations(method: str, scheme: str, tuned: bool) -> list[str]:
    """The flow and, where it has a closed form, one step.

    Args:
        method: name of an algorithm or a system.
        scheme: name of a scheme.
        tuned: keep the method's tuning.

    Returns:
        Markdown with display mathematics; empty for an invalid choice.
    """
    try:
        made = algorithm(method, scheme, tuned)
    except OdescentError:
        return []
    pairs = [("flow", made.bound.latex())]
    with suppress(NotCarried):  # the view says why
        pairs.append(("one step", made.latex()))
    return [f"**{name}**\n\n$$\n{_WORD.sub(_SPACED, latex)}\n$$" for name, latex in pairs]


@lru_cache(maxsize=64)
def _highlighted(text: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name

    name = "latex" if text.startswith("%") else "markdown" if text.startswith("#") else "python"
    return str(
        highlight(
            text,
            get_lexer_by_name(name),
            HtmlFormatter(noclasses=True, nowrap=True, style="friendly"),
        )
    )


def settings(seen: View) -> str:
    """What the sliders make of the code's numbers, and the command that emits it with them in it."""
    if not seen.code:
        return ""
    command = f"<code>{escape(seen.command)}</code>" if seen.command else ""
    if re.search(r"\bc_\w+ = ", seen.code[: seen.header]):
        command += f'<div style="color:#57606a">{_COEFFICIENTS}</div>'
    return (
        f'<div id="odescent-settings" style="{_BOX}"><pre style="margin:0;color:#B3261E;font-weight:bold">'
        f"{escape(seen.code[: seen.header])}</pre>{command}</div>"
    )


def code(method: str, scheme: str, tuned: bool, target: str) -> str:
    """The emitted code; sliders do not change it, because its numbers are arguments.

    Args:
        method: name of an algorithm or a system.
        scheme: name of a scheme.
        tuned: keep the method's tuning.
        target: language or framework.

    Returns:
        HTML; empty for an invalid choice.
    """
    try:
        text = source(algorithm(method, scheme, tuned), target)
    except OdescentError:
        return ""
    return (
        f'<pre id="odescent-code" style="{_BOX};overflow:auto;max-height:34rem">'
        f"{_highlighted(text)}</pre>"
    )
