from .fields import *  # noqa: F403  (temporary shim; import from .fields)
from .fields import start, mu, L  # noqa
