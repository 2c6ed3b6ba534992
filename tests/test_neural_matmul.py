"""Matrix products of a solve, forward and back, have the precision of their type."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

from odescent.neural_de import regularizer, solve
from odescent.neural_de.models import networks as models

HIGHEST = jax.lax.Precision.HIGHEST


def products(jaxpr: Any) -> Iterator[Any]:
    """The precision of every matrix product, in nested programs too."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            yield equation.params["precision"]
        for value in equation.params.values():
            for part in value if isinstance(value, tuple | list) else [value]:
                inner = getattr(part, "jaxpr", part)
                if hasattr(inner, "eqns"):
                    yield from products(inner)


def precisions(adjoint: Any, penalty: Any = None) -> Counter[Any]:
    """Of the gradient of a network's solve."""
    model = models.NeuralODEClassifier(6, [5], 3, jr.key(0))
    x = jnp.ones((4, 6), jnp.float32)

    def loss(m: Any) -> Any:
        out = solve(
            models.apply, x, 0.0, 1.0, m.field, adjoint=adjoint, regularizer=penalty, key=jr.key(1)
        )
        return out.ys[-1].sum() + out.penalty.astype(jnp.float32)

    return Counter(products(eqx.filter_make_jaxpr(eqx.filter_grad(loss))(model)[0].jaxpr))


@pytest.mark.parametrize("adjoint", [None, dfx.DirectAdjoint()], ids=["checkpoints", "direct"])
@pytest.mark.parametrize("name", [None, "stiffness", "local"])
def test_products_are_not_cut_short(adjoint: Any, name: str | None) -> None:
    found = precisions(adjoint, None if name is None else 0.1 * regularizer(name))
    assert set(found) == {(HIGHEST, HIGHEST)}
    assert found.total() > 20  # two layers at each of six stages, and back


def test_a_precision_of_the_users_own_is_kept() -> None:
    with jax.default_matmul_precision("bfloat16"):
        found = precisions(None)
    fast = jax.lax.Precision.DEFAULT
    assert found[fast, fast] > 0
