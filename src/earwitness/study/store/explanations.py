"""Explanations: what models say to clips, the sets that were found, null signals beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import StoreError
from .connection import Connection
from .packing import pack, pack_mask, squeeze, unpack, unpack_mask, unsqueeze
from .schema import PLANNED

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from ...explanation import Explanation, Part
    from .packing import Log, Mask


#: of rows ``e``, those of the study
_OF_STUDY = f" {PLANNED} WHERE e.settings = ?1"


@dataclass(frozen=True)
class Record:
    """An explanation as the rows of the store: what a worker sends to the one writer.

    Attributes
    ----------
    size, queries : int
        Number of variables; questions asked.
    seconds : float
    why : str
    responsibility : bytes or None
        zlib of float32 little endian [size].
    original : bytes
        The model's answer to the clip, see :func:`pack`.
    subsets : tuple of tuple
        Kind, draw, and the other columns of ``subsets`` from ``mask`` to ``why``.
    unsteady : float
        See :class:`earwitness.Explanation`.
    """

    size: int
    queries: int
    seconds: float
    why: str
    responsibility: bytes | None
    original: bytes
    subsets: tuple[tuple[Any, ...], ...]
    unsteady: float = 0.0

    @classmethod
    def of(cls, explanation: Explanation) -> Record:
        """The rows of an explanation."""
        size, responsibility = explanation.spectrum.size, explanation.responsibility
        packed = None if responsibility is None else squeeze(responsibility)
        subsets = part_rows(explanation.parts(), size)
        return cls(
            size, explanation.queries, explanation.seconds, explanation.why, packed,
            pack(explanation.log_probabilities), subsets, explanation.unsteady,
        )  # fmt: skip


def part_rows(parts: Iterable[tuple[str, int, Part]], size: int) -> tuple[tuple[Any, ...], ...]:
    """Sets as rows: kind, draw, and the columns of ``subsets`` from ``mask`` to ``why``."""
    return tuple((kind, draw, *_part_row(part, size)) for kind, draw, part in parts)


def _part_row(part: Part, size: int) -> tuple[Any, ...]:
    from ...explanation import Missing  # with it comes torch, which only those who explain need
    from ...signal.masks import from_runs

    if isinstance(part, Missing):
        return (None, None, None, None, None, None, None, part.why)
    return (
        pack_mask(from_runs(part.runs, size)), part.size, part.energy, part.certificate.kind,
        part.certificate.groups, part.queries, pack(part.log_probabilities), part.why,
    )  # fmt: skip


class Explanations(Connection):
    """Rows of ``explanations``, ``subsets`` and ``originals``."""

    def add_explanation(self, clip: int, model: int, settings: str, explanation: Explanation | Record) -> None:
        """Store an explanation with all its subsets."""
        record = explanation if isinstance(explanation, Record) else Record.of(explanation)
        with self.transaction():
            cursor = self._db.execute(
                "INSERT INTO explanations (clip, model, settings, size, queries, seconds, why, responsibility,"
                " unsteady) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (clip, model, settings, record.size, record.queries, record.seconds, record.why,
                 record.responsibility, record.unsteady),
            )  # fmt: skip
            self._add_parts(int(cursor.lastrowid or 0), record.subsets)
            self._original(clip, model, settings, record.original)

    def add_original(self, clip: int, model: int, settings: str, original: Log) -> None:
        """Store what a model says to a clip itself."""
        with self.transaction():
            self._original(clip, model, settings, pack(original))

    def add_nulls(
        self, explanation: int, nulls: Sequence[tuple[str, int, int, Mask, float]], options: str = ""
    ) -> None:
        """Store null signals of an explanation: (kind, draw, parent subset, mask, share of the clip's energy); of
        robust sets with the key of what these were sought with."""
        rows = [
            (explanation, kind, draw, pack_mask(mask), int(mask.sum()), energy, parent, options)
            for kind, draw, parent, mask, energy in nulls
        ]
        with self.transaction():
            self._db.executemany(
                "INSERT INTO subsets (explanation, kind, draw, mask, size, energy, parent, options, certificate, why)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'none', '')",
                rows,
            )

    def explained(self, settings: str) -> set[tuple[int, int]]:
        """(clip, model) pairs that have an explanation."""
        return set(self._read("SELECT clip, model FROM explanations WHERE settings = ?", (settings,)))

    def tops(self, settings: str) -> dict[tuple[int, int], int]:
        """By (clip, model): the index of the model's answer to the clip itself."""
        query = "SELECT clip, model, log_probabilities FROM originals WHERE settings = ?"
        found = {}
        for clip, model, blob in self._read(query, (settings,)):
            with self.naming(clip=clip, model=model):
                found[clip, model] = int(unpack(blob).argmax())
        return found

    def mask(self, subset: int) -> Mask:
        """The mask of a subset, bool [size].

        Raises
        ------
        StoreError
            There is none, or it is damaged.
        """
        query = (
            "SELECT s.mask, e.size, s.size FROM subsets s JOIN explanations e ON e.id = s.explanation WHERE s.id = ?"
        )
        row = self._read(query, (subset,)).fetchone()
        if row is None or row[0] is None:
            raise StoreError(f"{self.path}: no mask for subset {subset}; ask for one that study tables list")
        return self.unpack_mask(subset, *row)

    def unpack_mask(self, subset: int, packed: bytes, variables: int, size: int) -> Mask:
        """A subset's packed mask, held against the number of variables it keeps: bool [variables].

        Raises
        ------
        StoreError
            It is damaged.
        """
        with self.naming(subset=subset):
            mask = unpack_mask(packed, variables)
            if int(mask.sum()) != size:
                raise ValueError(f"a mask of {int(mask.sum())} variables where the size is {size}")
        return mask

    def _add_parts(self, explanation: int, rows: Iterable[tuple[Any, ...]], options: str = "") -> None:
        self._db.executemany(
            "INSERT INTO subsets (explanation, kind, draw, mask, size, energy, certificate, groups, queries,"
            " log_probabilities, why, options) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(explanation, *row, options) for row in rows],
        )

    def _original(self, clip: int, model: int, settings: str, answer: bytes) -> None:
        row = (clip, model, settings, answer)
        self._db.execute("INSERT OR IGNORE INTO originals VALUES (?, ?, ?, ?)", row)

    def list_originals(self, settings: str) -> pl.DataFrame:
        """What the study's models say to its clips: ``clip``, ``model`` (ids), ``log_probabilities`` (packed)."""
        return self.frame(
            f"SELECT e.clip, e.model, e.log_probabilities FROM originals e{_OF_STUDY} ORDER BY e.model, e.clip",
            (settings,),
        )

    def list_explanations(self, settings: str) -> pl.DataFrame:
        """The study's explanations: ``clip``, ``model`` (ids), ``variables``, ``queries``, ``seconds``, ``why``."""
        return self.frame(
            f"SELECT e.clip, e.model, e.size AS variables, e.queries, e.seconds, e.why FROM explanations e{_OF_STUDY}",
            (settings,),
        )

    def list_signals(self, settings: str, *, masks: bool = False) -> pl.DataFrame:
        """The study's sets and null signals in the order in which they were stored.

        Returns
        -------
        polars.DataFrame
            ``subset`` (id), ``explanation``, ``clip``, ``model`` (ids), ``kind``, ``draw``, ``size`` (null: there is
            none), ``energy``, ``certificate``, ``groups``, ``queries``, ``parent``, ``why``, ``options`` (the
            key of what a robust set was sought with), ``variables``; with ``masks``, ``mask`` (packed).
        """
        packed = ", s.mask" if masks else ""
        return self.frame(
            "SELECT s.id AS subset, s.explanation, e.clip, e.model, s.kind, s.draw, s.size, s.energy, s.certificate,"
            f" s.groups, s.queries, s.parent, s.why, s.options, e.size AS variables{packed} FROM explanations e"
            f" JOIN signals s ON s.explanation = e.id{_OF_STUDY} ORDER BY s.id",
            (settings,),
        )

    def list_answered_signals(self, settings: str, kind: str | None = None) -> pl.DataFrame:
        """The signals there are, with what their own model says: the columns of :meth:`list_signals` up to
        ``certificate`` and ``parent``, ``original`` and ``own`` (packed: to the clip, and to the signal)."""
        return self.frame(
            "SELECT s.id AS subset, e.clip, e.model, s.kind, s.draw, s.size, s.energy, s.certificate, s.parent,"
            " o.log_probabilities AS original, coalesce(s.log_probabilities, t.log_probabilities) AS own"
            " FROM signals s JOIN explanations e ON e.id = s.explanation"
            " JOIN originals o ON o.settings = e.settings AND o.clip = e.clip AND o.model = e.model"
            f" LEFT JOIN transfers t ON t.subset = s.id AND t.model = e.model{_OF_STUDY}"
            " AND s.mask IS NOT NULL AND (?2 IS NULL OR s.kind = ?2)"
            " ORDER BY e.clip, pm.position, s.kind, s.draw",
            (settings, kind),
        )

    def responsibilities(self, settings: str, clip: int) -> dict[int, NDArray[np.float32]]:
        """The maps of a clip by model (id), float32 [size]; models without one are left out."""
        size, packed = self.packed_maps(settings, clip)
        found = {}
        for model, blob in packed.items():
            with self.naming(clip=clip, model=model):
                found[model] = unsqueeze(blob, size)
        return found

    def mapped(self, settings: str) -> set[tuple[int, int]]:
        """(clip, model) pairs that have a map."""
        query = "SELECT clip, model FROM explanations WHERE settings = ? AND responsibility IS NOT NULL"
        return set(self._read(query, (settings,)))

    def packed_maps(self, settings: str, clip: int) -> tuple[int, dict[int, bytes]]:
        """The maps of a clip by model (id), compressed, and the number of variables."""
        query = (
            "SELECT model, size, responsibility FROM explanations"
            " WHERE settings = ? AND clip = ? AND responsibility IS NOT NULL"
        )
        rows = self._read(query, (settings, clip)).fetchall()
        return (rows[0][1] if rows else 0), {model: packed for model, _, packed in rows}

    def known_map(self, settings: Sequence[str], clip: int, model: int) -> bytes | None:
        """A clip's map by a model, compressed, under any of some settings; none that is damaged."""
        for key in settings:
            size, packed = self.packed_maps(key, clip)
            with suppress(KeyError, ValueError):
                unsqueeze(packed[model], size)
                return packed[model]
        return None

    def clip_of(self, subset: int) -> int:
        """The clip (id) that a subset is of.

        Raises
        ------
        StoreError
            There is no such subset.
        """
        query = "SELECT e.clip FROM subsets s JOIN explanations e ON e.id = s.explanation WHERE s.id = ?"
        row = self._read(query, (subset,)).fetchone()
        if row is None:
            raise StoreError(f"{self.path}: no subset {subset}; ask for one that study tables list")
        return int(row[0])
