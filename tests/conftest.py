"""A strict world for every test: float64, no silent promotion, no window, types checked at run time.

Heavy libraries are loaded here, so a test about lazy imports runs its code in a process of its own.
"""

import os
import sys
from collections.abc import Iterator

import hypothesis
import jax
import jaxtyping
import matplotlib
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

matplotlib.use("Agg")

# `ci` draws the same examples every time; HYPOTHESIS_PROFILE=explore looks further.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Every annotated function of the package is checked when it is called, shapes included; an int may
# stand for a float (PEP 484). An annotation that cannot be resolved at run time (a name imported
# under TYPE_CHECKING) is not checked. The hook has to be there before the package is imported.
jaxtyping.install_import_hook(
    [
        "odescent.analysis",
        "odescent.dynamics.problems",
        "odescent.dynamics.simulate",
        "odescent.dynamics.evaluate",
        "odescent.dynamics.oracles",
        "odescent.discretize.run",
        "odescent.discretize.emit",
        "odescent.neural_de",
    ],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs an accelerator where JAX sees none."""
    if item.get_closest_marker("gpu") and jax.default_backend() == "cpu":
        pytest.skip("JAX sees no accelerator")


@pytest.fixture(autouse=True)
def _markers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Honour the markers `untyped` and `promotion`; close the figures that a test left open."""
    if request.node.get_closest_marker("untyped"):
        jaxtyping.config.update("jaxtyping_disable", True)
    promotion = request.node.get_closest_marker("promotion")
    rank, dtype = ("allow", "standard") if promotion else ("raise", "strict")
    try:
        with jax.numpy_rank_promotion(rank), jax.numpy_dtype_promotion(dtype):
            yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
        if pyplot := sys.modules.get("matplotlib.pyplot"):
            pyplot.close("all")


@pytest.fixture
def key() -> jax.Array:
    """A fixed JAX key."""
    return jax.random.key(0)
