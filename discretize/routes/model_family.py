"""Methods with a time-dependent scale by the (x, z) form: one derivation for c = 1 and c = 2, mu >= 0.

Nesterov's method for convex f, its version for any mu, the optimized gradient method and ITEM are the same
steps with other data. Reconstructed after the programme of arXiv:2509.18346.
"""

from __future__ import annotations

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ...dynamics.algebra.calculus import substitute
from ...dynamics.library.model_family import PROVENANCE, model_family, time
from ...dynamics.vector_fields.system import L, mu
from ..faces import Algorithm, Derivation
from ..library.model_family import fista, whole_way
from ..library.model_family import item as item_method
from ..library.model_family import ogm as ogm_method
from ..library.model_family import unified_nesterov as unified_method
from ..programs.substeps import Flow, Integrator, Scheme
from ..step.compile import COUNTER
from .model_family_flow import (
    Data,
    a,
    ahead,
    before,
    family_step,
    h,
    in_time_step,
    lyapunov_step,
    recurrence_step,
    tau,
    theta,
    theta_new,
)
from .model_family_map import (
    decrease_step,
    limit_step,
    map_step,
    momentum_step,
    product_step,
    published_step,
)
from .notation import MODEL_FAMILY
from .shared import RULES


def _derived(d: Data) -> Derivation:
    k = COUNTER
    steps_of = k in d.method.program.inlined().calls[0].point.free_symbols
    scale = (k + 1) * h / 2 if steps_of else tau
    scalars = {theta: scale, ahead: whole_way(scale, d.mu)}
    squared = ((k + 2) * h / 2) ** 2
    if not steps_of:
        squared = substitute(recurrence_step(d).claims[1].value, {theta: tau})
    with_old = {**scalars, before: sp.sqrt(squared)}
    how = (
        r"read at $\theta = (k+1)h/2$ and the law, in one explicit step with one gradient, at $\tau_{\mathrm{new}} = "
        r"(k+3)h/2$: samples of the exact scale $\tau = t/2$ with $\tau_{\mathrm{new}} = \theta + h$"
        if steps_of
        else r"at $\theta$, then the whole law in one explicit step at $\tau_{\mathrm{new}}$, with one gradient"
    )  # fmt: skip
    kind = RULES["implicit" if d.c == 1 else "cayley"]
    lie_trotter = (
        f"Lie-Trotter with $a = h$: the coupling of $x$ to $z$ by {kind}, {how}; "
        "$y$ is the point between the two."
    )
    steps = [
        family_step(d), lyapunov_step(d), in_time_step(d), *([] if steps_of else [recurrence_step(d)]),
        map_step(d, scalars, lie_trotter),
        limit_step(d),
        momentum_step(d, scalars, (k + 1) * h / 2 if steps_of else theta_new),
        decrease_step(d, with_old, h**2 / 4 if steps_of else sp.S.Zero),
    ]  # fmt: skip
    steps += [product_step(d)] if d.mu != 0 else []
    steps += [published_step(d)] if d.name == "item" else []
    return Derivation(
        d.name, "model", d.summary, tuple(steps), d.method, provenance=PROVENANCE,
        references=("parimi2025", *d.references), notation=MODEL_FAMILY,
    )  # fmt: skip


def nesterov_c(momentum: str = "k_minus_1_over_k_plus_2") -> Derivation:
    """Nesterov's method for convex f: c = 1, mu = 0; the scale sampled, or by its own recurrence (FISTA)."""
    if momentum not in {"fista", "k_minus_1_over_k_plus_2"}:
        raise OdescentError(
            f"momentum of nesterov_c must be 'k_minus_1_over_k_plus_2' or 'fista', not {short(momentum)}."
        )
    sampled = momentum != "fista"
    how = "t/2 sampled at equal steps" if sampled else "advanced by its own recurrence"
    return _derived(
        Data(
            "nesterov_c", _sampled() if sampled else fista(),
            f"Nesterov's accelerated gradient for convex f: the model form with an infinite scale at the start, "
            f"the scale {how}.",
            3 / time, ("su2016", "nesterov1983" if sampled else "beck2009"),
        )
    )  # fmt: skip


def _sampled() -> Algorithm:
    explicit, half = Integrator("explicit"), sp.Rational(1, 2)
    scheme = Scheme(
        (
            Flow(("coupling",), Integrator("implicit"), time=-half),
            Flow(("law",), explicit, time=3 * half),
        ),
        "lie_trotter",
    )
    return Algorithm(
        model_family("nesterov_c"), scheme, h, where={a: h}, tuning={h: 1 / sp.sqrt(L)},
        clock=(COUNTER + 3 * half) * h, name="nesterov_c", reference="nesterov1983",
    )  # fmt: skip


def ogm() -> Derivation:
    """The optimized gradient method: c = 2, mu = 0; T = 2 theta_k of Kim and Fessler."""
    return _derived(
        Data(
            "ogm", ogm_method(),
            "The optimized gradient method: the model form with twice the coupling, for convex f.",
            3 / time, ("kim2016",),
        )
    )  # fmt: skip


def item() -> Derivation:
    """The information-theoretic exact method: c = 2, mu > 0, from tau = 0."""
    root = sp.sqrt(mu)
    return _derived(
        Data(
            "item", item_method(),
            "ITEM: the model form with twice the coupling, from an infinite scale to that of the "
            "triple momentum method.",
            3 * root * sp.coth(root * time), ("taylor2023",),
        )
    )  # fmt: skip


def unified_nesterov() -> Derivation:
    """Nesterov's method for any mu >= 0: c = 1, mu > 0, from tau = 0."""
    root, s = sp.sqrt(mu), sp.sqrt(mu) * time / 2
    return _derived(
        Data(
            "unified_nesterov", unified_method(),
            "Nesterov's accelerated gradient for any mu >= 0: the model form from an infinite scale to that of the "
            "strongly convex method.",
            root / 2 * (sp.tanh(s) + 3 * sp.coth(s)), ("kim2023", "nesterov2004"),
        )
    )  # fmt: skip
