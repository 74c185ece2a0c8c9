"""Intervals, tests and scores: how sure a rate, a difference or a verdict is."""
