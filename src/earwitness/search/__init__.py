"""Searches ask, a driver answers. A new search is one file and one line in :data:`SEARCHES`."""

from .driver import Driver, Job, lacks_memory
from .freqrex import freqrex
from .minimal import minimal
from .problem import Method, Outcome, Problem
from .questions import Answer, BudgetSpent, Certificate, Complete, Found, Search, Sufficient, Target

#: name → search
SEARCHES: dict[str, Method] = {
    "minimal": minimal,
    "freqrex": freqrex,
}

__all__ = [
    "SEARCHES", "Answer", "BudgetSpent", "Certificate", "Complete", "Driver", "Found", "Job", "Method", "Outcome",
    "Problem", "Search", "Sufficient", "Target", "lacks_memory",
]  # fmt: skip
