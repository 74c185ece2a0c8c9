"""How much a search tries: when what more questions promise is not worth them.

What a search gained of late says what it will gain. While its smallest set loses a tenth of its variables within so
many questions it goes on, the longer the larger the set is; then it stops. Where there is no set yet, what counts as
gain is that some answer came nearer.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

ENDLESS = 1 << 60


@dataclass(frozen=True)
class Effort:
    """When a search for complete sets stops.

    Attributes
    ----------
    least, most : int
        Questions within which the best set must have become smaller by a tenth.
    worth : int
        Between these two, so many for each variable beyond two.
    hope : int
        Questions in which nothing came nearer, where there is no set yet; and of a map, with which no answer differed.
    """

    least: int
    most: int
    worth: int
    hope: int

    @property
    def endless(self) -> bool:
        """Whether it goes on as long as the budget lasts."""
        return self.least >= ENDLESS

    def times(self, repeats: int) -> Effort:
        """The same where each question is asked so often, and counted."""
        return Effort(*(repeats * number for number in astuple(self)))

    def patience(self, size: int) -> int:
        """Questions within which a set of so many variables must have become smaller."""
        return min(self.most, max(self.least, self.worth * (size - 2)))


EFFORTS = {
    "quick": Effort(least=80, most=200, worth=10, hope=40),
    "normal": Effort(least=150, most=400, worth=20, hope=72),
    "thorough": Effort(least=ENDLESS, most=ENDLESS, worth=0, hope=ENDLESS),
}
THOROUGH = EFFORTS["thorough"]
