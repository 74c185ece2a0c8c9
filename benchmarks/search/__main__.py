"""``python -m benchmarks.search``: see :mod:`benchmarks.search.run`."""

from .run import main

if __name__ == "__main__":
    main()
