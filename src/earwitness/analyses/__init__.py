"""What is asked of signals and models beyond the search: pure functions, no store. One file an analysis."""
