"""Batches over several devices: the same numbers as on one, to rounding."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
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


def test_two_devices_agree_with_one():
    here = Path(__file__).parent
    settings = {
        "PYTHONPATH": str(here.parent), "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(here)],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0 and done.stdout.strip() == "same", done.stderr
