"""A suite of language models, checked before anything is trained."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from genbench.data.texts import read_texts
from genbench.errors import InputError, place
from genbench.files.hub import is_here
from genbench.machine.extras import install

Suite = Mapping[str, Any]
PACKAGES = ("transformers", "tokenizers", "nltk")


def check_suite(suite: Suite, data_root: Path, source: str, *, fetch: bool) -> dict[str, int | None]:
    """Check a complete suite of the file `source`: its texts, and that each network can be built, reads the tokenizer's
    tokens, and has places for its windows. Returns how many weights each has; None of what is counted or not here yet.

    fetch: download WikiText-2 and published models, which without it are passed over where they are missing.
    """
    if lacking := [name for name in PACKAGES if find_spec(name) is None]:
        raise InputError(
            f"{source}: kind: found no {' and no '.join(lacking)} on this machine, which language models need; "
            f"expected the extra `language`: {install('language')}"
        )
    with place(source):
        read_texts(suite["text"], data_root, fetch=fetch)
        entry = suite["tokenizer"]
        if entry.get("published") and not fetch and not is_here(entry["published"], data_root):
            vocab_size = 0  # known when it is here
        elif "vocab_size" in entry:
            vocab_size = entry["vocab_size"]
        else:
            from genbench.language.text import tokenizer_of  # and with it transformers, for which others need not wait

            vocab_size = len(tokenizer_of(entry, "", data_root))
        found = {}
        for name, model in suite["models"].items():
            with place("models", name):
                missing = "pretrained" in model and not fetch and not is_here(model["pretrained"], data_root)
                found[name] = (
                    None if "ngram" in model or missing else _check_network(suite, model, vocab_size, data_root)
                )
        return found


def _check_network(suite: Suite, entry: Mapping[str, Any], vocab_size: int, data_root: Path) -> int:
    """Build the network on the meta device, where it takes no memory; how many weights it has."""
    import torch

    from genbench.language.models import configuration, untrained
    from genbench.training.windows import in_steps

    config = configuration(entry, vocab_size, data_root)
    recipe = entry.get("training", {})
    places = {"evaluation": suite["evaluation"]["window"], "samples: tokens": suite["samples"]["tokens"] + 1}
    places |= {"training: window": recipe["window"]} if recipe else {}
    for key, count in places.items():
        if count > getattr(config, "max_position_embeddings", count):
            raise InputError(
                f"{key}: found {count} tokens, expected at most {config.max_position_embeddings}, the model's "
                "max_position_embeddings"
            )
    if recipe:
        with place("training"):
            in_steps(recipe, recipe["batch_size"])
    with torch.device("meta"):
        return sum(weight.numel() for weight in untrained(config).parameters())
