"""Installing: exact work needs no extra, one that lacks is named, and bounds and addresses agree."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from absent import finders_without
from package_files import ROOT, imports, imports_and_classes, modules, package
from packaging.requirements import Requirement
from packaging.version import Version

import odescent as od
from odescent._support.installed import BROUGHT, EXTRAS, MissingExtra, command, missing
from odescent._support.rendering.rendered import Rendered

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = PROJECT["optional-dependencies"]
MODULES = {"scikit-learn": "sklearn", "pytest-xdist": "xdist", "mkdocs-material": "material"}
TOP = "odescent"


def setup():
    """setup.py as a module: it builds nothing when it is imported."""
    spec = importlib.util.spec_from_file_location("project_setup", ROOT / "setup.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


SETUP = setup()


# --- extras ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_sentences_name_what_pyproject_has(extra: str):
    declared = {wanted for wanted in OPTIONAL[extra] if Requirement(wanted).name != TOP}
    assert set(EXTRAS[extra].values()) == declared
    if extra != "cuda":  # JAX names its plug-in there
        names = {Requirement(wanted).name for wanted in declared}
        assert set(EXTRAS[extra]) == {MODULES.get(name, name) for name in names}


def test_every_import_of_the_package_is_declared():
    needed = {Requirement(wanted).name for wanted in PROJECT["dependencies"]}
    optional = {module for packages in EXTRAS.values() for module in packages}
    optional |= BROUGHT.keys()
    brought = {"mpmath", "pygments"}  # by sympy and rich
    seen = set()
    for path in modules().values():
        nodes = imports(imports_and_classes(path), package(path))
        seen |= {base.partition(".")[0] for base, _ in nodes if base and not base.startswith(".")}
    strangers = seen - {TOP, *sys.stdlib_module_names} - needed - optional - brought
    assert strangers == set()


EXACT = """
import sys
sys.path[:0] = [ROOT, ROOT + "/tests"]
from absent import finders_without
sys.meta_path[:] = finders_without(
    "jax", "jaxlib", "diffrax", "equinox", "optimistix", "lineax", "matplotlib", "optax", "sklearn", "torch"
)
import odescent as od
d = od.derive("nesterov")
assert d.verified and d.html() and d.text()
nesterov = od.algorithm("nesterov_sc")
assert nesterov.derivation().text() and str(nesterov.modified_equation(1)) and nesterov._repr_mimebundle_()
for target in ("numpy", "jax", "optax", "torch", "latex", "markdown"):
    assert nesterov.source(target)
assert od.recognize(nesterov) and nesterov.equivalent(nesterov)
assert od.analysis.certify(nesterov, mu=1, L=10).verify()

from typer.testing import CliRunner
from odescent.cli import app
def answer(line):
    done = CliRunner().invoke(app, line.split())
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done
for line in ("list", "derive adam", "emit adam --target torch", "certify triple_momentum --mu 1 --L 10"):
    assert answer(line).exit_code == 0, (line, answer(line).stderr)

nag = od.algorithm("heavy_ball", step=0.1, momentum=0.5)
for name, act in (
    ("JAX", lambda: nag.run(lambda x: (x * x).sum(), [1.0], 3)),
    ("JAX", lambda: od.algorithm("adam").to_optax()),
    ("equinox", lambda: od.neural_de.train(od.neural_de.Config("spirals-ode", steps=1))),
    ("PyTorch", lambda: od.algorithm("adam").to_torch([])),
):
    try:
        act()
    except od.OdescentError as error:
        assert str(error).startswith(f"this needs {name}, which is not installed; "), error
        assert ": pip install '" in str(error), error
        assert isinstance(error, ModuleNotFoundError) and error.name
        assert "\\n" not in str(error)
    else:
        raise AssertionError(name)
for line in (
    "simulate nesterov_sc --objective rosenbrock", "demo --out D", "train spirals-ode --out D",
    "portrait heavy_ball --curvature 1", "figures --paper acceleration --out D",
):
    done = answer(line)
    assert done.exit_code == 2 and done.stderr.count("\\n") == 1 and "pip install '" in done.stderr, (line, done.stderr)

try:  # of others nothing is said
    import jax
except ModuleNotFoundError as error:
    assert type(error) is ModuleNotFoundError and str(error) == "No module named 'jax'"
import importlib.util
assert importlib.util.find_spec("jax") is None
print("done")
"""


def test_exact_work_needs_no_extra_and_the_rest_says_which(tmp_path: Path):
    code = EXACT.replace("ROOT", repr(str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "done\n", done.stderr


def test_the_command_names_what_is_missing(monkeypatch: pytest.MonkeyPatch):
    """Packages of an index, and not odescent: it works without a checkout, in one, and beside an installed wheel."""
    monkeypatch.setattr(sys, "meta_path", finders_without("jax", "optax", "sklearn"))
    for name in ("jax", "optax", "sklearn"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert command("run") == "pip install 'jax>=0.8'"
    assert command("train") == "pip install 'optax>=0.2.6' 'scikit-learn>=1.6'"
    error = missing("optax")
    assert isinstance(error, MissingExtra) and isinstance(error, od.OdescentError)
    assert str(error) == (
        "this needs optax, which is not installed; the extra 'train' brings it: "
        "pip install 'optax>=0.2.6' 'scikit-learn>=1.6'"
    )


def test_a_result_shows_its_words_where_its_picture_cannot_be_drawn():
    class Drawn(Rendered):
        def __str__(self) -> str:
            return "the words"

        def plot(self) -> None:
            raise missing("matplotlib")

    page = Drawn()._repr_html_()
    assert (
        "the words" in page and "No picture: this needs matplotlib, which is not installed" in page
    )


def test_nothing_asks_an_index_for_odescent():
    """Until it is on one: `pip install odescent[...]` fails wherever it is not installed."""
    texts = [*modules().values(), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    texts += [*(ROOT / "examples").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    for path in texts:
        found = re.search(r"pip install ['\"]?odescent", path.read_text(encoding="utf-8"))
        assert found is None, f"{path}: {found}"


# --- versions -------------------------------------------------------------------------------------


def test_the_lowest_versions_are_the_bounds():
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    pins = {}
    for line in lines:
        name, version = re.fullmatch(
            r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.+!]+)", line
        ).groups()
        pins[name.lower()] = Version(version)
    wanted = [
        *PROJECT["dependencies"],
        *(w for e in ("run", "plot", "train", "test") for w in OPTIONAL[e]),
    ]
    for requirement in map(Requirement, wanted):
        if requirement.name != TOP:
            (bound,) = requirement.specifier
            assert bound.operator == ">="
            assert pins[requirement.name.lower()] == Version(bound.version), requirement.name


def test_every_bound_is_below_what_ci_has():
    pins = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    )
    for requirement in map(
        Requirement, [*PROJECT["dependencies"], *(w for extra in OPTIONAL.values() for w in extra)]
    ):
        if requirement.name != TOP:
            assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement


def test_the_python_versions_are_the_classifiers():
    known = {c.rpartition(" ")[2] for c in PROJECT["classifiers"] if "Python :: 3." in c}
    assert f">={min(known, key=Version)}" == PROJECT["requires-python"]


# --- addresses ------------------------------------------------------------------------------------

README = """# odescent

Text with [a page](docs/a.md), [a place](#here), [another](https://example.org/x) and a list[0](x).

<!-- picture -->
![words](docs/a.svg)

*What it shows.*
<!-- /picture -->

## Next
"""


def test_a_readme_without_addresses_has_no_link_into_the_tree():
    text = SETUP.readme(README, {}, "1.2")
    assert "with a page, [a place](#here), [another](https://example.org/x)" in text
    assert "words" not in text and "What it shows" not in text
    assert text.startswith("# odescent\n\nText") and "\n\n## Next\n" in text


def test_a_readme_with_addresses_has_whole_ones():
    known = {
        "repository": "https://example.org/r",
        "issues": "https://example.org/r/issues",
        "page": "https://example.org/r/blob/v{version}/{path}",
        "file": "https://example.org/r/raw/v{version}/{path}",
    }
    text = SETUP.readme(README, known, "1.2")
    assert "[a page](https://example.org/r/blob/v1.2/docs/a.md)" in text
    assert "![words](https://example.org/r/raw/v1.2/docs/a.svg)" in text
    assert text.startswith(
        "# odescent\n\n[Repository](https://example.org/r) · [Issues](https://example.org/r/issues)\n\nText"
    )
    assert SETUP.urls(known) == {"Repository": known["repository"], "Issues": known["issues"]}


def test_the_links_of_the_readme_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for _, _, target in SETUP._LINK.findall(text):
        assert target.startswith(("https://", "#")) or (ROOT / target).is_file(), target
    bare = SETUP.readme(text, {}, "1")
    assert not [t for _, _, t in SETUP._LINK.findall(bare) if not t.startswith(("https://", "#"))]


def test_addresses_stand_in_one_file():
    """Metadata and citation have those of addresses.toml and no others; elsewhere there is none."""
    known = SETUP.addresses()
    assert set(known) <= {*SETUP.LABELS, "page", "file"}
    assert "urls" not in PROJECT and {"readme", "urls"} <= set(PROJECT["dynamic"])
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    said = dict(re.findall(r"^(repository-code|url): \"?([^\"\n]+)\"?$", citation, re.MULTILINE))
    names = {"repository-code": "repository", "url": "documentation"}
    assert said == {key: known[name] for key, name in names.items() if name in known}
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert not re.search(r"^(site_url|repo_url|edit_uri):", site, re.MULTILINE)
