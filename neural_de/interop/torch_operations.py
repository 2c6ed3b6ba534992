"""JAX's elementary operations in PyTorch, for traced vector fields."""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..._support.errors import OdescentError
from ...dynamics.vector_fields.jaxprs import walk


def evaluate(jaxpr: Any, consts: Any, inputs: Any) -> list[Any]:
    """Carry out a jaxpr on tensors; differentiable by PyTorch.

    Args:
        jaxpr: of elementary operations that `OPERATIONS` has.
        consts, inputs: values of its constants and of its inputs, in order.

    Returns:
        Its outputs.

    Raises:
        OdescentError: an operation that has no counterpart here.
    """

    def tensor(value: Any, among: Any) -> Any:
        """A literal or constant as a tensor, on the device of the rest."""
        if isinstance(value, torch.Tensor):
            return value
        device = next((v.device for v in among if isinstance(v, torch.Tensor)), None)
        return torch.as_tensor(np.array(value), device=device)

    def rule(eqn: Any, values: list[Any]) -> list[Any]:
        name = eqn.primitive.name
        if name not in OPERATIONS:
            raise OdescentError(
                f"JAX's operation {name!r} has no counterpart in PyTorch here: write this field in PyTorch by hand."
            )
        given = [tensor(v, values) for v in values]
        found = OPERATIONS[name](*given, **{"_out": eqn.outvars[0].aval, **eqn.params})
        return found if isinstance(found, list) else [found]

    return [tensor(v, inputs) for v in walk(jaxpr, consts, inputs, rule)]


def dtype_of(jax_dtype: Any) -> Any:
    """PyTorch's type of that name."""
    name = {"bool": "bool"}.get(str(jax_dtype), str(jax_dtype))
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise OdescentError(f"numbers of type {jax_dtype} have no counterpart in PyTorch.")
    return found


def _plain(name: str) -> Callable[..., Any]:
    def operation(*values: Any, **_: Any) -> Any:
        return getattr(torch, name)(*values)

    return operation


def _dot(x: Any, y: Any, *, dimension_numbers: Any, **_: Any) -> Any:
    (left, right), (left_batch, right_batch) = dimension_numbers
    names = iter(string.ascii_letters)
    a = [next(names) for _ in x.shape]
    b = [next(names) for _ in y.shape]
    for i, j in (*zip(left, right, strict=True), *zip(left_batch, right_batch, strict=True)):
        b[j] = a[i]
    batch = [a[i] for i in left_batch]
    kept: Any = lambda n, drop: [c for i, c in enumerate(n) if i not in drop]
    out = batch + kept(a, {*left, *left_batch}) + kept(b, {*right, *right_batch})
    return torch.einsum(f"{''.join(a)},{''.join(b)}->{''.join(out)}", x, y)


def _broadcast(x: Any, *_dynamic: Any, shape: Any, broadcast_dimensions: Any, **_: Any) -> Any:
    wide = [1] * len(shape)
    for i, d in enumerate(broadcast_dimensions):
        wide[d] = x.shape[i]
    return x.reshape(wide).expand(tuple(shape))


def _slice(x: Any, *, start_indices: Any, limit_indices: Any, strides: Any, **_: Any) -> Any:
    steps = strides or (1,) * len(start_indices)
    return x[tuple(map(slice, start_indices, limit_indices, steps))]


def _pad(x: Any, value: Any, *, padding_config: Any, **_: Any) -> Any:
    if any(low < 0 or high < 0 or inner for low, high, inner in padding_config):
        raise OdescentError("padding inside or below zero has no counterpart in PyTorch here.")
    flat = [n for low, high, _ in reversed(padding_config) for n in (low, high)]
    return torch.nn.functional.pad(x, flat, value=float(value))


def _convolution(
    x: Any, w: Any, *, window_strides: Any, padding: Any, lhs_dilation: Any, rhs_dilation: Any,
    dimension_numbers: Any, feature_group_count: int, batch_group_count: int, **_: Any,
) -> Any:  # fmt: skip
    if any(d != 1 for d in lhs_dilation) or batch_group_count != 1:
        raise OdescentError("transposed convolutions have no counterpart in PyTorch here.")
    n = len(window_strides)
    spec = dimension_numbers
    flat = [p for low, high in reversed(padding) for p in (low, high)]
    x = torch.nn.functional.pad(x.permute(spec.lhs_spec), flat)
    convolve = getattr(torch.nn.functional, f"conv{n}d")
    out = convolve(
        x, w.permute(spec.rhs_spec), None, tuple(window_strides), 0, tuple(rhs_dilation),
        feature_group_count,
    )  # fmt: skip
    back = [0] * len(spec.out_spec)
    for i, d in enumerate(spec.out_spec):
        back[d] = i
    return out.permute(back)


def _select(which: Any, *cases: Any, **_: Any) -> Any:
    if len(cases) == 2:
        return torch.where(which.bool(), cases[1], cases[0])
    return torch.stack(cases).gather(0, which.long().expand_as(cases[0])[None])[0]


def _concatenate(*parts: Any, dimension: int, **_: Any) -> Any:
    return torch.cat(parts, dimension)


def _stack(*parts: Any, axis: int, **_: Any) -> Any:
    return torch.stack(parts, axis)


def _iota(*_dynamic: Any, shape: Any, dimension: int, dtype: Any, **_: Any) -> Any:
    line = torch.arange(shape[dimension], dtype=dtype_of(dtype))
    return line.reshape([-1 if i == dimension else 1 for i in range(len(shape))]).expand(
        tuple(shape)
    )


def _reduce(name: str) -> Callable[..., Any]:
    def operation(x: Any, *, axes: Any, **_: Any) -> Any:
        return getattr(x, name)(tuple(axes)) if axes else x

    return operation


_SAME = {
    "add": "add", "add_any": "add", "sub": "sub", "mul": "mul", "div": "div", "neg": "neg", "max": "maximum",
    "min": "minimum", "abs": "abs", "sign": "sign", "exp": "exp", "exp2": "exp2", "expm1": "expm1", "log": "log",
    "log1p": "log1p", "sqrt": "sqrt", "rsqrt": "rsqrt", "square": "square", "sin": "sin", "cos": "cos", "tan": "tan",
    "asin": "asin", "acos": "acos", "atan": "atan", "atan2": "atan2", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh",
    "logistic": "sigmoid", "erf": "erf", "erfc": "erfc", "erf_inv": "erfinv", "pow": "pow", "floor": "floor",
    "rem": "fmod", "ceil": "ceil", "round": "round", "gt": "gt", "lt": "lt", "ge": "ge", "le": "le", "eq": "eq",
    "ne": "ne", "and": "logical_and", "or": "logical_or", "not": "logical_not", "is_finite": "isfinite",
}  # fmt: skip

OPERATIONS: dict[str, Callable[..., Any]] = {
    **{ours: _plain(theirs) for ours, theirs in _SAME.items()},
    "dot_general": _dot,
    "broadcast_in_dim": _broadcast,
    "reshape": lambda x, *, new_sizes, **_: x.reshape(tuple(new_sizes)),
    "transpose": lambda x, *, permutation, **_: x.permute(tuple(permutation)),
    "squeeze": lambda x, *, _out, **_: x.reshape(_out.shape),
    "expand_dims": lambda x, *, _out, **_: x.reshape(_out.shape),
    "rev": lambda x, *, dimensions, **_: x.flip(tuple(dimensions)),
    "concatenate": _concatenate,
    "slice": _slice,
    "pad": _pad,
    "iota": _iota,
    "select_n": _select,
    "clamp": lambda low, x, high, **_: x.clamp(low, high),
    "convert_element_type": lambda x, *, new_dtype, **_: x.to(dtype_of(new_dtype)),
    "integer_pow": lambda x, *, y, **_: x**y,
    "cbrt": lambda x, **_: x.sign() * x.abs() ** (1 / 3),
    "stop_gradient": lambda x, **_: x.detach(),
    "copy": lambda x, **_: x,
    "tile": lambda x, *, reps, **_: x.tile(tuple(reps)),
    "stack": _stack,
    "split": lambda x, *, sizes, axis, **_: list(x.split(tuple(sizes), axis)),
    "reduce_sum": _reduce("sum"),
    "reduce_max": _reduce("amax"),
    "reduce_min": _reduce("amin"),
    "reduce_prod": lambda x, *, axes, **_: math.prod([x]) if not axes else _product(x, axes),
    "conv_general_dilated": _convolution,
}


def _product(x: Any, axes: Any) -> Any:
    for axis in sorted(axes, reverse=True):
        x = x.prod(axis)
    return x
