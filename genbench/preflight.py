"""Every entry of a suite built, run and sampled once on the meta device, where tensors have shapes and no contents.

Wrong keys, wrong values and shapes that don't fit are found in seconds, at full size, before anything is trained;
and the cost of every model is known beforehand.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from genbench import provenance
from genbench.construction import check_arguments, unknown_name
from genbench.data import describe
from genbench.errors import InputError
from genbench.features import EXTRACTORS
from genbench.generation import CallCounter
from genbench.metrics import EvaluationOptions, minimum_samples
from genbench.models import Batch, Model, build, count_parameters
from genbench.noise import Noise
from genbench.recipe import TrainConfig
from genbench.suites import ROOT, checkpoints

META = torch.device("meta")


class FlopCounter(TorchDispatchMode):
    """Adds up the FLOPs of convolutions and matrix products, by torch's own formulas: two a multiplication.

    torch's FlopCounterMode also follows modules, and fails on a loss that differentiates twice.
    """

    total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if (formula := flop_registry.get(function._overloadpacket)) is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def _meta_noise(size: int) -> Noise:
    return Noise(torch.empty(size, dtype=torch.int64, device=META))


def training_cost(model: Model, config: TrainConfig) -> dict[str, int]:
    """FLOPs of one training iteration, and bytes of memory: weights, gradients, Adam's moments, the average, and
    what autograd keeps of one micro-batch (an upper bound; the allocator adds some, and reuses some)."""
    size = config.batch_size // config.accumulate
    kept: dict[int, int] = {}
    peak = 0

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()  # the storage's own address: views of one tensor count once
        return tensor

    model.train()
    x0 = torch.empty(size, *model.image_shape, device=META)
    with (
        FlopCounter() as counter,
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        # A step at which every submodule moves: n_critic - 1 for a GAN, found by trying.
        for step in range(64):
            before = counter.total
            batch = Batch(x0, torch.empty(size, dtype=torch.int64, device=META), _meta_noise(size))
            names = set()
            for name, loss in model.losses(batch, step):
                loss.backward(inputs=list(model.get_submodule(name).parameters()))
                names.add(name)
                peak = max(peak, sum(kept.values()))
                kept.clear()
            if names == set(count_parameters(model)):
                break
        flops = counter.total - before
    weights = 4 * sum(p.numel() for p in model.parameters())
    model.zero_grad(set_to_none=True)
    return {"flops": flops * config.accumulate, "memory_bytes": weights * (5 if config.ema_decay else 4) + peak}


@contextlib.contextmanager
def _each_shape_once(module: torch.nn.Module) -> Iterator[list[int]]:
    """Let `module` compute once for each shape of input and answer from memory afterwards; yields its FLOPs by call."""
    forward, answers, flops = module.forward, {}, []

    def remembered(*inputs: Any) -> Any:
        key = tuple(tuple(value.shape) for value in inputs if isinstance(value, Tensor))
        if key not in answers:
            with FlopCounter() as counter:
                answers[key] = forward(*inputs), counter
        output, counter = answers[key]
        flops.append(counter.total)
        return output

    module.forward = remembered
    try:
        yield flops
    finally:
        del module.forward


def sampling_cost(model: Model, options: Mapping[str, Any]) -> dict[str, int]:
    """NFE and FLOPs of drawing one image. A network called with one shape a thousand times is computed once."""
    model.eval()
    network = model.get_submodule(model.network)
    with torch.no_grad(), _each_shape_once(network) as flops, CallCounter().on(model) as counter:
        images = model.sample(_meta_noise(1), **options)
    if tuple(images.shape) != (1, *model.image_shape):
        raise InputError(f"sample returned shape {tuple(images.shape)}, expected {(1, *model.image_shape)}")
    return {"nfe": counter.calls, "flops_per_nfe": flops[0] if flops else 0, "flops_per_image": sum(flops)}


def check_entry(entry: Mapping[str, Any], image_shape: tuple[int, int, int], where: str) -> dict[str, Any]:
    """What a model's entry will be and cost. Raises InputError, beginning with `where`, for anything wrong in it."""
    config = TrainConfig.from_entry(entry["training"], f"{where}: training")
    if late := [step for step in entry["snapshots"] if step >= config.steps]:
        raise InputError(
            f"{where}: snapshots: found step {late[0]}, expected steps below training: steps {config.steps}"
        )
    with META:
        model = build(entry["model"], image_shape, f"{where}: model")
    model = model.to(META)
    config.check_model(model, f"{where}: training")
    options = {
        name: model.check_sampler(given, f"{where}: samplers: {name}") for name, given in entry["samplers"].items()
    }
    for name in entry["pictures"]:
        if name not in model.pictures:
            raise unknown_name(f"{where}: pictures", name, model.pictures)
    try:
        training = training_cost(model, config)
        samplers = {
            name: {
                "label": name,
                "options": given,
                "remarks": model.remarks(given),
                **sampling_cost(model, given),
            }
            for name, given in options.items()
        }
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"{where}: the model does not run on images of shape {image_shape}: {error}") from error
    return {
        "label": entry["label"],
        "description": entry["description"],
        "budget": entry.get("budget"),
        "family": model.family,
        "paper": model.paper,
        "class": entry["model"]["class"],
        "spec": {key: entry[key] for key in ("model", "training", "samplers", "sample_batch_size")},
        "parameters": count_parameters(model),
        "training_flops_per_image": training["flops"] // config.batch_size,
        "training_memory_bytes": training["memory_bytes"],
        "training_steps": config.steps,
        "checkpoints": list(checkpoints(entry)),
        "pictures": entry["pictures"],
        "samplers": samplers,
    }


def check_evaluation(suite: Mapping[str, Any], num_classes: int, where: str) -> None:
    """Check extractors, options, and that there will be as many samples as the metrics need."""
    evaluation = suite["evaluation"]
    for name in evaluation["extractors"]:
        if name not in EXTRACTORS:
            raise unknown_name(f"{where}: evaluation: extractors", name, EXTRACTORS)
    if "classifier" in evaluation["extractors"] and num_classes < 2:
        raise InputError(
            f"{where}: evaluation: extractors: found 'classifier', which needs labels of at least two classes; "
            f"the data set has {num_classes}"
        )
    check_arguments(EvaluationOptions, evaluation["options"], f"{where}: evaluation: options")
    options = EvaluationOptions(**evaluation["options"])
    keys = [key for name in evaluation["extractors"] for key in EXTRACTORS[name].metrics]
    if evaluation["headline"] not in keys:
        raise unknown_name(f"{where}: evaluation: headline", evaluation["headline"], keys)
    needed = max(
        minimum_samples(EXTRACTORS[name].metrics, EXTRACTORS[name].dim, options) for name in evaluation["extractors"]
    )
    for key in ("num_samples", "snapshot_samples"):
        if suite[key] < needed:
            raise InputError(
                f"{where}: {key}: found {suite[key]}, expected at least {needed} for the metrics of "
                f"{', '.join(evaluation['extractors'])} (evaluation: options can lower this)"
            )


def preflight(suite: Mapping[str, Any], data_root: str, source: str) -> dict[str, Any]:
    """Check a complete suite (from load_suite) and say what it will make and cost. `source` begins every error."""
    try:
        data = describe(suite["dataset"], data_root)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    image_shape = (data.channels, data.height, data.width)
    check_evaluation(suite, data.num_classes, source)
    return {
        "suite": suite["name"],
        "suite_argument": suite["name"] if Path(source).resolve().parent == ROOT / "suites" else source,
        "title": suite["title"],
        "description": suite["description"],
        "dataset": {
            "name": data.name,
            "label": data.label,
            "image_shape": image_shape,
            "num_classes": data.num_classes,
            "num_train": data.num_train,
            "num_test": data.num_test,
            "notes": list(data.notes),
        },
        "num_samples": suite["num_samples"],
        "snapshot_samples": suite["snapshot_samples"],
        "seeds": suite["seeds"],
        "evaluation": suite["evaluation"],
        "headline": suite["evaluation"]["headline"],
        "models": {
            name: check_entry(entry, image_shape, f"{source}: models: {name}")
            for name, entry in suite["models"].items()
        },
        "provenance": provenance.collect("torch", "numpy", "snakemake"),
    }
