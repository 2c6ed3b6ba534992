"""Functions that emitted JAX modules contain, each where it is used."""

from __future__ import annotations

from .solve_functions import solve_functions
from .text import functions

HELPERS = functions('''
_Bracket: TypeAlias = tuple[Array, Array, Array, Array, Array]


def _zero(residual: Callable[[Array], Array], a: Array, b: Array) -> Array:
    """A zero of the function, by the chord through a and b or in a bracket beyond b.

    Regula falsi with Illinois weights; NaN where there is no change of sign.
    """
    info: Any = jnp.finfo
    small: float = 4 * info(a.dtype).eps
    first = jnp.abs(b - a)

    def apart(s: _Bracket) -> Array:
        return (s[2] * s[3] > 0) & jnp.isfinite(s[3]) & (s[4] < 100)

    def reach(s: _Bracket) -> _Bracket:
        a, b, at_a, _, n = s
        b = a + 2 * (b - a)
        return a, b, at_a, residual(b), n + 1

    def wide(s: _Bracket) -> Array:
        a, b, _, at_b, n = s
        size = jnp.maximum(jnp.abs(a), jnp.abs(b))
        loose = jnp.abs(at_b) > small * jnp.maximum(size, first)
        return loose & (jnp.abs(b - a) > small * size) & (n < 200)

    def close(s: _Bracket) -> _Bracket:
        a, b, at_a, at_b, n = s
        c = b - at_b * (b - a) / (at_b - at_a)
        within = (jnp.minimum(a, b) < c) & (c < jnp.maximum(a, b))
        c = jnp.where(within, c, (a + b) / 2)
        at_c = residual(c)
        turned = at_c * at_b < 0
        a, at_a = jnp.where(turned, b, a), jnp.where(turned, at_b, at_a / 2)
        return a, c, at_a, at_c, n + 1

    at_a, at_b = residual(a), residual(b)
    gap = at_b - at_a
    chord = jnp.where(gap == 0, 0, (b - a) / jnp.where(gap == 0, 1, gap))
    c = b - at_b * chord
    at_c = residual(c)
    straight = jnp.abs(at_c) <= small ** (2 / 3) * jnp.abs(at_a)  # but for rounding
    straight = straight & (gap != 0)
    still = (at_a == 0) | (first <= small * jnp.abs(a))
    b = jnp.where(straight, c - at_c * chord, b)
    at_b = jnp.where(straight | still, jnp.zeros_like(b), at_b)
    none = jnp.zeros((), jnp.int32)
    a, b, at_a, at_b, _ = jax.lax.while_loop(apart, reach, (a, b, at_a, at_b, none))
    found = at_a * at_b <= 0
    at_b = jnp.where(found, at_b, jnp.zeros_like(b))
    _, b, _, _, _ = jax.lax.while_loop(wide, close, (a, b, at_a, at_b, none))
    return jnp.where(found, b, jnp.nan)


def _sweep(
    slope: Callable[[Array, Array, Array], Array],
    start: Array,
    duration: Array,
    implicit: float,
    backward: bool = False,
) -> Array:
    """The flat array, its coordinates moved in turn: slope(z, i, begin) is z[i]'s rate.

    Coordinate i becomes u = begin + duration * rate, with the rate at begin where
    implicit is 0, at u where it is 1, and in proportion between.
    """
    h = jnp.asarray(duration, start.dtype)

    def move(k: Array, z: Array) -> Array:
        i = start.size - 1 - k if backward else k
        begin = z[i]
        first = h * slope(z, i, begin)

        def residual(u: Array) -> Array:
            at_u = h * slope(z.at[i].set(u), i, begin)
            return u - begin - first - implicit * (at_u - first)

        def solve(f: Callable[[Array], Array], a: Array) -> Array:
            return _zero(f, a, a + first)

        def linear(f: Callable[[Array], Array], y: Array) -> Array:
            return y / f(jnp.ones_like(y))

        if implicit == 0:
            return z.at[i].set(begin + first)
        moved: Array = jax.lax.custom_root(residual, begin, solve, linear)
        return z.at[i].set(moved)

    swept: Array = jax.lax.fori_loop(0, start.size, move, start)
    return swept


def _quotient(
    value: Callable[[Array], Array],
    partial: Callable[[Array, Array], Array],
    z: Array,
    i: Array,
    begin: Array,
) -> Array:
    """The difference quotient of value from begin to z[i].

    Over a short gap differences have few digits: there, partial in the middle.
    """
    info: Any = jnp.finfo
    gap = z[i] - begin
    least = info(z.dtype).eps ** (1 / 3) * jnp.maximum(1, jnp.abs(begin))
    short = jnp.abs(gap) <= least
    rise = value(z) - value(z.at[i].set(begin))
    middle = partial(z.at[i].set(begin + gap / 2), i)
    return jnp.where(short, middle, rise / jnp.where(short, 1, gap))


def _map(fun: Callable[..., Any], scalars: tuple[Array, ...], *trees: PyTree) -> PyTree:
    """fun(*scalars, *leaves) leaf by leaf, the scalars in the leaf's type."""

    def leaf(*leaves: Array) -> Any:
        return fun(*(jnp.asarray(s, leaves[0].dtype) for s in scalars), *leaves)

    return jax.tree.map(leaf, *trees)


def _leaves(
    fun: Callable[..., Array],
    scalars: tuple[ArrayLike, ...],
    tree: PyTree,
) -> PyTree:
    """fun(leaf, *scalars) leaf by leaf, the scalars in the leaf's type."""

    def leaf(x: Array) -> Array:
        return fun(x, *(jnp.asarray(s, x.dtype) for s in scalars))

    return jax.tree.map(leaf, tree)


def _flat(
    fun: Callable[..., Array],
    scalars: tuple[ArrayLike, ...],
    tree: PyTree,
) -> PyTree:
    """fun(x, *scalars) of all entries of the tree as one array."""
    x, shaped = ravel_pytree(tree)
    return shaped(fun(x, *(jnp.asarray(s, x.dtype) for s in scalars)))


def _like(scalar: Array, tree: PyTree) -> Array:
    """The scalar in the type of the tree's first leaf."""
    leaves = jax.tree.leaves(tree)
    return jnp.asarray(scalar, leaves[0].dtype) if leaves else scalar


def _inner(left: PyTree, right: PyTree) -> Array:
    """The inner product over all leaves, of the default float type."""
    products = _map(lambda a, b: jnp.sum(a * b).astype(float), (), left, right)
    return jax.tree.reduce(jnp.add, products, jnp.zeros((), float))


def _normal(key: Array, tree: PyTree) -> PyTree:
    """Independent standard normal samples of the shapes and types of the leaves."""
    leaves, treedef = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    pairs = zip(keys, leaves, strict=True)
    samples = [jax.random.normal(k, x.shape, x.dtype) for k, x in pairs]
    return jax.tree.unflatten(treedef, samples)


def _counts(key: Array, mean: Array, tree: PyTree) -> Array:
    """How often each row jumps, which is a path of its own; a vector is one point."""
    several = isinstance(tree, Array) and tree.ndim > 1
    rows = (len(tree), *(1 for _ in tree.shape[1:])) if several else ()
    return jax.random.poisson(key, mean, rows).astype(float)


class _Window(NamedTuple):
    """The last values, their inner products, and the index of the oldest."""

    values: PyTree
    products: Array
    at: Array


def _window(length: int, like: PyTree) -> _Window:
    """A window that holds zeros; its inner products are of the default float type."""
    empty = jax.tree.map(lambda x: jnp.zeros((length, *x.shape), x.dtype), like)
    return _Window(empty, jnp.zeros((length, length), float), jnp.zeros((), jnp.int32))


def _push(window: _Window, value: PyTree) -> _Window:
    """The value in the place of the oldest one; one row of inner products is new."""
    at, products = window.at, window.products

    def put(w: Array, v: Array) -> Array:
        new: Array = w.at[at].set(v.astype(w.dtype))
        return new

    values = jax.tree.map(put, window.values, value)
    row = _against(_Window(values, products, at), value).astype(products.dtype)
    products = products.at[at].set(row).at[:, at].set(row)
    return _Window(values, products, (at + 1) % len(products))


def _combine(window: _Window, weights: Array) -> PyTree:
    """The sum of the values, each with its weight."""

    def leaf(w: Array) -> Array:
        return jnp.tensordot(weights.astype(w.dtype), w, 1)

    return jax.tree.map(leaf, window.values)


def _against(window: _Window, value: PyTree) -> Array:
    """The inner products of the values with this one."""

    def leaf(w: Array, v: Array) -> Array:
        found: Array = jnp.tensordot(w, v.astype(w.dtype), v.ndim)
        return found.astype(window.products.dtype)

    products = jax.tree.map(leaf, window.values, value)
    return jax.tree.reduce(jnp.add, products, jnp.zeros_like(window.products[0]))


def _latest(window: _Window) -> Array:
    """The inner products of the values with the newest one."""
    found: Array = window.products[window.at - 1]
    return found


def _within(window: _Window, right: Array, one: ArrayLike, product: ArrayLike) -> Array:
    """The w with (one + product * inner products) w = right."""
    kind = right.dtype
    matrix = jnp.asarray(product, kind) * window.products
    matrix = matrix + jnp.asarray(one, kind) * jnp.eye(len(right), dtype=kind)
    found: Array = jnp.linalg.solve(matrix, right)
    return found


def _until(
    once: Callable[[Any, Array], tuple[Any, Array]], begin: Any, limit: ArrayLike
) -> tuple[Any, Any, Array]:
    """The blocks after the last iteration and before it, and how many there were.

    NaN where none says that it was the last before the limit is reached.
    once(blocks, n) is iteration n.
    """

    def going(state: Any) -> Array:
        *_, n, ended = state
        more: Array = jnp.logical_not(ended) & (n < limit)
        return more

    def move(state: Any) -> Any:
        blocks, _, n, _ = state
        new, ended = once(blocks, n + 1)
        cast = jax.tree.map(lambda old, x: jnp.asarray(x, old.dtype), blocks, new)
        return cast, blocks, n + 1, jnp.asarray(ended, bool)

    begun = jax.tree.map(jnp.asarray, begin)
    start = (begun, begun, jnp.zeros((), float), jnp.zeros((), bool))
    blocks, before, n, ended = jax.lax.while_loop(going, move, start)
    return jax.tree.map(lambda x: jnp.where(ended, x, jnp.nan), blocks), before, n


def _repeated(
    once: Callable[[Any, Array], tuple[Any, Array]], begin: Any, limit: ArrayLike
) -> tuple[Any, Array]:
    """The blocks after the last iteration, and how many; not differentiated."""

    @jax.custom_jvp
    def held(x: Array) -> Array:
        return x

    @held.defjvp
    def refused(primals: Any, tangents: Any) -> Any:
        raise ValueError(
            "a loop that ends by a guard is not differentiated through its iterations; "
            "declare fixed_point=True where it ends at a fixed point of an iteration."
        )

    def move(blocks: Any, n: Array) -> tuple[Any, Array]:
        new, ended = once(blocks, n)
        return jax.tree.map(lambda x: held(jnp.asarray(x)), new), ended

    blocks, _, n = _until(move, begin, limit)
    return blocks, n


def _searched(
    once: Callable[[Any, Array], tuple[Any, Array]], begin: Any, limit: ArrayLike
) -> tuple[Any, Array]:
    """The same, differentiated with the blocks before the last iteration held."""
    begun = jax.tree.map(lambda x: jax.lax.stop_gradient(jnp.asarray(x)), begin)
    closed, parts = jax.closure_convert(once, begun, jnp.zeros((), float))

    @jax.custom_jvp
    def found(begun: Any, limit: ArrayLike, parts: Any) -> tuple[Any, Array]:
        blocks, _, n = _until(lambda x, n: closed(x, n, *parts), begun, limit)
        return blocks, n

    @found.defjvp
    def last(primals: Any, tangents: Any) -> Any:
        begun, limit, parts = primals
        still = jax.lax.stop_gradient(parts)
        blocks, before, n = _until(lambda x, n: closed(x, n, *still), begun, limit)
        before, n = jax.lax.stop_gradient((before, n))

        def once_more(*parts: Any) -> Any:
            new, _ = closed(before, n, *parts)
            return jax.tree.map(lambda old, x: jnp.asarray(x, old.dtype), before, new)

        new, moved = jax.jvp(once_more, tuple(parts), tuple(tangents[2]))
        ended = jax.tree.map(jnp.isfinite, jax.lax.stop_gradient(blocks))
        new = jax.tree.map(lambda x, y: jnp.where(x, y, jnp.nan), ended, new)
        return (new, n), (moved, jnp.zeros_like(n))

    result: tuple[Any, Array] = found(begun, limit, parts)
    return result


def _counted(
    once: Callable[[Any, Array], tuple[Any, Array]], begin: Any, times: int
) -> tuple[Any, Array]:
    """The blocks after a number of iterations, and that number."""

    def move(state: Any, _: None) -> tuple[Any, None]:
        blocks, n = state
        new, _ = once(blocks, n + 1)
        cast = jax.tree.map(lambda old, x: jnp.asarray(x, old.dtype), blocks, new)
        return (cast, n + 1), None

    begun = jax.tree.map(jnp.asarray, begin)
    start = (begun, jnp.zeros((), float))
    last: tuple[Any, Array] = jax.lax.scan(move, start, None, length=times)[0]
    return last


def _fixed_point(
    once: Callable[[Any, Array], tuple[Any, Array]], begin: Any, limit: ArrayLike
) -> tuple[Any, Array]:
    """The same with the derivative of a fixed point of an iteration, by a solve."""
    first, shaped = ravel_pytree(begin)
    info: Any = jnp.finfo
    share: float = info(first.dtype).eps ** 0.75

    def residual(z: Array) -> Array:
        new, _ = once(shaped(z), jnp.ones((), float))
        return ravel_pytree(new)[0].astype(z.dtype) - z

    def found(_: Any, z: Array) -> tuple[Array, Array]:
        blocks, n = _repeated(once, shaped(z), limit)
        return ravel_pytree(blocks)[0], n

    def linear(product: Callable[[Array], Array], b: Array) -> Array:
        solved: Array = _solve(product, b, _gmres, share, symmetric=False)
        return solved

    z, n = jax.lax.custom_root(residual, first, found, linear, has_aux=True)
    return shaped(z), n


def _row(point: PyTree) -> PyTree:
    """One point as a population of one, which goes with every particle."""
    return jax.tree.map(lambda leaf: leaf[None], point)


def _floating(leaf: ArrayLike) -> Array:
    """The leaf as an array of a floating type: its own, or the default."""
    x = jnp.asarray(leaf)
    return x.astype(x.dtype if jnp.issubdtype(x.dtype, jnp.inexact) else float)
''') | solve_functions("jax")
# where vectors are many particles
EACH = HELPERS | functions('''
def _map(fun: Callable[..., Any], scalars: tuple[Array, ...], *trees: PyTree) -> PyTree:
    """fun(*scalars, *leaves) leaf by leaf, the scalars in the leaf's type.

    A scalar is one number, or one for each particle: an array along the first axis.
    """

    def leaf(*leaves: Array) -> Any:
        first = leaves[0]
        given = (jnp.asarray(s, first.dtype) for s in scalars)
        ones = (1,) * (first.ndim - 1)
        return fun(*(s.reshape(s.shape + ones * s.ndim) for s in given), *leaves)

    return jax.tree.map(leaf, *trees)


def _inner(left: PyTree, right: PyTree) -> Array:
    """The inner product of each particle over all leaves, of the default float type."""

    def each(a: Array, b: Array) -> Array:
        return jnp.sum((a * b).reshape(a.shape[0], -1), axis=1).astype(float)

    return jax.tree.reduce(jnp.add, jax.tree.map(each, left, right))


def _leaves(
    fun: Callable[..., Array],
    scalars: tuple[ArrayLike, ...],
    tree: PyTree,
) -> PyTree:
    """fun(leaf, *scalars) of each particle, leaf by leaf."""

    def leaf(x: Array) -> Array:
        given = (jnp.asarray(s, x.dtype).reshape(-1) for s in scalars)
        each = (jnp.broadcast_to(s, x.shape[:1]) for s in given)
        return jax.vmap(fun)(x, *each)

    return jax.tree.map(leaf, tree)


def _flat(
    fun: Callable[..., Array],
    scalars: tuple[ArrayLike, ...],
    tree: PyTree,
) -> PyTree:
    """fun(x, *scalars) of all entries of each particle as one array."""
    shaped = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], tree))[1]
    x = jax.vmap(lambda one: ravel_pytree(one)[0])(tree)
    return jax.vmap(shaped)(_leaves(fun, scalars, x))


def _counts(key: Array, mean: Array, tree: PyTree) -> Array:
    """A Poisson number for each particle."""
    shape = jax.tree.leaves(tree)[0].shape[:1]
    return jax.random.poisson(key, mean, shape).astype(float)
''')
