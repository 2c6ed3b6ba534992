"""Linear solves by their routes: each against arithmetic of fifty digits, in runs and in every emitted language."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from emitted_runs import assert_clean

import odescent as od
from odescent.discretize.emit import load, source
from odescent.dynamics.algebra.operators import METHODS, inverse
from odescent.dynamics.algebra.trees import from_tree, tree
from odescent.dynamics.evaluation.evaluate import evaluate
from odescent.dynamics.grammar.write import to_text
from odescent.dynamics.solves.routes import ROUTES, RULES, Structure, check_solves, solve_of

x, b, u, v, w, p, q = od.blocks("x b u v w p q")
A = od.blocks("A", kind="matrix")
P = od.blocks("P", kind="symmetric")
lam, tol, h = od.parameters("lam tol h")
f, c = od.Objective("f"), od.Map("c")
N = 6
RNG = np.random.default_rng(11)
C = RNG.normal(size=(N, N)) / 2
VALUES = {s: RNG.normal(size=N) for s in (x, b, u, v, w, p, q)}
VALUES |= {A: RNG.normal(size=(N, N)) + 4 * np.eye(N), P: C + C.T, lam: 0.7, h: 0.3, tol: 1e-12}


def grad(xp):
    return lambda z: C.T @ xp.sinh(C @ z)


def functions(xp):
    """The oracles of f = sum cosh(C x) and c = sin(C x) + 2 x on arrays."""
    cos = lambda z: xp.cos(C @ z)
    return {
        "grad_f": grad(xp),
        "hess": lambda z, d: C.T @ (xp.cosh(C @ z) * (C @ d)),
        "map_c": lambda z: xp.sin(C @ z) + 2 * z,
        "vjp_c": lambda z, out: C.T @ (cos(z) * out) + 2 * out,
    }


HESSIAN = C.T @ np.diag(np.cosh(C @ VALUES[x])) @ C
LOW = [(u, v), (v, u), (w, w), (p, q), (q, p)]
EYE = np.eye(N)


def _outer(pairs):
    return sum((np.outer(VALUES[a], VALUES[d]) for a, d in pairs), np.zeros((N, N)))


# operators, their matrices, the routes that are right for them, and the one that is chosen
CASES = {
    "diagonal": (
        lam * od.identity + od.diagonal_operator(od.elementwise(lambda e: e**2 + 1, v)),
        0.7 * EYE + np.diag(VALUES[v] ** 2 + 1), (), None,
    ),
    "few": (
        40 * lam * od.identity + sum((od.outer(a, d) for a, d in LOW), od.dynamics.zero),
        28 * EYE + _outer(LOW),
        ("woodbury", "lu", "gmres", "minres", "cholesky", "cg"), "woodbury",
    ),
    "general": (A, VALUES[A], ("lu", "gmres"), "lu"),
    "symmetric": (P, VALUES[P], ("lu", "minres", "gmres"), "lu"),
    "gram": (
        od.apply(A, od.transpose(A)) + lam * od.identity,
        VALUES[A] @ VALUES[A].T + 0.7 * EYE,
        ("cholesky", "lu", "cg", "minres", "gmres"), "cholesky",
    ),
    "hessian": (
        f.hessian(x) + lam * od.identity, HESSIAN + 0.7 * EYE,
        ("minres", "cg", "gmres", "lu", "cholesky"), "minres",
    ),
    "indefinite": (
        f.hessian(x) - lam * od.identity, HESSIAN - 0.7 * EYE, ("minres", "gmres", "lu"), "minres",
    ),
    "gauss_newton": (
        od.apply(od.transpose(c.jacobian(x)), c.jacobian(x)) + lam * od.identity,
        None, ("cg", "minres", "gmres", "lu", "cholesky"), "cg",
    ),
    "implicit": (
        od.identity - h * c.jacobian(x), None, ("gmres", "lu"), "gmres",
    ),
}  # fmt: skip
JACOBIAN = np.diag(np.cos(C @ VALUES[x])) @ C + 2 * EYE


def case(name):
    operator, matrix, right, chosen = CASES[name]
    if name == "gauss_newton":
        matrix = JACOBIAN.T @ JACOBIAN + 0.7 * EYE
    if name == "implicit":
        matrix = EYE - 0.3 * JACOBIAN
    return operator, matrix, right, chosen


def fifty_digits(matrix, rhs):
    with mpmath.workdps(50):
        found = mpmath.lu_solve(mpmath.matrix(matrix.tolist()), mpmath.matrix(rhs.tolist()))
        return np.array([float(e) for e in found])


@pytest.mark.parametrize("name", CASES)
def test_every_route_has_the_solution_of_fifty_digits(name: str) -> None:
    operator, matrix, right, _ = case(name)
    exact = fifty_digits(matrix, VALUES[b])
    size = np.linalg.cond(matrix) * np.abs(exact).max()
    for method in ("", *right):
        solution = od.linear_solve(operator, b, method=method)
        on_arrays = evaluate(solution, VALUES, functions(jnp), np)
        assert on_arrays == pytest.approx(exact, abs=2e-12 * size), method
        if method:
            traced = jax.jit(
                lambda r, s=solution: evaluate(s, {**VALUES, b: r}, functions(jnp), jnp)
            )
            found = np.asarray(traced(VALUES[b]))
            assert found == pytest.approx(exact, abs=2e-12 * size), method


@pytest.mark.parametrize("name", CASES)
def test_the_route_is_chosen_by_structure_and_a_wrong_one_is_refused(name: str) -> None:
    operator, _, right, chosen = case(name)
    (found,) = (a for a in inverse(operator).terms)
    if chosen is None:  # written out by the calculus
        return
    assert solve_of(found).route.name == chosen
    for method in METHODS:
        solution = od.linear_solve(operator, b, method=method)
        assert solution == od.linear_solve(operator, b)  # how it is computed is no part of it
        wants = ROUTES[method].wants
        if wants and not getattr(Structure(operator), wants):
            with pytest.raises(od.OdescentError, match="is not proved of"):
                check_solves([solution])
        if method in right:
            (said,) = (a.left for a in solution.terms)
            assert solve_of(said).route.name == method


@pytest.mark.parametrize("seed", range(12))
def test_what_is_proved_of_a_structure_is_true_of_its_matrix(seed: int) -> None:
    rng = np.random.default_rng(seed)
    atoms = [
        (od.identity, EYE),
        (od.outer(u, u), np.outer(VALUES[u], VALUES[u])),
        (od.outer(u, v), np.outer(VALUES[u], VALUES[v])),
        (P, VALUES[P]),
        (A + od.transpose(A), VALUES[A] + VALUES[A].T),
        (od.apply(A, od.transpose(A)), VALUES[A] @ VALUES[A].T),
        (od.apply(A, od.apply(od.outer(w, w), od.transpose(A))),
         VALUES[A] @ np.outer(VALUES[w], VALUES[w]) @ VALUES[A].T),
        (f.hessian(x), HESSIAN),
        (c.jacobian(x), JACOBIAN),
        (inverse(od.identity * lam + od.apply(A, od.transpose(A))),
         np.linalg.inv(0.7 * EYE + VALUES[A] @ VALUES[A].T)),
    ]  # fmt: skip
    for _ in range(15):
        chosen = [atoms[i] for i in rng.choice(len(atoms), size=rng.integers(1, 4), replace=False)]
        signs = rng.choice([1, 1, -1], size=len(chosen))
        operator = sum(
            (a * int(s) for (a, _), s in zip(chosen, signs, strict=True)), od.dynamics.zero
        )
        matrix = sum(m * s for (_, m), s in zip(chosen, signs, strict=True))
        structure = Structure(operator)
        assert structure.symmetric == np.allclose(matrix, matrix.T)
        if structure.definite:
            eigenvalues = np.linalg.eigvalsh(matrix)
            assert eigenvalues[0] * eigenvalues[-1] > 0


def test_every_route_is_chosen_or_said_somewhere() -> None:
    assert [name for name, _, _ in RULES] == list(ROUTES) == list(METHODS)
    assert {m for _, _, right, _ in CASES.values() for m in right} == {*METHODS} - {"diagonal"}


def newton(method="", tolerance=None):
    step = od.linear_solve(
        f.hessian(x) + lam * od.identity, f.grad(x), method=method, tolerance=tolerance
    )
    return od.Algorithm(od.System({"newton": {x: -step}}, output=x), "explicit_euler")


X0 = np.array([1.0, -0.5, 0.3])


def textbook(x0, steps, shift=0.5, d=3):
    """x+ = x - (H + lam I)^-1 g of f = sum cosh x - x_1 x_2/4."""
    hess, g = parts()
    for _ in range(steps):
        x0 = x0 - np.linalg.solve(hess(x0) + shift * np.eye(d), g(x0))
    return x0


def parts():
    off = np.zeros((3, 3))
    off[0, 1] = off[1, 0] = -0.25
    return lambda z: np.diag(np.cosh(z)) + off, lambda z: np.sinh(z) + off @ z


def loss(z):
    return jnp.sum(jnp.cosh(z)) - z[0] * z[1] / 4


@pytest.mark.parametrize("method", ["", "cg", "minres", "gmres", "lu", "cholesky"])
def test_regularized_newton_in_every_language(method: str) -> None:
    exact, (hess, g) = textbook(X0, 4), parts()
    made = newton(method)
    run = made.bind(h=1, lam=0.5).run(od.Objective(loss), X0, 4)
    assert np.asarray(run.x[-1]) == pytest.approx(exact, abs=1e-10)
    hvp = lambda z, d: hess(z) @ d
    module = load(made, "numpy")
    assert module.run(g, hvp, X0, 4, 1, 0.5)[-1] == pytest.approx(exact, abs=1e-10)
    module = load(made, "jax")
    product = lambda z, d: jax.jvp(jax.grad(loss), (z,), (d,))[1]
    found = module.run(jax.grad(loss), product, jnp.asarray(X0), 4, 1.0, 0.5)
    assert np.asarray(found[-1]) == pytest.approx(exact, abs=1e-10)


@pytest.mark.parametrize("method", ["cg", "gmres", "lu", "cholesky"])
def test_regularized_newton_as_an_optax_transformation(method: str) -> None:
    optax = pytest.importorskip("optax")
    tree = {"a": jnp.asarray(X0[:2]), "b": jnp.asarray(X0[2:])}
    of_tree = lambda t: loss(jnp.concatenate([t["a"], t["b"]]))
    made = newton(method).to_optax(h=1.0, lam=0.5)
    state = made.init(tree)
    product = lambda z, d: jax.jvp(jax.grad(of_tree), (z,), (d,))[1]
    for _ in range(4):
        updates, state = made.update(jax.grad(of_tree)(tree), state, tree, hvp=product)
        tree = optax.apply_updates(tree, updates)
    found = np.concatenate([tree["a"], tree["b"]])
    assert found == pytest.approx(textbook(X0, 4), abs=1e-10)


@pytest.mark.parametrize("method", ["cg", "minres", "gmres", "lu", "cholesky"])
def test_regularized_newton_as_a_torch_optimizer(method: str) -> None:
    torch = pytest.importorskip("torch")
    params = [torch.tensor(part, requires_grad=True) for part in (X0[:2], X0[2:])]
    hess, _ = parts()

    def hvp(params, along):
        whole = lambda parts: np.concatenate([e.detach().numpy() for e in parts])
        made = torch.from_numpy(hess(whole(params)) @ whole(along))
        return [made[:2], made[2:]]

    optimizer = newton(method).to_torch(params, h=1, lam=0.5, hvp=hvp)
    for _ in range(4):
        optimizer.zero_grad()
        z = torch.cat(params)
        (torch.cosh(z).sum() - z[0] * z[1] / 4).backward()
        optimizer.step()
    found = torch.cat(params).detach().numpy()
    assert found == pytest.approx(textbook(X0, 4), abs=1e-10)


def test_a_step_of_newton_with_conjugate_gradients_has_no_matrix() -> None:
    """Of a function of 10^5 variables: no array is larger than a few vectors."""
    d = 100_000
    module = load(newton("cg", tol), "jax")
    spring = lambda z: jnp.sum(jnp.cosh(z)) + jnp.sum((z[1:] - z[:-1]) ** 2) / 2
    g = jax.grad(spring)
    hvp = lambda z, v: jax.jvp(g, (z,), (v,))[1]
    step = lambda z: module.step(module.State(z), g, hvp, module.coefficients(1.0, 0.5, 1e-8)).x
    start = jnp.linspace(-1, 1, d)
    sizes = [a.size for a in _arrays(jax.make_jaxpr(step)(start).jaxpr)]
    assert d <= max(sizes) < 4 * d
    after = jax.jit(step)(start)
    moved = start - after
    left = hvp(start, moved) + 0.5 * moved - g(start)
    assert jnp.linalg.norm(left) <= 1e-8 * jnp.linalg.norm(g(start))


def _arrays(jaxpr):
    for eqn in jaxpr.eqns:
        yield from (a.aval for a in eqn.outvars if hasattr(a.aval, "size"))
        for value in eqn.params.values():
            for held in value if isinstance(value, (tuple, list)) else [value]:
                inner = getattr(held, "jaxpr", held)  # closed over constants, or not
                yield from _arrays(inner) if hasattr(inner, "eqns") else ()


def test_the_tolerance_is_a_parameter() -> None:
    loose = newton("cg", tol)
    assert tol in loose.parameters
    with pytest.raises(od.OdescentError, match="is not proved of"):
        od.System({"move": {x: -od.linear_solve(c.jacobian(x), x, method="cg")}}, output=x)
    hess, g = parts()
    counts = {}
    for bound in (1e-1, 1e-12):
        asked = []
        hvp = lambda z, d, asked=asked: asked.append(1) or hess(z) @ d
        found = load(loose, "numpy").run(g, hvp, X0, 1, 1, 0.5, bound)[-1]
        left = (hess(X0) + 0.5 * np.eye(3)) @ (X0 - found) - g(X0)
        assert np.linalg.norm(left) <= bound * np.linalg.norm(g(X0))
        counts[bound] = len(asked)
    assert counts[1e-1] < counts[1e-12]
    for wrong in (0, -1e-3):
        with pytest.raises(od.OdescentError, match="must be positive"):
            od.linear_solve(P, b, tolerance=wrong)
    with pytest.raises(od.OdescentError, match="has no tolerance"):
        newton("lu", tol)
    with pytest.raises(od.OdescentError, match="no method of a solve called 'cgs'"):
        od.linear_solve(P, b, method="cgs")


def test_a_solve_that_fails_is_not_silent() -> None:
    """A sentence in runs and NumPy, NaN in JAX."""
    hill = lambda z: jnp.sum(
        jnp.cos(z)
    )  # its curvatures are cos 0 - 2 < 0 and cos 3 ... of both signs
    start = np.array([0.2, 3.0, 2.5])
    run = newton("cg").bind(h=1, lam=0.01).run(od.Objective(hill), start, 3)
    assert run.diverged_at == 1
    assert "a solve failed: a definite operator is needed; curvatures are" in str(run)
    product = lambda z, d: -np.cos(z) * d
    for method in ("cg", "cholesky"):
        with pytest.raises(ArithmeticError, match="a definite operator is needed; curvatures are"):
            load(newton(method), "numpy").run(lambda z: -np.sin(z), product, start, 1, 1, 0.01)
    flow = newton("cg").system
    with pytest.raises(od.OdescentError, match="a definite operator is needed; curvatures are"):
        flow.simulate(od.Objective(hill), start, 1.0, parameters={"lam": 0.01})
    fine = newton("minres").bind(h=1, lam=0.01).run(od.Objective(hill), start, 1)
    assert fine.diverged_at is None
    singular = od.linear_solve(od.apply(A, od.outer(u, v)) + od.outer(w, p), b)
    with pytest.raises(od.OdescentError, match="singular"):
        evaluate(singular, VALUES, {}, np)
    deficient = {**VALUES, A: np.outer(VALUES[u], VALUES[v]) + np.outer(VALUES[w], VALUES[p])}
    with pytest.raises(od.OdescentError, match=r"to rounding: pivot [3-6] is .*e-1\d, the largest"):
        evaluate(od.linear_solve(A, b), deficient, {}, np)
    traced = jax.jit(lambda r: evaluate(od.linear_solve(A, b), {**deficient, b: r}, {}, jnp))
    assert np.isnan(traced(VALUES[b])).all()
    nearly = {**VALUES, A: np.diag([1.0, 1, 1, 1, 1, 1e-13])}  # ill-conditioned, and solved
    assert evaluate(od.linear_solve(A, b), nearly, {}, np)[-1] == pytest.approx(
        1e13 * VALUES[b][-1]
    )
    flat = {"grad_f": lambda z: 0 * z, "hess": lambda z, d: d * np.array([1.0, 1, 1, 1, 1, 0])}
    for method in ("minres", "gmres", "cg", "lu"):
        with pytest.raises(od.OdescentError, match=r"the solve with hess f\(x\)"):
            evaluate(od.linear_solve(f.hessian(x), b, method=method), VALUES, flat, np)


def test_a_run_that_ends_at_a_singular_matrix_says_which_pivot() -> None:
    system = od.System(
        {"d": {x: -od.linear_solve(A, f.grad(x))}, "hold": {A: A * 0}}, output=x,
        init={x: od.dynamics.start, A: od.identity},
    )  # fmt: skip
    method = od.Algorithm(system, "explicit_euler", step=h).bind(h=0.1)
    singular = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
    run = method.run(lambda z: jnp.sum(z**2), {x: np.ones(3), A: singular}, 3)
    assert run.diverged_at == 1
    assert "singular to rounding: pivot 3 is" in str(run)
    fine = method.run(lambda z: jnp.sum(z**2), {x: np.ones(3), A: 2 * np.eye(3)}, 3)
    assert np.allclose(fine.x[-1], 0.9**3)


def test_shapes_that_do_not_compose_are_refused() -> None:
    wide = {**VALUES, A: RNG.normal(size=(N, N + 1)), P: np.eye(N + 1)}
    for operator in (A, P):
        with pytest.raises(od.OdescentError, match=f"a solve with {operator}, which is"):
            evaluate(od.linear_solve(operator, b), wide, {}, np)


def test_solves_from_products_are_differentiable() -> None:
    operator = f.hessian(x) + lam * od.identity
    for method in ("cg", "minres", "gmres", "lu"):
        solution = od.linear_solve(operator, b, method=method)

        def value(s, r, solution=solution):
            found = evaluate(solution, {**VALUES, lam: s, b: r}, functions(jnp), jnp)
            return jnp.sum(found**2)

        def exact(s, r):
            return jnp.sum(jnp.linalg.solve(HESSIAN + s * EYE, r) ** 2)

        at = (0.7, jnp.asarray(VALUES[b]))
        twice = lambda fun, n: jax.jacfwd(jax.grad(fun, n), n)
        for order, n in ((jax.grad, 0), (jax.grad, 1), *([(twice, 0)] if method == "cg" else [])):
            found, wanted = order(value, n)(*at), order(exact, n)(*at)
            assert np.asarray(found) == pytest.approx(np.asarray(wanted), rel=1e-7, abs=1e-8)


def test_how_a_solve_is_done_is_kept_in_text_and_trees() -> None:
    damped = f.hessian(x) + lam * od.identity
    for said in ({"method": "cg"}, {"method": "gmres", "tolerance": tol}, {"tolerance": 1e-3}, {}):
        solution = od.linear_solve(damped, f.grad(x), **said)
        system = od.System({"newton": {x: -solution}}, output=x, name="newton")
        again = from_tree(tree(solution))
        assert str(solve_of(again.left)) == str(solve_of(solution.left))
        text = to_text(system)
        read = next(iter(od.parse_system(text).fields["newton"].drift[x].terms)).left
        assert solve_of(read).route == solve_of(solution.left).route
        assert solve_of(read).tolerance == solve_of(solution.left).tolerance
    with pytest.raises(od.OdescentError, match="linear_solve takes a method"):
        od.parse_system(text.replace("grad f(x))", "grad f(x), lam)"))


@pytest.mark.parametrize("target", ["numpy", "jax", "optax", "torch"])
def test_emitted_solves_are_formatted_and_say_what_they_do(target: str, tmp_path) -> None:
    low = lam * od.identity + sum((od.outer(e, e) for e in (x, u, v, w, p)), od.dynamics.zero)
    fields = {x: -od.linear_solve(low, f.grad(x)), **{e: -e for e in (u, v, w, p)}}
    init = dict.fromkeys((u, v, w, p), od.dynamics.start)
    system = od.System({"flow": fields}, output=x, init=init)
    many = {"woodbury": od.Algorithm(system, "explicit_euler")}
    many |= {m: newton(m) for m in ("cg", "minres", "gmres", "lu", "cholesky")}
    paths = []
    for name, made in many.items():
        paths.append(tmp_path / f"{name}.py")
        paths[-1].write_text(made.source(target))
        assert ROUTES[name].title.split()[-1] in paths[-1].read_text()
    assert_clean(paths)


def test_woodburys_formula_in_every_language() -> None:
    """x+ = x - h (lam I + sum of outer products)^-1 grad f of f = |x|^2/2, with blocks that decay."""
    optax, torch = pytest.importorskip("optax"), pytest.importorskip("torch")
    low = lam * od.identity + sum((od.outer(e, e) for e in (x, u, v, w, p)), od.dynamics.zero)
    rates = dict(zip((u, v, w, p), (1, 2, 3, 4), strict=True))
    fields = {x: -od.linear_solve(low, f.grad(x)), **{e: -k * e for e, k in rates.items()}}
    init = dict.fromkeys(rates, od.dynamics.start)
    method = od.Algorithm(od.System({"flow": fields}, output=x, init=init), "explicit_euler")
    at, others = X0, dict.fromkeys(rates.values(), X0)
    for _ in range(3):
        matrix = 0.5 * np.eye(3) + sum(np.outer(e, e) for e in (at, *others.values()))
        at = at - 0.1 * np.linalg.solve(matrix, at)
        others = {k: e * (1 - 0.1 * k) for k, e in others.items()}
    run = method.bind(h=0.1, lam=0.5).run(od.Objective(lambda z: jnp.sum(z**2) / 2), X0, 3)
    module = load(method, "numpy")
    assert np.asarray(run.x[-1]) == pytest.approx(at, rel=1e-11)
    assert module.run(lambda z: z, X0, 3, 0.1, 0.5)[-1] == pytest.approx(at, rel=1e-11)
    made, z = method.to_optax(h=0.1, lam=0.5), jnp.asarray(X0)
    state = made.init(z)
    tensor = torch.tensor(X0, requires_grad=True)
    optimizer = method.to_torch([tensor], h=0.1, lam=0.5)
    for _ in range(3):
        updates, state = made.update(z, state, z)
        z = optax.apply_updates(z, updates)
        tensor.grad = tensor.detach().clone()
        optimizer.step()
    assert np.asarray(z) == pytest.approx(at, rel=1e-11)
    assert tensor.detach().numpy() == pytest.approx(at, rel=1e-11)


def test_a_nested_solve_is_emitted() -> None:
    """The KKT flow c' = -c along -J^T (J J^T)^-1 c, and a solve inside of an operator."""
    jac = c.jacobian(x)
    gram = od.apply(jac, od.transpose(jac))
    inner = od.apply(jac, od.apply(inverse(f.hessian(x) + lam * od.identity), od.transpose(jac)))
    for operator in (gram, inner):
        move = -od.apply(od.transpose(jac), od.linear_solve(operator, c(x)))
        made = od.Algorithm(od.System({"move": {x: move}}, output=x), "explicit_euler")
        module, given = load(made, "numpy"), functions(np)
        needed = {
            "map_c": given["map_c"], "vjp_c": given["vjp_c"], "hvp": given["hess"],
            "jvp_c": lambda z, d: np.cos(C @ z) * (C @ d) + 2 * d,
        }  # fmt: skip
        wanted = module.step.__code__.co_varnames[: module.step.__code__.co_argcount]
        numbers = {
            n: v
            for n, v in {"h": 0.3, "lam": 0.7}.items()
            if n in {s.name for s in made.parameters}
        }
        oracles = {n: g for n, g in needed.items() if n in wanted}
        found = module.step(module.State(VALUES[x]), c=module.coefficients(**numbers), **oracles).x
        middle = JACOBIAN @ JACOBIAN.T
        if operator is inner:
            middle = JACOBIAN @ np.linalg.inv(HESSIAN + 0.7 * EYE) @ JACOBIAN.T
        exact = VALUES[x] - 0.3 * JACOBIAN.T @ np.linalg.solve(middle, given["map_c"](VALUES[x]))
        assert found == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("route", ["cholesky", "lu"])
def test_one_matrix_serves_two_right_sides_of_which_one_depends_on_the_other(route):
    """Iterated Tikhonov regularization, x+ = x - A^-1 (g + lam A^-1 g): n products a step, in every target."""
    x, lam, f = od.blocks("x"), od.parameters("lam"), od.Objective("f")
    shifted = od.jacobian(f.grad(x), x) + lam * od.dynamics.identity
    first = od.linear_solve(shifted, f.grad(x), method=route)
    twice = od.linear_solve(shifted, f.grad(x) + lam * first, method=route)
    flow = od.System({"descent": {x: -twice}}, output=x)
    method = od.Algorithm(flow, od.scheme("explicit_euler"), name="iterated_tikhonov")
    curved = np.diag([1.0, 2.0, 30.0]) + 0.2
    begin, asked = np.array([1.0, -2.0, 0.5]), []

    def products(at, v):
        asked.append(v)
        return curved @ v

    found = load(method, "numpy").run(lambda at: curved @ at, products, begin, 4, h=0.5, lam=0.3)
    assert len(asked) == 4 * 3
    at, matrix = begin, curved + 0.3 * np.eye(3)
    for row in found[1:]:
        g = curved @ at
        at = at - 0.5 * np.linalg.solve(matrix, g + 0.3 * np.linalg.solve(matrix, g))
        np.testing.assert_allclose(row, at, rtol=1e-12)
    value = lambda z: z @ jnp.asarray(curved) @ z / 2
    np.testing.assert_allclose(method.run(value, begin, 4, h=0.5, lam=0.3).x, found, rtol=1e-12)
    for target in ("jax", "optax", "torch"):
        assert source(method, target).count("= _matrix(product, ") == 1
