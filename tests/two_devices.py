"""Code in a process of its own that sees two devices."""

import os
import subprocess
import sys
from pathlib import Path


def printed(code: str) -> str:
    """What the code prints; where that is nothing, what went wrong."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    root = str(Path(__file__).parents[1])
    env = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": root, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done.stdout.strip() or done.stderr
