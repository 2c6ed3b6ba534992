"""Functions that emitted optax modules contain, each where it is used."""

from __future__ import annotations

from .jax_helpers import HELPERS as JAX
from .solve_functions import solve_functions
from .text import functions

_SHARED = (
    "_leaves", "_flat", "_like", "_inner", "_normal", "_window", "_against", "_push", "_combine", "_latest", "_within",
    "_until", "_repeated", "_searched", "_counted", "_fixed_point",
)  # fmt: skip
HELPERS = (
    functions('''
def _is_none(x: Any) -> bool:
    return x is None


def _map(fun: Callable[..., Any], scalars: tuple[Array, ...], *trees: Any) -> Any:
    """fun(*scalars, *leaves) by leaf, in float32 or a wider type; None stays None."""
    cast: dict[Any, list[Array]] = {}

    def leaf(*leaves: Any) -> Any:
        if any(x is None for x in leaves):
            return None
        given = [jnp.asarray(x) for x in leaves]
        if any(x.shape != given[0].shape for x in given):
            shapes = ", ".join(str(x.shape) for x in given)
            raise ValueError(f"gradients and parameters differ in shape: {shapes}.")
        wide = max((x.dtype for x in given), key=lambda d: d.itemsize)
        dtype = wide if wide.itemsize >= 4 else jnp.dtype("float32")
        if dtype not in cast:
            cast[dtype] = [jnp.asarray(s, dtype) for s in scalars]
        return fun(*cast[dtype], *(x.astype(dtype) for x in given))

    structures: list[Any] = [jax.tree.structure(t, is_leaf=_is_none) for t in trees]
    if any(s != structures[0] for s in structures):
        raise ValueError("gradients and parameters differ in structure.")
    return jax.tree.map(leaf, *trees, is_leaf=_is_none)


def _cast(tree: Any, like: Any) -> Any:
    """The tree with the types of another; None stays None."""

    def leaf(x: Any, y: Any) -> Any:
        if x is None or y is None:
            return None
        return jnp.asarray(x).astype(jnp.asarray(y).dtype)

    return jax.tree.map(leaf, tree, like, is_leaf=_is_none)


def _memory(tree: Any) -> Any:
    """The tree in the memory's types: float32, or its own where that is as precise."""

    def leaf(x: Any) -> Array:
        if isinstance(x, jax.ShapeDtypeStruct):  # a shape alone
            x = jnp.zeros(x.shape, x.dtype)
        x = jnp.asarray(x)
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise ValueError(
                f"parameters must be real floating-point arrays, but one is {x.dtype}; "
                "leave it out with optax.masked, or split a complex one into two."
            )
        return jnp.asarray(x, jnp.float32) if x.dtype.itemsize < 4 else x

    return jax.tree.map(leaf, tree)


def _labelled(labels: Any, names: list[str]) -> Callable[[Any], Any]:
    """The labels as a function of the tree: each name is that of some leaf, and there is no other."""

    def of(tree: Any) -> Any:
        found = labels(tree) if callable(labels) else labels
        used = {*jax.tree.leaves(found)}
        if used != {*names}:
            given, wanted = ", ".join(sorted(map(str, used))), ", ".join(names)
            raise ValueError(f"labels must be {wanted}, each of some leaf, not {given}.")
        return found

    return of


def _part(tree: Any, labels: Any, name: str) -> Any:
    """The tree with the leaves of one group alone."""
    kept = lambda of, x: x if of == name else optax.MaskedNode()
    return jax.tree.map(kept, labels, tree)


def _typed(fun: Callable[..., Any], params: Any) -> Callable[..., Any]:
    """The function, called in the parameters' types."""
    structure: Any = jax.tree.structure(params)

    def call(*given: Any) -> Any:
        trees = [jax.tree.structure(x) == structure for x in given]
        pairs = zip(given, trees, strict=True)
        return fun(*(_cast(x, params) if tree else x for x, tree in pairs))

    return call


def _blocks(params: Any, *names: str) -> list[Any]:
    """The tree of each block; ValueError where the parameters are others."""
    keyed = isinstance(params, dict)
    if not keyed or {*params} != {*names}:
        given = ", ".join(map(str, params)) if keyed else type(params).__name__
        wanted = ", ".join(names)
        message = f"the parameters must be a dict with the keys {wanted}, not {given}."
        raise ValueError(message)
    return [params[n] for n in names]


def _shapes(tree: Any) -> Any:
    """The structure and the shapes of the leaves."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [jnp.shape(leaf) for leaf in leaves]


def _typed_each(fun: Callable[..., Any], *spaces: Any) -> Callable[..., Any]:
    """The function, called in the types of the parameters of the same shapes."""

    def typed(x: Any) -> Any:
        alike = [s for s in spaces if _shapes(s) == _shapes(x)]
        return _cast(x, alike[0]) if alike else x

    return lambda *given: fun(*map(typed, given))


def _update(tree: Any, params: Any, name: str) -> Any:
    """The tree in the types of the parameters that it moves, which have its shapes."""
    if _shapes(tree) != _shapes(params):
        given, wanted = (jax.tree.map(jnp.shape, t) for t in (tree, params))
        raise ValueError(f"{name} moves by {given}, and its parameters are {wanted}.")
    return _cast(tree, params)
''')
    | {name: JAX[name] for name in _SHARED}
    | solve_functions("jax")
)
