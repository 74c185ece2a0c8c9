"""What reads the files of strangers, each with sound files to begin from: for tests/test_fuzz.py and tools/fuzz.py.

A target may answer whatever it likes, or refuse with an error of the tree. Anything else is a finding.
"""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import soundfile
import torch

from earwitness import AudioError, Classifier, EarwitnessError, SearchSettings, explain, open_model, verify
from earwitness.datasets import read_dataset
from earwitness.models.files import read_sidecar
from earwitness.signal import audio
from earwitness.study.file import load_study
from earwitness.study.template import study_template
from planted_files import SAMPLES, SIDECAR, Band, onnx_band
from planted_models import RATE
from test_study import MODELS

#: what is more like a file than noise is, and what has broken readers before
TOKENS = (
    b"9223372036854775807", b"-1", b"1e400", b"NaN", b"null", b"[]", b"{}", b'""', b"true", b"../", b"/", b"\x00",
    b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b'"', b",", b"\t", b"[[", b"= ", b"\xf0\x9f\x98\x80", b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"inf", b"0", b"python:os:abort", b"#", b"\\u0000", b"\r",
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """Something that reads what strangers wrote.

    Attributes
    ----------
    seeds : callable
        Sound files, made in an empty folder.
    read : callable
        Reads one file's content, in the folder where the seeds were made.
    """

    seeds: Callable[[Path], list[bytes]]
    read: Callable[[bytes, Path], object]


def attempt(target: Target, content: bytes, folder: Path) -> EarwitnessError | None:
    """Let a target read; the refusal, where it refused.

    Raises
    ------
    Exception
        A finding: whatever is no error of the tree.
    """
    try:
        target.read(content, folder)
    except EarwitnessError as error:
        return error
    return None


CONTAINERS = (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"),
              ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("W64", "PCM_16"),
              ("CAF", "PCM_16"), ("RF64", "PCM_16"), ("WAV", "IMA_ADPCM"))  # fmt: skip


def _sounds(folder: Path) -> list[bytes]:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (480, 2))
    made = []
    for container, subtype in CONTAINERS:
        file = io.BytesIO()
        soundfile.write(file, noise, 48_000, format=container, subtype=subtype)
        made.append(file.getvalue())
    return made


def _read_sound(content: bytes, folder: Path) -> object:
    path = folder / "some.wav"
    path.write_bytes(content)
    with suppress(AudioError):
        audio.measure(path, RATE)
    return audio.read(path, RATE, 1.0)


def _studies(folder: Path) -> list[bytes]:
    example = Path(__file__).parents[1] / "examples" / "studies"
    return [study_template().encode(), *(path.read_bytes() for path in sorted(example.glob("*.toml")))]


def _read_study(content: bytes, folder: Path) -> object:
    (folder / "study.toml").write_bytes(content)
    return load_study(folder / "study.toml", workers=1)


def _manifests(folder: Path) -> list[bytes]:
    for name in ("a.wav", "b.wav"):
        soundfile.write(folder / name, np.zeros(10) + ord(name[0]) / 1000, RATE)
    table = pl.DataFrame({"path": ["a.wav", "b.wav"], "label": ["yes", "no"], "split": ["test", "train"], "x": [1, 2]})
    parquet = io.BytesIO()
    table.write_parquet(parquet)
    return [b"0" + table.write_csv().encode(), b"1" + table.write_csv(separator="\t").encode(),
            b"2" + table.write_ndjson().encode(), b"3" + parquet.getvalue()]  # fmt: skip


def _read_manifest(content: bytes, folder: Path) -> object:
    """The first byte says what kind of table it is."""
    suffix = ("csv", "tsv", "jsonl", "parquet")[content[0] % 4] if content else "csv"
    path = folder / f"manifest.{suffix}"
    path.write_bytes(content[1:])
    try:
        return read_dataset(path)
    finally:
        path.unlink()


PROTOCOL = "LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt"


def _protocols(folder: Path) -> list[bytes]:
    sounds = folder / "LA/ASVspoof2019_LA_eval/flac"
    sounds.mkdir(parents=True)
    (folder / PROTOCOL).parent.mkdir()
    for number in range(2):
        soundfile.write(sounds / f"LA_E_{number}.flac", np.zeros(10) + number / 10, RATE)
    return [b"LA_0001 LA_E_0 - A07 spoof\nLA_0002 LA_E_1 - - bonafide\n"]


def _read_protocol(content: bytes, folder: Path) -> object:
    (folder / PROTOCOL).write_bytes(content)
    return read_dataset(folder / "LA")


def _sidecars(folder: Path) -> list[bytes]:
    (folder / "net.pt").touch()
    full = SIDECAR + 'scores = "logits"\nsamples = 3200\nbatch = 1\ninput = "waveform"\noutput = "out"\n'
    return [SIDECAR.encode(), full.encode(), SIDECAR.encode() + b"longest = 160000\n"]


def _read_sidecar(content: bytes, folder: Path) -> object:
    (folder / "net.pt.toml").write_bytes(content)
    return read_sidecar(folder / "net.pt", "torch:net.pt")


def _explanations(folder: Path) -> list[bytes]:
    soundfile.write(folder / "clip.wav", np.random.default_rng(0).uniform(-1, 1, 800), RATE, subtype="FLOAT")
    classifier = Classifier(open_model(f"python:{MODELS}:high"))
    clip = audio.read(folder / "clip.wav", RATE)
    made = []
    for domain in ("rfft", "mel:32"):
        explain(clip, classifier, SearchSettings(delta=0.9, budget=200, domain=domain)).save(folder / "explained")
        made.append((folder / "explained" / "explanation.json").read_bytes())
    return made


def _read_explanation(content: bytes, folder: Path) -> object:
    (folder / "explained" / "explanation.json").write_bytes(content)
    return verify(folder / "explained", recording=folder / "clip.wav", model=f"python:{MODELS}:high")


CONFIGS = ("config.json", "preprocessor_config.json", "model.safetensors")


def _configs(folder: Path) -> list[bytes]:
    from tiny_models import save, tiny

    save(tiny("wav2vec2"), folder / "hf")
    return [b"%d" % number + (folder / "hf" / name).read_bytes()[:3000] for number, name in enumerate(CONFIGS)]


def _read_config(content: bytes, folder: Path) -> object:
    """The first byte says which of the folder's files it is."""
    path = folder / "hf" / CONFIGS[content[0] % 3 if content else 0]
    before = path.read_bytes()
    path.write_bytes(content[1:] + (before[len(content) - 1 :] if path.suffix == ".safetensors" else b""))
    try:
        return open_model(f"hf:{folder / 'hf'}", "cpu").logits(torch.zeros(1, 2000))
    finally:
        path.write_bytes(before)


def _onnx_files(folder: Path) -> list[bytes]:
    (folder / "net.onnx.toml").write_text(SIDECAR)
    made = []
    for rank in (2, 3):
        onnx_band(folder / "net.onnx", rank=rank)
        made.append((folder / "net.onnx").read_bytes())
    return made


def _read_onnx(content: bytes, folder: Path) -> object:
    (folder / "net.onnx").write_bytes(content)
    return open_model(f"onnx:{folder / 'net.onnx'}", "cpu").logits(torch.zeros(1, SAMPLES))


def _scripts(folder: Path) -> list[bytes]:
    (folder / "net.pt.toml").write_text(SIDECAR)
    torch.jit.script(Band().eval()).save(str(folder / "net.pt"))  # type: ignore[no-untyped-call]
    return [(folder / "net.pt").read_bytes()]


def _read_script(content: bytes, folder: Path) -> object:
    (folder / "net.pt").write_bytes(content)
    return open_model(f"torch:{folder / 'net.pt'}", "cpu").logits(torch.zeros(1, SAMPLES))


def _stores(folder: Path) -> list[bytes]:
    from test_study import do, make_clips, study_of

    make_clips(folder / "clips", 1, 400)
    search = {"delta": 0.9, "budget": 60}
    do(study_of(folder / "clips", "low", "high", search=search, transfer={"nulls": 0}), folder / "s.db")
    with closing(sqlite3.connect(folder / "s.db")) as db:
        db.execute("VACUUM")
    return [(folder / "s.db").read_bytes()]


def _read_store(content: bytes, folder: Path) -> None:
    from test_damage import read_everything

    inside = folder / "store"
    shutil.rmtree(inside, ignore_errors=True)
    inside.mkdir()
    (inside / "s.db").write_bytes(content)
    read_everything(inside / "s.db")


TARGETS: dict[str, Target] = {
    "audio": Target(_sounds, _read_sound),
    "study": Target(_studies, _read_study),
    "manifest": Target(_manifests, _read_manifest),
    "protocol": Target(_protocols, _read_protocol),
    "sidecar": Target(_sidecars, _read_sidecar),
    "explanation": Target(_explanations, _read_explanation),
    "huggingface": Target(_configs, _read_config),
    "onnx": Target(_onnx_files, _read_onnx),
    "torchscript": Target(_scripts, _read_script),
    "store": Target(_stores, _read_store),
}
