"""The kinds of certificates: what proves each, and the source of a checker that stands alone.

The checkers of the package share exact arithmetic (`checker`). A stand-alone one is that arithmetic followed by the
proof of its kind, in one file that imports the standard library only.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from odescent._errors import unknown

from . import checker
from .record import Record

# the module that checks it, and the class that reads it
KINDS = {
    "strict": ("checker", "certificate:Certificate"),
    "identity": ("checker", "certificate:Certificate"),
    "iqc": ("checker_iqc", "certificate:Certificate"),
    "quadratics": ("checker_quadratics", "certificate:Certificate"),
    "horizon": ("checker_horizon", "horizon:HorizonCertificate"),
    "potential": ("checker_potential", "potential:PotentialCertificate"),
    "flow": ("checker_flow", "flow:FlowCertificate"),
}


def load(data: Mapping[str, Any]) -> Record:
    """A certificate of any kind from plain data, such as `Record.to_dict` makes; it is not checked before ``verify``.

    Raises OdescentError if the data is no certificate.
    """
    home, name = _of(data.get("kind"))[1].split(":")
    found: Record = getattr(import_module(f".{home}", __package__), name).from_dict(data)
    return found


def check_of(kind: str) -> Callable[[Mapping[str, Any]], str]:
    """The function that proves a document of this kind: words, or `checker.Refused`."""
    found: Callable[[Mapping[str, Any]], str] = import_module(f".{_of(kind)[0]}", __package__).check
    return found


def checker_source(kind: str = "strict") -> str:
    """The stand-alone checker of a kind of certificate: one file for Python alone.

    Raises OdescentError for an unknown kind.
    """
    home = _of(kind)[0]
    whole = inspect.getsource(checker)
    if home == "checker":
        return whole
    own = inspect.getsource(import_module(f".{home}", __package__))
    head, body = own.split("from .checker import ", 1)
    used, body = body.split("\n", 1)
    head, imports = head[head.index('"""') :].rsplit('"""', 1)
    # the lines of `checker` between its imports and its own inequality, without what the kind does not use
    parts = whole[whole.index("import json") : whole.index("class Inequality")]
    for name in ("dot", "add_square", "subtract", "definite"):
        if name not in used.split(", "):
            at = parts.index(f"def {name}(")
            end = parts.find("\ndef ", at)
            parts = parts[:at] + ("" if end < 0 else parts[end + 1 :])
    lines = [line for line in imports.splitlines()[1:] if line not in parts]
    own = "\n".join([head + '"""', *lines, parts.rstrip(), body])
    return own + "\n" + whole[whole.index("if __name__ ==") :]


def _of(kind: object) -> tuple[str, str]:
    if kind not in KINDS:
        raise unknown("kind of certificate", str(kind), list(KINDS))
    return KINDS[str(kind)]
