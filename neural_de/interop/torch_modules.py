"""An equinox model as a PyTorch module: the same function, traced once per shape, weights copied both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._errors import OdescentError
from .torch_operations import evaluate

if TYPE_CHECKING:
    import torch

CALCULI = ("stratonovich", "ito")


def to_torch(model: Any, call: Callable[[Any, Any, Any], Any] | None = None) -> torch.nn.Module:
    """A PyTorch module that computes what a JAX model does, for torchdiffeq and the like.

    ::

        func = to_torch(model.field)
        y = torchdiffeq.odeint(func, torch.from_numpy(y0), t)
        field = func.to_jax()                            # with the weights that PyTorch trained

    The model is traced once per shape, and its elementary operations are carried out by PyTorch, so that both
    have the same floating-point program but for the kernels. Its floating arrays become parameters.

    Args:
        model: any pytree, such as a vector field (t, y) -> dy/dt.
        call: (model, t, y) -> dy/dt; the model itself by default.

    Returns:
        A module with ``forward(t, y)``, and ``to_jax()``, the model with the module's weights.

    Raises:
        OdescentError: no PyTorch, or (when called) an operation without counterpart.
    """
    made: torch.nn.Module = _classes()[0](model, {"forward": call or (lambda m, t, y: m(t, y))})
    return made


def to_torch_sde(
    model: Any,
    drift: Callable[[Any, Any, Any], Any] | None = None,
    diffusion: Callable[[Any, Any, Any], Any] | None = None,
    *,
    calculus: str = "stratonovich",
) -> torch.nn.Module:
    """A PyTorch module for torchsde: f(t, y) and g(t, y), diagonal noise.

    Args:
        model: any pytree; by default `NeuralSDE`, with its drift(t, y) and diffusion(y).
        drift, diffusion: (model, t, y) -> values shaped as y.
        calculus: "stratonovich" or "ito", how the noise is read.

    Raises:
        OdescentError: an unknown calculus; no PyTorch.
    """
    if calculus not in CALCULI:
        raise OdescentError(f"noise is read as {' or '.join(CALCULI)}, not as {calculus!r}.")
    calls = {
        "f": drift or (lambda m, t, y: m.drift(t, y)),
        "g": diffusion or (lambda m, t, y: m.diffusion(y)),
    }
    made: torch.nn.Module = _classes()[1](model, calls, calculus)
    return made


_MADE: list[Any] = []


def _classes() -> list[Any]:
    """The classes, made when PyTorch is there."""
    if _MADE:
        return _MADE
    try:
        import torch
    except ImportError:
        raise OdescentError("this needs PyTorch: pip install 'odescent[torch]'.") from None

    class Function(torch.nn.Module):
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
                name = (
                    name if name not in self._names and not hasattr(self, name) else f"{name}_{i}"
                )
                self.register_parameter(name, torch.nn.Parameter(torch.tensor(np.asarray(leaf))))
                self._names.append(name)

        def _weights(self) -> list[Any]:
            return [getattr(self, name) for name in self._names]

        def call(self, which: str, t: Any, y: Any) -> Any:
            """One of the functions."""
            if not isinstance(y, torch.Tensor):
                raise OdescentError(f"the state is a tensor, not {type(y).__name__}.")
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
                    struct(tuple(w.shape), str(w.dtype).removeprefix("torch."))
                    for w in self._weights()
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

    class Stochastic(Function):
        """With f and g, as torchsde wants them."""

        noise_type = "diagonal"

        def __init__(self, model: Any, calls: Any, calculus: str) -> None:
            super().__init__(model, calls)
            self.sde_type = calculus

        def f(self, t: Any, y: Any) -> Any:
            return self.call("f", t, y)

        def g(self, t: Any, y: Any) -> Any:
            return self.call("g", t, y)

    _MADE.extend((Function, Stochastic))
    return _MADE
