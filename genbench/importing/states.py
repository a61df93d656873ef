"""Find a state dict in a file, in the shards of an index, or in a folder, among whatever else is saved there."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from genbench.errors import InputError
from genbench.files.artifacts import read_json
from genbench.files.hub import choose_weights
from genbench.files.weights import load_torch_file
from genbench.importing.source import Path, State, load_safetensors_file

# Parts of names added by torch.compile, FSDP and activation checkpointing. DDP and AveragedModel prefix `module`.
_WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}


def read_content(path: Path) -> tuple[Any, list[Path]]:
    """Read a file, the shards of an index, or a folder's weights; returns the content and the files that were read.

    Raises InputError, naming the file, if it is missing or unreadable.
    """
    file = pathlib.Path(path)
    if file.is_dir():
        names = sorted(entry.name for entry in file.iterdir())
        if (chosen := choose_weights(names, file)) is None:
            raise InputError(f"{path}: found a folder with {_listed(names)}, expected a file of weights; give its path")
        file = file / chosen
    if file.suffix == ".json":
        return _read_shards(file)
    return (load_safetensors_file(file) if file.suffix == ".safetensors" else load_torch_file(file)), [file]


def _read_shards(index: pathlib.Path) -> tuple[State, list[Path]]:
    content = read_json(index, ours=False)
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise InputError(f"{index}: found no 'weight_map', expected an index of shards: tensors' names and their files")
    shards = sorted(set(places.values()))
    if outside := [name for name in shards if pathlib.PurePath(name).name != name]:
        raise InputError(f"{index}: found the shard {outside[0]!r}, expected the name of a file beside it")
    state: State = {}
    for name in shards:
        content, _ = read_content(index.parent / name)
        state |= state_of(content, index.parent / name)[0]
    if missing := [name for name in places if _unwrapped(name) not in state]:
        raise InputError(f"{index}: found no {_listed(missing)} in {_listed(shards)}")
    return state, [index, *(index.parent / name for name in shards)]


def state_of(value: Any, path: Path, key: str | None = None) -> tuple[State, str]:
    """Return a state dict in float32 without wrappers' names, and its key in the file ("" for the whole file).

    key: which of the file's state dicts, with dots between levels; not needed if there is only one
    Raises InputError, listing what the file holds, if the state dict is missing or ambiguous.
    """
    taken = ""
    if key is not None:
        taken = key
        for part in key.split("."):
            value = _within(value, part, path, key)
    elif isinstance(value, Mapping) and not _is_state(value):
        states = [str(name) for name, part in value.items() if _is_state(part)]
        if len(states) > 1:
            raise InputError(
                f"{path}: found {len(states)} state dicts among its keys {_contents(value)}; expected the option key, "
                f"such as key: {states[0]}"
            )
        if states:
            taken, value = states[0], value[states[0]]
    if not _is_state(value):
        found = f", found the keys {_contents(value)}" if isinstance(value, Mapping) and value else ""
        raise InputError(f"{path}: found no state dict, expected a mapping of names to tensors{found}")
    state: State = {}
    for name, tensor in value.items():
        if (short := _unwrapped(str(name))) in state:
            raise InputError(f"{path}: found two tensors {short!r}, one of them as {name!r}; expected one")
        state[short] = tensor.float() if tensor.is_floating_point() else tensor
    if len(state) > 1:
        state.pop("n_averaged", None)  # AveragedModel's counter
    return state, taken


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(part, Tensor) for part in value.values())


def _unwrapped(name: str) -> str:
    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    while parts[0] == "module" and len(parts) > 1:
        del parts[0]
    return ".".join(parts)


def _within(value: Any, part: str, path: Path, key: str) -> Any:
    """Return what is under `part`: a mapping's value, or the tensors whose names begin with it."""
    if isinstance(value, Mapping):
        if part in value:
            return value[part]
        if inside := {name[len(part) + 1 :]: v for name, v in value.items() if str(name).startswith(f"{part}.")}:
            return inside
    found = f"the keys {_contents(value)}" if isinstance(value, Mapping) else type(value).__name__
    raise InputError(f"{path}: option key: found {key!r}, but no {part!r} among {found}")


def _contents(value: Mapping[Any, Any]) -> str:
    """List the keys of a file with the kind of each value."""

    def kind(part: Any) -> str:
        if _is_state(part):
            return f"a state dict of {len(part)} tensors"
        return "a tensor" if isinstance(part, Tensor) else type(part).__name__

    return _listed([f"{name} ({kind(part)})" for name, part in value.items()], 12)


def _listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
