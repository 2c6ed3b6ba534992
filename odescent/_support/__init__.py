"""Lowest layer of the package: errors, files, registries, lazy names, processes, style; without imports from it."""
