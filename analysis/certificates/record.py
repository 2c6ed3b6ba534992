"""What all certificates share: a document of plain data, and its way to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import sympy as sp

from odescent._errors import OdescentError

from .document import SCHEMA, to_sympy

Kind = TypeVar("Kind", bound="Record")


@dataclass(frozen=True)
class Record:
    """A proof as a document; `from_dict` reads it back without checking it."""

    document: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """What is proved."""
        return str(self.document["kind"])

    @property
    def d(self) -> int:
        """The numbers lie in Q(sqrt d)."""
        return int(self.document["d"])

    @property
    def multipliers(self) -> dict[str, dict[tuple[int, ...], sp.Expr]]:
        """The weights of the interpolation inequalities by pair of points (-1 is the minimizer): "lambda" and "nu".

        "lambda" is without those from the minimizer, which follow. Of kind "iqc", by how many steps they reach back.
        """
        return {
            name: {
                tuple(map(int, key.split(","))): to_sympy(x, self.d)
                for key, x in self.document.get(name, {}).items()
            }
            for name in ("lambda", "nu")
        }

    def verify(self) -> bool:
        """Check the whole proof anew in exact arithmetic, without a solver."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` and the stand-alone checker read."""
        return {"schema": SCHEMA, **self.document}

    def to_json(self) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict(), indent=1) + "\n"

    @classmethod
    def from_dict(cls: type[Kind], data: Mapping[str, Any]) -> Kind:
        """A certificate from plain data; it is not checked before `verify`.

        Raises OdescentError if the data is no certificate of this kind.
        """
        if data.get("schema") != SCHEMA:
            raise OdescentError(
                f"a certificate has the schema {SCHEMA!r}, not {data.get('schema')!r}."
            )
        try:
            return cls._read(data)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise OdescentError(f"the data is no certificate: {error!r}.") from None

    @classmethod
    def _read(cls: type[Kind], data: Mapping[str, Any]) -> Kind:
        """The same; an ordinary error if a part is missing or odd."""
        found = cls({k: v for k, v in data.items() if k != "schema"})
        str(found), found.multipliers
        return found


def shown(e: sp.Expr) -> str:
    """A number, rounded if it is long."""
    return str(e) if len(str(e)) <= 24 else f"{float(e):.12g}"
