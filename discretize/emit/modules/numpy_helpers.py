"""Functions that emitted NumPy modules contain, each where it is used."""

from __future__ import annotations

from .solve_functions import solve_functions
from .text import functions

HELPERS = functions('''
def _sign(number: float) -> float:
    """1, 0 or -1; NaN of NaN."""
    return math.copysign(1.0, number) if abs(number) > 0 else number


def _sqrt(x: float) -> float:
    """The root of x; NaN where it is not real."""
    return math.nan if x < 0 else math.sqrt(x)


def _log(x: float) -> float:
    """log(x); NaN where it is not real."""
    return math.log(x) if x > 0 else math.nan if x < 0 else x - math.inf


def _power(x: float, exponent: float) -> float:
    """x to a power; NaN where that is not real."""
    return math.nan if x < 0 and exponent % 1 else float(x**exponent)


def _exp(x: float) -> float:
    """exp(x), infinite where it overflows."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _cosh(x: float) -> float:
    """cosh(x), infinite where it overflows."""
    try:
        return math.cosh(x)
    except OverflowError:
        return math.inf


def _sinh(x: float) -> float:
    """sinh(x), infinite where it overflows."""
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(math.inf, x)


def _sin(x: float) -> float:
    """sin(x); NaN of what is not finite."""
    return math.sin(x) if math.isfinite(x) else math.nan


def _cos(x: float) -> float:
    """cos(x); NaN of what is not finite."""
    return math.cos(x) if math.isfinite(x) else math.nan


def _tan(x: float) -> float:
    """tan(x); NaN of what is not finite."""
    return math.tan(x) if math.isfinite(x) else math.nan


def _arcsin(x: float) -> float:
    """arcsin(x); NaN where it is not real."""
    return math.asin(x) if abs(x) <= 1 else math.nan


def _arccos(x: float) -> float:
    """arccos(x); NaN where it is not real."""
    return math.acos(x) if abs(x) <= 1 else math.nan


def _arccosh(x: float) -> float:
    """arccosh(x); NaN where it is not real."""
    return math.acosh(x) if x >= 1 else math.nan


def _arctanh(x: float) -> float:
    """arctanh(x), infinite at 1 and -1; NaN where it is not real."""
    if abs(x) < 1:
        return math.atanh(x)
    return math.copysign(math.inf, x) if abs(x) == 1 else math.nan


def _ceil(x: float) -> float:
    """x rounded up; x where it is not finite."""
    return float(math.ceil(x)) if math.isfinite(x) else x


def _maximum(x: float, y: float) -> float:
    """The larger one; NaN where one of them is."""
    return x if x > y or x != x else y


def _minimum(x: float, y: float) -> float:
    """The smaller one; NaN where one of them is."""
    return x if x < y or x != x else y


def _again(place: Any) -> np.random.Generator:
    """A generator at a place where another one stood, the state of its bits."""
    made = getattr(np.random, place["bit_generator"])()
    made.state = place
    return np.random.Generator(made)


def _zero(
    residual: Callable[[float], float],
    a: float,
    b: float,
    small: float,
) -> float:
    """A zero of the function, by the chord through a and b or in a bracket beyond b.

    Regula falsi with Illinois weights; NaN where there is no change of sign.
    """
    at_a, at_b, first = residual(a), residual(b), abs(b - a)
    if first <= small * abs(a):
        return b
    if at_a != at_b:
        chord = (b - a) / (at_b - at_a)
        c = b - at_b * chord
        at_c = residual(c)
        if abs(at_c) <= small ** (2 / 3) * abs(at_a):  # straight, but for rounding
            return c - at_c * chord
    for _ in range(100):
        if at_a * at_b <= 0:
            break
        b = a + 2 * (b - a)
        at_b = residual(b)
    else:
        return math.nan
    for _ in range(200):
        size = max(abs(a), abs(b))
        if abs(at_b) <= small * max(size, first) or abs(b - a) <= small * size:
            break
        c = b - at_b * (b - a) / (at_b - at_a)
        if not min(a, b) < c < max(a, b):
            c = (a + b) / 2
        at_c = residual(c)
        a, at_a = (b, at_b) if at_c * at_b < 0 else (a, at_a / 2)
        b, at_b = c, at_c
    return b


def _sweep(
    slope: Callable[[Array, int, float], float],
    start: Array,
    duration: float,
    implicit: float,
    backward: bool = False,
) -> Array:
    """The array, its coordinates moved in turn: slope(z, i, begin) is z.flat[i]'s rate.

    Coordinate i becomes u = begin + duration * rate, with the rate at begin where
    implicit is 0, at u where it is 1, and in proportion between.
    """
    z = np.array(start, order="C")
    flat = z.reshape(-1)
    small = 4 * float(np.finfo(z.dtype).eps)
    for i in range(flat.size)[:: -1 if backward else 1]:
        begin = float(flat[i])
        first = duration * float(slope(z, i, begin))

        def residual(
            u: float,
            i: int = i,
            begin: float = begin,
            first: float = first,
        ) -> float:
            flat[i] = u
            at_u = duration * float(slope(z, i, begin))
            return u - begin - first - implicit * (at_u - first)

        moves = implicit != 0 and first != 0 and math.isfinite(first)
        end = begin + first
        flat[i] = _zero(residual, begin, end, small) if moves else end
    return z


def _unended(
    condition: str,
    times: float,
    *compared: tuple[float, str, float],
) -> ArithmeticError:
    """What is wrong with a loop that has reached its limit."""
    last = " and ".join(f"{a:.15g} {sign} {b:.15g}" for a, sign, b in compared)
    return ArithmeticError(
        f"the loop until {condition} has not ended after {times:g} iterations: "
        f"it last compared {last}."
    )


def _quotient(
    value: Callable[[Array], float],
    partial: Callable[[Array, int], float],
    z: Array,
    i: int,
    begin: float,
) -> float:
    """The difference quotient of value from begin to z.flat[i].

    Over a short gap differences have few digits: there, partial in the middle.
    """
    end = float(z.flat[i])
    gap = end - begin
    least = float(np.finfo(z.dtype).eps) ** (1 / 3) * max(1.0, abs(begin))
    short = abs(gap) <= least
    z.flat[i] = begin + gap / 2 if short else begin
    found = float(partial(z, i)) if short else float(value(z))
    z.flat[i] = end
    return found if short else (float(value(z)) - found) / gap


class _Window(NamedTuple):
    """The last values, their inner products, and the index of the oldest."""

    values: Array
    products: Array
    at: int


def _window(length: int, like: Array) -> _Window:
    """A window that holds zeros."""
    values = np.zeros((length, *like.shape), like.dtype)
    return _Window(values, np.zeros((length, length), like.dtype), 0)


def _push(window: _Window, value: Array) -> _Window:
    """The value in the place of the oldest one; one row of inner products is new."""
    values, products, at = window
    values, products = values.copy(), products.copy()
    values[at] = value
    products[at] = products[:, at] = _against(_Window(values, products, at), value)
    return _Window(values, products, (at + 1) % len(values))


def _combine(window: _Window, weights: Array) -> Array:
    """The sum of the values, each with its weight."""
    return np.tensordot(weights, window.values, 1)


def _against(window: _Window, value: Array) -> Array:
    """The inner products of the values with this one."""
    rows = window.values.reshape(len(window.values), -1)
    found: Array = rows @ value.reshape(-1)
    return found


def _latest(window: _Window) -> Array:
    """The inner products of the values with the newest one."""
    found: Array = window.products[window.at - 1]
    return found


def _within(window: _Window, right: Array, one: float, product: float) -> Array:
    """The w with (one + product * inner products) w = right."""
    matrix = product * window.products + one * np.eye(len(right), dtype=right.dtype)
    return np.linalg.solve(matrix, right)


def _joined(parts: list[Array]) -> Array:
    """The entries of several blocks as one vector."""
    return np.concatenate([np.reshape(p, -1) for p in parts])


def _part(whole: Array, place: int, like: list[Array]) -> Array:
    """One of the blocks whose entries are in one vector."""
    begin = sum(p.size for p in like[:place])
    return whole[begin : begin + like[place].size].reshape(like[place].shape)


def _rows(fun: Callable[..., Any], points: Array, *scalars: Any) -> Array:
    """The function of each particle, with numbers that are one or one for each."""
    given = [np.broadcast_to(np.reshape(s, -1), len(points)) for s in scalars]
    return np.stack([fun(*row) for row in zip(points, *given, strict=True)])


def _counts(rng: np.random.Generator, mean: Any, points: Array) -> Array:
    """How often each row jumps, which is a path of its own; a vector is one point."""
    rows = (len(points), *(1 for _ in points.shape[1:])) if points.ndim > 1 else ()
    return np.asarray(rng.poisson(mean, rows), float)
''') | solve_functions("array")
