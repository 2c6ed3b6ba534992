"""Where the values that recognition finds are admissible, and which match it prefers."""

from __future__ import annotations

import pytest
import sympy as sp

import odescent as od

x, y = od.blocks("x y")
f, loss = od.Objective("f"), od.Objective("loss")
a, b, h, L = od.parameters("a b h L")


def momentum(look: sp.Expr, step: sp.Expr) -> od.Algorithm:
    point = x + look * (x - y)
    return od.method({x: x + b * (x - y) - step * f.grad(point), y: x}, output=x)


FAMILIES = {
    "heavy_ball": (momentum(sp.S.Zero, a), {a: sp.Rational(1, 3)}),
    "nesterov_sc": (momentum(b, a), {a: sp.Rational(1, 3)}),
    "nesterov_sc of L": (momentum(b, 1 / L), {L: sp.Integer(3)}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_condition_of_a_match_is_where_the_match_holds(name: str) -> None:
    """Momentum above one has the values of momentum 1/b: mu = (1-b)^2 / ... forgets on which side of one b is."""
    method, others = FAMILIES[name]
    found = od.recognize(method)
    assert found.verdict == "equal" and found.name == name.split()[0] and found.where
    assert found.where in found.reason
    condition = sp.sympify(found.where, locals={"b": b})
    known = od.algorithm(found.name)
    for value in (sp.Rational(1, 9), sp.Rational(4, 9), sp.Rational(9, 4), sp.Integer(9)):
        given = {b: value, **others}
        inserted = {n: sp.sympify(e).xreplace(given) for n, e in found.substitution.items()}
        bound = {s.name: given[s] for s in (L,) if s in given and "L" not in inserted}
        verdict = method.bind({s.name: v for s, v in given.items()}).equivalent(
            known.bind({**bound, **inserted})
        )
        assert bool(verdict) == bool(condition.xreplace({b: value})), (value, verdict.reason)


def test_no_condition_where_the_values_are_admissible_everywhere() -> None:
    found = od.recognize(od.method({x: x - 2 / (L + a) * f.grad(x)}, output=x))
    assert (found.name, found.verdict, found.where) == ("gradient_descent", "equal", "")


def test_parameters_that_two_methods_share_keep_their_values() -> None:
    """It was called inertial_newton with three fitted values and another output."""
    found = od.recognize(od.algorithm("robust_momentum").bind(rho=sp.Rational(9, 10)))
    assert (found.name, found.verdict) == ("robust_momentum", "equal")
    assert found.substitution == {"rho": sp.Rational(9, 10)}


def test_another_sequence_as_output_counts_more_than_names_and_values() -> None:
    """These were called implicit_gradient_transport, but for the output."""
    renamed = od.recognize(od.method({x: x - h * loss.grad(x)}, output=x))
    assert (renamed.name, set(renamed.but_for)) == ("gradient_descent", {"oracle"})
    once = x - h * f.grad(x)
    twice = od.recognize(od.method({x: once - h * f.grad(once)}, output=x))
    assert (twice.name, set(twice.but_for)) == ("gradient_descent", {"steps"})


@pytest.mark.parametrize(
    "factor",
    [
        1 + sp.exp(-1000),
        sp.erf(30),
        1 + sp.Rational(1, 2**400),
        sp.tanh(200),
        sp.cos(sp.Rational(1, 10**90)),
    ],
    ids=str,
)
def test_factors_that_are_one_to_hundreds_of_digits_are_not_one(factor: sp.Expr) -> None:
    one, other = (od.method({x: x - h * c * f.grad(x)}, output=x) for c in (1, factor))
    found = one.equivalent(other)
    assert found.verdict == "refuted" and len(found.reason) < 300
    mine, theirs = found.witness.values
    exact = factor * found.witness.parameters[h]
    assert abs(sp.N(theirs + exact, 20, maxn=2000)) < abs(sp.N(mine - theirs, 20)) / 10**6


def test_digits_end_in_an_open_verdict() -> None:
    one, other = (
        od.method({x: x - h * c * f.grad(x)}, output=x) for c in (1, 1 + sp.exp(-(10**6)))
    )
    assert one.equivalent(other).verdict == "undecided"


def test_two_frictions_that_are_nearly_equal_are_built_emitted_and_compared() -> None:
    """Powers of exp(-gam h / 1000) up to 2002: their factors took 33 s, and recognition did not end."""
    p, q = od.blocks("p q")
    gam = od.parameters("gam")
    ratio = sp.Rational(1001, 1000)
    noise = {s: od.Diffusion(sp.sqrt(2 * gam * c), "W") for s, c in ((p, sp.S.One), (q, ratio))}
    system = od.System(
        {
            "bath": od.Field({p: -gam * p, q: -gam * ratio * q}, noise),
            "kick": {p: -f.grad(x), q: -f.grad(x)},
            "drift": {x: p + q},
        },
        output=x,
    )
    parts = [("bath", "exact"), ("kick", "explicit"), ("drift", "explicit")]
    method = od.Algorithm(system, od.scheme("lie_trotter", parts), step=h)
    text = method.source("numpy")
    assert max(map(len, text.splitlines())) < 250
    module: dict[str, object] = {}
    exec(text, module)  # noqa: S102
    found = module["coefficients"](h=1e-4, gam=1.0)._asdict()  # type: ignore[operator]
    # the second draw has what the covariance with the first leaves
    t = sp.Rational(1, 10**4)
    one, both, own = (1 - sp.exp(-c * t) for c in (2, 1 + ratio, 2 * ratio))
    share = 2 * sp.sqrt(ratio) / (1 + ratio) * both
    wanted = {
        "c_xi": sp.sqrt(one),
        "c_xi_q": share / sp.sqrt(one),
        "c_xi_q_1": sp.sqrt(own - share**2 / one),
    }
    for name, value in wanted.items():
        assert abs(found[name] / float(sp.N(value, 30, maxn=400)) - 1) < 1e-14, name
    assert od.recognize(method).verdict != "equal"
    assert method.equivalent(method)
