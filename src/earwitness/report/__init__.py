"""The report: data, figures, sounds, page."""

from .page import write_report

__all__ = ["write_report"]
