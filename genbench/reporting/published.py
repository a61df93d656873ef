"""Numbers published by others, for orientation: from other implementations and other machines.

They never enter the comparison. `published_beside` puts them next to a suite's rows of the same family on the same data
set; `figures` puts those for an entry's own recipe or checkpoint beside the numbers measured here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import pandas as pd

from genbench.records.plan import ModelPlan, PublishedFigure
from genbench.reporting.cells import seen
from genbench.reporting.columns import metric_columns
from genbench.reporting.numerals import duration
from genbench.reporting.results import Results
from genbench.reporting.table import Row, Table

MOST_ROWS = 3  # of this suite, per family


def arxiv(authors: str, number: str) -> Mapping[str, str]:
    """A source with the authors as the link, which saves space in the table."""
    return {"title": authors, "url": f"https://arxiv.org/abs/{number}"}


HO = arxiv("Ho et al. 2020", "2006.11239")
SONG = arxiv("Song et al. 2021", "2010.02502")
NICHOL = arxiv("Nichol and Dhariwal 2021", "2102.09672")
XIAO = arxiv("Xiao et al. 2022", "2112.07804")
AS_IN = arxiv("as in Xiao et al. 2022", "2112.07804")
PANDEY = arxiv("Pandey et al. 2022", "2201.00308")
GHOSH = arxiv("Ghosh et al. 2020", "1903.12436")
HEUSEL = arxiv("Heusel et al. 2017", "1706.08500")
KARRAS = arxiv("Karras et al. 2022", "2206.00364")
STUDIOGAN = {"title": "StudioGAN's benchmark", "url": "https://github.com/POSTECH-CVLab/PyTorch-StudioGAN"}


@dataclass(frozen=True)
class PublishedRow:
    """One published result. Numbers are text, with the digits of their source, or "".

    family: as Model.family, "" for models that genbench does not have. time: for 100 images, with its machine.
    source: a title and its address, for `page.cite`.
    """

    family: str
    method: str
    fid: str
    inception_score: str = ""
    nfe: str = ""
    time: str = ""
    source: Mapping[str, str] = field(kw_only=True)


@dataclass(frozen=True)
class Beside:
    """The published rows of a family, and this suite's best rows of it, each with its number, if any.

    measure: the label of that number here, with the kind of Inception and the number of samples.
    """

    family: str
    measure: str
    rows: Sequence[PublishedRow]
    here: Sequence[tuple[Row, str]] = field(default=())


SIZES = {"cifar10": ((3, 32, 32), 50_000)}  # (C, H, W) and training images: with fewer classes it is another data set
# By data set. FID of 50,000 samples against the training set, by Inception with TensorFlow's weights or a port of them.
PUBLISHED: Mapping[str, Sequence[PublishedRow]] = {
    "cifar10": [
        PublishedRow("GAN", "DCGAN", "48.29", "6.11", "1", source=STUDIOGAN),
        PublishedRow("GAN", "DCGAN", "37.7", "", "1", source=HEUSEL),
        PublishedRow("GAN", "LSGAN", "40.22", "6.55", "1", source=STUDIOGAN),
        PublishedRow("GAN", "WGAN-GP, ResNet, batch norm in D", "53.98", "5.22", "1", source=STUDIOGAN),
        PublishedRow("GAN", "WGAN-GP, ResNet", "29.3", "", "1", source=HEUSEL),
        PublishedRow("VAE", "VAE, network of RAE", "106.37", "", "1", source=GHOSH),
        PublishedRow("VAE", "VAE, mixture of Gaussians as prior", "103.78", "", "1", source=GHOSH),
        PublishedRow("VAE", "RAE-L2, mixture of Gaussians as prior", "74.16", "", "1", source=GHOSH),
        PublishedRow("VAE", "NVAE", "23.5", "7.18", "1", "0.36 s (V100)", source=AS_IN),
        PublishedRow("DDGAN", "DDGAN, T = 1", "14.6", "8.93", "1", source=XIAO),
        PublishedRow("DDGAN", "DDGAN, T = 2", "4.08", "9.80", "2", source=XIAO),
        PublishedRow("DDGAN", "DDGAN, T = 4", "3.75", "9.63", "4", "0.21 s (V100)", source=XIAO),
        PublishedRow(
            "Diffusion", "DDPM, L_simple, T = 1000", "3.17", "9.46", "1000", "80.5 s (V100, Xiao et al.)", source=HO
        ),
        PublishedRow("Diffusion", "DDIM, η = 0, S = 10", "13.36", "", "10", source=SONG),
        PublishedRow("Diffusion", "DDIM, η = 0, S = 20", "6.84", "", "20", source=SONG),
        PublishedRow("Diffusion", "DDIM, η = 0, S = 50", "4.67", "", "50", "4.01 s (V100, Xiao et al.)", source=SONG),
        PublishedRow("Diffusion", "DDIM, η = 0, S = 100", "4.16", "", "100", source=SONG),
        PublishedRow("Diffusion", "Improved diffusion, 4K linear, L_simple", "2.90", "", "4000", source=NICHOL),
        PublishedRow("Diffusion", "Improved diffusion, 4K cosine, L_hybrid", "3.19", "", "4000", source=NICHOL),
        PublishedRow("Diffusion", "Improved diffusion, 4K cosine, L_vlb", "11.47", "", "4000", source=NICHOL),
        PublishedRow(
            "DiffuseVAE", "DiffuseVAE-72M, formulation 1, mixture as prior", "2.62", "", "1000", source=PANDEY
        ),
        PublishedRow("", "StyleGAN2 + ADA, unconditional", "2.92", "9.83", "1", "0.04 s (V100)", source=AS_IN),
        PublishedRow("", "Score SDE, VE", "2.20", "9.89", "2000", "423 s (V100)", source=AS_IN),
        PublishedRow("", "LSGM", "2.10", "9.87", "147", "44.5 s (V100)", source=AS_IN),
        PublishedRow("", "EDM, VP, unconditional", "1.97", "", "35", source=KARRAS),
    ],
}


def published_beside(dataset: Mapping[str, Any], table: Table) -> list[Beside]:
    """The results published on a suite's data set, family by family, beside its own rows; empty for other data sets.

    With fewer classes or another image size it is another data set, whatever its name.
    """
    name = str(dataset.get("name"))
    size = tuple(dataset.get("image_shape") or ()), dataset.get("num_train")
    rows = PUBLISHED[name] if SIZES.get(name) == size else ()
    fids = [column for column in table.columns if column.metric == "fid"]
    fids.sort(key=lambda column: column.key != "fid_legacy")  # like published FIDs, by TensorFlow's resizer
    fid = fids[0] if fids else None
    found = []
    for family in dict.fromkeys(row.family for row in rows):
        best = [row for row in table.rows if row.family == family][:MOST_ROWS]
        here = [(row, row.cells[fid.key].text if fid else "") for row in best]
        found.append(Beside(family, fid.label if fid else "FID", [row for row in rows if row.family == family], here))
    return found


# --- For an entry's own recipe or checkpoint --------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """One published figure as it is printed. here, difference: "" if nothing was measured here yet.

    difference: ours minus theirs. of: the sampler and checkpoint, where they distinguish figures.
    """

    model: str
    quantity: str
    of: str
    published: str
    here: str
    difference: str
    note: str
    source: str


def figures(results: Results) -> list[Figure]:
    """Every published figure of a suite's entries, in the suite's order."""
    found = []
    for model, entry in results.preflight.models.items():
        rows = results.rows if results.rows.empty else results.rows[results.rows["model"] == model]
        for figure in entry.published:
            label, text, scale = printing(figure, results)
            ours = list(measured(figure, entry, rows, results))
            here = fmean(ours) if ours else None
            found.append(
                Figure(
                    model=model,
                    quantity=label,
                    of=", ".join(origin_of(figure, entry)),
                    published=text(figure.value * scale),
                    here="" if here is None else text(here * scale),
                    difference="" if here is None else signed((here - figure.value) * scale, text),
                    note=figure.note or "",
                    source=figure.source,
                )
            )
    return found


def printing(figure: PublishedFigure, results: Results) -> tuple[str, Callable[[float], str], float]:
    """The label of a quantity, the function that prints it, and the factor before printing."""
    if figure.quantity == "seconds":
        return f"Time for {figure.images:,} images", duration, 1
    if figure.quantity == "training_seconds":
        return "Training time", duration, 1
    if figure.quantity == "loss":
        return "Training loss, last epoch", with_digits_of(figure.value), 1
    plan = results.preflight
    dataset: dict[str, Any] = plan.dataset.content() if plan.dataset else {}
    column = metric_columns([figure.quantity], plan.num_samples, dataset, results.own)[0]
    return column.label, with_digits_of(figure.value * column.scale), column.scale


def with_digits_of(published: float) -> Callable[[float], str]:
    """A function that prints numbers with as many decimals as the published one."""
    decimals = len(f"{published:.6g}".partition(".")[2])
    return lambda value: f"{value:,.{decimals}f}"


def signed(difference: float, text: Callable[[float], str]) -> str:
    """A difference with its sign; without a sign if it is printed as zero."""
    printed = text(abs(difference))
    return printed if printed == text(0.0) else f"{'+' if difference > 0 else '−'}{printed}"


def measured(figure: PublishedFigure, entry: ModelPlan, rows: pd.DataFrame, results: Results) -> Iterator[float]:
    """The number measured here, for each training."""
    if figure.quantity == "loss":
        yield from last_losses(entry, rows, results)
        return
    own = rows[(rows["sampler"] == figure.sampler) & (rows["checkpoint"] == figure.checkpoint)]
    key = {"seconds": "seconds_per_50k"}.get(figure.quantity, figure.quantity)
    factor = (figure.images or 0) / 50_000 if figure.quantity == "seconds" else 1
    yield from (float(value) * factor for value in seen(own, key))


def last_losses(entry: ModelPlan, rows: pd.DataFrame, results: Results) -> Iterator[float]:
    """The mean loss of the last epoch of each training, as far as its history has it; only for models with one loss."""
    history = results.histories.get(str(rows["model"].iloc[0])) if len(rows) else None
    dataset, batch = results.preflight.dataset, entry.spec.get("training", {}).get("batch_size")
    if history is None or not batch or not entry.training_steps or dataset is None or not dataset.num_train:
        return
    losses = history[history["kind"] == "losses"]
    if losses["name"].nunique() != 1:
        return
    begun = min(entry.training_steps - dataset.num_train / batch, float(losses["step"].max()) - 1)
    for _, run in losses[losses["step"] > begun].groupby("seed"):
        yield float(run["value"].mean())


def origin_of(figure: PublishedFigure, entry: ModelPlan) -> Iterator[str]:
    """The sampler, if the entry has several and it matters, and the checkpoint, if it is a snapshot."""
    if figure.quantity not in ("loss", "training_seconds") and len(entry.samplers) > 1:
        yield entry.samplers[figure.sampler].label or figure.sampler
    if figure.checkpoint != "final":
        yield f"{int(figure.checkpoint.removeprefix('step-')):,} steps"
