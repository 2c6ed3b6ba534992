"""PyTorch modules from traces of JAX functions, a trace per shape; loaded with the first module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import torch

from ..._support.errors import OdescentError
from .torch_operations import evaluate


class TracedModule(torch.nn.Module):
    """Functions of (t, y) of one JAX model."""

    def __init__(self, model: Any, calls: dict[str, Callable[[Any, Any, Any], Any]]) -> None:
        super().__init__()
        arrays, self._rest = eqx.partition(model, eqx.is_inexact_array)
        self._calls = calls
        self._traced: dict[Any, Any] = {}
        leaves, self._structure = jax.tree_util.tree_flatten_with_path(arrays)
        self._names: list[str] = []
        for i, (path, leaf) in enumerate(leaves):
            label = "".join(c if c.isalnum() else "_" for c in jax.tree_util.keystr(path))
            name = label.strip("_") or f"weight{i}"
            name = name if name not in self._names and not hasattr(self, name) else f"{name}_{i}"
            self.register_parameter(name, torch.nn.Parameter(torch.tensor(np.asarray(leaf))))
            self._names.append(name)

    def _weights(self) -> list[Any]:
        return [getattr(self, name) for name in self._names]

    def call(self, which: str, t: Any, y: Any) -> Any:
        """Evaluate one of the functions; it is traced anew for each shape and dtype of the state.

        Args:
            which: name of the function.
            t: time, a number or a tensor.
            y: the state, a tensor.

        Raises:
            OdescentError: the state is not a tensor.
        """
        if not isinstance(y, torch.Tensor):
            raise OdescentError(f"the state must be a tensor, not {type(y).__name__}.")
        t = torch.as_tensor(t, dtype=y.dtype, device=y.device)
        key = (which, tuple(y.shape), y.dtype)
        if key not in self._traced:
            self._traced[key] = self._trace(which, y)
        closed = self._traced[key]
        consts = [torch.as_tensor(np.array(c), device=y.device) for c in closed.consts]
        (value,) = evaluate(closed.jaxpr, consts, [*self._weights(), t, y])
        return value

    def _trace(self, which: str, y: Any) -> Any:
        struct: Any = jax.ShapeDtypeStruct
        name = str(y.dtype).removeprefix("torch.")
        with jax.enable_x64(True):
            shapes = [
                struct(tuple(w.shape), str(w.dtype).removeprefix("torch.")) for w in self._weights()
            ]
            function = self._calls[which]

            def run(weights: Any, t: Any, state: Any) -> Any:
                model = eqx.combine(jax.tree.unflatten(self._structure, weights), self._rest)
                return function(model, t, state)

            return jax.make_jaxpr(run)(shapes, struct((), name), struct(tuple(y.shape), name))

    def to_jax(self) -> Any:
        """The JAX model with the weights as they are now."""
        weights = [jnp.asarray(w.detach().cpu().numpy()) for w in self._weights()]
        return eqx.combine(jax.tree.unflatten(self._structure, weights), self._rest)

    def forward(self, t: Any, y: Any) -> Any:
        return self.call("forward", t, y)


class TracedSDE(TracedModule):
    """With f and g, as torchsde wants them."""

    noise_type = "diagonal"

    def __init__(self, model: Any, calls: Any, calculus: str) -> None:
        super().__init__(model, calls)
        self.sde_type = calculus

    def f(self, t: Any, y: Any) -> Any:
        return self.call("f", t, y)

    def g(self, t: Any, y: Any) -> Any:
        return self.call("g", t, y)
