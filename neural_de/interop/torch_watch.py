"""The statistics of a torchdiffeq solve, and penalties on them that PyTorch can differentiate.

torchdiffeq calls back at each step (`callback_accept_step`), and the wrapped function sees every stage; the
embedded error follows from these and from the method's own tableau. Nothing of the solve is changed.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from ..._support.errors import OdescentError, check_choice

if TYPE_CHECKING:
    import torch

PENALTIES = ("scaled", "weighted", "squared", "steps")


def watch_torchdiffeq(
    func: Any, *, rtol: float, atol: float, method: str = "dopri5"
) -> torch.nn.Module:
    """A function for ``torchdiffeq.odeint`` that records the steps of the solve.

    ::

        watched = watch_torchdiffeq(func, rtol=1e-6, atol=1e-6)
        y = torchdiffeq.odeint(watched, y0, t, rtol=1e-6, atol=1e-6, method="dopri5")
        loss = criterion(y[-1]) + 0.1 * watched.penalty("weighted")

    Args:
        func: f(t, y), a module or a function; y one tensor.
        rtol, atol, method: as in the call of odeint.

    Returns:
        A module with, of the last solve: `evaluations` (all calls), `accepted`, `rejected`, `t`, `h` (lists of
        floats), `error` (a list of tensors, E of each accepted step in units of the tolerance) and
        ``penalty(kind, reduction)``. E_j is differentiable with h_j held constant (but torchdiffeq differentiates
        through its own choice of the first step; ``options={"first_step": h}`` leaves that out). odeint_adjoint
        solves without a graph: there are the numbers, which ``penalty`` gives under ``torch.no_grad()`` only.

    Raises:
        OdescentError: no torchdiffeq, or a method without embedded error; in the solve, another method than the one
            that is watched; of ``penalty``, a gradient where the solve had none.
    """
    import torch
    from torchdiffeq._impl.odeint import SOLVERS

    adaptive = [
        n for n, s in SOLVERS.items() if hasattr(s, "tableau") and hasattr(s.tableau, "c_error")
    ]
    check_choice("method of torchdiffeq with an embedded error", method, adaptive)
    table, order = SOLVERS[method].tableau, SOLVERS[method].order
    other_method = OdescentError(
        f"the solve does not take the steps of {method}, which is watched: give odeint and watch_torchdiffeq the same "
        "method=."
    )

    # torchdiffeq hides its stages: they are recorded as the field is evaluated, between the callbacks of a step
    class Watched(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.func = func
            self._between: deque[tuple[float, Any]] = deque(maxlen=4)  # calls outside of steps
            self._begin()

        def _begin(self) -> None:
            self.evaluations = self.accepted = self.rejected = 0
            self.t: list[float] = []
            self.h: list[float] = []
            self.error: list[torch.Tensor] = []
            self._slope: Any = None  # f at the beginning of the step
            self._stages: list[tuple[float, Any]] = []
            self._stepping = False
            self._graph = True  # whether the solve was noted with its graph

        def forward(self, t: Any, y: Any) -> Any:
            if not isinstance(y, torch.Tensor):
                raise OdescentError("a watched state is one tensor: join the parts of a tuple.")
            value = self.func(t, y)
            self.evaluations += 1
            self._graph = self._graph and torch.is_grad_enabled()
            (self._stages if self._stepping else self._between).append((float(t.detach()), value))
            return value

        def callback_step(self, t0: Any, y0: Any, dt: Any) -> None:
            time, calls = float(t0.detach()), list(self._between)
            if not self._rejected_before:
                # a step that does not continue the last one begins a new solve
                going_on = self.t and abs(self._end - time) <= 1e-6 * self.h[-1]
                if not going_on:  # f at the start, and perhaps a guess of the first step
                    starts = [i for i, (t, _) in enumerate(calls) if t == time]
                    if not starts:
                        raise other_method
                    self._begin()
                    self._graph = torch.is_grad_enabled()
                    self.evaluations, self._slope = len(calls) - starts[-1], calls[starts[-1]][1]
                elif calls:  # again after a jump
                    self._slope = calls[-1][1]
            self._stages, self._stepping, self._rejected_before = [], True, False
            self._between.clear()

        _rejected_before, _end = False, 0.0

        def callback_reject_step(self, t0: Any, y0: Any, dt: Any) -> None:
            self.rejected += 1
            self._stepping, self._rejected_before = False, True

        def callback_accept_step(self, t0: Any, y0: Any, dt: Any) -> None:
            # the error estimate from the tableau, so that it has a gradient
            k = [self._slope, *(v for _, v in self._stages)]
            if len(k) != len(table.c_sol):
                raise other_method
            time, h = float(t0.detach()), float(dt.detach())
            sign = -1.0 if self._stages[-1][0] < time else 1.0  # of a solve backwards
            self._end = time + sign * h
            combine: Any = lambda c: sum(
                float(w) * v for w, v in zip(c, k, strict=True) if float(w) != 0
            )
            y1 = y0 + sign * h * combine(table.c_sol)
            scale = atol + rtol * torch.maximum(y0.abs(), y1.abs())
            e = h * combine(table.c_error) / scale
            size = e.abs().pow(2).mean()
            zero = size == 0  # its root has no gradient there
            self.error.append(
                torch.where(zero, size, torch.where(zero, torch.ones_like(size), size).sqrt())
            )
            self.t.append(time)
            self.h.append(h)
            self.accepted += 1
            self._slope, self._stepping = k[-1], False

        def penalty(self, kind: str = "weighted", reduction: str = "sum") -> torch.Tensor:
            """Of the accepted steps: E_j ("scaled"), E_j h_j ("weighted"), E_j^2 ("squared"), or "steps".

            "steps" is (E_j + 10^-q)^(1/q), q the order: how many steps a perfect controller would take.
            The reduction is "sum", "mean" or "max".
            """
            check_choice("penalty", kind, PENALTIES)
            check_choice("reduction", reduction, ("sum", "mean", "max"))
            if not self.error:
                raise OdescentError(
                    f"no step of a solve was seen yet: call torchdiffeq.odeint(watched, ..., method={method!r}) first."
                )
            # a penalty without gradient would train nothing, silently
            if torch.is_grad_enabled() and not self._graph:
                raise OdescentError(
                    "the solve kept no graph (odeint_adjoint keeps none), so its penalty has no gradient: solve "
                    "with torchdiffeq.odeint, or ask for the number alone under torch.no_grad()."
                )
            each = torch.stack(self.error)
            h = torch.tensor(self.h, dtype=each.dtype, device=each.device)
            values = {
                "scaled": each, "weighted": each * h, "squared": each**2,
                "steps": (each + 10.0**-order) ** (1 / order),
            }[kind]  # fmt: skip
            found: torch.Tensor = getattr(values, reduction)()
            return found

    return Watched()
