"""Functions that emitted PyTorch modules contain, and small pieces of their text."""

from __future__ import annotations

import re

from ..printing.lines import WIDTH, width
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


def _inner(left: Iterable[Tensor], right: Iterable[Tensor]) -> float:
    """The inner product over all tensors of the lists."""
    pairs = zip(left, right, strict=True)
    return sum(float(torch.dot(x.reshape(-1), y.reshape(-1))) for x, y in pairs)
''')
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
                    waiting = [True for w in work if next(w, False)]
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
