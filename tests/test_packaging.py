"""The tree, the package and their rules agree: what is shipped, who imports whom, what loads when."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from package_files import FOLDERS, ROOT, imports, imports_and_classes, package, sources

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]

FORBIDDEN = {
    "dynamics": {"discretize", "analysis", "neural_de", "particles", "paper_figs"},
    "discretize": {"analysis", "neural_de", "particles", "paper_figs"},
    "analysis": {"neural_de", "particles", "paper_figs"},
    "neural_de": {"particles", "paper_figs"},
    "particles": {"neural_de", "paper_figs"},
}


def python(code: str, *options: str) -> str:
    """Run `code` in an interpreter of its own that imports from this tree; return what it prints."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"
    done = subprocess.run(
        [sys.executable, *options, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def packages_in_tree() -> dict[str, str]:
    """Package name -> folder, read off the folders that hold an `__init__.py`."""
    found = {"odescent": "odescent"}
    for folder in ("odescent", *FOLDERS):
        for init in sources(ROOT / folder):
            if init.name == "__init__.py" and init.parent != ROOT / "odescent":
                path = init.parent.relative_to(ROOT)
                inside = path.parts if folder == "odescent" else ("odescent", *path.parts)
                found[".".join(inside)] = path.as_posix()
    return found


def imported_modules(path: Path) -> set[str]:
    """The modules that a file of the package imports, at any depth, by their absolute names."""
    pairs = set(imports(imports_and_classes(path), package(path, ROOT)))
    return {base for base, _ in pairs} | {f"{base}.{name}" for base, name in pairs if name}


def test_listed_packages_are_those_in_the_tree():
    assert SETUPTOOLS["package-dir"] == packages_in_tree()
    assert sorted(SETUPTOOLS["packages"]) == sorted(SETUPTOOLS["package-dir"])


def test_every_folder_with_sources_is_a_package():
    for folder in FOLDERS:
        for path in sources(ROOT / folder):
            assert (path.parent / "__init__.py").is_file(), f"{path.parent} lacks __init__.py"


@pytest.mark.parametrize("folder", FOLDERS)
def test_links_make_a_plain_checkout_importable(folder: str):
    link = ROOT / "odescent" / folder
    assert link.is_symlink()
    assert link.readlink().as_posix() == f"../{folder}"
    assert link.resolve() == ROOT / folder


def test_py_typed_is_there_and_shipped():
    assert (ROOT / "odescent" / "py.typed").is_file()
    assert "py.typed" in SETUPTOOLS["package-data"]["odescent"]


def test_every_file_of_data_is_shipped():
    data = {
        path.relative_to(ROOT).as_posix()
        for folder in ("odescent", *FOLDERS)
        for path in (ROOT / folder).rglob("*.bib")
    }
    shipped = {
        f"{SETUPTOOLS['package-dir'][package]}/{name}"
        for package, names in SETUPTOOLS["package-data"].items()
        for name in names
    }
    assert data and data <= shipped


def test_constraints_are_plain_pins_that_cover_what_make_installs():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {}
    for line in lines:
        pin = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.+!]+)", line)
        assert pin, f"not a plain name==version line: {line!r}"
        pins[re.sub(r"[-_.]+", "-", pin[1]).lower()] = pin[2]
    assert len(pins) == len(lines), "a package is pinned twice"

    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"], *extras["test"], *extras["dev"]]
    names = {re.match(r"[A-Za-z0-9._-]+", entry)[0].lower() for entry in wanted} - {"odescent"}
    assert names <= pins.keys()


def test_one_version_everywhere():
    version = PROJECT["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_dependencies_point_one_way(folder: str):
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(ROOT / folder)
        for name in sorted(imported_modules(path))
        if name.removeprefix("odescent.").split(".")[0] in FORBIDDEN[folder]
    ]
    assert not wrong


def test_import_rule_sees_every_way_to_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "dynamics" / "library").mkdir(parents=True)
    file = tmp_path / "dynamics" / "library" / "heavy_ball.py"
    file.write_text(
        "import odescent.neural_de.train\n"
        "def f():\n"
        "    from ...discretize import schemes\n"
        "    from ... import analysis\n"
        "    import_module('odescent.discretize.runs.run')\n"
        "    from .. import System\n"
    )
    assert imported_modules(file) == {
        "odescent.neural_de.train",
        "odescent.discretize",
        "odescent.discretize.schemes",
        "odescent",
        "odescent.analysis",
        "odescent.discretize.runs.run",
        "odescent.dynamics",
        "odescent.dynamics.System",
    }


def test_nothing_of_the_package_is_importable_by_a_bare_name():
    code = """
import importlib, pkgutil, odescent
names = [m.name for m in pkgutil.walk_packages(odescent.__path__, "odescent.")]
for name in names:
    if not name.endswith("__main__"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in ("marimo", "torch"):  # of an extra
                raise
print(len(names), *sorted(set(FOLDERS) & sys.modules.keys()))
""".replace("FOLDERS", repr(FOLDERS))
    count, *bare = python(code, "-W", "ignore").split()
    assert int(count) >= len(SETUPTOOLS["packages"]) - 1
    assert not bare


def test_importing_odescent_loads_nothing_heavy():
    loaded = set(python("import odescent; print(*sys.modules)").split())
    assert "odescent" in loaded
    assert not loaded & {"diffrax", "jax", "matplotlib", "numpy", "scipy", "sympy", "typer"}


def test_files_stay_short_enough_to_read():
    folders = ("odescent", *FOLDERS, "tests", "examples", "benchmarks")
    sizes = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for folder in folders
        for path in sources(ROOT / folder)
    }
    # what checks a certificate or a derivation elsewhere is one file by intention; the checker is to become
    # shorter still, 800 lines
    assert sizes.pop("analysis/certificates/checking/checker.py") <= 959
    assert sizes.pop("odescent/replay.py") <= 641
    assert {name: size for name, size in sizes.items() if size > 500} == {}


def test_one_class_name_means_one_thing():
    """But for the files that stand alone, and a claim, which derivations and figures both make and check."""
    alone = {"checker.py", "replay.py"}
    homes = defaultdict(list)
    for folder in ("odescent", *FOLDERS):
        for path in sources(ROOT / folder):
            for node in imports_and_classes(path):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    homes[node.name] += [path.name] if path.name not in alone else []
    twice = {name: files for name, files in homes.items() if len(files) > 1}
    assert twice.keys() <= {"Claim"}, twice
