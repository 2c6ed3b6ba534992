from .oracles import *  # noqa: F403  (temporary shim; import from .oracles)
