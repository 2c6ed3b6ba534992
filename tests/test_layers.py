"""The layers of the package: which folder may import from which, as data, and no import circle.

Every import counts: at the top of a file, inside functions, and for type checkers. A package's ``__init__``, which
names what others define, is left out.
"""

import ast
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from package_files import ROOT, imports, imports_and_classes, modules, package

# From the ground up: a folder imports from those above its line in this list, and from itself.
LAYERS = (
    "_support",
    "_support.held",
    "_support.rendering",
    "dynamics.numbers",
    "dynamics.algebra",
    "dynamics.notation",
    "dynamics.samples",
    "dynamics.maps",
    "dynamics.implicit",
    "dynamics.solves",
    "dynamics.vector_fields",
    "dynamics.fast_slow",
    "dynamics.evaluation",
    "dynamics.random",
    "dynamics.flows",
    "dynamics",
    "dynamics.grammar",
    "dynamics.library",
    "dynamics.problems",
    "dynamics.stochastic",
    "discretize.programs",
    "discretize.linear",
    "discretize.step",
    "discretize.expansion",
    "discretize.equality",
    "discretize.emit.accuracy",
    "discretize.emit.printing",
    "discretize.emit.lowering",
    "discretize.emit",
    "discretize.emit.transform",
    "discretize.emit.modules",
    "discretize.emit.tensors",
    "discretize.emit.backends",
    "discretize.runs",
    "discretize.proof",
    "discretize",
    "discretize.library.schemes",
    "discretize.library",
    "discretize.reading",
    "discretize.pole_placement",
    "discretize.weak",
    "discretize.routes",
    "discretize.routes.methods",
    "discretize.identification",
    "analysis.sections",
    "analysis.attraction",
    "analysis.tipping",
    "analysis.chaos",
    "analysis.branches",
    "analysis.noise",
    "analysis.portraits",
    "analysis.rates",
    "analysis.landscapes",
    "analysis.certificates.checking",
    "analysis.certificates.methods",
    "analysis.certificates.lower_bounds",
    "analysis.certificates.searching",
    "analysis.certificates",
    "analysis.bilevel",
    "analysis.cycling",
    "analysis.sweeps",
    "analysis.synthesis",
    "analysis.plots",
    "particles.engine",
    "particles.searches",
    "particles.theory",
    "particles.plots",
    "neural_de.tracking",
    "neural_de.regularization",
    "neural_de.solving",
    "neural_de.settings",
    "neural_de.models",
    "neural_de.tasks",
    "neural_de.optimizers",
    "neural_de.training",
    "neural_de.inspection",
    "neural_de.interop",
    "paper_figs",
    "paper_figs.acceleration",
    "paper_figs.consensus",
    "paper_figs.heuristics",
    "paper_figs.local",
    "paper_figs.operators",
    "paper_figs.samples",
    "_cli.base",
    "_explorer",
    "_cli.commands",
    "_cli",
    "",
)
Graph = Mapping[str, Iterable[str]]


def known() -> dict[str, Path]:
    """The files of the package by module, without the package's own name."""
    return {name.removeprefix("odescent").removeprefix("."): p for name, p in modules().items()}


def imported(path: Path, package: Sequence[str], files: Container[str]) -> Iterator[str]:
    """The modules that a file of the package imports, wherever in the file that stands."""
    for base, name in imports(imports_and_classes(path), package):
        inner = f"{base}.{name}".removeprefix("odescent.")
        yield inner if inner in files else base.removeprefix("odescent.")


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    """Who imports whom, file by file, without the packages' ``__init__``."""
    every = known()
    files = {m for m, path in every.items() if path.stem != "__init__"}
    return {
        m: set(imported(every[m], package(every[m]), every)) & files - {m} for m in sorted(files)
    }


def folder(module: str) -> str:
    """The layer of a module: its folder."""
    return module.rpartition(".")[0]


def circles(arrows: Graph) -> list[frozenset[str]]:
    """Sets of modules that import one another: strongly connected components of more than one (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(v: str) -> None:
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in arrows.get(v, ()):
            if w not in index:
                visit(w)
            if w in stack:
                low[v] = min(low[v], low[w])
        if low[v] == index[v]:
            part = stack[stack.index(v) :]
            del stack[stack.index(v) :]
            if len(part) > 1:
                found.append(frozenset(part))

    for v in arrows:
        if v not in index:
            visit(v)
    return found


def drawn(arrows: Graph) -> str:
    """The graph of folders in the order of the layers, with how many files import; what points up is marked."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for module, others in arrows.items():
        for other in others:
            if folder(module) != folder(other):
                counts[folder(module), folder(other)] += 1
    lines = []
    for layer in LAYERS:
        to = [
            f"{b or 'odescent'} ({n}){' UP' * (LAYERS.index(b) > LAYERS.index(a))}"
            for (a, b), n in sorted(counts.items())
            if a == layer
        ]
        lines.append(f"{layer or 'odescent':<26} -> {', '.join(to)}")
    return "\n".join(lines)


def test_every_folder_is_a_layer(arrows: Graph) -> None:
    assert {folder(m) for m in arrows} == set(LAYERS)


def test_imports_point_down(arrows: Graph) -> None:
    up = [
        f"{m} imports {o}"
        for m, others in arrows.items()
        for o in others
        if LAYERS.index(folder(o)) > LAYERS.index(folder(m))
    ]
    assert not up, "\n".join(["", *up, "", drawn(arrows)])


def test_no_file_imports_what_imports_it(arrows: Graph) -> None:
    found = [sorted(c) for c in circles(arrows)]
    assert not found, f"files that import one another: {found}"


def test_inside_of_the_package_imports_are_relative() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in modules().values()
        for node in imports_and_classes(path)
        if isinstance(node, ast.ImportFrom)
        and not node.level
        and (node.module or "").split(".")[0] == "odescent"
    ]
    assert wrong == []


def test_no_folder_is_a_long_row(arrows: Graph) -> None:
    rows: dict[str, int] = defaultdict(int)
    for m in arrows:
        rows[folder(m)] += 1
    assert {f: n for f, n in rows.items() if n > 15} == {}


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("from .vectors import x", {"dynamics.vectors"}),
        ("def f():\n    from ..analysis import rates", {"analysis.rates"}),
        ("if TYPE_CHECKING:\n    from . import vectors, other", {"dynamics.vectors", "dynamics"}),
        ("from .. import analysis", {"analysis"}),
    ],
)
def test_every_way_to_import_is_seen(tmp_path: Path, written: str, wanted: set[str]) -> None:
    file = tmp_path / "fields.py"
    file.write_text(written)
    files = ("dynamics", "dynamics.vectors", "analysis", "analysis.rates")
    assert set(imported(file, ["odescent", "dynamics"], files)) == wanted


def test_circles_are_found() -> None:
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set[str]()}
    assert circles(arrows) == [frozenset("abc")]
