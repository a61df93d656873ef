"""Check a suite of language models before anything is trained."""

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
    """Check a complete suite of the file `source`: its texts, and that each network can be built, fits the tokenizer,
    and is large enough for its windows. Returns the number of weights by model; None for n-gram models and for
    published models that are not downloaded yet.

    fetch: whether to download WikiText-2 and published models; without it, missing ones are skipped.
    """
    if lacking := [name for name in PACKAGES if find_spec(name) is None]:
        raise InputError(
            f"{source}: kind: found no {' and no '.join(lacking)} on this machine, which language models need; "
            f"expected the extra `language`: {install('language')}"
        )
    with place(source):
        texts = read_texts(suite["text"], data_root, fetch=fetch)
        entry = suite["tokenizer"]
        if entry.get("published") and not fetch and not is_here(entry["published"], data_root):
            vocab_size = 0  # unknown until it is downloaded
        elif "vocab_size" in entry:
            vocab_size = entry["vocab_size"]
        else:
            from genbench.language.text import tokenizer_of  # imports transformers, which is slow

            vocab_size = len(tokenizer_of(entry, "", data_root))
        found: dict[str, int | None] = {}
        for name, model in suite["models"].items():
            with place("models", name):
                missing = "pretrained" in model and not fetch and not is_here(model["pretrained"], data_root)
                if "ngram" in model or missing:
                    found[name] = None
                    continue
                from genbench.language.models import configuration

                config = configuration(model, vocab_size, data_root)
                found[name] = _check_network(suite, model, config)
                if texts and vocab_size:
                    _check_prompts(suite, getattr(config, "max_position_embeddings", None), texts["train"], data_root)
        return found


def _check_prompts(suite: Suite, places: int | None, text: str, data_root: Path) -> None:
    """Check that a network with `places` positions can continue every prompt. A token is at least one byte, so most
    prompts are short enough without a tokenizer."""
    prompts, more = suite["samples"]["prompts"], suite["samples"]["tokens"]
    if places is None or max(len(prompt.encode()) for prompt in prompts) + 1 + more <= places:
        return
    from genbench.language.text import encode, tokenizer_of

    reader = tokenizer_of(suite["tokenizer"], text, data_root)
    longest = max(len(encode(reader, prompt)) for prompt in prompts)
    if longest + more > places:
        raise InputError(
            f"samples: prompts: found one of {longest} tokens and {more} more, expected at most {places} together, the "
            "model's max_position_embeddings"
        )


def _check_network(suite: Suite, entry: Mapping[str, Any], config: Any) -> int:
    """Build the network on the meta device, where it takes no memory, and return its number of weights."""
    import torch

    from genbench.language.models import untrained
    from genbench.training.windows import in_steps

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
