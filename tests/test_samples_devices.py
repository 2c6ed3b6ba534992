"""Runs with samples on several devices: the bits of one key are those of one device."""

from two_devices import printed

SCRIPT = """
import functools
import jax
import jax.numpy as jnp
import numpy as np
import odescent as od
jax.config.update("jax_enable_x64", True)
devices = jax.devices()
assert len(devices) == 2
rows = jax.random.normal(jax.random.key(1), (40, 3))
loss = lambda p, row: jnp.sum((p - row) ** 4)
data = od.FiniteSum("f", loss, rows, batch=4)
bowl = od.Objective("f", lambda p: jnp.sum((p - 1) ** 4 + p**2), dimension=3)
starts = jax.random.normal(jax.random.key(2), (6, 3))
mesh = jax.make_mesh((2,), ("i",))
by_row = jax.sharding.NamedSharding(mesh, jax.P("i"))
for name, f, options, given in (
    ("zeroth_order", bowl, {}, {"h": 0.01, "r": 0.01}),
    ("zeroth_order", bowl, {"law": "sphere", "deferred": True}, {"h": 0.01, "r": 0.01}),
    ("sketched_gradient_descent", bowl, {"rows": 3}, {"h": 0.01}),
    ("sgd", data, {"noise": "minibatch"}, {"h": 0.01}),
    ("implicit_gradient_transport", data, {"noise": "minibatch"}, {"h": 0.01, "beta": 0.9}),
):
    method = od.algorithm(name, **options)
    for normals in ("counter", "jax"):
        run = functools.partial(method.run, f, steps=25, key=jax.random.key(3), normals=normals, **given)
        # a run on either device
        whole = [run(jax.device_put(starts[0], device)) for device in devices]
        assert whole[1].x.devices() == {devices[1]}
        np.testing.assert_array_equal(*(np.asarray(r.x) for r in whole))
        # runs from several points, half of them on each device: one program for every run
        ends = lambda some: jax.lax.map(lambda x0: run(x0).x[-1], some)
        halves = jax.jit(jax.shard_map(ends, mesh=mesh, in_specs=jax.P("i"), out_specs=jax.P("i"), check_vma=False))
        one, two = jax.jit(ends)(starts), halves(jax.device_put(starts, by_row))
        assert len(two.sharding.device_set) == 2 and np.isfinite(one).all() and np.ptp(one) > 0.01
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))
# one run whose point lies on both devices: the samples have the same bits, and so the path of exact sums
exact = od.Objective("f", lambda p: jnp.sum(jnp.round(p * 64) / 64), dimension=8)
for law in ("normal", "rademacher", "uniform"):
    run = functools.partial(
        od.algorithm("zeroth_order", law=law).run, exact, steps=25, key=jax.random.key(3), h=0.25, r=0.5
    )
    x0 = jnp.arange(8.0)
    paths = run(x0), run(jax.device_put(x0, by_row))
    assert np.ptp(paths[0].x[-1] - x0) > 0.1
    np.testing.assert_array_equal(*(np.asarray(r.x) for r in paths))
print("same bits")
"""


def test_one_key_gives_the_same_bits_on_one_and_on_two_devices():
    assert printed(SCRIPT) == "same bits"
