"""Certificates from data, and the source of the stand-alone checker."""

from __future__ import annotations

import inspect
from typing import Any

from ..._support.errors import OdescentError
from ..._support.registry import Registry
from .checking import checker
from .checking.record import ProofDocument

# the class that reads each kind
KINDS: Registry[ProofDocument] = Registry(
    "kind of certificate",
    __package__,
    {
        "rate": "certificate:Certificate",
        "quadratics": "certificate:Certificate",
        "horizon": "horizon:HorizonCertificate",
        "potential": "potential:PotentialCertificate",
        "flow": "flow:FlowCertificate",
    },
)


def load(data: Any) -> ProofDocument:
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
    found: ProofDocument = KINDS.entry(str(kind)).from_dict(document)
    return found


def checker_source() -> str:
    """The stand-alone checker of all kinds of certificates: one file for Python alone."""
    return inspect.getsource(checker)
