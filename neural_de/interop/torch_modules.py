"""An equinox model as a PyTorch module: the same function, traced once per shape, weights copied both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..._support.errors import OdescentError

if TYPE_CHECKING:
    import torch

CALCULI = ("stratonovich", "ito")


def to_torch(model: Any, call: Callable[[Any, Any, Any], Any] | None = None) -> torch.nn.Module:
    """A PyTorch module that computes the same function as a JAX model, for torchdiffeq and similar solvers.

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
    calls = {"forward": call or (lambda m, t, y: m(t, y))}
    made: torch.nn.Module = _modules().TracedModule(model, calls)
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

    Returns:
        A module with f(t, y) and g(t, y), tensors of y's shape, and ``to_jax()``.

    Raises:
        OdescentError: an unknown calculus; no PyTorch.
    """
    if calculus not in CALCULI:
        raise OdescentError(f"noise is read as {' or '.join(CALCULI)}, not as {calculus!r}.")
    calls = {
        "f": drift or (lambda m, t, y: m.drift(t, y)),
        "g": diffusion or (lambda m, t, y: m.diffusion(y)),
    }
    made: torch.nn.Module = _modules().TracedSDE(model, calls, calculus)
    return made


def _modules() -> Any:
    """The classes, with PyTorch."""
    from . import traced_modules

    return traced_modules
