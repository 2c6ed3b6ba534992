"""Functions that emitted PyTorch modules contain, and small pieces of their text."""

from __future__ import annotations

import re

from ..printing.language import BEYOND
from ..printing.lines import WIDTH, width
from .numpy_helpers import HELPERS as OF_NUMPY
from .solve_functions import solve_functions
from .text import functions

IMPORTS = """
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, NamedTuple, overload

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT
"""
HELPERS = functions('''
def _check(groups: list[dict[str, Any]]) -> None:
    """Refuse sparse gradients and, if a group says so, those that are not finite."""
    for index, group in enumerate(groups):
        grads = [param.grad for param in group["params"] if param.grad is not None]
        if any(g.layout != torch.strided for g in grads):
            raise RuntimeError("sparse gradients are not supported: make them dense.")
        if not grads or not group["error_if_nonfinite"]:
            continue
        norms = torch._foreach_norm(grads)
        total = torch.stack([n.to(norms[0].device, torch.float32) for n in norms])
        if bool(torch.isfinite(total).all()):
            continue
        if not all(bool(torch.isfinite(g).all()) for g in grads):  # no mere overflow
            message = f"a gradient in group {index} is not finite; nothing changed."
            raise ValueError(message)


def _gradients(params: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
    """The gradients of what is to be minimized; zero where there is none."""
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in params]
    return list(torch._foreach_neg(grads)) if group["maximize"] else grads


def _alike(given: Iterable[Tensor], values: Iterable[Tensor]) -> list[Tensor]:
    """The values as tensors of their own, one for each that was given."""
    pairs = list(zip(given, values, strict=True))
    if any(x.shape != y.shape for x, y in pairs):
        raise ValueError("a function must return tensors of the shapes it is given.")
    places = {x.untyped_storage().data_ptr() for x, _ in pairs}
    shared = [y.untyped_storage().data_ptr() in places for _, y in pairs]
    return [y.clone() if s else y for s, (_, y) in zip(shared, pairs, strict=True)]


def _leaves(
    fun: Callable[..., Tensor], tensors: Iterable[Tensor], *scalars: float
) -> list[Tensor]:
    """The function of each tensor, computed in float32 or a wider type."""
    wide = [(x if x.dtype.itemsize >= 4 else x.float(), x.dtype) for x in tensors]
    return [fun(x, *scalars).to(dtype) for x, dtype in wide]


def _flat(
    fun: Callable[..., Tensor], tensors: list[Tensor], *scalars: float
) -> list[Tensor]:
    """The function of all entries of the tensors as one."""
    flat = torch.cat([x.reshape(-1) for x in tensors])
    parts = _leaves(fun, [flat], *scalars)[0].split([x.numel() for x in tensors])
    pairs = zip(parts, tensors, strict=True)
    return [p.reshape(x.shape).to(x.dtype) for p, x in pairs]


def _number(generator: torch.Generator | None) -> float:
    """A standard normal number."""
    device = "cpu" if generator is None else generator.device
    kind = torch.float64
    return float(torch.randn((), generator=generator, dtype=kind, device=device))


def _normal(like: list[Tensor], generator: torch.Generator | None) -> list[Tensor]:
    """A standard normal sample of the shapes and types of these."""

    def drawn(x: Tensor) -> Tensor:
        kind, at = x.dtype, x.device
        return torch.randn(x.shape, generator=generator, dtype=kind, device=at)

    return [drawn(x) for x in like]


def _seeds(count: int, generator: torch.Generator | None) -> list[int]:
    """Seeds of a sample, one a tensor, which is drawn again from them."""
    at = "cpu" if generator is None else generator.device
    drawn = torch.randint(2**62, (count,), generator=generator, device=at)
    return [int(seed) for seed in drawn.cpu()]


def _drawn(x: Tensor, seed: int) -> Tensor:
    """The normal sample of a seed, of the shape of a tensor."""
    made = torch.Generator(x.device).manual_seed(seed)
    return torch.randn(x.shape, generator=made, dtype=x.dtype, device=x.device)


def _again(tensors: list[Tensor], seeds: list[int]) -> list[Tensor]:
    """The normal sample of seeds, tensor by tensor."""
    return [_drawn(x, seed) for x, seed in zip(tensors, seeds, strict=True)]


def _shifted(
    params: list[Tensor],
    seeds: list[int],
    old: float,
    new: float,
    *,
    signs: bool = False,
) -> float:
    """Move from one multiple of a sample, or of its signs, to another; the new one."""
    for x, seed in zip(params, seeds, strict=True):
        if signs:
            x.add_(_drawn(x, seed).sign_(), alpha=new - old)
        else:
            x.add_(_drawn(x, seed), alpha=new - old)
    return new


def _inner(left: Iterable[Tensor], right: Iterable[Tensor]) -> float:
    """The inner product over all tensors of the lists."""
    pairs = zip(left, right, strict=True)
    return sum(float(torch.dot(x.reshape(-1), y.reshape(-1))) for x, y in pairs)
''')
OF_NUMBERS = {f"_{name}" for name in BEYOND} | {"_sign", "_maximum", "_minimum", "_unended"}
HELPERS |= {name: text for name, text in OF_NUMPY.items() if name in OF_NUMBERS}
_ITERATIONS = {"_norm", "_cg", "_minres", "_gmres", "_iterated"}  # those of NumPy, on tensors
HELPERS |= {
    name: text.replace("Array", "Tensor")
    for name, text in solve_functions("array").items()
    if name in _ITERATIONS
}
HELPERS |= functions('''
def _sqrt(x: float) -> float:
    """The root of x; an error where it is not real."""
    if x < 0:
        raise ArithmeticError("the step takes the root of a negative number.")
    return math.sqrt(x)


def _log(x: float) -> float:
    """log(x); an error where it is not real."""
    if x <= 0:
        raise ArithmeticError("the step takes the logarithm of a number that is not positive.")
    return math.log(x)


def _power(x: float, exponent: float) -> float:
    """x to a power; an error where that is not real."""
    if x < 0 and exponent % 1:
        raise ArithmeticError("the step takes the root of a negative number.")
    return float(x**exponent)


def _each(fun: Callable[..., Tensor], *lists: Iterable[Tensor]) -> list[Tensor]:
    """The function of the tensors in the same place of each list."""
    return [fun(*tensors) for tensors in zip(*lists, strict=True)]


def _slopes(value: Tensor, at: list[Tensor], again: bool) -> list[Tensor]:
    """The derivatives of a number; with ``again`` they have derivatives too."""
    found = torch.autograd.grad(
        value, at, create_graph=again, allow_unused=True, materialize_grads=True
    )
    return list(found)


def partial_derivative(
    loss: Callable[..., Tensor], slot: int, along: int | None = None
) -> Callable[..., list[Tensor]]:
    """The gradient of a loss of several lists in one of them.

    With ``along`` its derivative along a direction in another one, which comes last.
    """

    def derivative(*given: list[Tensor]) -> list[Tensor]:
        points = given if along is None else given[:-1]
        with torch.enable_grad():
            at = [[x.detach().requires_grad_() for x in point] for point in points]
            value = loss(*at)
            if along is None:
                return _slopes(value, at[slot], False)
            pairs = zip(_slopes(value, at[along], True), given[-1], strict=True)
            slope = _summed([torch.sum(g * v) for g, v in pairs])
            if not slope.requires_grad:  # of a linear loss
                return [torch.zeros_like(x) for x in at[slot]]
            return _slopes(slope, at[slot], False)

    return derivative


def hessian_products(
    loss: Callable[[list[Tensor]], Tensor],
) -> Callable[[list[Tensor], list[Tensor]], list[Tensor]]:
    """The products of the Hessian of a loss with vectors, both of lists of tensors."""
    return partial_derivative(loss, 0, 0)


def _part(whole: list[Tensor], place: int, like: list[Any]) -> list[Tensor]:
    """One of the lists that a list was made of."""
    begin = sum(map(len, like[:place]))
    return whole[begin : begin + len(like[place])]


def _joined(tensors: Iterable[Tensor]) -> Tensor:
    """All entries of the tensors as one, in float32 or a wider type."""
    wide = [x if x.dtype.itemsize >= 4 else x.float() for x in tensors]
    return torch.cat([x.reshape(-1) for x in wide])


def _parted(flat: Tensor, like: list[Tensor]) -> list[Tensor]:
    """The entries as tensors of the shapes and types of others."""
    parts = torch.split(flat, [x.numel() for x in like])
    pairs = zip(parts, like, strict=True)
    return [p.reshape(x.shape).to(x.dtype) for p, x in pairs]


def _solve(
    product: Callable[[list[Tensor]], list[Tensor]],
    b: list[Tensor],
    method: Callable[..., tuple[Tensor, float, str]],
    tolerance: float,
) -> list[Tensor]:
    """The solution of product(x) = b; ArithmeticError where there is none."""
    flat, eps = _joined(b), max(float(torch.finfo(x.dtype).eps) for x in b)

    def times(v: Tensor) -> Tensor:
        return _joined(product(_parted(v, b)))

    return _parted(_iterated(times, flat, method, tolerance, eps), b)


def _matrix(
    product: Callable[[list[Tensor]], list[Tensor]],
    b: list[Tensor],
) -> Tensor:
    """The matrix of an operator that is known by its products."""
    flat = _joined(b)
    eye = torch.eye(flat.numel(), dtype=flat.dtype, device=flat.device)
    return torch.stack([_joined(product(_parted(e, b))) for e in eye], dim=1)


def _entries(
    product: Callable[[list[Tensor]], list[Tensor]],
    like: list[Tensor],
) -> list[Tensor]:
    """The diagonal of an operator on tensors like these, from its products."""
    found = torch.empty_like(_joined(like))
    for i in range(found.numel()):
        e = torch.zeros_like(found)
        e[i] = 1
        found[i] = _joined(product(_parted(e, like)))[i]
    return _parted(found, like)


def _lu(matrix: Tensor, b: list[Tensor]) -> list[Tensor]:
    """The solution of matrix x = b; ArithmeticError where it is singular."""
    factors, rows, _ = torch.linalg.lu_factor_ex(matrix)
    pivots = factors.diagonal().abs()
    least, most = float(pivots.min()), float(pivots.max())
    if not least > len(pivots) * float(torch.finfo(pivots.dtype).eps) * most:
        k = int(pivots.argmin()) + 1
        found = f"pivot {k} is {least:.2g}, the largest {most:.2g}"
        raise ArithmeticError(f"the operator is singular to rounding: {found}.")
    x = torch.linalg.lu_solve(factors, rows, _joined(b)[:, None])
    return _parted(x[:, 0], b)


def _cholesky(matrix: Tensor, b: list[Tensor]) -> list[Tensor]:
    """The solution of matrix x = b, for a definite one; ArithmeticError for another."""
    sign = -1.0 if float(matrix[0, 0]) < 0 else 1.0
    factor, failed = torch.linalg.cholesky_ex(sign * matrix)
    pivots = factor.diagonal() ** 2
    least = len(pivots) * float(torch.finfo(pivots.dtype).eps) * float(pivots.max())
    if int(failed) or not float(pivots.min()) > least:
        found = torch.linalg.eigvalsh(matrix)
        between = f"between {float(found[0]):.3g} and {float(found[-1]):.3g}"
        message = f"a definite operator is needed; curvatures are {between}."
        raise ArithmeticError(message)
    x = torch.cholesky_solve(_joined(b)[:, None], factor)
    return _parted(sign * x[:, 0], b)


def _woodbury(
    over: Callable[[list[Tensor]], list[Tensor]],
    lefts: list[list[Tensor]],
    rights: list[list[Tensor]],
    b: list[Tensor],
) -> list[Tensor]:
    """The solution of D x + sum of left <right, x> = b, with the inverse of D given."""
    right = torch.stack([_joined(v) for v in rights])
    left = torch.stack([_joined(over(v)) for v in lefts])
    x = _joined(over(b))
    small = torch.eye(len(lefts), dtype=x.dtype, device=x.device) + right @ left.T
    return _parted(x - _lu(small, [right @ x])[0] @ left, b)
''')
HELPERS |= functions('''
def _window(length: int, like: Tensor) -> dict[str, Any]:
    """The last values of a parameter, their inner products, and the oldest's place."""
    wide = like.dtype if like.dtype.itemsize >= 4 else torch.float32
    values = torch.zeros((length, *like.shape), dtype=like.dtype, device=like.device)
    products = torch.zeros((length, length), dtype=wide, device=like.device)
    return {"values": values, "products": products, "at": 0}


def _ages(window: dict[str, Any]) -> list[int]:
    """The places of the values, from the newest to the oldest."""
    length = len(window["values"])
    return [(window["at"] - 1 - age) % length for age in range(length)]


def _rows(window: dict[str, Any], value: Tensor) -> Tensor:
    """The inner products of the values of one parameter with another one."""
    values, products = window["values"], window["products"]
    return torch.mv(values.flatten(1), value.to(values.dtype).reshape(-1)).to(products)


def _push(windows: list[dict[str, Any]], values: list[Tensor]) -> None:
    """The values in the places of the oldest ones; one row of products is new."""
    for window, value in zip(windows, values, strict=True):
        at = window["at"]
        window["values"][at].copy_(value)
        row = _rows(window, value)
        window["products"][at] = row
        window["products"][:, at] = row
        window["at"] = (at + 1) % len(row)


def _summed(parts: list[Tensor]) -> Tensor:
    """The sum over the parameters, on the first device and in the widest type."""
    wide = max((x.dtype for x in parts), key=lambda kind: kind.itemsize)
    return torch.stack([x.to(parts[0].device, wide) for x in parts]).sum(0)


def _against(windows: list[dict[str, Any]], values: list[Tensor]) -> Tensor:
    """The inner products of the values with these, from the newest."""
    pairs = zip(windows, values, strict=True)
    return _summed([_rows(w, v)[_ages(w)] for w, v in pairs])


def _latest(windows: list[dict[str, Any]]) -> Tensor:
    """The inner products of the values with the newest ones."""
    return _summed([w["products"][w["at"] - 1][_ages(w)] for w in windows])


def _within(
    windows: list[dict[str, Any]],
    right: Tensor,
    one: float,
    product: float,
) -> Tensor:
    """The w with (one + product * inner products) w = right."""
    aged = [w["products"][_ages(w)][:, _ages(w)] for w in windows]
    eye = torch.eye(len(right), dtype=right.dtype, device=right.device)
    matrix = product * _summed(aged).to(right) + one * eye
    found: Tensor = torch.linalg.solve(matrix, right)
    return found


def _combine(windows: list[dict[str, Any]], weights: Tensor) -> list[Tensor]:
    """The sums of the values, each with its weight."""
    sums = []
    for window in windows:
        values, placed = window["values"], torch.empty_like(weights)
        placed[_ages(window)] = weights
        sums.append(torch.tensordot(placed.to(values), values, 1))
    return sums
''')
DIVIDED = """
except (ZeroDivisionError, OverflowError) as error:
    message = "the step divides by zero, as at a minimum, or overflows."
    raise ArithmeticError(message) from error
"""
HELPERS |= functions(
    '''
def _waits(step: Iterator[bool]) -> bool:
    """Whether a step, as far as it goes, waits for a closure."""
    try:
        return next(step, False)'''
    + DIVIDED.replace("\n", "\n    ").rstrip(" ")
)
ONE_GROUP = """
        if len(self.param_groups) > 1:  # each would search by itself
            self.param_groups.pop()
            message = "a search moves all parameters at once: give one parameter group."
            raise ValueError(message)
"""
STEP = """
    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
"""
STEP_ELSEWHERE = """
        loss: float | None = None
        first, again = True, True
        while again:
            known = set(self.state)
            batches = self._batches()
            saved = [[param.clone() for param in params] for _, params in batches]
            work = [self._advance(*b, s) for b, s in zip(batches, saved, strict=True)]
            loss, again = None, False
            try:
                while not again:
                    waiting = [True for w in work if NEXT]
                    if loss is not None and not waiting:
                        break
                    with torch.enable_grad():
                        value = closure()
                    _check(self.param_groups)
                    again = loss is None and self._others(batches, first)
                    loss = value if loss is None else loss
            except BaseException:
                again = True
                raise
            finally:
                first = False
                if again:  # as it was before the step
                    for (_, params), start_list in zip(batches, saved, strict=True):
                        torch._foreach_copy_(params, start_list)
                    for param in set(self.state) - known:
                        del self.state[param]
        return loss
"""
IDLE = '''
    def _others(
        self,
        batches: list[tuple[dict[str, Any], list[Tensor]]],
        first: bool,
    ) -> bool:
        """Whether other parameters have a gradient than those that take part."""
        gone = {p for _, params in batches for p in params if p.grad is None}
        back = {p for p in self._idle if first and p.grad is not None}
        self._idle = (self._idle - back) | gone
        return bool(gone or back)
'''
DEFAULTS = '''
    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load a state; options of torch that it lacks get their defaults."""
        super().__setstate__(state)
        for group in self.param_groups:
'''


def generated_list(head: str, text: str) -> list[str]:
    """``head[text]`` for a comprehension with a condition, on one line if it fits."""
    indent = "            "
    line = f"{indent}{head}[{text}]"
    if width(line) <= WIDTH:
        return [line]
    element, rest = text.split(" for ")
    each, condition = rest.split(" if ")
    inside = [element, f"for {each}", f"if {condition}"]
    return [f"{indent}{head}[", *[f"{indent}    {line}" for line in inside], f"{indent}]"]


def identifiers(line: str) -> set[str]:
    """The names in a line of source."""
    return set(re.findall(r"[A-Za-z_]\w*", line))
