"""Registries: names to functions in modules that load on first use."""

import re
import subprocess
import sys

import pytest

import odescent as od
from odescent import OdescentError
from odescent._support.registry import Registry
from odescent._support.style import titled
from odescent.discretize import library as algorithms
from odescent.dynamics import library as systems

FRACTIONS = Registry("number", "email", {"text": "mime.text:MIMEText", "quote": "utils"})


def test_names_and_functions():
    assert FRACTIONS.names() == ["quote", "text"]
    from email.mime.text import MIMEText
    from email.utils import quote

    assert FRACTIONS.function("text") is MIMEText and FRACTIONS.function("quote") is quote


def test_build_passes_options_and_lets_the_entry_speak():
    assert FRACTIONS.build("text", _text="hello").get_payload() == "hello"
    with pytest.raises(LookupError):
        FRACTIONS.build("text", _text="hello", _charset="no-such-charset")


def test_an_option_that_the_entry_does_not_take_is_named():
    with pytest.raises(
        OdescentError, match=r"no option .* 'text' called 'charset': did you mean '_charset'"
    ):
        FRACTIONS.build("text", _text="", charset="ascii")


def test_an_option_that_is_missing_is_named():
    with pytest.raises(
        OdescentError, match=r"^the number 'text' needs the option _text, which must be given"
    ):
        FRACTIONS.build("text")
    needy = Registry("tool", "shutil", {"move": ":move"})
    with pytest.raises(
        OdescentError, match="needs the options src and dst, which must be given, as in src="
    ):
        needy.build("move")


def test_an_entry_that_takes_any_option_takes_any():
    assert Registry("double", "unittest", {"mock": "mock:Mock"}).build("mock", colour=3).colour == 3


def test_unknown_names():
    with pytest.raises(OdescentError, match="there is no number 'tex': did you mean 'text'"):
        FRACTIONS.build("tex")


def test_listing_loads_neither_entries_nor_jax():
    code = (
        "import sys; from odescent.dynamics import systems; assert 'adam' in systems();"
        "print([m for m in sys.modules if m.startswith(('jax', 'odescent.dynamics.library.', 'matplotlib', 'sympy'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# What a name becomes that is cut at its underscores and capitalized, where that is no word of the field.
MANGLED = {
    "Sc", "C", "Cbo", "Ogda", "Ogm", "Item", "Sgd", "Sgld", "Sor", "Nag", "Baoab", "Aboba", "Obabo", "Rmsprop",
    "Adagrad", "langevin", "nesterov", "newton", "abe", "matthews", "rachford",
}  # fmt: skip


@pytest.mark.parametrize("registry", [algorithms.REGISTRY, systems.REGISTRY])
def test_every_entry_has_a_title_of_the_field(registry: Registry) -> None:
    """A new entry comes with one; none is an identifier in disguise, and none stands for two entries."""
    assert set(registry.titles) == set(registry.names())
    assert len(set(registry.titles.values())) == len(registry.titles)
    for name, title in registry.titles.items():
        words = set(re.findall(r"[A-Za-z]+", title))
        assert title[0].isupper() and title.isascii() and "_" not in title, name
        assert not words & MANGLED, name
        assert registry.title(name) == title
    assert registry.title("my_own") == "my own"


@pytest.mark.parametrize("name", algorithms.REGISTRY.names())
def test_an_algorithm_is_called_by_its_title(name: str) -> None:
    algorithm = od.algorithm(name)
    assert algorithm.title == algorithms.REGISTRY.titles[name] == titled(name)
    assert algorithm.replace(outputs={}).title == algorithm.title
    assert algorithm.source("markdown").startswith(f"# {algorithm.title}\n")
    first = algorithm.source("numpy").splitlines()[0]
    assert (
        first.startswith(f'"""{algorithm.title}: one step') and len(first) <= 86
    )  # and of optax 88


@pytest.mark.parametrize("name", algorithms.REGISTRY.names())
def test_a_header_says_each_equation_once(name: str) -> None:
    """The system's rows, noise included, and what an oracle of the ensemble is."""
    header = od.algorithm(name).source("markdown").partition("```text\n")[2]
    rows = header.partition("System:\n")[2].split("\n    ")
    said = " ".join(" ".join(rows).split())
    for row in str(od.algorithm(name).system).splitlines():
        text = " ".join(row.split())
        assert len(re.findall(rf"(?<!\w){re.escape(text)}", said)) == 1
    drivers = [d for f in od.algorithm(name).system.fields.values() for d in f.noise.values()]
    assert len(re.findall(r" d[WBJ]\b", said)) == len(drivers)
    assert ("consensus point" in header) == ("ensemble_" in header)
    assert "sqrt(|" not in header


@pytest.mark.parametrize("name", systems.REGISTRY.names())
def test_a_system_is_called_by_its_title(name: str) -> None:
    system = od.system(name)
    assert system.bind({}).title == system.limit({}).title == systems.REGISTRY.titles[name]


def test_one_s_own_algorithm_is_called_by_its_name_in_words_or_by_its_system() -> None:
    flow = od.system("gradient_flow")
    own = od.Algorithm(flow, od.scheme("explicit_euler"), name="my_own")
    assert own.title == "my own"
    assert own.source("numpy").startswith('"""My own: one step')
    assert own.replace(name="gradient_flow").title == "Gradient flow"
    assert own.replace(name="").source("numpy").startswith('"""An unnamed algorithm: one step')
    assert titled(r"$f(x_k)$") == r"$f(x_k)$"


def test_pictures_and_derivations_say_the_title() -> None:
    bound = od.algorithm("nesterov_sc").bind(mu=1, L=10)
    said = "Nesterov, strongly convex"
    portrait = od.analysis.phase_portrait(bound, curvature=10, x0=1, steps=5)
    gaps = od.analysis.convergence(
        bound, od.objective("quadratic", eigenvalues=(1, 10)), [1.0, 1.0], 5
    )
    for drawn in (portrait.plot(), gaps.plot()):
        assert said in [t.get_text() for t in drawn.get_legend().get_texts()]
    derived = od.derive("nesterov")
    assert derived.text().startswith(f"{said}, by the immersion route\n")
    assert f"<title>{said}: a derivation</title>" in derived.html()
    assert rf"\section*{{{said}: the immersion route}}" in derived.latex()
