"""A user's own JAX functions and data: names, traces, keys of what is compiled, derivatives, rows, and refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial, update_wrapper
from types import CodeType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any
from weakref import WeakValueDictionary

from ..._support.errors import OdescentError, listed
from ..._support.rendering.brief import quantity

_RULES = ("custom_jvp_call", "custom_vjp_call")


def refuse_torch(given: Any) -> None:
    """OdescentError for a module or a tensor of PyTorch, without importing that."""
    kinds = {f"{c.__module__.partition('.')[0]}.{c.__name__}" for c in type(given).__mro__}
    if kinds & {"torch.Module", "torch.Tensor"}:
        raise OdescentError(
            "PyTorch's modules and tensors are not run here: algorithm.to_torch(module.parameters(), ...) gives a "
            "torch optimizer, which trains them."
        )


def function_name(fun: Callable[[Any], Any]) -> str:
    """What a function is called, where that can be the name of an objective; else "f"."""
    from ..algebra.scalars import check_name  # which imports SymPy

    try:
        return check_name(getattr(fun, "__name__", ""))
    except OdescentError:
        return "f"


def refuse_outside(name: str, made: Any) -> None:
    """OdescentError for a function, traced as by `jax.make_jaxpr`, that reads past the end of an array."""
    from .jaxprs import read_outside  # which imports NumPy

    outside = read_outside(made)
    if outside is not None:
        entry, length = outside
        which = f"entry {entry}" if entry >= 0 else "an entry before the first one"
        many = "one entry" if length == 1 else f"{length} entries"
        raise OdescentError(
            f"{name} reads {which} of an axis of {many}, for which JAX would take another one: give a point with more "
            "entries, or change the function."
        )


@dataclass(frozen=True)
class Apart:
    """A function, traced with copies of the NumPy arrays that it reads; refused where it reads past the end of one.

    As long as a trace of an array in double precision lives, and ours is kept with what is compiled, jaxlib (0.10.2)
    takes the array for one of double precision everywhere, and calls of the function in single precision fail.
    """

    fun: Callable[..., Any]

    def __call__(self, *x: Any) -> Any:
        import jax
        import numpy as np

        leaves = jax.tree.leaves(x)
        if not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return self.fun(*x)
        made, shape = jax.make_jaxpr(partial(self.fun), return_shape=True)(*x)
        refuse_outside(function_name(self.fun), made)
        consts = [np.array(c) if isinstance(c, np.ndarray) else c for c in made.consts]
        found = jax.core.eval_jaxpr(made.jaxpr, consts, *leaves)
        return jax.tree.unflatten(jax.tree.structure(shape), found)


@dataclass(frozen=True)
class GradientOf:
    """The gradient of a function in one of its arguments, by automatic differentiation."""

    fun: Callable[..., Any]
    argument: int = 0

    def __call__(self, *x: Any) -> Any:
        import jax

        return jax.grad(Apart(self.fun), self.argument)(*x)


def along_all(
    function: Callable[..., Any], x: tuple[Any, ...], tangents: Sequence[tuple[Any, ...]]
) -> Any:
    """The derivative of a function at a point along several directions, one after the other.

    Args:
        function: of all arguments.
        x: arrays or pytrees, one for each argument.
        tangents: directions, each with an array or pytree for each argument.

    Returns:
        what the function returns, differentiated as often as there are directions.
    """
    if not tangents:
        return function(*x)
    import jax

    *first, last = tangents
    return jax.jvp(lambda *p: along_all(function, p, first), x, last)[1]


def check_real(fun: Callable[[Any], Any], name: str, arguments: Any) -> None:
    """OdescentError for a function that JAX cannot trace there, or that does not return one real number.

    Args:
        fun: the function.
        name: what it is called in messages.
        arguments: of what shape and type its point is, as `arguments_of` gives it.
    """
    import inspect

    import jax

    (x,), _ = jax.tree.unflatten(arguments[0], _leaves(arguments[1]))
    try:
        inspect.signature(fun).bind(x)
    except TypeError:
        raise OdescentError(
            f"{name} must be a function of one argument, the point; bind the others, as in lambda x: {name}(x, ...)."
        ) from None
    except ValueError:  # of what is built in there is no signature
        pass
    untraced = OdescentError(
        f"{name} is not a function that JAX can trace: write it with jax.numpy instead of NumPy, and with "
        "jnp.where or jax.lax instead of if, float and loops that depend on values."
    )
    try:
        # JAX keeps traces by function; a new one is traced anew
        made, shape = jax.make_jaxpr(partial(fun), return_shape=True)(x)
    except (
        jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError,
        jax.errors.TracerIntegerConversionError,
    ):  # fmt: skip
        raise untraced from None
    except OdescentError:
        raise
    except Exception as error:
        # of the user's function, which has to work on JAX arrays of this shape
        said = str(error).partition("\n")[0].rstrip(".")
        if "Tracer" in said:  # of another library
            raise untraced from error
        shapes = listed([str(jax.numpy.shape(leaf)) for leaf in jax.tree.leaves(x)])
        raise OdescentError(
            f"{name} raises {type(error).__name__} where x is a JAX array of shape {shapes}: {said}."
        ) from error
    refuse_outside(name, made)
    out = jax.tree.leaves(shape)
    alone = len(out) == 1 and shape is out[0]
    if not (
        alone and out[0].shape == () and jax.numpy.issubdtype(out[0].dtype, jax.numpy.floating)
    ):
        if alone:
            what = f"an array of shape {out[0].shape}"
        else:
            what = f"{quantity(len(out), 'value')} in an object of type {type(shape).__name__}"
        if alone and out[0].shape == ():
            what = f"a value of type {out[0].dtype}"
        raise OdescentError(f"{name} must return one real number, but it returns {what}.")


def trace_key(fun: Callable[..., Any], made: Any) -> Any:
    """What tells a function from others, of what `jax.make_jaxpr` made of it; None where nothing hashable does.

    A trace shows neither the arrays that a compiled function inside of it reads nor a derivative rule of the user's.
    """
    from .jaxprs import derivative, programs  # which imports NumPy

    traces = [made]
    if any(e.primitive.name in _RULES for p in programs(made) for e in p.eqns):
        traces.append(derivative(made))
    text = "".join(str(getattr(t, "jaxpr", t)) for t in traces)
    if None in traces or "0x" in text:  # an address says nothing of what is computed
        return None
    parts = (p for t in traces for p in programs(t))
    try:
        data = tuple(_fingerprint(c) for p in parts for c in getattr(p, "consts", ()))
        hash(fun)
    except TypeError:
        return None
    return fun, text, data


class Current:
    """A user's function that is compiled into a program, with what it computed when it was traced: see `current`.

    Attributes:
        traced: by arguments, what tells it there; None where nothing does.
        objective: the one that is made of it, where there is one.
        checked: the arguments for which it is known to return one real number.
    """

    def __init__(self, fun: Callable[..., Any]) -> None:
        update_wrapper(self, fun, updated=())
        self.fun = fun
        self.reads = reads(fun)
        self.traced: dict[Any, Any] = {}
        self.objective: Any = None
        self.checked: set[Any] = set()

    def __call__(self, *x: Any, **named: Any) -> Any:
        import jax

        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((x, named))):
            arguments = arguments_of(*x, **named)
            try:
                if arguments not in self.traced:
                    self.traced[arguments] = self._trace_key(arguments)
            except TypeError:  # one that nothing tells from others
                self.traced[None] = None
        return self.fun(*x, **named)

    def __reduce__(self) -> Any:
        return current, (self.fun,)

    def changed(self) -> bool:
        """Whether it computes something else by now, for arguments as it was traced with, or may do so."""
        now = reads(self.fun)
        if now is not None and now == self.reads:
            return False  # which takes microseconds, where a trace takes milliseconds
        self.reads = now
        return any(was is None or self._trace_key(a) != was for a, was in self.traced.items())

    def _trace_key(self, arguments: Any) -> Any:
        import jax

        tree, kinds, x64 = arguments
        leaves = _leaves(kinds)
        moving = [i for i, a in enumerate(leaves) if isinstance(a, _TRACED) or hasattr(a, "dtype")]

        def called(*parts: Any) -> Any:
            given = dict(enumerate(leaves)) | dict(zip(moving, parts, strict=True))
            x, named = jax.tree.unflatten(tree, given.values())
            return self.fun(*x, **named)

        try:
            with jax.enable_x64(x64):
                made = jax.make_jaxpr(called)(*(leaves[i] for i in moving))
                return trace_key(self.fun, made)
        except Exception:  # the call itself says what is wrong
            return None


def reads(fun: Any, within: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
    """All that a function of Python reads from outside, where that is only numbers, texts and functions like it.

    Args:
        fun: the function.
        within: those that it is called in, which are looked at already.

    Returns:
        what is equal as long as the function computes the same; None where it may read something else.
    """
    if not isinstance(fun, FunctionType) or fun.__dict__:
        return None
    names = _globals(fun.__code__)
    if names is None:
        return None
    if fun in within:
        return ()
    try:
        cells = [c.cell_contents for c in fun.__closure__ or ()]
    except ValueError:  # one that is not filled yet
        return None
    missing = object()
    found = [fun.__globals__.get(n, missing) for n in names]
    found += [*cells, *(fun.__defaults__ or ()), *(fun.__kwdefaults__ or {}).values()]
    # notebooks replace the code of a function whose file changed
    kept: list[Any] = [fun, fun.__code__]
    for value in found:
        if isinstance(value, ModuleType) and value.__name__.partition(".")[0] in _LIBRARIES:
            kept.append(value.__name__)
        elif type(value) in (bool, int, float, complex, str, NoneType):
            kept.append((type(value), repr(value)))
        elif value is missing:  # one of Python's own
            kept.append(None)
        elif (inner := reads(value, (*within, fun))) is not None:
            kept.append(inner)
        else:
            return None
    return tuple(kept)


_LIBRARIES = ("jax", "math", "numpy")
_TRACED = (bool, int, float, complex)
# by which it may read anything; generators of random numbers have a state
_ANYTHING = {"__import__", "eval", "exec", "globals", "input", "locals", "open", "random", "vars"}


@lru_cache(maxsize=256)
def _globals(code: CodeType) -> tuple[str, ...] | None:
    """The global names that code reads, and what is defined in it; None where it may read anything."""
    import dis

    names: dict[str, None] = {}
    if not _ANYTHING.isdisjoint(code.co_names):
        return None
    for step in dis.get_instructions(code):
        if step.opname.startswith("IMPORT_"):
            return None
        if "GLOBAL" in step.opname or step.opname == "LOAD_NAME":
            names[step.argval] = None
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            more = _globals(inner)
            if more is None:
                return None
            names |= dict.fromkeys(more)
    return tuple(names)


def arguments_of(*x: Any, **named: Any) -> tuple[Any, tuple[tuple[bool, Any], ...], bool]:
    """What the trace of a function depends on: the shapes and types of its arguments, and whether JAX has doubles."""
    import jax

    leaves, tree = jax.tree.flatten((x, named))
    return tree, tuple(map(_kind, leaves)), jax.numpy.result_type(float) == jax.numpy.float64


def _leaves(kinds: Sequence[tuple[bool, Any]]) -> list[Any]:
    """Arguments of these shapes and types."""
    import jax

    array: Any = jax.ShapeDtypeStruct
    return [k if alone else array(*k[:2], weak_type=k[2]) for alone, k in kinds]


def _kind(leaf: Any) -> tuple[bool, Any]:
    """What a trace depends on: of an array its shape and type, after False; what is no array itself, after True."""
    import jax

    if not hasattr(leaf, "dtype"):
        return True, leaf
    kind = jax.typeof(leaf)
    return False, (kind.shape, kind.dtype, getattr(kind, "weak_type", False))


# as long as something that is compiled holds them
_CURRENT: WeakValueDictionary[Any, Current] = WeakValueDictionary()


def current(fun: Any) -> Any:
    """A user's function as a key of what is compiled: the key of before as long as it computes what it did then.

    JAX compiles a function once, with the data that it reads from outside at that time. This one is traced at each call
    of ours, as it was when it was compiled, and where its trace, or its data, are others, another key stands for it.

    Args:
        fun: the function; what is ours reads nothing from outside, and is returned, as is what cannot be called.
    """
    return fun if not callable(fun) or _ours(fun) else current_function(fun)


def current_function(fun: Callable[..., Any]) -> Current:
    """As `current`, of a function that may be ours."""
    if isinstance(fun, Current):
        return fun
    try:
        known = _CURRENT.get(fun)
    except TypeError:  # nothing is found by it again
        return Current(fun)
    if known is None or known.changed():
        known = _CURRENT[fun] = Current(fun)
    return known


_CONSTANT = ("odescent", "jax", "jaxlib", "numpy", "equinox", "diffrax", "lineax", "optimistix")


def _ours(fun: Any) -> bool:
    """Whether a function is ours, or a library's, and does not stand for a user's, as the value of an objective."""
    where = getattr(fun, "__module__", None) or type(fun).__module__
    holds = isinstance(fun, MethodType) or getattr(fun, "__closure__", None)
    return where.partition(".")[0] in _CONSTANT and not holds


def all_current(tree: Any) -> Any:
    """A pytree, such as a model, with each function in it as `current` gives it."""
    import jax

    return jax.tree.map(current, tree)


def _fingerprint(array: Any) -> tuple[str, tuple[int, ...], bytes]:
    import hashlib

    import jax
    import numpy as np

    if isinstance(array, jax.core.Tracer) or str(getattr(array, "dtype", "")).startswith("key<"):
        raise TypeError("no numbers to compare")
    there = np.ascontiguousarray(array)
    return str(there.dtype), there.shape, hashlib.sha256(there.tobytes()).digest()


def data_key(data: Any) -> Any:
    """A key of what is compiled with the numbers of a pytree in it; one of its own inside a transformation."""
    import jax

    leaves, tree = jax.tree.flatten(data)
    try:
        return tree, *map(_fingerprint, leaves)
    except TypeError:
        return object()


def rows_in(data: Any) -> tuple[int, str]:
    """The number of rows of a pytree of arrays, 0 where they have none or several, and what there is, in words."""
    import jax
    import jax.numpy as jnp

    sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(data)}
    shown = ", ".join(str(s[0]) if s else "none" for s in sorted(sizes)) or "none"
    return (0 if len(sizes) != 1 else max((0, *sizes.pop())), shown)
