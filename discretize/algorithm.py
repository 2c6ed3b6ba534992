from .iteration import *  # noqa: F403  (temporary shim; import from .iteration)
