"""Processes that several fields share: what a scheme is accepted with has the covariance of the system's noise."""

import random

import pytest
import sympy as sp
from moments import linear_map

import odescent as od
from odescent.dynamics.vector_fields.system import Diffusion

x, v, y = od.blocks("x v y")
h = od.parameters("h")
PARTS = [sp.Rational(1, 2), sp.Rational(1, 3), sp.Rational(2, 3), sp.S.One]


def drawn(seed):
    """Two or three fields of pure noise, one of two processes each, and a scheme of random substeps."""
    r = random.Random(seed)
    fields = {}
    for name in ("a", "b", "d")[: r.choice((2, 2, 3))]:
        moved = r.sample([x, v], r.choice((1, 1, 2)))
        fields[name] = od.Field(
            {}, {s: Diffusion(sp.Integer(r.choice((1, -2, 3))), r.choice("WB")) for s in moved}
        )
    steps = []
    names = list(fields)
    for _ in range(r.choice((1, 2, 3))):
        chosen = r.choice(([], names[:1], names[1:], names[:2]))
        steps.append(
            od.Flow(
                chosen, "explicit", r.choice(PARTS), increment=r.choice((None, None, "one", "two"))
            )
        )
    if r.random() < 0.6:  # one that advances all by a step, if not together
        own = r.choice((None, "one"))
        parts = r.choice(([sp.S.One], PARTS[1:3]))
        steps = [
            od.Flow(n, "explicit", p, increment=own)
            for p in parts
            for n in r.choice((names, names, [[]]))
        ]
    if r.random() < 0.5:  # assignments that keep, drop, double or spread what noise has moved
        steps.insert(r.choice((0, 1)), od.Let({y: r.choice((x, v))}))
        change = r.choice(
            ({v: v}, {v: 2 * v - y}, {v: y}, {x: x + v - y}, {x: x}, {y: 2 * y}, {x: v, v: x})
        )
        steps.insert(
            r.randrange(1, len(steps) + 1), od.Let(change, read=r.choice(({}, {}, {"*": "start"})))
        )
    blocks = [od.Block("x"), od.Block("v"), od.Block("y", role="memory")]
    return od.System(fields, blocks=blocks, output=x), od.Scheme(steps)


def wanted(system):
    """The covariance of dx and dv over dt, process by process."""
    rows = {s: {} for s in (x, v)}
    for f in system.fields.values():
        for s, d in f.noise.items():
            rows[s][d.process] = rows[s].get(d.process, 0) + d.amplitude
    return sp.Matrix(
        2, 2, lambda i, j: sum(rows[(x, v)[i]].get(p, 0) * rows[(x, v)[j]].get(p, 0) for p in "WB")
    )


def outcome(seed):
    """Whether a scheme is taken, and, if it is, whether its step has the covariance of the system's."""
    system, scheme = drawn(seed)
    try:
        made = od.Algorithm(system, scheme, step=h)
    except od.OdescentError as error:
        assert str(error).endswith((".", "process of its own."))
        return "refused", True
    _, factor = linear_map(made.program)
    order = [s.name for s in made.program.state]
    places = [order.index(n) for n in ("x", "v")]
    found = (factor * factor.T).extract(places, places)
    return "taken", sp.simplify(found - h * wanted(system)) == sp.zeros(2, 2)


def test_a_scheme_that_is_taken_has_the_noise_of_its_system():
    """Fields on one process in substeps of their own drew apart, and the derivation called that noise the system's."""
    found = [outcome(seed) for seed in range(300)]
    assert all(right for _, right in found)
    assert (
        [kind for kind, _ in found].count("taken")
        > 13
        < [kind for kind, _ in found].count("refused")
    )


@pytest.mark.parametrize("apart", [True, False])
def test_two_fields_on_one_process(apart):
    fields = {
        "a": od.Field({x: -x}, {x: Diffusion(sp.S.One)}),
        "b": od.Field({v: -v}, {v: Diffusion(sp.S.One)}),
    }
    system = od.System(fields, output=x)
    own = None if apart else "one"
    scheme = od.Scheme([od.Flow(n, "explicit", increment=own) for n in fields])
    if apart:
        with pytest.raises(
            od.OdescentError, match="the process W drives field 'a' on x and field 'b' on v"
        ):
            od.Algorithm(system, scheme, step=h)
    else:
        _, factor = linear_map(od.Algorithm(system, scheme, step=h).program)
        assert factor.shape == (2, 1)
    together = od.Algorithm(system, od.Scheme([od.Flow([], "explicit")]), step=h)
    assert len(together.program.draws) == 1


def test_assignments_that_change_the_noise_are_refused():
    """Both were taken, and the derivation said: beside its noise, which is the system's; and: this flow, which is."""
    fields = {"noise": od.Field({}, {v: Diffusion(sp.S.One)}), "drift": {x: v}}
    blocks = [od.Block("x", init=od.dynamics.start), od.Block("v"), od.Block("y", role="memory")]
    system = od.System(fields, blocks=blocks, output=x)
    before, noise, drift = (
        od.Let({y: v}),
        od.Flow("noise", "explicit"),
        od.Flow("drift", "explicit"),
    )
    for after, share in (
        ({v: 2 * v - y}, 4),
        ({v: y}, 0),
        ({v: v + x * od.inner(v - y, v - y)}, "another way"),
    ):
        with pytest.raises(
            od.OdescentError, match=f"gives v and v {share} of|{share} than by its increments"
        ):
            od.Algorithm(system, od.Scheme([before, noise, od.Let(after), drift]), step=h)
    kept = od.Algorithm(system, od.Scheme([before, noise, od.Let({y: v - y}), drift]), step=h)
    assert kept.derivation().verified
