"""Fast and slow blocks: the hypergradient and the penalty as reduced flows, several blocks, two scales, noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

import odescent as od
from odescent import OdescentError
from odescent.dynamics import derivative, substitute, vanishes
from odescent.dynamics.evaluation.evaluate import evaluate, oracles_of
from odescent.dynamics.vector_fields.functions import together

x, y, z, v, u = od.blocks("x y z v u")
a, b, c = od.blocks("a b c", "scalar")
sigma, eps, delta, rho = od.parameters("sigma epsilon delta rho")
F, G = od.Objective("F", args=("x", "y")), od.Objective("G", args=("x", "y"))

PENALTY = od.System(
    {
        x: -F.grad(x, y, wrt="x") - (G.grad(x, y, wrt="x") - G.grad(x, z, wrt="x")) / sigma,
        y: -(sigma * F.grad(x, y, wrt="y") + G.grad(x, y, wrt="y")) / eps,
        z: -G.grad(x, z, wrt="y") / (rho * eps),
    },
    output=x,
    fast={y: eps, z: rho * eps},
)
ADJOINT = od.System(
    {
        x: G.grad(x, y, wrt="x", along=({"y": v},)) - F.grad(x, y, wrt="x"),
        y: -G.grad(x, y, wrt="y") / eps,
        v: (F.grad(x, y, wrt="y") - G.grad(x, y, wrt="y", along=({"y": v},))) / eps,
    },
    output=x,
    fast={y: eps, v: eps},
)
lower = od.argmin(G.value(x, y), y)
both = od.argmin(sigma * F.value(x, y) + G.value(x, y), y)


def test_the_adjoint_flow_reduces_to_the_flow_of_the_upper_level_at_the_minimizer():
    manifold = ADJOINT.critical_manifold()
    assert manifold[y] == lower
    found = ADJOINT.reduced(0).drift[x]
    assert vanishes(found + od.gradient(F.value(x, lower), x))
    assert not vanishes(found + od.gradient(F.value(x, lower), x) * sp.Rational(98, 97))


def test_the_penalty_flow_reduces_to_the_flow_of_the_penalty_function():
    found = PENALTY.reduced(0).drift[x]
    value = F.value(x, both) + (G.value(x, both) - G.value(x, lower)) / sigma
    assert vanishes(found + od.gradient(value, x))
    # its limit is the hypergradient, and the next term the gradient of -<F_y, G_yy^-1 F_y>/2 along y*(x)
    at = F.grad(x, lower, wrt="y")
    solved = od.linear_solve(od.jacobian(G.grad(x, u, wrt="y"), u), at)
    error = od.gradient(-od.inner(at, substitute(solved, {u: lower})) / 2, x)
    first, second = od.dynamics.taylor(-found, sigma, 1)
    assert vanishes(first - od.gradient(F.value(x, lower), x))
    assert vanishes(second - error)


def test_one_more_order_is_the_effective_mass():
    """(I + K) x' = -grad psi to first order, K = (B_s A_s^-2 B_s^T - rho B A^-2 B^T) eps/sigma (FAMILIES, B5)."""
    terms = od.dynamics.taylor(PENALTY.reduced(1).drift[x], eps, 1)
    flow = terms[0]
    lag = od.dynamics.zero
    for at, value, scale in (
        (both, sigma * F.value(x, u) + G.value(x, u), 1),
        (lower, G.value(x, u), -rho),
    ):
        gradient = od.gradient(value, u)
        A = od.jacobian(gradient, u)
        moved = od.linear_solve(A, od.linear_solve(A, derivative(gradient, {x: v})))
        pulled = substitute(od.jacobian(gradient, x), {u: at})
        inside = substitute(substitute(moved, {u: at}), {v: flow})
        lag = lag + od.apply(od.transpose(pulled), inside) * scale / sigma
    assert vanishes(terms[1] + lag)


def quadratic(seed=3, n=3, m=4):
    """A quadratic pair (F, G) with its matrices."""
    rng = np.random.default_rng(seed)
    s = lambda k: (lambda r: r @ r.T / k + np.eye(k))(rng.normal(size=(k, k)))
    parts = {"Fxx": s(n), "Fyy": s(m), "Gxx": s(n), "Gyy": s(m), "Fxy": rng.normal(size=(n, m)) / 2,
             "Gxy": rng.normal(size=(n, m))}  # fmt: skip
    make = lambda k: (
        lambda x, y: (
            0.5 * x @ parts[f"{k}xx"] @ x + 0.5 * y @ parts[f"{k}yy"] @ y + x @ parts[f"{k}xy"] @ y
        )
    )
    return parts, {k: od.Objective(k, make(k), args=("x", "y")) for k in "FG"}


def loop_matrix(p, s, e1, e2):
    """The matrix of the whole single loop."""
    _, m = p["Gxy"].shape
    top = [-(p["Fxx"]), -(p["Fxy"] + p["Gxy"] / s), p["Gxy"] / s]
    middle = [
        -(s * p["Fxy"].T + p["Gxy"].T) / e1,
        -(s * p["Fyy"] + p["Gyy"]) / e1,
        np.zeros((m, m)),
    ]
    last = [-p["Gxy"].T / e2, np.zeros((m, m)), -p["Gyy"] / e2]
    return np.block([top, middle, last])


@pytest.mark.parametrize("ratio, within", [(1.0, 1e-2), (1.2, 5e-2)])
def test_slow_eigenvalues_of_the_single_loop_are_the_predicted_ones(ratio, within):
    p, objectives = quadratic()
    s, e = 0.05, 1e-3
    flow = PENALTY.reduced(1)
    fields = {"epsilon": e, "sigma": s, "rho": ratio}
    symbols = {q: fields[q.name] for q in flow.parameters}
    oracles = oracles_of(flow, together(flow.functions, objectives, "the loop"))
    rate = lambda at: evaluate(
        flow.drift[x], {**symbols, x: at, y: np.zeros(4), z: np.zeros(4)}, oracles, jnp
    )
    predicted = np.sort(np.linalg.eigvals(jax.jit(jax.vmap(rate))(jnp.eye(3)).T).real)
    whole = np.linalg.eigvals(loop_matrix(p, s, e, ratio * e))
    slow = np.sort(whole[np.argsort(np.abs(whole))][:3].real)
    assert np.max(np.abs(predicted / slow - 1)) < within
    without = PENALTY.reduced(0)
    rate = lambda at: evaluate(
        without.drift[x], {**symbols, x: at, y: np.zeros(4), z: np.zeros(4)}, oracles, jnp
    )
    zeroth = np.sort(np.linalg.eigvals(jax.jit(jax.vmap(rate))(jnp.eye(3)).T).real)
    assert np.max(np.abs(predicted / slow - 1)) < np.max(np.abs(zeroth / slow - 1)) / 5


def test_a_damped_fast_oscillator_and_a_spring_that_pushes():
    built = od.System(
        {x: v, y: z / eps, z: -(y + 2 * z - x) / eps, v: y - 3 * v}, output=x, fast={y: eps, z: eps}
    )
    found = built.slow_manifold(3)
    assert found[y][0] == x and found[z][0] == od.dynamics.zero
    assert all(h.status == "proved" for h in found.hypotheses)
    graph = found.graph()
    # invariance to the order that is left out, and against the slow eigenvectors of the matrix
    for e in found.defect().values():
        assert all(vanishes(t) for t in od.dynamics.taylor(e, eps, 3))
    assert any(not vanishes(od.dynamics.taylor(e, eps, 4)[4]) for e in found.defect().values())
    errors = []
    for e in (0.02, 0.01):
        matrix = np.array(
            [[0, 1, 0, 0], [0, -3, 1, 0], [0, 0, 0, 1 / e], [1 / e, 0, -1 / e, -2 / e]]
        )
        values, vectors = np.linalg.eig(matrix)
        slow = vectors[:, np.argsort(np.abs(values))[:2]]
        exact = slow[2:] @ np.linalg.inv(slow[:2])
        mine = np.array(
            [[float(graph[s].terms.get(t, 0).subs(eps, e)) for t in (x, v)] for s in (y, z)]
        )
        errors.append(np.max(np.abs(mine - exact)))
    assert 3.7 < np.log2(errors[0] / errors[1]) < 4.3
    with pytest.raises(OdescentError, match="repels"):
        od.System(
            {x: v, y: z / eps, z: -(y - 2 * z - x) / eps, v: y}, output=x, fast={y: eps, z: eps}
        ).slow_manifold()


def test_the_relaxation_oscillator_at_rest_on_a_scalar_root():
    """eps a' = b - a^3 - a, b' = -a: the root is a scalar; the order of the defect on numbers."""
    built = od.System({a: (b - a**3 - a) / eps, b: -a}, output=b, fast={a: eps}, init={a: 0, b: 1})
    found = built.slow_manifold(2)
    (defect,) = found.defect().values()
    at = [abs(evaluate(defect, {b: 0.8, a: 0.0, eps: e}, {}, np)) for e in (0.02, 0.01, 0.005)]
    slopes = np.log2(np.array(at[:-1]) / at[1:])
    assert np.all(abs(slopes - 3) < 0.1)
    run = built.reduced(1).simulate(
        None, {b: 1.0, a: 0.0}, 1.0, parameters={"epsilon": 1e-3}, points=3
    )
    full = solve_ivp(
        lambda t, w: [(w[1] - w[0] ** 3 - w[0]) / 1e-3, -w[0]], (0, 1), [0.6823278, 1.0], method="Radau",
        rtol=1e-10, atol=1e-12,
    ).y  # fmt: skip
    assert abs(float(run.states["b"][-1]) - full[1, -1]) < 1e-5


def test_two_scales_in_sequence():
    """delta << eps: y follows x and z, z follows y: eps y' = z - 2 y + x, delta z' = y - 3 z."""
    built = od.System(
        {x: -y, y: (z - 2 * y + x) / eps, z: (y - 3 * z) / delta}, output=x, fast={y: eps, z: delta},
        small=(eps, delta),
    )  # fmt: skip
    found = built.slow_manifold(1)
    assert [str(level.small) for level in found.levels] == ["delta/epsilon", "epsilon"]
    assert (
        found[z][0] == y / 3
        and vanishes(found[y][0] - substitute(found[y][0], {delta: 0}) * 1) is not None
    )
    graph = found.graph()
    e, d = 1e-3, 1e-6
    matrix = np.array([[0, -1, 0], [1 / e, -2 / e, 1 / e], [0, 1 / d, -3 / d]])
    values, vectors = np.linalg.eig(matrix)
    slow = vectors[:, np.argmin(np.abs(values))].real
    number = {eps: e, delta: d}
    for s, k in ((y, 1), (z, 2)):
        assert abs(float(graph[s].terms[x].subs(number)) - slow[k] / slow[0]) < 3e-6
    with pytest.raises(OdescentError, match="from the largest to the smallest"):
        built.with_fast({y: eps, z: delta})


def test_noise_on_a_fast_block_averages_where_it_is_linear():
    """eps y' = -(y - x), noise s/sqrt(eps): y is normal about x with variance s^2/2, so the mean of y*y*y is known."""
    s = sp.Symbol("s", positive=True)
    field = od.Field({a: -(a - b) / eps, b: -(a**3)}, {a: od.Diffusion(s / sp.sqrt(eps))})
    built = od.System({"flow": field}, output=b, fast={a: eps})
    averaged = built.reduced(0)
    assert sp.expand(averaged.drift[b] + b**3 + 3 * b * s**2 / 2) == 0
    with pytest.raises(OdescentError, match="order 0 on one scale"):
        built.reduced(1)
    bent = od.System(
        {"flow": od.Field({a: -(a**3 + a - b) / eps, b: -a}, {a: od.Diffusion(s)})},
        output=b,
        fast={a: eps},
    )
    with pytest.raises(OdescentError, match="no closed form"):
        bent.reduced(0)
    with pytest.raises(OdescentError, match="does not rest on a manifold"):
        built.slow_manifold()


def test_the_layer_holds_the_slow_blocks():
    layer = PENALTY.layer()
    assert layer.drift[x] == od.dynamics.zero
    assert vanishes(layer.drift[y] + sigma * F.grad(x, y, wrt="y") + G.grad(x, y, wrt="y"))
    assert vanishes(layer.drift[z] + G.grad(x, z, wrt="y") / rho)


def test_rates_are_measured_where_they_are_not_proved():
    p, objectives = quadratic()
    at = {x: np.ones(3), y: np.zeros(4), z: np.zeros(4)}
    measured = PENALTY.normal_rates(objectives, at, {"sigma": 0.3, "rho": 2})
    exact = np.concatenate(
        [-np.linalg.eigvalsh(0.3 * p["Fyy"] + p["Gyy"]), -np.linalg.eigvalsh(p["Gyy"]) / 2]
    )
    assert np.allclose(np.sort(measured.real), np.sort(exact), rtol=1e-9)
    assert "is positive definite" in PENALTY.slow_manifold(0).assumes


def test_scales_follow_a_binding():
    h = od.parameters("h")
    assert PENALTY.bind({eps: h / 3}).fast == {y: h / 3, z: rho * h / 3}
    assert PENALTY.bind({eps: sp.Rational(1, 100)}).fast == {}
    assert PENALTY.bind({rho: 1}).fast == {y: eps, z: eps}


def test_rates_in_a_fixed_ratio_settle_on_the_same_manifold_and_lag_as_the_flow_does():
    """Explicit Euler with epsilon = h/q: the limit is the reduced flow, then the lag at 1/q and Euler."""
    h, q = sp.Symbol("h", positive=True), sp.Symbol("q", positive=True)
    bound = PENALTY.bind({rho: 1})
    loop = od.Algorithm(bound, od.scheme("explicit_euler"), where={eps: h / q})
    limit = loop.consistent_with()
    assert vanishes(limit.drift[x] - bound.reduced(0).drift[x])
    first, second = od.dynamics.taylor(bound.reduced(1).drift[x], eps, 1)
    found = loop.modified_equation(1).terms[1][x]
    assert vanishes(found - (second / q - derivative(first, {x: first}) / 2))
    assert not vanishes(found - (second / q + derivative(first, {x: first}) / 2))
    # a nonlinear recurrence that nobody declared fast is refused, as before
    bent = od.System({x: -y}, output=x, blocks=[od.Block("y", role="memory")])
    steps = od.Scheme([od.Let({y: x + od.elementwise(sp.tanh, y) / 2}), od.Flow((), "explicit")])
    with pytest.raises(OdescentError, match="does not settle"):
        od.Algorithm(bent, steps)
    # where numbers decide it, a memory that grows is refused
    field = od.System({a: -b, b: -(b - a) / eps}, output=a, fast={b: eps})
    with pytest.raises(OdescentError, match="does not settle"):
        od.Algorithm(field, od.scheme("explicit_euler"), where={eps: h / 3}).consistent_with()


def test_text_and_documents_keep_the_scales_and_the_roots():
    from odescent.dynamics.algebra.trees import from_tree, tree
    from odescent.dynamics.grammar.write import to_text

    two = PENALTY.with_fast({y: eps, z: delta}, small=(eps, delta))
    for system in (PENALTY, ADJOINT, two, PENALTY.reduced(0), ADJOINT.reduced(1)):
        again = od.parse_system(to_text(system))
        assert (
            again.fast == system.fast
            and again.small == system.small
            and again.drift == system.drift
        )
    for e in (lower, both, od.root(a**3 + a - od.inner(x, x), a), PENALTY.reduced(1).drift[x]):
        assert from_tree(tree(e)) == e
    with pytest.raises(OdescentError, match="no text form"):
        to_text(od.System({"flow": {y: -substitute(lower, {x: y})}}))
