"""Metrics of generated images against real ones, from the features of both. No network runs here, and no GPU."""

import argparse
from pathlib import Path
from typing import Any

from genbench.errors import InputError
from genbench.features import load_features
from genbench.files.artifacts import write_json
from genbench.machine import provenance
from genbench.machine.command_line import json_argument, label_log, run
from genbench.metrics import EvaluationOptions, Features, evaluate_draws, metric_info, wanted_keys
from genbench.schema import check_arguments


def source(features: Features) -> dict[str, Any]:
    """What made these features: the extractor's name and its weights."""
    return {key: features.info["extractor"][key] for key in ("name", "sha256")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", nargs="+", required=True, metavar="features.npz", help="one for each extractor")
    parser.add_argument("--fake", nargs="+", required=True, metavar="features.npz", help="in the same order")
    parser.add_argument(
        "--holdout",
        nargs="+",
        metavar="features.npz",
        help="of test images, in the same order, when --real is of training images: tells what was learnt by heart",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="metrics.json")
    parser.add_argument("--draws", type=int, default=1, help="into how many draws with other seeds --fake is dealt out")
    parser.add_argument("--options", type=json_argument, default={}, help='JSON such as {"splits": 10}, or @file')
    parser.add_argument(
        "--allow-too-few", action="store_true", help="leave out a metric that needs more images, rather than fail"
    )
    args = parser.parse_args()
    if len(args.real) != len(args.fake):
        parser.error(f"--real and --fake: found {len(args.real)} and {len(args.fake)} files, expected pairs")
    holdouts = args.holdout or [None] * len(args.real)
    if len(holdouts) != len(args.real):
        parser.error(f"--holdout: found {len(holdouts)} files, expected one for each of the {len(args.real)} of --real")
    if not isinstance(args.options, dict):
        parser.error("--options: expected a JSON object")
    if args.draws < 1:
        parser.error(f"--draws: found {args.draws}, expected at least 1")
    check_arguments(EvaluationOptions, args.options, "--options")
    options = EvaluationOptions(**args.options)
    label_log(args.out)

    result: dict[str, Any] = {"metrics": {}, "extractors": {}, "warnings": []}
    for real_path, fake_path, holdout_path in zip(args.real, args.fake, holdouts, strict=True):
        real, fake = load_features(real_path), load_features(fake_path)
        if reason := fake.info.get("unavailable"):  # nothing was drawn: the report says why
            result["unavailable"] = reason
            continue
        holdout = load_features(holdout_path) if holdout_path else None
        for path, x in ((fake_path, fake), (holdout_path, holdout)):
            if x is not None and source(x) != source(real):
                raise InputError(
                    f"{real_path} and {path}: features of different extractors, {source(real)} and {source(x)}; "
                    "expected one"
                )
        if real.extractor in result["extractors"]:
            raise InputError(f"{fake_path}: a second pair with features of {real.extractor!r}; expected one of each")
        for key, path, x in (("reference", real_path, real), ("samples", fake_path, fake)):
            if result.setdefault(f"{key}_sha256", x.info["images_sha256"]) != x.info["images_sha256"]:
                raise InputError(f"{path}: features of other images than those of the first pair; expected the same")
        try:
            metrics = evaluate_draws(real, fake, args.draws, options, args.allow_too_few, holdout)
        except InputError as error:
            raise InputError(f"{real_path} and {fake_path}: {error}") from None
        result["metrics"] |= metrics
        result["extractors"][real.extractor] = {k: v for k, v in real.info["extractor"].items() if k != "name"}
        result["num_real"], result["num_fake"] = len(real.features), len(fake.features) // args.draws
        result["warnings"] += [f"real images: {warning}" for warning in real.info.get("warnings", [])]
        result["warnings"] += fake.info.get("warnings", [])
        result["warnings"] += [
            f"{metric_info(key).label} is left out: too few images (it needs {metric_info(key).minimum_rule})"
            for key in wanted_keys(real, fake, holdout, options)
            if key not in metrics
        ]
    result["warnings"] = list(dict.fromkeys(result["warnings"]))  # image warnings come once for each extractor
    result["options"] = args.options
    result["provenance"] = provenance.collect("numpy")
    write_json(args.out, result)


if __name__ == "__main__":
    run(main)
