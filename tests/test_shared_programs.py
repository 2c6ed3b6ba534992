"""What the tests put in the place of a library's function has its values."""

import equinox.internal
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shared_programs
from equinox.internal._nextafter import prevbefore
from jax._src import compiler


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_before_is_that_of_equinox(dtype: type) -> None:
    info = np.finfo(dtype)
    ends = [0.0, -0.0, info.tiny, info.max, info.eps, 1.0, np.inf]
    drawn = np.random.default_rng(0).normal(size=1000) * 10.0 ** np.arange(-20, 20).repeat(25)
    x = jnp.asarray([*ends, *(-e for e in ends), *drawn, np.nan], dtype)
    found = shared_programs._before(x)
    assert found.dtype == x.dtype
    np.testing.assert_array_equal(found, prevbefore(x))
    slope = jax.jvp(shared_programs._before, (x[5],), (jnp.asarray(2, dtype),))[1]
    assert slope == 2


def test_diffrax_takes_it_where_programs_are_shared() -> None:
    shared = compiler.backend_compile_and_load is shared_programs._compiled
    assert (equinox.internal.prevbefore is shared_programs._before) == shared
