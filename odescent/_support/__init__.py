"""Ground of the package: errors, files, registries, lazy names, processes, style. Imports nothing of the package."""
