"""Searches ask, a driver answers. A new search is one file and one line in :data:`SEARCHES`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..plugins import Registry

if TYPE_CHECKING:
    from .problem import Method, Outcome, Problem
    from .questions import Search


def _minimal(problem: Problem) -> Search[Outcome]:
    from .minimal import minimal

    return minimal(problem)


def _freqrex(problem: Problem) -> Search[Outcome]:
    from .freqrex import freqrex

    return freqrex(problem)


#: name → search; searches are imported only when called, so that their names cost nothing
SEARCHES: Registry[Method] = Registry("earwitness.searches", {"minimal": _minimal, "freqrex": _freqrex})
