"""The content of a suite's page: comparison, plots, pictures, a section for each model, and provenance."""

import re
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from genbench.records.reference import Reference
from genbench.reporting.columns import NFE, TIME, TRAINING_TIME
from genbench.reporting.compared import Compared
from genbench.reporting.comparisons import Comparison
from genbench.reporting.compute import Compute, quality_against_compute, with_first_stages
from genbench.reporting.drawing import Plot
from genbench.reporting.exports import EXPORTS, data_uri
from genbench.reporting.few_steps import FewSteps, best_by_evaluations
from genbench.reporting.files import RowFiles, files_of, linked
from genbench.reporting.kept import Kept
from genbench.reporting.noise_schedules import bound_terms, noise_schedules
from genbench.reporting.overview import Highlight, highlights
from genbench.reporting.plots import quality_against
from genbench.reporting.published import Beside, Figure, figures, published_beside
from genbench.reporting.reproduced import Reproduction
from genbench.reporting.results import Results
from genbench.reporting.sampler_studies import Setting, Study, arrange, quality_against_steps, quality_plots, settings
from genbench.reporting.samples import Samples
from genbench.reporting.schemes import Schemes, scheme_table
from genbench.reporting.sections import Section, model_section
from genbench.reporting.since import NAME, Since, since_last_run
from genbench.reporting.snapshots import MOST_LINES, held_out, quality_over_training
from genbench.reporting.table import Table

LONGEST_INSIDE = 60_000  # letters of an exported table; a longer one is not inside the page
FORMAT = "genbench-report-1"  # of the summaries that the index reads


class Report(Compared):
    """One suite, arranged for its page.

    root: results/{suite}. kept: the cache of pictures. pages: the folder of the page, for its links to files.
    reference: the record that the results are compared with, if any. time: the column of the time to sample.
    """

    time = TIME

    def __init__(
        self,
        results: Results,
        root: Path,
        kept: Kept | None = None,
        pages: Path | None = None,
        reference: Reference | None = None,
    ) -> None:
        super().__init__(results, root)
        self.kept, self.pages, self.reference = kept or Kept(), pages, reference

    @cached_property
    def files(self) -> dict[str, RowFiles]:
        """The files of each row, by its key."""
        return files_of(self.results.rows, self.root, self.pages)

    @cached_property
    def table(self) -> Table:
        """The comparison, with links from its numbers to their files."""
        plain = super().table
        return replace(plain, rows=linked(plain.rows, self.files))

    @cached_property
    def since(self) -> Since | None:
        """What has changed since the last run."""
        kept = self.pages and self.pages / self.preflight.suite / NAME
        return since_last_run(self.table, self.compared, self.results.provenance, kept) if kept else None

    @cached_property
    def samples(self) -> Samples:
        """The pictures of the page."""
        return Samples(self.results, self.table, self.kept, self.pages)

    @property
    def elsewhere(self) -> list[str]:
        """The names of the shown rows whose images were drawn elsewhere, from other seeds."""
        given = [row.name for row, _ in self.samples.shown if "samples" in self.preflight.models[row.model].spec]
        return list(dict.fromkeys(given))

    @cached_property
    def highlights(self) -> list[Highlight]:
        """The best rows of the main columns."""
        return highlights(self.table)

    @cached_property
    def quality(self) -> Comparison | None:
        """Quality against the time to sample."""
        return quality_against(self.table, TIME)

    @cached_property
    def costs(self) -> list[Comparison]:
        """Quality against NFE, and against the time of training."""
        trained = with_first_stages(self.preflight.models, self.table)
        plots = quality_against(self.table, NFE), quality_against(trained, TRAINING_TIME)
        return [plot for plot in plots if plot]

    @cached_property
    def few_steps(self) -> FewSteps | None:
        """The best row for each limit on network evaluations."""
        return best_by_evaluations(self.preflight.models, self.table)

    @cached_property
    def compute(self) -> Compute | None:
        """The quality of recipes at several training budgets."""
        return quality_against_compute(self.preflight.models, self.table)

    @cached_property
    def progress(self) -> Comparison | None:
        """The headline metric of the snapshots of all models."""
        return quality_over_training(self.results, self.table.rows)

    @cached_property
    def held_out(self) -> list[Comparison]:
        """Quantities measured on held-out images during training, for all models."""
        return held_out(self.results, self.names)

    @property
    def losses(self) -> list[tuple[Section, Plot]]:
        """The loss curves of each model that has a history."""
        return [(section, curve) for section in self.sections for title, curve in section.curves if title == "Losses"]

    @cached_property
    def diffusion(self) -> list[Comparison]:
        """The noise schedules of all models, and the terms of their bounds."""
        plots = noise_schedules(self.preflight.models, self.names), bound_terms(self.results.bound_terms, self.names)
        return [plot for plot in plots if plot]

    @cached_property
    def schemes(self) -> Schemes | None:
        """The quantised networks beside the float32 networks."""
        return scheme_table(self.compared, self.preflight.models, self.table.columns[0])

    @cached_property
    def settings(self) -> dict[str, list[Setting]]:
        """The samplers that take steps, by model, the best model first."""
        models, rows = self.preflight.models, self.table.rows
        return {model: settings(models[model], [row for row in rows if row.model == model]) for model in self.order}

    @cached_property
    def speed(self) -> Comparison | None:
        """What fewer sampling steps cost each model."""
        named = {self.names[model]: chosen for model, chosen in list(self.settings.items())[:MOST_LINES]}
        return quality_against_steps(named, self.table.columns[0])

    @cached_property
    def studies(self) -> list[Study]:
        """The best MOST_LINES models that have enough samplers with different steps or noise to compare."""
        studies: list[Study] = []
        for model, chosen in self.settings.items():
            if len(studies) < MOST_LINES and (plots := quality_plots(chosen, self.table.columns[0])):
                pictures = [(setting, picture) for setting in chosen if (picture := self.samples.of_study(setting.row))]
                studies.append(Study(self.label(model), self.anchors[model], plots, arrange(pictures)))
        return studies

    @cached_property
    def sections(self) -> list[Section]:
        """A section for each model."""
        return [model_section(self, model, number) for number, model in enumerate(self.order, start=1)]

    @cached_property
    def published(self) -> list[Beside]:
        """What others published on this data set, family by family."""
        return published_beside(self.dataset, self.table)

    @cached_property
    def reproduction(self) -> Reproduction | None:
        """How the results compare with the reference results, if there are any."""
        return Reproduction(self.results, self.reference) if self.reference else None

    @cached_property
    def figures(self) -> list[Figure]:
        """Published figures for exactly these entries, beside ours."""
        return figures(self.results)

    @cached_property
    def exports(self) -> dict[str, str]:
        """The comparison as files, by file extension."""
        return {kind: write(self.table) for kind, write in EXPORTS.items()}

    def export_address(self, kind: str) -> str:
        """The address of the comparison as a file: a data URI, or a file beside the page if it is long."""
        text, suite = self.exports[kind], quote(self.preflight.suite)
        return data_uri(text) if len(text) <= LONGEST_INSIDE else f"{suite}/comparison.{kind}"

    @cached_property
    def plots(self) -> dict[str, Plot]:
        """Every plot of the page in its wide size, by file name."""
        compute = self.compute.plots if self.compute else []
        found = [self.quality, *self.costs, *compute, self.progress, self.speed, *self.held_out, *self.diffusion]
        plots = {file_name(comparison.title): comparison.wide for comparison in found if comparison}
        for study in self.studies:
            name = file_name(study.anchor.removeprefix("model-"))
            plots |= {f"sampling-{name}-{file_name(plot.title)}": plot.wide for plot in study.plots}
        for section in self.sections:
            name = file_name(section.anchor.removeprefix("model-"))
            plots |= {f"training-{name}-{file_name(title)}": curve for title, curve in section.curves}
        return plots

    def summary(self) -> dict[str, Any]:
        """What the index over all suites needs from this one, as JSON."""
        own = {key: info.about() for key, info in self.results.own.items()}
        keys = ("suite", "title", "description", "dataset", "num_samples", "headline")
        plan = self.preflight.content()
        return {
            "format": FORMAT,
            **{key: plan[key] for key in keys if plan.get(key) is not None},
            "anchors": self.anchors,
            "metrics": self.results.metrics,
            **({"own_metrics": own} if own else {}),
            "rows": self.draws,
            "floor": self.results.floor,
            **({"elsewhere": self.elsewhere} if self.elsewhere else {}),
            "strips": [{"name": strip.name, **vars(strip.picture)} for strip in self.samples.strips],
        }


def file_name(text: str) -> str:
    """A text as a file name: lower-case letters, digits, full stops and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "plot"
