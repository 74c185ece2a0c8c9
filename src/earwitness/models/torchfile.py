"""``torch:FILE``: waveform in, scores out, as a TorchScript or a ``torch.export`` (.pt2) file.

Labels, sample rate and the rest are in the sidecar: see :mod:`earwitness.models.files`.

Both kinds are archives that PyTorch's own loaders take too much on trust: they unpickle whatever is in the right
place, load compiled libraries, and make Python code of the names of a graph. So an archive is judged first, and what
the loaders get is a copy made of the parts that passed: TorchScript without operators that touch files or native
classes; an exported graph of numeric operators, its names plain, its weights raw. Anything else, and any other
pickle, is refused unless the user allows pickles by name, which means: unless he trusts the file as he trusts code.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError, brief
from .base import scores_of
from .files import FileModel, check_file, fingerprint_files, read_sidecar
from .storages import check_storages

_MOST_BYTES = 8 << 30  # of an archive, unpacked
#: what reading a damaged archive raises
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error)
_TRUSTED = "or pass --allow-pickle if you trust the file"

# --- what a TorchScript may not say: files, other operators' libraries, native classes
# modules can be given other names, so their parts are looked for after any dot
_NATIVE = r"\.\s*classes\b(?!\s*\.\s*(?:quantized|rnn|sparse)\s*\.)"
_FORBIDDEN = {
    ".py": re.compile(
        rf"{_NATIVE}|\b(?:from_file|load_library)\b|\.\s*(?:save|load)\b|\brpc_\w+"
        r"|(?<![.\w])ops\b(?!\s*\.\s*(?:aten|prim|prims|quantized|_quantized|mkldnn|torchaudio|torchvision)\s*\.)"
    ),
    ".pkl": re.compile(rf"torch{_NATIVE}"),  # a pickle names the classes of its objects
}

# --- what the strings of an exported graph may be
_NAME = re.compile(r"[\w.:\-]*", re.ASCII)
_OPERATOR = re.compile(
    r"torch\.ops\.(?:aten|prims)\.(?!from_file\b|save\b|__)\w+(?:\.\w+)?"
    r"|torch\.ops\.aten\.__i?(?:and|or|xor|lshift|rshift)__\.\w+"
    r"|torch\.ops\.higher_order\.(?:wrap_with_set_grad_enabled|wrap_with_autocast|cond)"
    r"|_operator\.(?:getitem|add|sub|mul|truediv|floordiv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.(?:ceil|floor|trunc)|torch\.sym_\w+",
    re.ASCII,
)
# sizes, as sympy writes them: Add(FloorDiv(Symbol('s27', positive=True, integer=True), Integer(2)), Integer(1))
_SIZE_TOKEN = re.compile(r"'(?:s|u|z|f|zf|zuf)\d+'|[A-Za-z_]\w*|\d+|[\s(),=\-]", re.ASCII)
_SIZE_WORDS = frozenset(
    """
    Symbol Integer Rational Float Add Mul Pow Max Min Mod FloorDiv CeilDiv CleanDiv PythonMod ModularIndexing Where
    FloorToInt CeilToInt TruncToInt RoundToInt ToFloat IntTrueDiv FloatTrueDiv PowByNatural FloatPow LShift RShift
    Abs floor ceiling Equality Unequality StrictLessThan LessThan StrictGreaterThan GreaterThan And Or Not
    true false positive negative nonnegative integer real finite zero nonzero True False None
    """.split()  # noqa: SIM905 - words are read better so
)
_TREE_TYPES = {None, "builtins.tuple", "builtins.list", "builtins.dict"}


def load_torch(target: str, device: torch.device, *, allow_pickle: bool = False) -> FileModel:
    """Load a TorchScript or exported file.

    Parameters
    ----------
    target : str
        The file's path.
    device : torch.device
    allow_pickle : bool
        Whether to load what can run code: a pickled ``nn.Module``, or an archive that is not judged safe.

    Raises
    ------
    ModelError
        The file is missing, damaged, hostile or of another form.
    """
    spec = f"torch:{target}"
    file = check_file(target, spec)
    sidecar = read_sidecar(file, spec)
    network, kind, fixed = _load(file, device, spec, allow_pickle)
    sidecar = sidecar.model_copy(update={name: size for name, size in fixed.items() if size is not None})
    return FileModel(
        network, sidecar, spec=spec, backend="torch", architecture=kind,
        fingerprint=fingerprint_files([file], sidecar), device=device,
        parameters=sum(weights.numel() for weights in network.parameters()), differentiable=True,
        notes=["loaded on trust, unjudged (--allow-pickle)"] if allow_pickle else [],
    )  # fmt: skip


def _load(file: Path, device: torch.device, spec: str, trusted: bool) -> tuple[Any, str, dict[str, int | None]]:
    """The network, ready; what kind of file it is in; and the sizes that are fixed in it."""
    kind, parts = _unpack(file, spec)
    if kind == "pickle" and not trusted:
        raise ModelError(
            f"{spec}: neither TorchScript nor a torch.export file but a pickle, which can run code when it is loaded; "
            f"save it with torch.jit.save or torch.export.save, {_TRUSTED}"
        )
    if not trusted:
        parts = _judge_script(parts, spec) if kind == "TorchScript" else _judge_export(parts, spec)
    stream = io.BytesIO(file.read_bytes()) if trusted else _pack(parts)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = _READERS[kind](stream, device)
    except Exception as error:  # of every kind, as the format has no validator of its own
        raise ModelError(f"{spec}: torch cannot load it ({brief(error)}); save it again with this torch") from error
    if not isinstance(network, torch.nn.Module):
        raise ModelError(f"{spec}: it holds a {type(network).__name__}, no network; save the whole model, not weights")
    return _Network(network.to(device)), kind, _fixed_sizes(parts)


class _Network(torch.nn.Module):
    """The network without gradients of its weights; of several outputs, the scores."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        for weights in network.parameters():
            weights.requires_grad_(False)

    def forward(self, waveforms: Tensor) -> Tensor:
        return scores_of(self.network(waveforms))


def _read_script(stream: io.BytesIO, device: torch.device) -> Any:
    return torch.jit.load(stream, map_location=device).eval()  # type: ignore[no-untyped-call]


def _read_export(stream: io.BytesIO, device: torch.device) -> Any:
    return torch.export.load(stream).module()


def _read_pickle(stream: io.BytesIO, device: torch.device) -> Any:
    found = torch.load(stream, map_location=device, weights_only=False)
    return found.eval() if isinstance(found, torch.nn.Module) else found


_READERS = {"TorchScript": _read_script, "torch.export": _read_export, "pickle": _read_pickle}


def _fixed_sizes(parts: dict[str, bytes]) -> dict[str, int | None]:
    """``batch`` and ``samples`` of an exported program's input where the export fixed them."""
    try:
        program = json.loads(parts["models/model.json"])["graph_module"]
        (name,) = (each["user_input"]["arg"]["as_tensor"]["name"] for each in program["signature"]["input_specs"]
                   if "user_input" in each)  # fmt: skip
        sizes = program["graph"]["tensor_values"][name]["sizes"]
        batch, samples = (size.get("as_int") for size in sizes)
    except (KeyError, ValueError, TypeError, AttributeError):  # no exported program, or not of one waveform
        return {}
    return {"batch": batch, "samples": samples}


# --- archives


def _unpack(file: Path, spec: str) -> tuple[str, dict[str, bytes]]:
    """What kind of archive it is, and its records without the folder they are all in."""
    try:
        if not zipfile.is_zipfile(file):
            return "pickle", {}
        with zipfile.ZipFile(file) as archive:
            records = archive.infolist()
            if len({record.filename for record in records}) < len(records):
                raise ModelError(f"{spec}: the same name twice in the archive; save the model again")
            if sum(record.file_size for record in records) > _MOST_BYTES:
                raise ModelError(f"{spec}: unpacks to more than {_MOST_BYTES} bytes; refused")
            parts = {record.filename.partition("/")[2]: archive.read(record) for record in records}
    except (*_DAMAGE, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{spec}: a damaged archive ({brief(error)}); fetch or save it again") from error
    if "constants.pkl" in parts and any(name.startswith("code/") for name in parts):
        return "TorchScript", parts
    if "archive_format" in parts or any(name.startswith("models/") for name in parts):
        return "torch.export", parts
    return "pickle", parts


def _pack(parts: dict[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(f"model/{name}", content)
    stream.seek(0)
    return stream


def _judge_script(parts: dict[str, bytes], spec: str) -> dict[str, bytes]:
    """A TorchScript archive of numeric code only; PyTorch's reader of its pickles runs no Python."""
    for name, content in parts.items():
        forbidden = _FORBIDDEN.get(Path(name).suffix)
        found = forbidden.search(content.decode("utf-8", errors="replace")) if forbidden else None
        if found:
            raise ModelError(f"{spec}: its code uses {found.group().strip()!r} ({name}); leave it out, {_TRUSTED}")
    check_storages(parts, spec)
    wanted = re.compile(r"(?:data|constants)\.pkl|version|byteorder|\.data/version|(?:data|constants)/.*|code/.*\.py")
    return {name: content for name, content in parts.items() if wanted.fullmatch(name)}


def _judge_export(parts: dict[str, bytes], spec: str) -> dict[str, bytes]:
    """An exported program of plain names, numeric operators and raw weights."""
    if "models/model.json" not in parts:
        raise ModelError(
            f"{spec}: a torch.export file without models/model.json; save it again with torch 2.8 or newer"
        )
    always = ("archive_format", "archive_version", "byteorder", ".data/version")
    kept: dict[str, bytes] = {name: parts[name] for name in always if name in parts}
    for name in ("weights", "constants"):
        place = f"data/{name}/model_{name}_config.json"
        config = _read_json(parts.get(place, b'{"config": {}}'), spec, place).get("config", {})
        for weight, about in config.items():
            record = f"data/{name}/{about.get('path_name')}"
            if about.get("use_pickle") or about.get("tensor_meta") is None or record not in parts:
                raise ModelError(f"{spec}: {weight!r} is stored as a pickle; make it a contiguous tensor, {_TRUSTED}")
            kept[record] = parts[record]
        _check_strings(config, f"{spec}: {place}")
        kept[place] = json.dumps({"config": config}).encode()
    program = _plain(_read_json(parts["models/model.json"], spec, "models/model.json"))
    # Python code that checks the shapes of inputs: not needed, and not to be trusted
    program["guards_code"] = []
    _check_strings(program, f"{spec}: models/model.json")
    kept["models/model.json"] = json.dumps(program).encode()
    examples = "data/sample_inputs/model.pt"
    if examples in parts:
        # PyTorch would fall back on running the pickle if these were not plain tensors
        try:
            torch.load(io.BytesIO(parts[examples]), weights_only=True)
        except Exception as error:
            raise ModelError(f"{spec}: its sample inputs are a pickle of more than tensors; refused") from error
        kept[examples] = parts[examples]
    return kept


def _plain(value: Any) -> Any:
    """A graph without what is only there for people: where each node came from."""
    if isinstance(value, dict):
        return {key: {} if key == "metadata" else _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _check_strings(value: Any, where: str) -> None:
    """Refuse a string from which PyTorch could make code or import something."""
    for key, text in _strings(value, ""):
        if key in ("in_spec", "out_spec"):
            sound = _sound_tree(text)
        elif key == "expr_str":
            sound = _sound_size(text)
        elif key in ("target", "as_operator"):
            sound = _OPERATOR.fullmatch(text) is not None
        elif key == "torch_version":
            sound = re.fullmatch(r"[\w.+\-]*", text) is not None
        else:
            sound = _NAME.fullmatch(text) is not None
        if not sound:
            raise ModelError(
                f"{where}: {key or 'a key'} {text[:60]!r} is no plain name or numeric operator, {_TRUSTED}"
            )


def _strings(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield "", name
            yield from _strings(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, key)


def _sound_size(text: str) -> bool:
    position = 0
    while position < len(text):
        token = _SIZE_TOKEN.match(text, position)
        if token is None or (token.group()[0].isalpha() and token.group() not in _SIZE_WORDS):
            return False
        position = token.end()
    return True


def _sound_tree(text: str) -> bool:
    """How inputs and outputs nest: tuples, lists and dictionaries with plain keys."""
    try:
        nested = json.loads(text)
    except (ValueError, RecursionError):
        return False
    stack = list(nested) if isinstance(nested, list) else [nested]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            context = node.get("context")
            if node.get("type") not in _TREE_TYPES or not re.fullmatch(r'[\w\s\[\]",]*', str(context or "")):
                return False
            stack += node.get("children_spec", [])
        elif not isinstance(node, int):
            return False
    return True


def _read_json(content: bytes, spec: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{spec}: {name} is not JSON; save the model again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{spec}: {name} holds no JSON object; save the model again")
    return found
