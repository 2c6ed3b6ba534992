"""Batches over several devices: the same numbers as on one, to rounding. And what a GPU would be given."""

import os
import subprocess
import sys
from pathlib import Path

SPLIT = """
import jax
import numpy as np
from odescent.neural_de.training.loop import placement
batch, model = {"x": np.arange(12.0).reshape(4, 3)}, {"w": np.ones(3), "dropout": 0.5}
rows, weights = placement(2)(batch, True), placement(2)(model, False)
halves = [(shard.device.id, shard.data.tolist()) for shard in rows["x"].addressable_shards]
assert halves == [(0, batch["x"][:2].tolist()), (1, batch["x"][2:].tolist())], halves
assert [shard.data.tolist() for shard in weights["w"].addressable_shards] == [[1.0] * 3] * 2
assert weights["dropout"] == 0.5
made = jax.jit(lambda x, w: x @ w)(rows["x"], weights["w"])
assert len(made.sharding.device_set) == 2 and made.tolist() == [3, 12, 21, 30]
print("split")
"""


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


PAIR = "--xla_force_host_platform_device_count=2"


def test_rows_are_split_over_two_devices_and_weights_are_on_both():
    assert run(SPLIT, XLA_FLAGS=PAIR) == "split"


def test_two_devices_agree_with_one():
    assert run(TWO_DEVICES, XLA_FLAGS=PAIR, JAX_DISABLE_MOST_OPTIMIZATIONS="1") == "same"


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
