"""Batches over several devices: the same numbers as on one, to rounding. And what a GPU would be given."""

import os
import subprocess
import sys
from pathlib import Path

TWO_DEVICES = """
import sys
sys.path.insert(0, sys.argv[1])
import jax
import numpy as np
jax.config.update("jax_enable_x64", True)
assert jax.device_count() == 2
from small_tasks import Small
from odescent.neural_de import Config, train
config = Config("small", steps=6, precision="float64", validate_every=3, regularizer="error", coefficient=0.1)
one, two = (train(config.replace(devices=n), task=Small(n=8)) for n in (1, 2))
split = jax.tree.leaves(two.model)[0]
assert len(split.sharding.device_set) == 2, split.sharding
np.testing.assert_allclose(two.model.rate, one.model.rate, rtol=1e-13)
assert abs(float(one.model.rate) - 0.5) > 1e-3
for a, b in zip(one.history, two.history, strict=True):
    if "loss" in a:
        assert a["nfe"] == b["nfe"]
        np.testing.assert_allclose([a["loss"], a["penalty"]], [b["loss"], b["penalty"]], rtol=1e-12)
print("same")
"""


# Lowered, not run: without the device a callback to Python, or an operation without a rule there, is refused.
FOR_CUDA = """
import equinox as eqx
import jax
import jax.numpy as jnp
from odescent.neural_de import Config
from odescent.neural_de.training.evaluation import Evaluation
from odescent.neural_de.training.setup import setup
for name, solver in (("digits-ode", None), ("spiral-sde", "cusolver_gesvdj_ffi")):
    made = setup(Config(name, regularizer="error"))
    batch = {n: jnp.asarray(a[: made.batch]) for n, a in made.rows.train.items()}
    batch |= Evaluation(made, lambda tree, split: tree).fixed
    arrays, rest = eqx.partition((made.begin(), batch, made.coefficients(0)), eqx.is_array)
    update = lambda arrays: eqx.filter(made.compiled._update(*eqx.combine(arrays, rest)), eqx.is_array)
    text = jax.jit(update).trace(arrays).lower(lowering_platforms=("cuda",)).as_text()
    assert "stablehlo.while" in text and "callback" not in text, name
    products = text.count("stablehlo.dot_general")
    assert text.count("precision = [HIGHEST, HIGHEST]") == products > 20, (name, products)
    assert solver is None or solver in text, name
print("lowered")
"""


def test_two_devices_agree_with_one():
    devices = "--xla_force_host_platform_device_count=2"
    assert run(TWO_DEVICES, XLA_FLAGS=devices, JAX_DISABLE_MOST_OPTIMIZATIONS="1") == "same"


def test_a_training_step_is_lowered_for_cuda_without_a_callback():
    # Equinox's checks of shapes and steps are its own callbacks, which it has on a GPU too.
    assert run(FOR_CUDA, EQX_ON_ERROR="nan") == "lowered"


def run(code: str, **settings: str) -> str:
    """What that code prints in a process of its own, on processors alone."""
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code, str(here)],
        env={**os.environ, "PYTHONPATH": str(here.parent), "JAX_PLATFORMS": "cpu", **settings},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
