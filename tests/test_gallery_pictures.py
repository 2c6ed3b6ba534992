"""The pictures of the documentation's gallery have no fault that a referee would find."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

import pytest
from faults_of_figures import faults
from package_files import ROOT

NAMES = (
    "iterates_over_the_flow", "four_wells", "cycles_in_the_plane", "a_function_on_which_heavy_ball_cycles",
    "basins_of_the_counterexample", "modal_radius", "gap_to_the_flow", "consensus_beside_langevin", "shares_of_basins",
)  # fmt: skip


@cache
def pictures() -> dict[str, Any]:
    """Loaded when a test runs: the module imports pyplot."""
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "docs/_engine/gallery.py")
    assert spec is not None and spec.loader is not None
    gallery = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gallery)
    return dict(gallery.PICTURES)


def test_every_picture_is_looked_at():
    assert tuple(pictures()) == NAMES


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.optimized) if n == "shares_of_basins" else n for n in NAMES],
)
def test_a_picture_has_no_faults(name: str):
    figure = pictures()[name]()
    figure.draw_without_rendering()
    assert faults(figure) == []
