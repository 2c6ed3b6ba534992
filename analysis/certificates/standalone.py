"""Certificates from data, and the source of the checker that stands alone."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from odescent._errors import OdescentError

from . import checker
from .record import Record

# the class that reads each kind
KINDS = {
    "rate": "certificate:Certificate",
    "iqc": "certificate:Certificate",
    "quadratics": "certificate:Certificate",
    "horizon": "horizon:HorizonCertificate",
    "potential": "potential:PotentialCertificate",
    "flow": "flow:FlowCertificate",
}


def load(data: Any) -> Record:
    """A certificate of any kind from plain data, such as `Record.to_dict` makes, or from JSON; it is checked.

    Raises OdescentError if the data does not prove its statement, with the reason.
    """
    try:
        document = checker.parse(data) if isinstance(data, str) else data
        kind = document.get("kind") if isinstance(document, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            checker.check(document)
    except checker.Refused as reason:
        raise OdescentError(f"the data is no certificate: {reason}.") from None
    home, name = KINDS[str(kind)].split(":")
    found: Record = getattr(import_module(f".{home}", __package__), name).from_dict(document)
    return found


def checker_source() -> str:
    """The stand-alone checker of all kinds of certificates: one file for Python alone."""
    return inspect.getsource(checker)
