"""Make the built-in recordings: excerpts of 4 s of freely licensed music, 16 kHz mono FLAC.

Usage: ``python tools/make_recordings.py CACHE [--out FOLDER] [--check]``

The music comes from the source distribution of librosa 0.7.2 (``pip download``; its ``setup.py`` needs
Python 3.11 or older) and from game packages of Debian 12 (``apt-get download``, unpacked with
``dpkg-deb``), together about 600 MB. Archives that already lie in the folder CACHE are not downloaded again.

Each excerpt: decode, add up the stems where a song comes in several, average the channels, cut 4 s, resample
with soxr, fade 5 ms at both edges, turn down to a peak of -1 dBFS if louder, write 16-bit FLAC. Besides the
recordings, ``recordings.csv`` and ``LICENCES.md`` are written. With the same releases of soundfile and soxr
every run gives the same bytes; ``--check`` makes everything in a temporary folder and compares.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE = 16_000
SECONDS = 4.0
FADE_SECONDS = 0.005
PEAK = 10 ** (-1 / 20)
OUT = Path(__file__).resolve().parents[1] / "src" / "earwitness" / "data" / "recordings"
COLUMNS = ("file", "title", "author", "licence", "licence_url", "source", "start_seconds", "genre", "sha256")
Floats = NDArray[np.float64]

BY = "CC-BY-3.0"
BY_SA = "CC-BY-SA-3.0"
MIT = "MIT"
LICENCE_URLS = {
    BY: "https://creativecommons.org/licenses/by/3.0/",
    BY_SA: "https://creativecommons.org/licenses/by-sa/3.0/",
    MIT: "https://opensource.org/license/mit",
}

LIBROSA = "librosa"
LIBROSA_VERSION = "0.7.2"
PACKAGES = {
    "fretsonfire-songs-muldjord": "2.dfsg-2.1",
    "fretsonfire-songs-sectoid": "1.dfsg-3.1",
    "hyperrogue-music": "12.0q-1",
    "marsshooter-data": "0.7.6-7",
    "mrrescue": "1.02e-3",
    "singularity-music": "007-2",
    "ufoai-music": "2.5-2",
    "warzone2100-music": "4.3.3-3",
}

FRETS = "usr/share/games/fretsonfire/data/songs"
HYPERROGUE = "usr/share/hyperrogue/music"
MARS = "usr/share/games/marsshooter/audio/music"
MRRESCUE = "usr/share/games/mrrescue/mrrescue.love!data/sfx"
SINGULARITY = "usr/share/games/singularity/music"
UFOAI = "usr/share/games/ufoai/base/0music.pk3!music"
WARZONE = "usr/share/games/warzone2100/music/albums"
MULDJORD = "Muldjord (El Senator, www.muldjord.com)"
SECTOID = "Sectoid (Carlos Viola Iborra)"
PARROTTE = "Shawn Parrotte (www.shawnparrotte.com)"
SAVINO = "Will Savino (www.willsavino.net)"
MARINO = 'Manuel "Vanethian" Marino (www.manuelmarino.com)'
HOFFMANN = 'Christian "Crystan" Hoffmann'


@dataclass(frozen=True)
class Recording:
    """One excerpt: what it is called, whose it is, and where it lies.

    ``paths`` are the files that add up to the song; ``a!b`` is the member b of the zip archive a.
    """

    name: str
    title: str
    author: str
    licence: str
    genre: str
    start: float
    package: str
    paths: tuple[str, ...]

    @property
    def source(self) -> str:
        """Package, version and files, in words."""
        if self.package == LIBROSA:
            origin = f"source distribution of librosa {LIBROSA_VERSION}"
        else:
            origin = f"Debian package {self.package} {PACKAGES[self.package]}"
        return f"{origin}: {' + '.join(self.paths)}"


def _stems(folder: str) -> tuple[str, ...]:
    return (f"{FRETS}/{folder}/song.ogg", f"{FRETS}/{folder}/guitar.ogg")


def _sectoid(name: str, title: str, genre: str, start: float) -> Recording:
    package = "fretsonfire-songs-sectoid"
    return Recording(name, title, SECTOID, MIT, genre, start, package, _stems(f"sectoid/{title}"))


def _muldjord(name: str, title: str, start: float) -> Recording:
    package = "fretsonfire-songs-muldjord"
    folder = f"muldjord/{title.lower().replace(' ', '_')}"
    return Recording(name, title, MULDJORD, BY_SA, "metal", start, package, _stems(folder))


def _hyperrogue(name: str, title: str, author: str, genre: str, start: float, file: str) -> Recording:
    return Recording(name, title, author, BY_SA, genre, start, "hyperrogue-music", (f"{HYPERROGUE}/{file}",))


def _mars(name: str, title: str, genre: str, start: float, file: str) -> Recording:
    path = f"{MARS}/{file}"
    return Recording(name, title, "Obsidian Shell", BY_SA, genre, start, "marsshooter-data", (path,))


def _mrrescue(name: str, title: str, start: float, file: str) -> Recording:
    path = f"{MRRESCUE}/{file}"
    return Recording(name, title, "Tangram Games", BY_SA, "chiptune", start, "mrrescue", (path,))


def _ufoai(name: str, title: str, author: str, licence: str, genre: str, start: float, file: str) -> Recording:
    return Recording(name, title, author, licence, genre, start, "ufoai-music", (f"{UFOAI}/{file}",))


def _singularity(name: str, title: str, genre: str, start: float) -> Recording:
    path = f"{SINGULARITY}/{title}.ogg"
    author = "Max McCracken (Maxstack)"
    return Recording(name, title, author, BY_SA, genre, start, "singularity-music", (path,))


RECORDINGS = (
    Recording(
        "vibe-ace",
        "Vibe Ace",
        "Kevin MacLeod (freemusicarchive.org/music/Kevin_MacLeod)",
        BY,
        "jazz",
        40.0,
        LIBROSA,
        ("librosa/util/example_data/Kevin_MacLeod_-_Vibe_Ace.ogg",),
    ),
    _hyperrogue("ivory-tower", "Ivory Tower", SAVINO, "jazz", 28.0, "hr-savino-ivory.ogg"),
    _hyperrogue("caribbean", "Caribbean", SAVINO, "folk", 20.0, "hr-savino-caribbean.ogg"),
    _hyperrogue("mountain", "Mountain", "Lincoln Domina", "guitar", 16.0, "hr-domina-mountain.ogg"),
    _hyperrogue("hunting", "Hunting", "Lincoln Domina", "world", 40.0, "hr-domina-hunting.ogg"),
    _hyperrogue("mirror", "Mirror", PARROTTE, "classical", 20.0, "hr3-mirror.ogg"),
    _hyperrogue("jungle", "Jungle", PARROTTE, "chillout", 44.0, "hr3-jungle.ogg"),
    _sectoid("feelings", "Feelings", "guitar", 12.0),
    _sectoid("escape-from-chaosland", "Escape from chaosland", "rock", 136.0),
    _sectoid("war-of-freedom", "War of freedom", "metal", 84.0),
    _muldjord("chaos-god", "Chaos God", 80.0),
    _mars("starfall", "Starfall", "rock", 72.0, "06_starfall.ogg"),
    _mars("misanthropia", "Misanthropia", "pop", 20.0, "12_-_Misanthropia.ogg"),
    _mars("vermocsar", "Vérmocsár", "pop", 68.0, "07_-_Vermocsar.ogg"),
    _mrrescue("roof", "Roof", 8.0, "roof.ogg"),
    _mrrescue("bundesliga", "Bundesliga", 0.0, "bundesliga.ogg"),
    _ufoai("crystan-credits", "Credits", HOFFMANN, BY_SA, "dance", 72.0, "Crystan-Credits.ogg"),
    _ufoai("crystan-win-game", "Win Game", HOFFMANN, BY_SA, "classical", 24.0, "Crystan-WinGame.ogg"),
    _ufoai(
        "geoscape-theme-1",
        "Geoscape theme #1",
        "Karl Macklin",
        BY,
        "ambient",
        28.0,
        "karlmacklin_geoscape.ogg",
    ),
    _ufoai(
        "geoscape-music",
        "Ufo: AI Geoscape Music",
        MARINO,
        BY,
        "classical",
        188.0,
        "van_geoscape.ogg",
    ),
    _singularity("aberrations", "Aberrations", "ambient", 236.0),
    _singularity("coherence", "Coherence", "electronic", 84.0),
    Recording(
        "incoming-transmission",
        "Incoming Transmission",
        "LupusMechanicus",
        BY_SA,
        "electronic",
        168.0,
        "warzone2100-music",
        (f"{WARZONE}/legacy_soundtrack/track6.opus",),
    ),
)


class Cache:
    """The folder with the downloaded archives and their unpacked files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()

    def _run(self, *command: str) -> None:
        subprocess.run(command, cwd=self.folder, check=True)

    def root(self, package: str) -> Path:
        """The folder into which the package's archive is unpacked; downloads it if need be."""
        if package == LIBROSA:
            return self._librosa()
        release = f"{package}_{PACKAGES[package]}"
        root = self.folder / release
        if not root.is_dir():
            if not list(self.folder.glob(f"{release}_*.deb")):
                self._run("apt-get", "download", f"{package}={PACKAGES[package]}")
            (archive,) = self.folder.glob(f"{release}_*.deb")
            self._run("dpkg-deb", "-x", str(archive), str(root))
        return root

    def _librosa(self) -> Path:
        release = f"{LIBROSA}-{LIBROSA_VERSION}"
        archive = self.folder / f"{release}.tar.gz"
        if not archive.is_file():
            pip = (sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:")
            self._run(*pip, "--dest", ".", f"{LIBROSA}=={LIBROSA_VERSION}")
        root = self.folder / release
        if not root.is_dir():
            with tarfile.open(archive) as tar:
                tar.extractall(self.folder, filter="data")
        return root

    def read(self, package: str, path: str) -> bytes:
        """The bytes of one file of a package."""
        outer, _, member = path.partition("!")
        file = self.root(package) / outer
        if not member:
            return file.read_bytes()
        with zipfile.ZipFile(file) as archive:
            return archive.read(member)

    def notices(self, package: str) -> str:
        """The package's copyright file."""
        return self.read(package, f"usr/share/doc/{package}/copyright").decode()


def _decode(data: bytes) -> tuple[Floats, int]:
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float64", always_2d=True)
    return np.asarray(samples, dtype=np.float64).mean(axis=1), int(rate)


def excerpt(cache: Cache, recording: Recording) -> NDArray[np.int16]:
    """The 4 s of the recording, at 16 kHz."""
    decoded = [_decode(cache.read(recording.package, path)) for path in recording.paths]
    (rate,) = {rate for _, rate in decoded}
    first, last = round(recording.start * rate), round((recording.start + SECONDS) * rate)
    if any(len(samples) < last for samples, _ in decoded):
        raise ValueError(f"{recording.name}: the file ends before {recording.start + SECONDS} s")
    cut = np.sum([samples[first:last] for samples, _ in decoded], axis=0)
    length = round(SECONDS * RATE)
    wave = np.zeros(length)
    resampled = np.asarray(soxr.resample(cut, rate, RATE), dtype=np.float64)[:length]
    wave[: len(resampled)] = resampled
    fade = np.linspace(0.0, 1.0, round(FADE_SECONDS * RATE))
    wave[: len(fade)] *= fade
    wave[-len(fade) :] *= fade[::-1]
    wave *= min(1.0, PEAK / float(np.abs(wave).max()))
    return np.round(wave * 32767).astype(np.int16)


def _between(text: str, start: str, end: str) -> str:
    """The part of the text from ``start`` up to, without, ``end``."""
    first = text.index(start)
    return text[first : text.index(end, first)].strip()


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())


def licences(cache: Cache, recordings: Sequence[Recording]) -> str:
    """The attributions and licence texts, as Markdown."""
    lines = [
        "# Licences of the built-in recordings",
        "",
        "The recordings in this folder are not under the licence of Earwitness. Each is an excerpt of a work",
        "of the author named below, under that work's own licence, which also holds for the excerpt. The",
        "authors do not endorse Earwitness or any use of it.",
        "",
        f"**Changes made to every work:** an excerpt of {SECONDS:g} s from the given start; where a song comes",
        f"as two stems (joined by + below), their sum; mixed down to mono; resampled to {RATE // 1000} kHz; faded",
        "in and out over 5 ms; turned down to a peak of -1 dBFS where it was louder; stored as 16-bit FLAC.",
        "A title that the work does not carry in its own file is taken from the file's name. The genre is ours.",
        "`tools/make_recordings.py` makes the files from the sources.",
        "",
        "| File | Title | Author | Licence | Start (s) | Source |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for recording in recordings:
        licence = f"[{recording.licence}]({LICENCE_URLS[recording.licence]})"
        cells = (f"{recording.name}.flac", recording.title, recording.author, licence)
        lines.append(f"| {' | '.join(cells)} | {recording.start:g} | {recording.source} |")
    return _tidy("\n".join([*lines, *_notices(cache)])) + "\n"


def _notices(cache: Cache) -> list[str]:
    """The notices and licence texts that go with the songs."""
    sectoid = cache.notices("fretsonfire-songs-sectoid")
    muldjord = cache.notices("fretsonfire-songs-muldjord")
    readme = cache.read("fretsonfire-songs-muldjord", f"{FRETS}/muldjord/chaos_god/readme.txt").decode()
    holders = _between(sectoid, "The songs, performances", "Permission is hereby")
    permission = _between(sectoid, "Permission is hereby", "Packaging:")
    legal = _between(muldjord, "Creative Commons Legal Code", "Packaging:")
    return [
        "",
        "## Notice that goes with the songs of Sectoid",
        "",
        holders,
        "",
        permission,
        "",
        "## Notice that goes with the song of Muldjord",
        "",
        readme.strip(),
        "",
        "## Text of CC-BY-SA-3.0",
        "",
        "```text",
        legal,
        "```",
        "",
        "## Text of CC-BY-3.0",
        "",
        f"See <{LICENCE_URLS[BY]}legalcode>.",
    ]


def make(cache: Cache, out: Path) -> None:
    """Write the recordings, ``recordings.csv`` and ``LICENCES.md``; drop other recordings from ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    recordings = sorted(RECORDINGS, key=lambda recording: recording.name)
    for stale in set(out.glob("*.flac")) - {out / f"{recording.name}.flac" for recording in recordings}:
        stale.unlink()
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for recording in recordings:
        file = out / f"{recording.name}.flac"
        soundfile.write(file, excerpt(cache, recording), RATE, format="FLAC", subtype="PCM_16")
        row = [file.name, recording.title, recording.author, recording.licence]
        row += [LICENCE_URLS[recording.licence], recording.source, f"{recording.start:g}", recording.genre]
        writer.writerow([*row, hashlib.sha256(file.read_bytes()).hexdigest()])
    (out / "recordings.csv").write_text(table.getvalue(), encoding="utf-8", newline="\n")
    (out / "LICENCES.md").write_text(licences(cache, recordings), encoding="utf-8", newline="\n")


def differences(made: Path, kept: Path) -> list[str]:
    """The names of the files that are not the same in both folders."""
    names = {file.name for folder in (made, kept) for file in folder.iterdir()}
    return sorted(
        name
        for name in names
        if not ((made / name).is_file() and (kept / name).is_file())
        or (made / name).read_bytes() != (kept / name).read_bytes()
    )


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Make the built-in recordings.")
    parser.add_argument("cache", type=Path, help="folder for the downloaded packages")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the recordings")
    parser.add_argument("--check", action="store_true", help="compare with the folder, change nothing")
    arguments = parser.parse_args()
    cache = Cache(arguments.cache)
    if not arguments.check:
        make(cache, arguments.out)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        make(cache, Path(folder))
        different = differences(Path(folder), arguments.out)
    print(f"different: {', '.join(different)}" if different else "all the same")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
