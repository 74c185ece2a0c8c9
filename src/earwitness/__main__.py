"""``python -m earwitness``."""

from .cli import main

main()
