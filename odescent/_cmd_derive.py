"""``odescent derive``: the steps from a principle to an algorithm, each with its check."""

from __future__ import annotations

from pathlib import Path

from . import _console
from ._errors import OdescentError
from ._files import write_whole

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
        raise OdescentError("--latex and --json exclude each other: give one of them.")
    import odescent as od

    from .discretize.report import derivation_text

    derivation = od.derive(name, route=route)
    if as_json:
        text = _console.document(derivation.to_dict(), "odescent.derivation/1")
    elif as_latex:
        text = derivation.latex()
    else:
        text = derivation_text(derivation, _console.WIDTH if out else _console.width())
    wrong = [s for s in derivation.steps if not s.verified]
    total = len(derivation.steps)
    done = f"{total - len(wrong)} of {total} steps verified"
    if out is not None:
        write_whole(out, text.rstrip("\n") + "\n")
    if as_json or (as_latex and out is None):
        _console.say_exactly(text)
    elif out is None:
        _console.say(text, MARKS)
    else:
        _console.say(f"{out}: {done}.")
    if wrong:
        _console.complain(f"{done}; the first that is not: {wrong[0].title!r}.")
    return 1 if wrong else 0
