"""The version of the installed distribution."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("odescent")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0+unknown"
