"""The smallest change that flips a label: found, bounded in audibility, verified as written to a file."""
