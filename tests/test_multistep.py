"""Stages of the step before as stages: multistep schemes, with one oracle call a step."""

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

import odescent as od
from odescent.discretize.programs.substeps import START, Flow, Let, Scheme, previous


def slope(x: np.ndarray) -> np.ndarray:
    return x**3 + 2 * x


HALF = sp.Rational(1, 2)
QUARTIC = od.Objective(
    "f", value=lambda x: (x**4).sum() / 4 + (x**2).sum(), grad=lambda x: x**3 + 2 * x
)


def adams_bashforth(order: int, name: str = "gradient_flow") -> od.Algorithm:
    return od.Algorithm(od.system(name), od.scheme("adams_bashforth", order=order))


@pytest.mark.parametrize(
    ("order", "weights", "constant"),
    [(1, "1", "1/2"), (2, "3 -1", "5/12"), (3, "23 -16 5", "3/8"), (4, "55 -59 37 -9", "251/720")],
)
def test_the_weights_and_the_error_are_those_of_the_tables(
    order: int, weights: str, constant: str
) -> None:
    """Hairer, Norsett, Wanner I, III.1; on x' = -H x the modified equation is -H x - C (-H)^(p+1) h^p x."""
    made = adams_bashforth(order)
    found = [s.fraction for s in made.scheme.steps]
    wanted = [sp.Integer(w) for w in weights.split()]
    assert found == [w / sum(wanted) for w in wanted]
    terms = made.modified_equation(order).terms
    (x,) = terms[0]
    assert not any(t[x] for t in terms[1:order])
    linear = "hess f(x)[" * order + "grad f(x)" + "]" * order
    (coefficient,) = (c for a, c in terms[order][x].terms.items() if str(a) == linear)
    assert coefficient == sp.Rational(constant) * (-1) ** order


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_iterates_are_those_of_a_loop_by_hand(order: int) -> None:
    made = adams_bashforth(order)
    assert made.calls == 1
    x = np.array([1.0, -0.7])
    past = [slope(x)] * order
    weights = [float(s.fraction) for s in made.scheme.steps]
    wanted = [x]
    for _ in range(12):
        past = [slope(x), *past[:-1]]
        x = x - 0.05 * sum(w * g for w, g in zip(weights, past, strict=True))
        wanted.append(x)
    found = made.run(QUARTIC, wanted[0], 12, h=0.05).x
    np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_the_second_order_is_that_of_the_trajectory_too() -> None:
    """Started by Euler's step, whose error of order h^2 is made once; time-dependent fields are read in the past."""
    x = od.blocks("x")
    t = sp.Symbol("t", real=True)
    f = od.Objective("f")
    system = od.System({"flow": {x: -(1 + t) * f.grad(x)}}, time=t, output=x, name="own")
    made = od.Algorithm(system, od.scheme("adams_bashforth"))
    exact = solve_ivp(lambda t, x: -(1 + t) * slope(x), (0, 1), [1.0], rtol=1e-12, atol=1e-12).y[
        0, -1
    ]
    errors = [
        abs(float(made.run(QUARTIC, np.array([1.0]), n, h=1 / n).x[-1, 0]) - exact)
        for n in (100, 200)
    ]
    assert 3.6 < errors[0] / errors[1] < 4.4


def test_popovs_method_is_optimistic_descent() -> None:
    """Extragradient with the look-ahead of the step before in it (Popov 1980) calls F where OGDA does."""
    steps = (
        Flow((), "explicit", read={"*": previous("half")}, save="half", commit=False),
        Flow((), "explicit", read={"*": "half"}),
    )
    popov = od.Algorithm(od.system("saddle_flow"), Scheme(steps, "popov"))
    assert popov.calls == 1
    ogda = od.algorithm("ogda").replace(tuning={})
    z, w = od.blocks("z w")
    F, h = od.Objective("F"), popov.step
    ahead = z - h * F.operator(w)
    written = od.method({w: ahead, z: z - h * F.operator(ahead)}, output=z)
    assert popov.equivalent(written).verdict == "proved"
    assert popov.equivalent(ogda).verdict == "proved"


@pytest.mark.parametrize("name", ["gradient_flow", "heavy_ball"])
def test_it_goes_through_every_view(name: str) -> None:
    """Derived, written as exact data and read back, emitted; nothing of the memories is lost."""
    from emitted_runs import run_jax, run_numpy

    from odescent.discretize.proof.exact_data import exact_algorithm
    from odescent.discretize.reading.exact_reading import algorithm_from

    made = adams_bashforth(3, name)
    assert made.derivation().verified
    again = algorithm_from(exact_algorithm(made))
    assert exact_algorithm(again) == exact_algorithm(made)
    tuned = made.bind({s.name: 0.1 for s in made.parameters})
    np.testing.assert_allclose(run_jax(tuned, 10), run_numpy(tuned, 10), rtol=1e-12)


def test_it_can_be_written_as_text() -> None:
    own = (
        "system own\nblocks x\nobjective f\nfield flow: x' = -grad f(x)\noutput x\n"
        "scheme flow: explicit for 3/2, flow: explicit for -1/2 at -1 read all from previous start\n"
    )
    made = od.parse_algorithm(own)
    scheme = od.scheme("adams_bashforth")
    assert [s.read for s in made.scheme.steps] == [s.read for s in scheme.steps]
    assert made.equivalent(od.Algorithm(od.system("gradient_flow"), scheme)).verdict == "proved"


def test_memories_that_nothing_reads_are_left_out() -> None:
    made = adams_bashforth(4)
    assert [b.name for b in made.program.blocks] == ["x", "g_1_kept", "g_2_kept", "g_3_kept"]
    assert [str(b.init) for b in made.program.blocks[1:]] == ["grad f(x0)"] * 3


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: Scheme([Flow((), "explicit", read={"*": previous("half")})]),
            "not saved before it",
        ),
        (lambda: Scheme([Let({}, save=previous())]), "the name of the start of the step"),
        (lambda: Scheme([Let({}, save=previous("half"))]), "a stage of the previous step"),
        (lambda: od.scheme("adams_bashforth", order=7), "from 1 to 6, not 7"),
        (lambda: od.scheme("adams_bashforth", order=0), "from 1 to 6, not 0"),
        (lambda: adams_bashforth(2, "overdamped_langevin"), "advanced back by 1/2 of a step"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, sentence: str) -> None:
    with pytest.raises(od.OdescentError, match=sentence):
        make()  # type: ignore[operator]


def test_the_start_is_the_first_of_all_stages() -> None:
    assert previous() == f"previous {START}" and previous(previous("a")) == "previous previous a"
