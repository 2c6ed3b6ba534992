"""Functions that emitted optax modules contain, each where it is used."""

from __future__ import annotations

MAP = '''
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
'''
IS_NONE = """
def _is_none(x: Any) -> bool:
    return x is None
"""
CAST = '''
def _cast(tree: Any, like: Any) -> Any:
    """The tree with the types of another; None stays None."""

    def leaf(x: Any, y: Any) -> Any:
        if x is None or y is None:
            return None
        return jnp.asarray(x).astype(jnp.asarray(y).dtype)

    return jax.tree.map(leaf, tree, like, is_leaf=_is_none)
'''
MEMORY = '''
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
'''
TYPED = '''
def _typed(fun: Callable[..., Any], params: Any) -> Callable[..., Any]:
    """The function, called in the parameters' types."""
    structure: Any = jax.tree.structure(params)

    def call(*given: Any) -> Any:
        trees = [jax.tree.structure(x) == structure for x in given]
        pairs = zip(given, trees, strict=True)
        return fun(*(_cast(x, params) if tree else x for x, tree in pairs))

    return call
'''
LIKE = '''
def _like(scalar: Array, tree: Any) -> Array:
    """The scalar in the type of the tree's first leaf."""
    leaves = jax.tree.leaves(tree)
    return jnp.asarray(scalar, leaves[0].dtype) if leaves else scalar
'''
INNER = '''
def _inner(left: Any, right: Any) -> Array:
    """The inner product over all leaves, of the default float type."""
    products = _map(lambda a, b: jnp.sum(a * b).astype(float), (), left, right)
    return jax.tree.reduce(jnp.add, products, jnp.zeros((), float))
'''
NORMAL = '''
def _normal(key: Array, tree: Any) -> Any:
    """Independent standard normal samples, one for each number of the memory."""
    leaves, treedef = jax.tree.flatten(_memory(tree))
    keys = jax.random.split(key, len(leaves))
    pairs = zip(keys, leaves, strict=True)
    samples = [jax.random.normal(k, x.shape, x.dtype) for k, x in pairs]
    return jax.tree.unflatten(treedef, samples)
'''
_NEEDS = {
    "_typed(": ("_cast(",),
    "_inner(": ("_map(",),
    "_normal(": ("_memory(",),
    "_cast(": ("_is_none",),
    "_map(": ("_is_none",),
}
_TEXTS = {
    "_is_none": IS_NONE, "_map(": MAP, "_cast(": CAST, "_memory(": MEMORY, "_typed(": TYPED,
    "_like(": LIKE, "_inner(": INNER, "_normal(": NORMAL,
}  # fmt: skip


def helpers(text: str) -> list[str]:
    """The functions that the text uses, and those that they use, in an order that reads well."""
    used = {mark for mark in _TEXTS if mark in text}
    while more := {n for mark in used for n in _NEEDS.get(mark, ())} - used:
        used |= more
    return [body.strip("\n") for mark, body in _TEXTS.items() if mark in used]
