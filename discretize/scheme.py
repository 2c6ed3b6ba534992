from .substeps import *  # noqa: F403  (temporary shim; import from .substeps)
