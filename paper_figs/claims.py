"""Claims: the expected and the measured result of a figure, and the verdict.

A verdict is never typed: it is computed from an expectation (a range, open or closed, or a plain value) and a
measurement (a number, or a number with an interval of confidence).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._support.errors import OdescentError
from .._support.rendering.rendered import Rendered

HOLDS, WRONG, UNDECIDED = "holds", "does not hold", "undecided"
_NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Spread(Rendered):
    """A measured number with an interval of confidence, such as a rate with Wilson's.

    Raises OdescentError unless ``low <= value <= high``.
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if not self.low <= self.value <= self.high:
            raise OdescentError(
                f"a measured spread needs low <= value <= high, not {self.low}, {self.value}, {self.high}."
            )

    def __str__(self) -> str:
        return f"{_digits(self.value)} [{_digits(self.low)}, {_digits(self.high)}]"


Measured = bool | int | float | str | Spread | None


@dataclass(frozen=True)
class Expected(Rendered):
    """What a measurement has to be: within a range (ends included unless `strict`), or one plain value.

    Made by `near`, `between`, `at_most`, `at_least`, `below`, `above` and `exactly`.

    Attributes:
        text: as a reader sees it.
        low, high: the range, for numbers.
        strict: whether its ends are left out.
        value: a whole number, a truth value or a text that has to be met exactly; then there is no range.
    """

    text: str
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False
    value: bool | int | str | None = None

    def verdict(self, measured: Measured) -> str:
        """HOLDS, WRONG or UNDECIDED, the last for what was not measured or whose interval is on both sides."""
        if measured is None:
            return UNDECIDED
        if self.value is not None:
            same = type(measured) is type(self.value) and measured == self.value
            return HOLDS if same else WRONG
        if isinstance(measured, (bool, str)):
            return WRONG
        if not isinstance(measured, Spread):
            return HOLDS if self._has(float(measured)) else WRONG
        ends = self._has(measured.low), self._has(measured.high)
        if all(ends):
            return HOLDS
        clear = measured.high < self.low or measured.low > self.high
        return WRONG if clear or math.isnan(measured.value) else UNDECIDED

    def _has(self, x: float) -> bool:
        return self.low < x < self.high if self.strict else self.low <= x <= self.high


def near(value: float, *, relative: float = 0.0, absolute: float = 0.0) -> Expected:
    """Expect a number up to a tolerance, the larger of the two given.

    Args:
        value: the expected number.
        relative: tolerance relative to |value|.
        absolute: tolerance in the unit of the value.

    Raises:
        OdescentError: the tolerance is not positive and finite.
    """
    room = max(relative * abs(value), absolute)
    if not 0 < room < math.inf:
        raise OdescentError(f"near({value}) needs a positive tolerance, not {room}.")
    text = f"{_digits(value, room)} ± {room:.1g}"
    return Expected(text, value - room, value + room)


def between(low: float, high: float) -> Expected:
    """From `low` to `high`; OdescentError if the range is empty."""
    if not low <= high:
        raise OdescentError(f"between needs low <= high, not {low} and {high}.")
    return Expected(f"{_digits(low)} to {_digits(high)}", low, high)


def at_most(bound: float) -> Expected:
    """No more than a number."""
    return Expected(f"≤ {_digits(bound)}", high=bound)


def at_least(bound: float) -> Expected:
    """No less than a number."""
    return Expected(f"≥ {_digits(bound)}", low=bound)


def below(bound: float) -> Expected:
    """Less than a number."""
    return Expected(f"< {_digits(bound)}", high=bound, strict=True)


def above(bound: float) -> Expected:
    """More than a number."""
    return Expected(f"> {_digits(bound)}", low=bound, strict=True)


def exactly(value: bool | int | str) -> Expected:
    """One value and no other: a count, a text, yes or no."""
    return Expected(_shown(value), value=value)


@dataclass(frozen=True)
class Claim(Rendered):
    """One statement of a paper, with what it makes us expect and what was measured.

    Attributes:
        text: the statement, in one line.
        expected: see `Expected`.
        measured: a number, a `Spread`, a text, a truth value, or None where there is no measurement.
        source: where the statement comes from, such as "arXiv:2509.18346, abstract"; may be empty.
    """

    text: str
    expected: Expected
    measured: Measured
    source: str = ""

    def __post_init__(self) -> None:
        plain = getattr(self.measured, "tolist", None)  # a number of NumPy or JAX has it
        if plain is not None:
            object.__setattr__(self, "measured", plain())

    @property
    def verdict(self) -> str:
        """HOLDS, WRONG or UNDECIDED, computed from the expectation and the measurement."""
        return self.expected.verdict(self.measured)

    @property
    def shown(self) -> str:
        """The measurement as a reader sees it, with digits enough to tell it from what was expected."""
        return _shown(self.measured, (self.expected.high - self.expected.low) / 2)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; the verdict is there for readers and ignored by `from_dict`."""
        e, m = self.expected, self.measured
        return {
            "text": self.text,
            "expected": {
                "text": e.text, "low": _written(e.low), "high": _written(e.high), "strict": e.strict, "value": e.value,
            },
            "measured": [_written(v) for v in (m.value, m.low, m.high)] if isinstance(m, Spread) else _written(m),
            "verdict": self.verdict,
            "source": self.source,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Claim:
        """The inverse of `to_dict`; KeyError, TypeError or ValueError for other data."""
        e, m = data["expected"], data["measured"]
        ends = float(_read(e["low"])), float(_read(e["high"]))
        expected = Expected(e["text"], *ends, e["strict"], e["value"])
        measured = Spread(*(float(_read(v)) for v in m)) if isinstance(m, list) else _read(m)
        return cls(data["text"], expected, measured, data["source"])


def _written(value: Any) -> Any:
    """JSON has no infinity and no NaN: they are written as {"float": "inf"}."""
    finite = not isinstance(value, float) or math.isfinite(value)
    return value if finite else {"float": repr(value)}


def _read(value: Any) -> Any:
    return float(value["float"]) if isinstance(value, Mapping) else value


def _shown(value: Any, room: float = math.inf) -> str:
    if value is None:
        return _NOT_MEASURED
    if isinstance(value, bool):
        return "yes" if value else "no"
    plain = isinstance(value, (int, str, Spread))
    return str(value) if plain else _digits(float(value), room)


def _digits(value: float, room: float = math.inf) -> str:
    """Six significant digits, or as many as show the tolerance."""
    wanted = 6
    if 0 < room < abs(value) < math.inf:
        wanted = min(max(6, math.ceil(math.log10(abs(value) / room)) + 1), 15)
    return f"{value:.{wanted}g}"
