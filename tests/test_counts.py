"""What searches and studies count: questions, model calls, bytes. No clock is asked."""

from __future__ import annotations

from benchmarks.cost import counts


def test_no_more_is_asked_and_written_than_before() -> None:
    """A tenth more is arithmetic of another machine; what is more than that is a change to be known of."""
    before, now = counts.read(), counts.count()
    assert list(now) == list(before)
    more = {name: (before[name], value) for name, value in now.items() if value > 1.1 * before[name]}
    assert not more, "if it is meant to be so: python -m benchmarks.cost --counts --write"
