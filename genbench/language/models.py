"""The networks of a suite: an OPT by configuration, or a published model, by Hugging Face transformers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from genbench.errors import InputError, place
from genbench.files.hub import published_folder, reading
from genbench.files.weights import load_tensors

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def configuration(entry: Mapping[str, Any], vocab_size: int, data_root: Path) -> "PretrainedConfig":
    """The configuration of an entry's network. Raises InputError if the tokenizer's tokens do not fit it."""
    from transformers import AutoConfig, OPTConfig

    key = "model" if "model" in entry else "pretrained"
    with place(key):
        if key == "model":
            own = {"vocab_size": vocab_size, "word_embed_proj_dim": entry["model"]["hidden_size"], **entry["model"]}
            config: PretrainedConfig = OPTConfig(**own, bos_token_id=0, eos_token_id=0, pad_token_id=None)
        else:
            folder = published_folder(entry["pretrained"], data_root)
            with reading(folder, "configuration"):
                config = AutoConfig.from_pretrained(folder, local_files_only=True)
        if vocab_size > config.vocab_size:
            raise InputError(
                f"vocab_size: found {config.vocab_size:,} in the model and {vocab_size:,} tokens of the tokenizer, "
                "which do not fit; expected at most as many tokens as the model has"
            )
    return config


def untrained(config: "PretrainedConfig") -> nn.Module:
    """A network in float32 with random weights from torch's global random numbers."""
    from transformers import AutoModelForCausalLM

    network: nn.Module = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return network


def build(entry: Mapping[str, Any], vocab_size: int, data_root: Path, seed: int) -> tuple[nn.Module, dict[str, Any]]:
    """The network of an entry before its training, in float32, and its configuration as JSON."""
    from transformers import AutoModelForCausalLM

    config = configuration(entry, vocab_size, data_root)
    if "model" in entry:
        torch.manual_seed(seed)
        network = untrained(config)
    else:
        with place("pretrained"):
            folder = published_folder(entry["pretrained"], data_root)
            with reading(folder, "weights"):
                network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return network, json.loads(config.to_json_string(use_diff=True))


def load_model(path: Path, device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """A network that was trained here, in evaluation mode, and the `info` in its file."""
    from transformers import AutoConfig

    tensors, info = load_tensors(path)
    network = untrained(AutoConfig.for_model(**info["config"]))
    network.load_state_dict(tensors)
    return network.to(device).eval(), info
