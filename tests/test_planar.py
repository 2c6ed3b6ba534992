"""Fixed points, nullclines, separatrices and lines of planar fields with known answers."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import odescent as od
from odescent.analysis.portraits.field import check_window, classify, fixed_points
from odescent.analysis.portraits.nullclines import nullclines
from odescent.analysis.portraits.trajectories import even_lines, flow_lines, separatrices

BOX = ((-2.0, 2.0), (-2.0, 2.0))


def linear(matrix):
    return lambda z: z @ np.asarray(matrix, dtype=float).T


def double_well(z, damping=0.2):
    x, v = z.T
    return np.stack([v, x - x**3 - damping * v], 1)


def pendulum(z):
    q, p = z.T
    return np.stack([p, -np.sin(q) - 0.3 * p], 1)


def curved_saddle(z):
    x, y = z.T
    return np.stack([x, -y + x**2], 1)


def van_der_pol(z, mu=1.5):
    x, y = z.T
    return np.stack([y, mu * (1 - x**2) * y - x], 1)


@pytest.mark.parametrize(
    ("matrix", "kind"),
    [
        ([[-1, 0], [0, -3]], "stable node"),
        ([[1, 0.5], [0, 3]], "unstable node"),
        ([[-1, 2], [-2, -1]], "stable focus"),
        ([[1, 2], [-2, 1]], "unstable focus"),
        ([[-2, 0], [0, -2]], "stable star"),
        ([[2, 0], [0, 2]], "unstable star"),
        ([[-2, 1], [0, -2]], "stable degenerate node"),
        ([[3, -1], [1, 1]], "unstable degenerate node"),
        ([[0, 1], [1, 0]], "saddle"),
        ([[0, 2], [-3, 0]], "centre (linear)"),
    ],
)
@pytest.mark.parametrize("exact", [True, False])
def test_every_class_of_linear_system(matrix, kind, exact):
    given_matrix = np.asarray(matrix, dtype=float)
    jacobian = (lambda z: np.broadcast_to(given_matrix, (len(z), 2, 2))) if exact else None
    shift = np.array([0.3, -0.7])
    (point,) = fixed_points(lambda z: linear(matrix)(z - shift), BOX, jacobian)
    assert point.kind == kind
    np.testing.assert_allclose(point.point, shift, atol=1e-9)
    np.testing.assert_allclose(point.jacobian, given_matrix, atol=1e-8)
    np.testing.assert_allclose(
        point.jacobian @ point.eigenvectors, point.eigenvectors * point.eigenvalues, atol=1e-9
    )
    assert point.residual < 1e-9


def test_degenerate_matrices_are_not_hyperbolic():
    for matrix in ([[0, 0], [0, 0]], [[0, 1], [0, 0]], [[-1, 0], [0, 0]]):
        assert classify(np.array(matrix, dtype=float)) == "non-hyperbolic"


entries = st.floats(-5, 5, allow_subnormal=False)


@given(entries, entries, entries, entries)
def test_classes_agree_with_trace_and_determinant(a, b, c, d):
    trace, det = a + d, a * d - b * c
    disc, size = trace**2 - 4 * det, a * a + b * b + c * c + d * d
    assume(size > 1e-3 and min(abs(disc), abs(det)) > 1e-5 * size and abs(trace) > 1e-5 * size**0.5)
    kind = classify(np.array([[a, b], [c, d]]))
    if det < 0:
        assert kind == "saddle"
    else:
        side = "stable" if trace < 0 else "unstable"
        assert kind == f"{side} {'focus' if disc < 0 else 'node'}"


@given(entries, entries, entries, entries, st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))
def test_the_fixed_point_of_any_regular_linear_system_is_found(a, b, c, d, x, y):
    matrix = np.array([[a, b], [c, d]])
    assume(abs(np.linalg.det(matrix)) > 1e-2)
    (point,) = fixed_points(lambda z: (z - np.array([x, y])) @ matrix.T, BOX, starts=5)
    np.testing.assert_allclose(point.point, [x, y], atol=1e-6)


def test_double_well():
    left, middle, right = fixed_points(double_well, BOX)
    np.testing.assert_allclose(
        [left.point, middle.point, right.point], [[-1, 0], [0, 0], [1, 0]], atol=1e-9
    )
    assert [p.kind for p in (left, middle, right)] == ["stable focus", "saddle", "stable focus"]
    damping = 0.2  # lambda^2 + c lambda - 1 = 0 at the saddle, + 2 in the wells
    root = np.sqrt(damping**2 / 4 + 1)
    np.testing.assert_allclose(
        middle.eigenvalues, [-damping / 2 - root, -damping / 2 + root], atol=1e-8
    )
    turn = np.sqrt(2 - damping**2 / 4)
    np.testing.assert_allclose(
        right.eigenvalues, [-damping / 2 - 1j * turn, -damping / 2 + 1j * turn], atol=1e-8
    )


def test_van_der_pol():
    (point,) = fixed_points(van_der_pol, ((-3, 3), (-4, 4)))
    assert point.kind == "unstable focus"
    np.testing.assert_allclose(point.eigenvalues.real, 0.75, atol=1e-8)
    np.testing.assert_allclose(np.abs(point.eigenvalues), 1.0, atol=1e-8)


def test_points_outside_the_window_and_bad_scales():
    assert fixed_points(double_well, ((0.5, 0.9), (-1, 1))) == ()
    size = np.array([1e-6, 1e5])
    scaled = fixed_points(lambda z: double_well(z / size) * size, ((-2e-6, 2e-6), (-2e5, 2e5)))
    assert [p.kind for p in scaled] == ["stable focus", "saddle", "stable focus"]
    np.testing.assert_allclose([p.point[0] for p in scaled], [-1e-6, 0, 1e-6], atol=1e-14)


def test_a_degenerate_point_is_one_point():
    (point,) = fixed_points(lambda z: -((z - 0.1) ** 3), BOX)
    assert point.kind == "non-hyperbolic"
    np.testing.assert_allclose(point.point, 0.1, atol=1e-3)


def test_pendulum_nullclines():
    lines = nullclines(pendulum, ((-4, 4), (-3, 3)))
    first, second = np.concatenate(lines.first), np.concatenate(lines.second)
    np.testing.assert_allclose(first[:, 1], 0, atol=1e-12)
    assert first[:, 0].min() == -4
    assert first[:, 0].max() == 4
    inside = np.abs(second[:, 1]) < 2.99
    np.testing.assert_allclose(second[inside, 1], -np.sin(second[inside, 0]) / 0.3, atol=1e-8)
    assert max(lines.residual) < 1e-8


def test_a_pole_is_no_nullcline():
    lines = nullclines(lambda z: np.stack([1 / (z[:, 0] - 0.313), z[:, 1] - z[:, 0]], 1), BOX)
    assert lines.first == ()
    assert len(lines.second) == 1


def test_separatrices_of_a_curved_saddle():
    found = separatrices(curved_saddle, BOX, fixed_points(curved_saddle, BOX))
    assert len(found) == 4
    for branch in found:
        x, y = branch.points.T
        np.testing.assert_array_equal(branch.points[0], branch.saddle)
        assert branch.ended == "window"
        if branch.stable:
            np.testing.assert_allclose(x, 0, atol=1e-9)
            assert abs(y[-1]) == pytest.approx(2)
        else:
            np.testing.assert_allclose(y, x**2 / 3, atol=1e-6)
            assert abs(x[-1]) == pytest.approx(2)


def test_the_unstable_manifold_of_the_double_well_ends_in_the_wells():
    window = ((-1.8, 1.8), (-1.5, 1.5))
    fixed = fixed_points(double_well, window)
    ends = {(s.stable, s.ended) for s in separatrices(double_well, window, fixed)}
    assert ends == {(True, "window"), (False, "fixed point")}
    free = lambda z: double_well(z, 0.0)
    for branch in separatrices(free, window, fixed_points(free, window)):
        # without damping: homoclinic, on the level of energy 0
        x, v = branch.points.T
        np.testing.assert_allclose(v**2 / 2 - x**2 / 2 + x**4 / 4, 0, atol=1e-6)
        assert branch.ended == "fixed point"
        assert np.abs(x).max() == pytest.approx(np.sqrt(2), abs=1e-3)


@pytest.mark.parametrize(("turn", "start"), [(0.0, 1.3), (0.1, 0.2), (-0.1, 1.9)])
def test_lines_are_circles_and_logarithmic_spirals(turn, start):
    (line,) = flow_lines(linear([[turn, 1], [-1, turn]]), BOX, [[start, 0.0]])
    x, y = line.points.T
    inside = np.hypot(x, y) > 0.01  # further in the line ends at the centre
    angle = np.unwrap(np.arctan2(-y, x))
    angle -= angle[np.argmin(np.hypot(x - start, y))]
    exact = start * np.exp(turn * angle)
    np.testing.assert_allclose(np.hypot(x, y)[inside], exact[inside], rtol=0, atol=2e-7)
    longest = np.linalg.norm(np.diff(line.points, axis=0), axis=1).max()
    assert longest < 1.001 * 0.01 * 4  # sides of the box


@pytest.mark.parametrize("width", [5e-4, 1e-3, 2e-3, 4e-3])
def test_no_line_steps_over_a_narrow_jet(width):
    """Steps of a tenth of the window, with points of the interpolant between, were over it in half of the lines."""

    def jet(z):
        return np.stack([0 * z[:, 0] + 1, 4 * np.exp(-(((z[:, 0] - 0.5037) / width) ** 2) / 2)], 1)

    starts = [[0.003 * i, 0.1] for i in range(60)]
    ends = [line.points[-1, 1] for line in flow_lines(jet, ((0, 1), (0, 1)), starts)]
    np.testing.assert_allclose(ends, 0.1 + 4 * width * np.sqrt(2 * np.pi), rtol=0, atol=1e-6)


def test_flow_lines_end_where_they_should():
    (closed,) = flow_lines(linear([[0, 1], [-1, 0]]), BOX, [[1.0, 0.0]])
    assert closed.ended == ("closed", "closed")
    np.testing.assert_allclose(np.linalg.norm(closed.points, axis=1), 1, atol=1e-6)
    fixed = fixed_points(linear([[-1, 0], [0, -2]]), BOX)
    (sink,) = flow_lines(linear([[-1, 0], [0, -2]]), BOX, [[1.0, 1.0]], fixed)
    assert sink.ended == ("window", "fixed point")
    np.testing.assert_allclose(sink.points[-1], 0, atol=1e-8)
    # to where it has arrived, the exact orbit is y = x^2
    np.testing.assert_allclose(sink.points[:, 1], sink.points[:, 0] ** 2, atol=1e-6)
    (edge,) = flow_lines(lambda z: np.stack([np.ones(len(z)), 0 * z[:, 0]], 1), BOX, [[0.3, 0.5]])
    assert edge.ended == ("window", "window")
    np.testing.assert_allclose(edge.points[[0, -1]], [[-2, 0.5], [2, 0.5]], atol=1e-12)


def test_values_that_are_not_finite_are_reported():
    def root(z):  # real for x >= 0 only
        return np.stack([-np.sqrt(z[:, 0]) - 0.1, 0 * z[:, 1] + 0.3], 1)

    (line,) = flow_lines(root, BOX, [[1.0, 0.0]])
    assert line.ended[1] == "not finite"
    assert 0 <= line.points[-1, 0] < 0.05
    assert np.isfinite(line.points).all()
    (nothing,) = flow_lines(root, BOX, [[-1.0, 0.0]])
    assert nothing.ended == ("not finite", "not finite")
    assert fixed_points(root, BOX) == ()
    assert even_lines(root, BOX, spacing=0.2)
    nullclines(root, BOX)


@pytest.mark.parametrize(
    "field",
    [
        lambda z: 0 * z,
        lambda z: z * np.nan,
        lambda z: -np.sign(z),
        lambda z: np.stack([z[:, 0], 0 * z[:, 0]], 1),  # a line of fixed points
        lambda z: 1e200 * z**3,
        lambda z: np.stack([1e3 * (z[:, 1] - z[:, 0] ** 3), -z[:, 0]], 1),  # stiff
    ],
    ids=["zero", "nan", "sign", "line", "huge", "stiff"],
)
def test_no_field_is_endless_or_raises(field):
    fixed = fixed_points(field, BOX, starts=7)
    flow_lines(field, BOX, [[1.0, 0.5]], fixed)
    even_lines(field, BOX, fixed, spacing=0.3)
    separatrices(field, BOX, fixed)
    nullclines(field, BOX, samples=21)


def test_even_lines_are_even_and_repeatable():
    fixed = fixed_points(van_der_pol, ((-3, 3), (-4, 4)))
    lines = even_lines(van_der_pol, ((-3, 3), (-4, 4)), fixed, 0.12)
    again = even_lines(van_der_pol, ((-3, 3), (-4, 4)), fixed, 0.12)
    assert all(np.array_equal(a.points, b.points) for a, b in zip(lines, again, strict=True))
    u = [(line.points - [-3, -4]) / [6, 8] for line in lines]
    for i, one in enumerate(u):
        for other in u[:i]:  # a step more than the limit at the most
            assert np.linalg.norm(one[:, None] - other[None], axis=2).min() > 0.06 - 0.011
    probe = np.random.default_rng(0).uniform(0.05, 0.95, (200, 2))
    gaps = np.linalg.norm(probe[:, None] - np.concatenate(u)[None], axis=2).min(1)
    assert gaps.max() < 0.24  # no hole wider than four half spacings


@pytest.mark.untyped
@pytest.mark.parametrize(
    "window",
    [
        ((0, 0), (0, 1)),
        ((1, 0), (0, 1)),
        ((0, np.inf), (0, 1)),
        ((0, 1),),
        3,
        "ab",
        ((0, "x"), (0, 1)),
        None,
    ],
)
def test_bad_windows_get_a_sentence(window):
    with pytest.raises(ValueError, match="a window must be"):
        check_window(window)


@pytest.mark.untyped
def test_bad_fields_get_a_sentence():
    with pytest.raises(ValueError, match="planar field"):
        fixed_points(lambda z: z[:, 0], BOX)
    with pytest.raises(ValueError, match="planar field"):
        nullclines(lambda z: z + 1j, BOX)
    with pytest.raises(ValueError, match="a Jacobian"):
        fixed_points(linear(np.eye(2)), BOX, lambda z: z)
    with pytest.raises(ValueError, match="seeds must lie inside"):
        flow_lines(linear(np.eye(2)), BOX, [[3.0, 0.0]])
    with pytest.raises(ValueError, match="shape"):
        flow_lines(linear(np.eye(2)), BOX, [1.0, 0.0])
    with pytest.raises(ValueError, match="spaced"):
        even_lines(linear(np.eye(2)), BOX, spacing=0.0)
    assert flow_lines(linear(np.eye(2)), BOX, []) == ()


def test_a_function_of_two_variables_is_drawn_in_their_plane():
    """A function of the user does not say of how many variables it is; the picture needs two, or those of its plane."""
    fun = lambda z: jnp.sum((z - 1) ** 4) + z[0] * z[1]
    drawn = od.analysis.phase_portrait("gradient_flow", fun, window=[(-1, 1), (-1, 1)])
    (only,) = drawn.fixed_points
    np.testing.assert_allclose(only.point, [0.5, 0.5], atol=1e-9)
    plane = od.analysis.Section([1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0])
    apart = lambda z: fun(z[:2]) + z[2] ** 2 + z[3] ** 2
    drawn = od.analysis.phase_portrait(
        "gradient_flow", apart, section=plane, window=[(-1, 1), (-1, 1)]
    )
    (only,) = drawn.fixed_points
    np.testing.assert_allclose(only.point, [-0.5, -0.5], atol=1e-6)
