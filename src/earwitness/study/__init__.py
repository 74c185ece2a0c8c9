"""A study: its file, its store, how it is planned, run, resumed and read back."""
