"""Operations that have no meaning for what people hold: arithmetic, comparison, entries, conversion to a number."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import WrongType
from .names import NoAttribute, called, parts

# Each method with the sign or the word that people write.
_SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@",
    "divmod": "divmod()",
}  # fmt: skip
_BINARY = {f"__{side}{n}__": s for n, s in _SIGNS.items() for side in ("", "r")}
_COMPARED = {"__lt__": "<", "__le__": "<=", "__gt__": ">", "__ge__": ">="}
_UNARY = {
    "__neg__": "-", "__pos__": "+", "__abs__": "abs()", "__round__": "round()", "__float__": "float()",
    "__int__": "int()", "__complex__": "complex()",
}  # fmt: skip
_MEANT: Mapping[str, str] = {**_BINARY, **_COMPARED, **_UNARY}
_ENTRIES = ("__getitem__", "__len__")
# Operators of NumPy, in the words of Python's methods for what stands on the right of an array or of its numbers.
_OF_NUMPY = {
    "add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__", "divide": "__rtruediv__", "power": "__rpow__",
    "matmul": "__rmatmul__", "remainder": "__rmod__", "floor_divide": "__rfloordiv__", "divmod": "__rdivmod__",
    "less": "__gt__", "less_equal": "__ge__", "greater": "__lt__", "greater_equal": "__le__",
}  # fmt: skip


class Held:
    """What people hold: a name that it does not have, and an operation without a meaning, are refused in a sentence.

    A class has the operations that it defines; `_instead` says what to write in place of the others.
    """

    __slots__ = ()
    _instead: ClassVar[str] = ""
    _op_priority: ClassVar[float] = 100.0  # SymPy's numbers leave the operation to us

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse(cls)

    if not TYPE_CHECKING:  # every name would count as known

        def __getattr__(self, name: str) -> Any:
            inherited = getattr(super(), "__getattr__", None)  # as of a module of PyTorch
            if inherited is not None:
                return inherited(name)
            if name.startswith("_") or hasattr(
                type(self), name
            ):  # the error of a property is its own
                return object.__getattribute__(self, name)
            raise NoAttribute(type(self), name, getattr(self, "__dict__", ()))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **more: Any) -> Any:
        name: str = ufunc.__name__
        if method == "__call__" and len(inputs) == 2 and inputs[1] is self:
            if name in ("equal", "not_equal"):
                return name == "not_equal"
            if (reflected := getattr(self, _OF_NUMPY.get(name, ""), None)) is not None:
                return reflected(inputs[0])
        raise WrongType(self._no_meaning(f"numpy.{name}"))

    def _no_meaning(self, sign: str) -> str:
        return f"{sign} has no meaning for {called(type(self))}{_rather(self)}."


def refuse(cls: type[Held]) -> None:
    """Give a class the operations that it does not have, as refusals."""
    for name, sign in _MEANT.items():
        if getattr(cls, name, None) is getattr(object, name, None):
            setattr(cls, name, _refusal(name, sign))
    if not any(hasattr(cls, n) for n in (*_ENTRIES, "__iter__")):
        for name in _ENTRIES:
            setattr(cls, name, _without_entries)
        if not hasattr(cls, "__bool__"):  # or the length would be asked
            setattr(cls, "__bool__", _true)  # noqa: B010
    elif "__len__" in vars(cls) and getattr(cls, "__bool__", None) is _true:
        setattr(cls, "__bool__", _by_length)  # noqa: B010


def _refusal(name: str, sign: str) -> Callable[..., Any]:
    def refused(self: Held, *_: Any) -> Any:
        raise (_not_a_scalar() if name == "__float__" else WrongType)(self._no_meaning(sign))

    refused.__name__ = refused.__qualname__ = name
    return refused


def _without_entries(self: Held, *_: Any) -> Any:
    raise WrongType(
        f"{called(type(self))} is not a list: it has no entries, no length and no order{_rather(self)}."
    )


def _rather(held: Held) -> str:
    """What to use in place of an operation, as the end of a sentence."""
    said = held._instead or parts(type(held), getattr(held, "__dict__", ()))
    return f"; {said}" if said else ""


def _true(self: Held) -> bool:
    return True


def _by_length(self: Any) -> bool:
    return len(self) > 0


@functools.cache
def _not_a_scalar() -> type[WrongType]:
    """The error for no number, which is SymPy's too: where it compares a number with something, it tries `float`."""
    from sympy import SympifyError

    class NotScalar(WrongType, SympifyError):
        """What is no scalar."""

        def __init__(self, sentence: str) -> None:
            ValueError.__init__(self, sentence)

        def __str__(self) -> str:
            return str(self.args[0])

    return NotScalar
