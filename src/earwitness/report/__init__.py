"""The report: data, figures, sounds, page."""

from .page import write_report
from .plots import plot_explanation, save_figure

__all__ = ["plot_explanation", "save_figure", "write_report"]
