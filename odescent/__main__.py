"""``python -m odescent``."""

from .cli import main

main()
