"""Functions that emitted JAX modules contain, each where it is used, and their checks of numbers."""

from __future__ import annotations

from .statements import Lowered
from .text import checks, loop

MAP = '''
def _map(fun: Callable[..., Any], scalars: tuple[Array, ...], *trees: PyTree) -> PyTree:
    """fun(*scalars, *leaves) leaf by leaf, the scalars in the leaf's type."""

    def leaf(*leaves: Array) -> Any:
        return fun(*(jnp.asarray(s, leaves[0].dtype) for s in scalars), *leaves)

    return jax.tree.map(leaf, *trees)
'''
LIKE = '''
def _like(scalar: Array, tree: PyTree) -> Array:
    """The scalar in the type of the tree's first leaf."""
    return jnp.asarray(scalar, jax.tree.leaves(tree)[0].dtype)
'''
INNER = '''
def _inner(left: PyTree, right: PyTree) -> Array:
    """The inner product over all leaves, of the default float type."""
    products = jax.tree.map(lambda a, b: jnp.vdot(a, b).astype(float), left, right)
    return jax.tree.reduce(jnp.add, products)
'''
NORMAL = '''
def _normal(key: Array, tree: PyTree) -> PyTree:
    """Independent standard normal samples of the shapes and types of the leaves."""
    leaves, treedef = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    pairs = zip(keys, leaves, strict=True)
    samples = [jax.random.normal(k, x.shape, x.dtype) for k, x in pairs]
    return jax.tree.unflatten(treedef, samples)
'''
FLOATING = '''
def _floating(leaf: ArrayLike) -> Array:
    """The leaf as an array of a floating type: its own, or the default."""
    x = jnp.asarray(leaf)
    return x.astype(x.dtype if jnp.issubdtype(x.dtype, jnp.inexact) else float)
'''
HELPERS = {
    "_map(": MAP,
    "_like(": LIKE,
    "_inner(": INNER,
    "_normal(": NORMAL,
    "_floating": FLOATING,
}


def number_lines(lowered: Lowered) -> list[str]:
    """Checks of the hyper-parameters that have known values, and all of them as arrays."""
    names = [s.name for s in lowered.parameters]
    positive, ordered = checks(lowered)
    lines: list[str] = []
    if names:
        lines += loop("name, value", [f'("{p}", {p})' for p in names])
        lines += ["        if isinstance(value, jax.core.Tracer):"]
        lines += ["            continue"]
        lines += ["        if not np.isfinite(value).all():"]
        lines += ['            raise ValueError(f"{name} must be a finite number, not {value!r}.")']
        if set(positive) == set(names):
            lines += ["        if np.any(np.asarray(value) <= 0):"]
            lines += ['            raise ValueError(f"{name} must be more than 0, not {value!r}.")']
        elif positive:
            known = "{" + ", ".join(f'"{p}"' for p in positive) + "}"
            lines += [f"        if name in {known} and np.any(np.asarray(value) <= 0):"]
            lines += ['            raise ValueError(f"{name} must be more than 0, not {value!r}.")']
    if ordered:
        lines += [
            "    known = not isinstance(mu, jax.core.Tracer) and not isinstance(L, jax.core.Tracer)"
        ]
        lines += ["    if known and np.any(np.asarray(mu) > np.asarray(L)):"]
        lines += ['        raise ValueError(f"L must be at least mu, but L = {L} < mu = {mu}.")']
    return lines + [f"    {p} = jnp.asarray({p}, dtype=float)" for p in names]
