"""Language models: prepare a text, train, score and write texts; each step is one rule of rules/language.smk."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from genbench.machine.command_line import (
    object_argument,
    positive_argument,
    range_argument,
    seconds_argument,
    seed_argument,
)
from genbench.machine.job import add_device_arguments, open_device


def parser() -> argparse.ArgumentParser:
    """The flags of each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    root: dict[str, object] = {"type": Path, "default": Path("resources/downloads"), "help": "where downloads are kept"}
    tokens: dict[str, object] = {"type": Path, "required": True, "metavar": "tokens.safetensors"}

    prepare = steps.add_parser("prepare", help="from text to tokens")
    prepare.add_argument("--text", type=object_argument, required=True, help="`text` of a suite, as JSON")
    prepare.add_argument("--tokenizer", type=object_argument, required=True, help="`tokenizer` of a suite, as JSON")
    prepare.add_argument("--data-root", **root)  # type: ignore[arg-type]
    prepare.add_argument("--out", type=Path, required=True, metavar="DIR")

    train = steps.add_parser("train", help="train a network; stop and run again to continue")
    train.add_argument("--spec", type=object_argument, required=True, help="model or pretrained, and training, as JSON")
    train.add_argument("--tokens", **tokens)  # type: ignore[arg-type]
    train.add_argument("--seed", type=seed_argument, default=0)
    train.add_argument("--data-root", **root)  # type: ignore[arg-type]
    train.add_argument("--out", type=Path, required=True, metavar="model.safetensors")
    train.add_argument(
        "--save-seconds",
        type=seconds_argument,
        default=float(os.environ.get("GENBENCH_SAVE_SECONDS", "60")),
        help="save at least this often while training",
    )
    train.add_argument(
        "--fresh", action="store_true", help="start from the beginning even if there is a save to continue from"
    )
    add_device_arguments(train)

    evaluate = steps.add_parser("evaluate", help="the perplexity of the test text")
    of = evaluate.add_mutually_exclusive_group(required=True)
    of.add_argument("--model", type=Path, metavar="model.safetensors")
    of.add_argument("--ngram", type=positive_argument, metavar="ORDER", help="an n-gram model, counted here")
    evaluate.add_argument("--tokens", **tokens)  # type: ignore[arg-type]
    evaluate.add_argument("--evaluation", type=object_argument, required=True, help="`evaluation` of a suite, as JSON")
    evaluate.add_argument("--out", type=Path, required=True, metavar="perplexity.json")
    add_device_arguments(evaluate)

    sample = steps.add_parser("sample", help="texts from prompts")
    sample.add_argument("--model", type=Path, required=True, metavar="model.safetensors")
    sample.add_argument("--tokenizer", type=Path, required=True, metavar="DIR")
    sample.add_argument("--samples", type=object_argument, required=True, help="`samples` of a suite, as JSON")
    sample.add_argument("--seeds", type=range_argument, required=True, metavar="START:STOP")
    sample.add_argument("--out", type=Path, required=True, metavar="texts.json")
    add_device_arguments(sample)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Do one step."""
    args = parser().parse_args(arguments)
    device = open_device(args) if "device" in args else None
    if args.step == "prepare":
        from genbench.language.text import prepare_text

        prepare_text(args.text, args.tokenizer, args.data_root, args.out)
    elif device is not None and args.step == "train":
        from genbench.language.training import train

        options = {key: getattr(args, key) for key in ("data_root", "seed", "save_seconds", "fresh")}
        train(args.spec, args.tokens, args.out, device=device, **options)
    elif device is not None and args.step == "evaluate":
        from genbench.language.perplexity import evaluate

        evaluate(args.tokens, args.out, args.evaluation, model=args.model, order=args.ngram, device=device)
    elif device is not None:
        from genbench.language.sampling import write_texts

        write_texts(args.model, args.tokenizer, args.samples, args.seeds, args.out, device)
