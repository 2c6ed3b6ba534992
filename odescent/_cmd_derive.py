"""``odescent derive``: the steps from a principle to an algorithm, each with its check."""

from __future__ import annotations

from pathlib import Path

from . import _console
from ._errors import OdescentError

MARKS = [
    (r"\A.*$", "bold"),
    (r"^\d+\. .*$", "bold"),
    (r"^(?:Three equations, not to be confused|Algorithm)$", "bold"),
    (r"^   (✓|ok) \d+ residuals? zero", "green"),
    (r"NOT VERIFIED.*$", "bold red"),
]


def run(name: str, route: str | None, as_latex: bool, as_json: bool, out: Path | None) -> int:
    """Print a derivation or write it to a file; return 1 if a step of it does not hold."""
    if as_latex and as_json:
        raise OdescentError("--latex and --json are two forms of the same thing: choose one.")
    import odescent as od

    derivation = od.derive(name, route=route)
    if as_json:
        text = _console.document(derivation.to_dict(), "odescent.derivation/1")
    elif as_latex:
        text = derivation.latex()
    else:
        from .discretize.report import derivation_text

        text = derivation_text(derivation, _console.width() if out is None else _console.WIDTH) + "\n"
    done = f"{sum(s.verified for s in derivation.steps)} of {len(derivation.steps)} steps verified"
    if out is not None:
        from ._files import write_whole

        write_whole(out, text)
    if as_json or (as_latex and out is None):
        _console.say_exactly(text)
    else:
        _console.say(f"{out}: {done}." if out is not None else text.rstrip("\n"), MARKS if out is None else ())
    if derivation.verified:
        return 0
    wrong = next(n for n, s in enumerate(derivation.steps, 1) if not s.verified)
    _console.complain(f"{done}: step {wrong}, {derivation.steps[wrong - 1].title!r}, does not hold.")
    return 1
