"""The pictures of the documentation's gallery have no fault that a referee would find."""

from __future__ import annotations

import importlib.util

import pytest
from faults_of_figures import faults
from package_files import ROOT

spec = importlib.util.spec_from_file_location("gallery", ROOT / "docs" / "_engine" / "gallery.py")
assert spec is not None and spec.loader is not None
gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gallery)


@pytest.mark.parametrize("name", gallery.PICTURES)
def test_a_picture_has_no_faults(name: str):
    figure = gallery.PICTURES[name]()
    figure.draw_without_rendering()
    assert faults(figure) == []
