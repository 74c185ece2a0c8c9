"""Figures in the style of a paper: functions named ``*_data`` compute, ``plot_*`` draw.

A ``plot_`` function takes matplotlib axes, or makes a figure of its own without opening a window, and returns the axes
it drew on.
"""
