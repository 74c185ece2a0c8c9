"""Fuzz what reads the files of strangers, guided by the code that is reached: ``make fuzz``, ``SECONDS=600 make fuzz``.

    python tools/fuzz.py [--seconds 180] [--out FOLDER] [TARGET ...]

Each target of ``tests/fuzzing.py`` runs in a process of its own, from its sound files, for so many seconds; what it
found lies under the folder as ``TARGET/crash-…`` (a file that gave another error than a refusal), ``timeout-…`` or
``oom-…``. Exit code 1 if there is any. What was found belongs in ``tests/test_fuzz.py``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
#: a reader that takes longer than this, in seconds, or more memory, in MB, has hung
LONGEST, MOST_MEMORY = 60, 6000


def fuzz(name: str, seconds: int, folder: Path) -> list[Path]:
    """Fuzz one target for so long; the files that broke it."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, __file__, "--one", name, "--seconds", str(seconds), "--out", str(place)])
    return sorted(path for kind in ("crash", "timeout", "oom") for path in place.glob(f"{kind}-*"))


def fuzz_here(name: str, seconds: int, place: Path) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    sys.path.insert(0, str(TESTS))
    with atheris.instrument_imports(include=["earwitness"]):
        from fuzzing import TARGETS, TOKENS, attempt

    target, corpus, work = TARGETS[name], place / "corpus", Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    corpus.mkdir(exist_ok=True)
    for number, content in enumerate(target.seeds(work)):
        (corpus / f"seed-{number}").write_bytes(content)
    tokens = "\n".join('"' + "".join(f"\\x{byte:02x}" for byte in token) + '"' for token in TOKENS)
    (place / "tokens").write_text(tokens + "\n")
    options = [
        f"-max_total_time={seconds}", f"-timeout={LONGEST}", f"-rss_limit_mb={MOST_MEMORY}", f"-dict={place}/tokens",
        f"-artifact_prefix={place}/", "-max_len=65536", "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip

    def once(content: bytes) -> None:
        attempt(target, content, work)

    atheris.Setup([name, *options, str(corpus)], once)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all")
    parser.add_argument("--seconds", type=int, default=180, help="for each target")
    parser.add_argument("--out", type=Path, default=Path("fuzz"), help="where to put what was found")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        fuzz_here(given.one, given.seconds, given.out)
        return 0
    sys.path.insert(0, str(TESTS))
    from fuzzing import TARGETS

    if unknown := set(given.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    found = []
    for name in given.targets or TARGETS:
        print(f"{name}: {given.seconds} s", flush=True)
        found += fuzz(name, given.seconds, given.out.resolve())
    print("\n".join(map(str, found)) or "nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
