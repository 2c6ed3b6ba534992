"""RNODE: the Frobenius norm of the field's Jacobian, integrated along the solution."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.random as jr

from ..tracking.norms import mean_square
from .integrated import Integrated
from .penalty import InitialValueProblem, Integrand, needed_key


class Jacobian(Integrated):
    """See `jacobian`."""

    reference: ClassVar[tuple[str, ...]] = ("2002.02798",)

    def rate(self, problem: InitialValueProblem, key: Any) -> Integrand:
        structure: Any = jax.tree.structure(problem.y0)
        keys = jr.split(needed_key(key, self.name), structure.num_leaves)
        each = structure.unflatten(list(keys))
        probe = jax.tree.map(lambda y, k: jr.rademacher(k, y.shape, y.dtype), problem.y0, each)

        def square(t: Any, y: Any, args: Any) -> Any:
            _, back = jax.vjp(lambda y: problem.terms.vf(t, y, args), y)
            return mean_square(back(probe))

        return square


def jacobian() -> Jacobian:
    """The integral of |e^T df/dy|^2 / dim y up to the last saved time, RNODE (arXiv 2002.02798).

    Its mean over e, random signs that stay the same along a solve, is that of the Jacobian's squared Frobenius norm
    (Hutchinson); one backward pass per evaluation of the field. Of a batch as one state, rows have signs of their
    own. The paper adds the kinetic energy, ``jacobian() + taylor(1)``.
    """
    return Jacobian()
