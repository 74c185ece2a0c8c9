"""Commands that are more than a few lines: one file each, named by one line in ``cli.py``."""
