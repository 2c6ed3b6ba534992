"""Arguments of public functions: lookup of registered names, errors for wrong types.

A public function's annotations define what it accepts. `checked` reads them when it is first called; what they
leave open (``Any``, arrays) is the function's own business, and so are shapes and ranges.
"""

from __future__ import annotations

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, TypeVar

from .errors import OdescentError, WrongType, expected, listed, unknown

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
# Registered objects by the name of their class: the functions (in `odescent`) that list and make them. An
# algorithm's name goes before a system's.
_REGISTERED = {
    "Algorithm": ("algorithms", "algorithm"),
    "System": ("systems", "system"),
    "Objective": ("objectives", "objective"),
    "Scheme": ("schemes", "scheme"),
}
_KEYS = (("prng_key",), ("uint32",))  # what the two types of JAX's keys hold
_LARGEST = 2**1024  # the least whole number that no float holds
_WORDS: dict[Any, str] = {
    float: "a number", int: "a whole number", str: "a text", bool: "True or False",
    Mapping: "a mapping of names to values", dict: "a mapping of names to values", type(None): "None",
}  # fmt: skip
_EXPRESSION = "a number or SymPy expression"


def checked(function: F) -> F:
    """The function, which refuses arguments of another type than it declares, and takes names of what is registered.

    A function in place of an objective becomes one.

    Of a class it is what makes an instance. Raises OdescentError of one sentence: which argument of which function
    or class, what it takes and what came.
    """
    if inspect.isclass(function):
        setattr(function, "__init__", _calling(function.__init__))  # noqa: B010
    return function if inspect.isclass(function) else _calling(function)


def called(found: T) -> T:
    """A function or a class whose calls are refused in a sentence where its signature does not take them.

    What the values of its arguments may be it checks itself.
    """
    if inspect.isclass(found) and inspect.isfunction(made := vars(found).get("__init__")):
        setattr(found, "__init__", _calling(made, values=False))  # noqa: B010
    plain: Any = found
    return _calling(plain, values=False) if inspect.isfunction(plain) else plain  # type: ignore[no-any-return]


def called_methods(cls: type[Any]) -> None:
    """Makes the public methods that a class defines refuse calls as `called` does."""
    for name, member in list(vars(cls).items()):
        if name.startswith("_"):
            continue
        if inspect.isfunction(member):
            setattr(cls, name, called(member))
        elif isinstance(member, (staticmethod, classmethod)):
            setattr(cls, name, type(member)(called(member.__func__)))


def _calling(function: Any, values: bool = True) -> Any:
    if getattr(function, "_refuses", -1) >= values:  # it does already
        return function

    call = (_valued if values else _fitting)(function)
    setattr(call, "_refuses", values)  # noqa: B010
    return call


def _fitting(function: Any) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **more: Any) -> Any:
        _refuse_masked(function, args, more)
        try:
            return function(*args, **more)
        except TypeError:
            if (wrong := _misuse(function, args, more)) is None:
                raise
        except ValueError as error:
            if (said := _too_long(error)) is None:
                raise
            raise said from None
        raise wrong

    return call


def _valued(function: Any) -> Any:
    signature = inspect.signature(function)
    several = {n for n, p in signature.parameters.items() if "VAR" in p.kind.name}

    @functools.wraps(function)
    def call(*args: Any, **more: Any) -> Any:
        try:
            bound = signature.bind(*args, **more)
        except TypeError as error:
            raise _misuse(function, args, more) or error from None
        _refuse_masked(function, args, more)
        known, named = _hints(function), _named(function, args)
        for name, value in bound.arguments.items():
            hint = known.get(name, Any)
            value = bound.arguments[name] = value if name in several else _taken(hint, value)
            if name in several:
                given = value.items() if isinstance(value, dict) else [(name, v) for v in value]
                for own, one in given:
                    if not _fits(hint, one):
                        raise _wrong(f"{own} of {named}", _words(hint), one)
                continue
            if _fits(hint, value):
                for words, member in _misfits(hint, value):
                    raise _wrong(f"every entry of {name} of {named}", words, member)
                continue
            classes = [h for h in _choices(hint) if getattr(h, "__name__", "") in _REGISTERED]
            if isinstance(value, str) and classes:
                bound.arguments[name] = by_name(value, tuple(h.__name__ for h in classes))
                continue
            if callable(value) and any(h.__name__ == "Objective" for h in classes):
                import odescent as od

                bound.arguments[name] = od.Objective(value)
                continue
            raise _wrong(f"{name} of {named}", _words(hint), value)
        try:
            return function(*bound.args, **bound.kwargs)
        except ValueError as error:
            if (said := _too_long(error)) is None:
                raise
            raise said from None

    return call


def _too_long(error: ValueError) -> OdescentError | None:
    """A sentence where Python does not write a number that came up; None for any other error."""
    if isinstance(error, OdescentError) or not str(error).startswith("Exceeds the limit"):
        return None
    return OdescentError(
        "a number of more than 4,300 digits came up, which cannot be written: give shorter numbers, such as 1/3 or 0.1."
    )


def _taken(hint: Any, value: Any) -> Any:
    """What is as good as what a hint says: symbols for names, a seed for a key, an exact number for a float.

    What a generator yields is listed where a list is meant.
    """
    choices = _choices(hint)
    tables = [h for h in choices if _is_table(_origin(h))]
    if isinstance(value, dict) and tables and all(typing.get_args(h)[:1] == (str,) for h in tables):
        named = [(getattr(k, "name", k), v) for k, v in value.items()]
        plain = len({n for n, _ in named if isinstance(n, str)}) == len(value)
        return dict(named) if plain and not all(isinstance(k, str) for k in value) else value
    keys = any(_is_array(h) and _is_key_hint(h) for h in choices)
    if keys and int not in choices and type(value) is int and 0 <= value < 2**64:
        import jax

        return jax.random.key(value)
    exact = not isinstance(value, (int, float, complex)) and not hasattr(value, "dtype")
    if exact and {*choices} <= {float, int, type(None)} and _is_number(value, float):
        number = float(value)
        whole = float not in choices and math.isfinite(number) and value == int(value)
        return int(value) if whole else number
    origins = [*map(_origin, choices)]
    lists = any(isinstance(o, type) and issubclass(o, Sequence) and o is not str for o in origins)
    return list(value) if lists and isinstance(value, Iterator) else value


def _is_table(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _refuse_masked(function: Any, args: Sequence[Any], more: Mapping[str, Any]) -> None:
    """Refuse NumPy's masked arrays: what is masked would count like the rest."""
    for value in (*args, *more.values()):
        if type(value).__name__ == "MaskedArray":
            raise WrongType(
                f"{_named(function, args)} does not take a masked array: give the numbers that count, as in "
                "array.filled(0) or array.compressed()."
            )


def _wrong(where: str, what: str, given: object) -> WrongType:
    return WrongType(str(expected(where, what, given)))


def _named(function: Any, args: Sequence[Any]) -> str:
    """What people call: the function, or the class whose ``__init__`` it is."""
    name: str = function.__name__
    return type(args[0]).__name__ if name == "__init__" and args else name


def _misuse(function: Any, args: Sequence[Any], more: Mapping[str, Any]) -> WrongType | None:
    """What is wrong with a call, where the signature does not take it; None where it does."""
    signature, named = inspect.signature(function), _named(function, args)
    try:
        signature.bind(*args, **more)
    except TypeError:
        pass
    else:
        return None
    known = {n: p for n, p in signature.parameters.items() if n not in ("self", "cls")}
    count = len(args) - (len(signature.parameters) - len(known))
    kinds = [p.kind for p in known.values()]
    places = [n for n, p in known.items() if p.kind <= p.POSITIONAL_OR_KEYWORD]
    needed = [n for n, p in known.items() if p.default is p.empty and "VAR" not in p.kind.name]
    if inspect.Parameter.VAR_KEYWORD not in kinds and (strange := sorted(more.keys() - known)):
        return WrongType(str(unknown(f"argument of {named} called", strange[0], known)))
    if twice := [n for n in places[:count] if n in more]:
        return WrongType(f"{named} was given {twice[0]} twice, by its place and by its name.")
    if count > len(places) and inspect.Parameter.VAR_POSITIONAL not in kinds:
        taken = f"{listed(places) or 'no argument'} by place, not {count} value{'s' * (count != 1)}"
        others = "; give the others by name" if len(known) > len(places) else ""
        return WrongType(f"{named} takes {taken}{others}.")
    missing = [n for n in needed if n not in places[:count] and n not in more]
    shown = ", ".join(n if n in places else f"{n}=..." for n in needed)
    return WrongType(f"{named} also needs {listed(missing)}: write {named}({shown}).")


@functools.cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations, each by itself; what cannot be understood at run time counts as anything."""
    plain = inspect.unwrap(function)
    known = dict(getattr(plain, "__globals__", {}))
    return {n: _understood(n, a, known) for n, a in inspect.get_annotations(plain).items()}


def _understood(name: str, annotation: Any, known: dict[str, Any]) -> Any:
    holder = types.SimpleNamespace(__annotations__={name: annotation})
    for _ in range(8):
        try:
            return typing.get_type_hints(holder, known)[name]
        except NameError as error:  # a class that only type checkers load here: known by its name
            missing = error.name or ""
            known[missing] = type(missing, (_Unloaded,), {})
        except (TypeError, AttributeError):  # as torch.nn.Module without torch
            break
    return Any


class _Unloaded:
    """A class of which only the name is known here."""


@functools.cache
def _choices(hint: Any) -> list[Any]:
    """The members of a union, or the one hint; what takes an array takes numbers, which need not stand beside it."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return [hint]
    found = [c for h in typing.get_args(hint) for c in _choices(h)]
    arrays = [h for h in found if _is_array(h) and not _is_key_hint(h)]
    numbers = [h for h in found if h in (float, int, bool, complex) or _of_numpy(h)]
    # NumPy's ArrayLike, a union of its own, has texts beside numbers
    texts = [str, bytes] if bytes in found and any(_of_array_like(h) for h in arrays) else []
    return [h for h in found if h in arrays or h not in [*numbers, *texts]] if arrays else found


def _origin(hint: Any) -> Any:
    """The class of a hint, without what it holds."""
    return typing.get_origin(hint) or hint


def _of_array_like(hint: Any) -> bool:
    """Whether a hint is a member of NumPy's ArrayLike."""
    name = getattr(_origin(hint), "__name__", "")
    return name in {"_Buffer", "Buffer", "_SupportsArray", "_NestedSequence"}


def _of_numpy(hint: Any) -> bool:
    return getattr(hint, "__module__", "") == "numpy"


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value may be meant; only what is plainly wrong is not."""
    choices = _choices(hint)
    if len(choices) > 1:
        return any(_fits(h, value) for h in choices)
    (hint,) = choices  # of a union it may be what is left
    origin = _origin(hint)
    if origin in (float, int, bool):
        return _is_number(value, origin)
    if _is_array(origin):
        if _is_key_hint(origin):
            return _is_key(value)
        return holds_numbers(value) and not (_of_reals(origin) and _is_complex(value))
    if origin is typing.Literal:
        return any(isinstance(value, type(a)) and value == a for a in typing.get_args(hint))
    if hint is Any or not isinstance(origin, type):
        return True
    if issubclass(origin, _Unloaded):
        return origin.__name__ in (c.__name__ for c in type(value).__mro__)
    if issubclass(origin, tuple):
        return isinstance(value, (tuple, list)) or hasattr(value, "__array__")
    if _is_expression(origin) and _is_number(value, float):
        return True  # a number is an expression, too
    if issubclass(origin, Iterable) and origin is not str and not issubclass(origin, Mapping):
        unordered = isinstance(value, (Mapping, Set)) and issubclass(origin, Sequence)
        single = getattr(value, "shape", None) == ()
        return (
            hasattr(value, "__iter__")
            and not isinstance(value, (str, bytes, bytearray))
            and not (unordered or single)
        )
    return isinstance(value, origin)


def _misfits(hint: Any, value: Any) -> list[tuple[str, Any]]:
    """What a list, tuple, dict, set or array holds and should not, with what it should hold; the first of each kind."""
    if not any(map(typing.get_args, _choices(hint))):
        return []  # it says nothing of what is inside
    lists = not any(map(_is_array, map(_origin, _choices(hint))))
    if lists and type(value).__name__ in ("ndarray", "ArrayImpl") and value.ndim:
        import numpy as np

        array = value if value.dtype == object else np.asarray(value)[:1]
        value = [*array]  # of numbers one, as all are of one type
    if not isinstance(value, (list, tuple, dict, set, frozenset, range)):
        return []
    found = []
    for choice in _choices(hint):
        origin, inner = _origin(choice), typing.get_args(choice)
        if inner and inner[-1] is Ellipsis:
            inner = inner[:1]
        if not _fits(choice, value):
            continue
        if not isinstance(origin, type) or not inner:
            return []  # it says nothing of what is inside
        whole = issubclass(origin, Mapping)
        if whole and not isinstance(value, dict):
            continue
        if len(inner) != 1 + whole:
            return []
        entries = value.values() if whole and isinstance(value, dict) else value
        parts = [(inner[-1], v) for v in entries]
        parts += [(inner[0], k) for k in value] if whole else []
        wrong = [(_words(h), v) for h, v in parts if not _fits(h, v)]
        wrong += [w for h, v in parts if whole and not wrong for w in _misfits(h, v)]
        if not wrong:
            return []
        found.append(wrong[0])
    return found[:1]


def _is_number(value: Any, kind: type = complex) -> bool:
    """A number of any library that the kind can hold; the function itself decides which numbers are valid."""
    if isinstance(value, bool):  # True is no step, and no number of them
        return kind in (bool, complex)
    if isinstance(value, (str, bytes)) or value is None:
        return False
    if getattr(value, "shape", None) == ():  # also inside JAX's transformations
        return _numeric(value)
    if isinstance(value, int):
        return kind is int or abs(value) < _LARGEST
    try:
        number = complex(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return kind is complex or number.imag == 0


@functools.cache
def _is_array(origin: Any) -> bool:
    """Whether a hint is one of an array: NumPy's, JAX's, or one that states its type and shape."""
    name, module = getattr(origin, "__name__", ""), getattr(origin, "__module__", "")
    word = name.rpartition(".")[2], module.partition(".")[0]
    arrays = ("ndarray", "numpy"), ("Array", "jax"), ("TypedNdArray", "jax")
    return hasattr(origin, "array_type") or word in arrays or _of_array_like(origin)


def _is_expression(origin: Any) -> bool:
    """Whether a hint is SymPy's expressions; SymPy may not be loaded."""
    return (origin.__module__.partition(".")[0], origin.__name__) == ("sympy", "Expr")


def _is_key_hint(origin: Any) -> bool:
    """Whether a hint of an array is one of JAX's keys."""
    return getattr(origin, "dtypes", ()) in _KEYS


def _of_reals(origin: Any) -> bool:
    """Whether a hint states a type and shape, and its numbers are real."""
    kinds = getattr(origin, "dtypes", ())
    return isinstance(kinds, (list, tuple)) and bool(kinds) and "complex" not in str(kinds)


def _is_complex(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_is_complex, value))
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return kind == "c" or (not kind and isinstance(value, complex))


def holds_numbers(value: Any) -> bool:
    """An array of numbers, or lists of them."""
    if isinstance(value, (list, tuple)):
        return all(holds_numbers(v) for v in value)
    held = hasattr(value, "dtype") or hasattr(value, "__array__")
    return _numeric(value) if held else _is_number(value)


def _numeric(value: Any) -> bool:
    """Whether the type of what an array holds is one of numbers, as far as it says; texts and objects are none."""
    return getattr(getattr(value, "dtype", None), "kind", "") not in ("O", "S", "U", "M", "m")


def _is_key(value: Any) -> bool:
    """A key of JAX's random numbers, of either of its types."""
    kind = str(getattr(value, "dtype", ""))
    return kind.startswith("key<") or (kind == "uint32" and bool(value.shape))


def _words(hint: Any) -> str:
    found = dict.fromkeys(_word(h) for h in _choices(hint))
    if _EXPRESSION in found:  # numbers are among them
        found.pop(_WORDS[float], None)
    return " or ".join(found)


def _word(hint: Any) -> str:
    origin = _origin(hint)
    name = getattr(origin, "__name__", str(origin))
    if name in _REGISTERED:
        return f"{'an' if name[:1] in 'AEIOU' else 'a'} {name} or the name of a registered one"
    if origin is typing.Literal:
        return " or ".join(repr(a) for a in typing.get_args(hint))
    if origin in _WORDS:
        return _WORDS[origin]
    if _is_array(origin):
        return (
            "a key of JAX, as jax.random.key(0)" if _is_key_hint(origin) else "an array of numbers"
        )
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _WORDS[Mapping]
    if isinstance(origin, type) and _is_expression(origin):
        return _EXPRESSION
    if isinstance(origin, type) and origin.__module__ == "collections.abc":
        return "a function" if name == "Callable" else "a list"
    return f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"


@functools.lru_cache(maxsize=128)
def by_name(name: str, classes: tuple[str, ...]) -> Any:
    """What is registered by a name, one object for each, so that what is compiled for it is found again.

    Raises OdescentError for a name that no class in question has.
    """
    import odescent as od

    known: list[str] = []
    for kind in sorted(classes, key=list(_REGISTERED).index):
        listing, make = _REGISTERED[kind]
        try:
            return getattr(od, make)(name)
        except OdescentError:
            names = getattr(od, listing)()
            if name in names:  # it is there, but wants options
                raise
            known += names
    raise unknown(" or ".join(kind.lower() for kind in classes), name, known)
