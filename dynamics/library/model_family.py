"""The (x, z) form: z follows the minimizer of a quadratic lower model of f at x.

With a time-dependent scale x' = c eta (z - x) - a g, z' = (mu / eta) (x - z) - g / eta.

The scale obeys the Riccati equation eta' = (c / 2) (mu - eta^2), integrated as tau = 1 / eta, which
starts at 0 where eta starts at infinity: tau' = (c / 2) (1 - mu tau^2). The members differ in c, in
mu (0 for convex f) and in tau(0). At a = 0 the block x obeys

    x'' + ((3 c / 2) / tau + (1 - c / 2) mu tau) x' + c g = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from ..._support.errors import OdescentError, check_choice
from ..algebra.exact import canonical, is_zero
from ..algebra.scalars import as_scalar, parameters
from ..algebra.vectors import zero
from ..flows.system import System
from ..vector_fields.block import Block, blocks, start
from ..vector_fields.objective import Objective
from ..vector_fields.system import mu

ROUTE_B = (
    "Reconstructed: the manifold z = minimizer of the strong-convexity model at x, after the programme of "
    "arXiv:2509.18346; the formulas are this package's own derivation."
)


def model() -> System:
    """x' = c sqrt(mu) (z - x) - a g(x), z' = sqrt(mu) (x - z) - g(x) / sqrt(mu), with feed-through a.

    x'' + ((c + 1) sqrt(mu) + a H) x' + (c + a sqrt(mu)) g = 0.
    """
    x, z = blocks("x z")
    c, a = parameters("c a")
    f, rate = Objective("f"), sp.sqrt(mu)
    return System(
        {
            "coupling": {x: c * rate * (z - x)},
            "law": {x: -a * f.grad(x), z: rate * (x - z) - f.grad(x) / rate},
        },
        output=x,
        init={x: start, z: start},
        name="model",
        provenance=ROUTE_B,
        references=("parimi2025",),
    )


def triple_momentum() -> System:
    """The (x, z) form at c = 2, read at z: the flow of the triple momentum method, feed-through a.

    Its block x obeys x'' + (3 sqrt(mu) + a H) x' + (2 + a sqrt(mu)) g = 0.
    """
    z = blocks("z")
    bound = model().bind({parameters("c"): 2})
    references = ("vanscoy2018", "parimi2025")
    return bound.with_fields(bound.fields, output=z, name="triple_momentum", references=references)


PROVENANCE = (
    "Reconstructed: the (x, z) form of the programme of arXiv:2509.18346 with a scale that obeys a Riccati "
    "equation; the formulas are this package's own derivation."
)
time = parameters("t")


@dataclass(frozen=True)
class Member:
    """The parameters of a member: c, the convexity (mu or 0) and tau(0)."""

    c: int
    convexity: sp.Expr
    start: sp.Expr
    references: tuple[str, ...]

    @property
    def steady(self) -> bool:
        """Whether tau stays where it starts."""
        return bool(self.start != 0)


_STEADY = 1 / sp.sqrt(mu)
MEMBERS = {
    "nesterov_sc": Member(1, mu, _STEADY, ("nesterov2004",)),
    "triple_momentum": Member(2, mu, _STEADY, ("vanscoy2018",)),
    "nesterov_c": Member(1, sp.S.Zero, sp.S.Zero, ("su2016",)),
    "ogm": Member(2, sp.S.Zero, sp.S.Zero, ("kim2016",)),
    "unified_nesterov": Member(1, mu, sp.S.Zero, ("kim2023",)),
    "item": Member(2, mu, sp.S.Zero, ("taylor2023",)),
}


def riccati(c: object, convexity: object = mu, begin: object = 0, t: sp.Symbol = time) -> sp.Expr:
    """tau(t) with tau' = (c / 2) (1 - mu tau^2) and tau(0) = ``begin``, checked.

    Args:
        c: a positive number or expression.
        convexity: mu, a positive number or expression, or 0.
        begin: tau(0) >= 0; 0 is eta(0) = infinity, 1 / sqrt(mu) stays.
        t: the symbol of time.

    Raises OdescentError for a value outside its domain.
    """
    c_, mu_, tau_ = as_scalar(c), as_scalar(convexity), as_scalar(begin)
    wrong = {"c": c_.is_nonpositive, "mu": mu_.is_negative, "tau(0)": tau_.is_negative}
    for name, value in zip(wrong, (c_, mu_, tau_), strict=True):
        if wrong[name] or t in value.free_symbols:
            least = "more than 0" if name == "c" else "at least 0"
            raise OdescentError(
                f"{name} of the Riccati equation must be {least} and free of {t}, not {value}."
            )
    if mu_ == 0:
        tau = tau_ + c_ * t / 2
    else:
        root = sp.sqrt(mu_)
        moved = sp.tanh(c_ * root * t / 2)
        held = canonical(root * tau_)
        tau = (1 if held == 1 else (held + moved) / (1 + held * moved)) / root
    if not (
        is_zero(sp.diff(tau, t) - c_ / 2 * (1 - mu_ * tau**2))
        and is_zero(tau.xreplace({t: sp.S.Zero}) - tau_)
    ):
        raise OdescentError(
            f"tau = {tau} does not solve the Riccati equation; this is a defect of the package."
        )
    return tau


def _system(c: object, convexity: sp.Expr, tau: sp.Expr, **settings: object) -> System:
    x, z = blocks("x z")
    a, f = parameters("a"), Objective("f")
    pull = (x - z) * (convexity * tau) if convexity != 0 else zero
    fields = {
        "coupling": {x: (z - x) * (as_scalar(c) / tau)},
        "law": {x: -a * f.grad(x), z: pull - f.grad(x) * tau},
        **settings.pop("fields", {}),  # type: ignore[dict-item]
    }
    declared = [Block("x", init=start), Block("z", init=start), *settings.pop("blocks", ())]  # type: ignore[misc]
    return System(fields, blocks=declared, output=x, provenance=PROVENANCE, **settings)  # type: ignore[arg-type]


def family(c: object = None, convexity: object = mu, begin: object = 0) -> System:
    """The model family with tau as a coefficient block governed by a Riccati equation.

    Args:
        c: the member; a free parameter by default.
        convexity: mu or 0.
        begin: tau(0).
    """
    tau = sp.Symbol("tau", real=True)
    c_ = as_scalar(parameters("c") if c is None else c)
    mu_ = as_scalar(convexity)
    return _system(
        c_, mu_, tau,
        fields={"riccati": {tau: c_ / 2 * (1 - mu_ * tau**2)}},
        blocks=[Block("tau", "scalar", "coefficient", as_scalar(begin))],
        name="model_family",
    )  # fmt: skip


def model_family(member: str | None = None) -> System:
    """x' = (c / tau) (z - x) - a g, z' = mu tau (x - z) - tau g with tau = tanh(c sqrt(mu) t / 2) / sqrt(mu).

    ``member`` names one of nesterov_sc, triple_momentum, nesterov_c, ogm, unified_nesterov and item,
    which fix c, mu (or 0) and tau(0); the feed-through a stays free.
    """
    if member is None:
        return _system(
            parameters("c"), mu, riccati(parameters("c")), time=time, name="model_family"
        )
    check_choice("member of the model family called", member, MEMBERS)
    m = MEMBERS[member]
    tau = riccati(m.c, m.convexity, m.start)
    return _system(
        m.c,
        m.convexity,
        tau,
        time=None if m.steady else time,
        name=member,
        references=(*m.references, "parimi2025"),
    )


def ogm() -> System:
    """c = 2, mu = 0, tau = t, with feed-through a: the flow of the optimized gradient method.

    At a = 0, x'' + (3 / t) x' + 2 grad f(x) = 0 (method: Drori and Teboulle; Kim and Fessler).
    """
    return model_family("ogm")


def item() -> System:
    """c = 2, tau = tanh(sqrt(mu) t) / sqrt(mu), with feed-through a: the flow of ITEM.

    At a = 0, x'' + 3 sqrt(mu) coth(sqrt(mu) t) x' + 2 grad f(x) = 0 (method: Taylor and Drori).
    """
    return model_family("item")


def unified_nesterov() -> System:
    """c = 1, tau = tanh(sqrt(mu) t / 2) / sqrt(mu), with feed-through a: Nesterov's flow for mu >= 0.

    At a = 0, x'' + (sqrt(mu) / 2) (tanh(s) + 3 coth(s)) x' + grad f(x) = 0 with s = sqrt(mu) t / 2
    (Kim and Yang); it joins the flows for convex and for strongly convex f.
    """
    return model_family("unified_nesterov")
