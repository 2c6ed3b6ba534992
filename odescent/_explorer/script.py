"""A program, in the package's public names, that computes what a view shows and prints it as CSV."""

from __future__ import annotations

from collections.abc import Mapping

from .._support.errors import OdescentError
from ..discretize import Algorithm
from ..dynamics.vector_fields.system import Field
from .choice import (
    HEAT,
    MODE,
    OWN,
    PATHS,
    PLANE,
    algorithm,
    as_registered,
    said,
    scheme_call,
    text_of,
    warmed,
    written,
)  # fmt: skip
from .model import FLOW_STEPS, STEPS, Model, model
from .view import View

_IMPORTS = (
    ("replace(d", "from dataclasses import replace"),
    ("", ""),
    ("jax.enable", "import jax"),
    ("jnp.", "import jax.numpy as jnp"),
    ("", "import numpy as np"),
    ("sympy.", "import sympy"),
    ("", ""),
    ("", "import odescent as od"),
    ("of_run(", "from odescent.dynamics.random.sources import of_run, source"),
    ("gaussian_start(", "from odescent.particles import gaussian_start"),
)  # with what asks for it
_HEATED = f'''
def heated(system):
    """The system with the temperature {HEAT}, so that it samples exp(-f / {HEAT})."""
    root = sympy.sqrt(od.parameters("{HEAT}"))
    fields = {{}}
    for name, field in system.fields.items():
        noise = {{b: replace(d, amplitude=d.amplitude * root) for b, d in field.noise.items()}}
        fields[name] = od.Field(field.drift, noise)
    return system.with_fields(fields)

'''.lstrip()
# Oracles of the explorer's own quadratics besides value and gradient; a holds the curvatures.
_ORACLES = (
    "prox=lambda x, step: x / (1 + step * a)",
    "operator=lambda x: a * x",
    "map_newton=lambda x: x",
    "map_hessian_diagonal=lambda x: a + 0 * x",
)
_TABLE = """
print(*columns, sep=",")
for curve, at, f in curves:
    for k, point in enumerate(at):
        print(curve, k, *map(float, point), "" if f is None else float(f[k]), sep=",")
""".strip()


def script(seen: View) -> str:
    """The program; its rows are those of `exports.csv`.

    Raises OdescentError where nothing is drawn.
    """
    choice = seen.choice
    if not seen.kind:
        raise OdescentError("there is no picture to reproduce.")
    found = model(choice.method, choice.scheme, choice.tuned, choice.objective)
    parts = [_method(seen), _objective(seen, found), _run(seen, found)]
    parts += [_flow(seen, found)] if len(seen.flow) > 1 else []
    names = ", ".join(f'"{n}"' for n in ("curve", "k", *seen.axes, "f"))
    parts.append(f"columns = [{names}]\n{_TABLE}\n")
    text = "\n\n".join(parts)
    imports = "\n".join(line for word, line in _IMPORTS if word in text)
    title = f"{found.algorithm.name or said(choice.method)} on {said(choice.objective)}"
    what = "iterates and flow" if len(seen.flow) > 1 else "iterates"
    return f'"""{title}: {what} as CSV on the standard output."""\n\n{imports.strip()}\n\n{text}'


def _method(seen: View) -> str:
    """Statements that make the algorithm."""
    choice = seen.choice
    named, text = as_registered(choice.method), written(choice.method)
    registered = isinstance(named, Algorithm)
    lines = []
    if text is not None:
        lines.append(f"TEXT = {_literal(text)}")
        made = "od.parse_algorithm(TEXT)" if registered else "od.parse_system(TEXT)"
    else:
        made = f'od.{"algorithm" if registered else "system"}("{choice.method}")'
    lines.append(f"method = {made}")
    if isinstance(named, Algorithm):
        if warmed(named.system) is not None:
            lines = [_HEATED, *lines, "method = method.replace(system=heated(method.system))"]
    elif warmed(named) is not None:
        lines = [_HEATED, *lines, "method = heated(method)"]
    if choice.scheme != OWN:
        scheme = scheme_call(choice.method, choice.scheme)
        changed = f"method.replace(scheme={scheme}, clock=None)"
        lines.append(f"method = {changed if registered else f'od.Algorithm(method, {scheme})'}")
    if not choice.tuned and algorithm(choice.method, choice.scheme).tuning:
        lines.append("method = method.replace(tuning={})")
    return "\n".join(lines)


def _literal(text: str) -> str:
    """A text of several lines as they are, where no quotes or backslashes are in the way."""
    plain = '"""' not in text and "\\" not in text
    lines = text.strip("\n")
    return f'"""\n{lines}\n"""' if plain and not lines.endswith('"') else repr(text)


def _objective(seen: View, found: Model) -> str:
    """A statement that makes the objective."""
    on = seen.choice.objective
    text = text_of(on)
    if text is not None:
        return f"objective = od.parse_function({text!r})"
    if on not in (MODE, PLANE):
        return f'objective = od.objective("{on}")'
    curvatures = [seen.choice.curvature] if on == MODE else [seen.numbers["mu"], seen.numbers["L"]]
    exotic = set(found.asked) - {"grad", "value", "hess"}
    more = [f"    {text}," for text in _ORACLES if exotic]
    return "\n".join(
        [
            f"a = np.array({curvatures})  # curvatures",
            "objective = od.Objective(",
            '    "quadratic",',
            "    lambda x: jnp.vdot(a * x, x) / 2,",
            "    lambda x: a * x,",
            f"    dimension={len(curvatures)},",
            *more,
            ")",
        ]
    )


def _run(seen: View, found: Model) -> str:
    """Statements that make the curves of the iterates."""
    choice, numbers = seen.choice, seen.numbers
    own = _mapping({s.name: numbers[s.name] for s in found.algorithm.parameters})
    count = min(max(int(choice.paths), 1), PATHS)
    lines = [
        f"parameters = {own}",
        f"h = {numbers.get(found.algorithm.step.name, 1.0)}  # the step",
        f"x0 = np.array({[float(x) for x in choice.x0[: found.dimension]]})",
        f"steps = {min(max(int(choice.steps), 1), STEPS)}",
        "",
        *_points(found),
    ]
    if seen.ensemble is None:
        lines += [
            "run = method.run(objective, x0, steps, **parameters)",
            f'curves = [("iterates", points(run), {_values(seen)})]',
        ]
    elif found.meets:
        lines += [
            "with jax.enable_x64(True):  # draws are made of 64-bit integers",
            f"    start = gaussian_start(x0, {choice.width}, {count})({choice.seed}, 0).T",
            f"run = method.run(objective, start, steps, {choice.seed}, **parameters)",
            f"values = {_values(seen)}",
            "curves = [",
            '    (f"particle {i + 1}", points(run)[:, i], None if values is None else values[:, i])',
            f"    for i in range({count})",
            "]",
        ]
    else:
        lines += [
            "curves = []",
            f"for i in range({count}):",
            f"    key = of_run(source({choice.seed}), i)",
            "    run = method.run(objective, x0, steps, key, **parameters)",
            f'    curves.append((f"path {{i + 1}}", points(run), {_values(seen)}))',
        ]
    return "\n".join(lines)


def _mapping(numbers: Mapping[str, float]) -> str:
    return "{" + ", ".join(f'"{n}": {v}' for n, v in numbers.items()) + "}"


def _values(seen: View) -> str:
    return "None" if seen.values is None else "run.f"


def _points(found: Model) -> list[str]:
    """A function that takes the picture's coordinates from a run or a flow, and its blank lines."""
    one = f'found.states["{found.shown[0]}"]'
    if found.kind == "plane":
        body = ["    return found.x"]
    elif found.kind == "phase":
        body = [f'    return np.concatenate([{one}, found.states["{found.shown[1]}"]], axis=-1)']
    else:
        body = [
            f"    state = {one}",
            "    t = h * found.k if hasattr(found, 'k') else found.t".replace("'", '"'),
            "    t = np.broadcast_to(t.reshape(-1, *(1,) * (state.ndim - 1)), state.shape)",
            "    return np.concatenate([t, state], axis=-1)",
        ]
    return ["", "def points(found):", '    """The coordinates that are drawn."""', *body, "", ""]


def _flow(seen: View, found: Model) -> str:
    """Statements that add the curve of the flow, by the explorer's own Runge-Kutta steps, as far as it is finite."""
    bound = found.algorithm.bound
    system = ["system = method.bound"]
    if found.noisy:
        system = [
            "drift = {n: od.Field(f.drift) for n, f in method.bound.fields.items()}",
            "system = method.bound.with_fields(drift)  # without noise",
        ]
    if found.noisy:
        bound = bound.with_fields({n: Field(f.drift) for n, f in bound.fields.items()})
    own = _mapping({s.name: seen.numbers[s.name] for s in bound.parameters})
    count = len(seen.flow)
    begin = "0.0" if bound.autonomous else "1e-6 * dt"
    return "\n".join(
        [
            *system,
            f"dt = h * steps / {FLOW_STEPS}",
            f"t0 = {begin}",
            "flow = system.simulate(",
            f"    objective, x0, t0 + {2 * (count - 1)} * dt, t0=t0, parameters={own},",
            f'    solver="rk4", dt=dt, points={count},',
            ")",
            'curves.append(("flow", points(flow), None))',
        ]
    )
