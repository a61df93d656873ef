"""Plots, as SVG that is part of the page and as files for a paper.

Matplotlib draws in the colours of the light theme of style.css. On the page `to_svg` replaces them by its CSS
variables, so that they change with the theme. Text stays text, so that it can be found, copied and read aloud.
"""

import atexit
import contextlib
import functools
import hashlib
import io
import logging
import re
import shutil
import string
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
from fontTools import subset
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from genbench.reporting.numerals import Number, count

INK, SOFT, LINE = "#1a1d21", "#5b636d", "#dde1e6"
HUES = ["#1f6fb4", "#c2570c", "#2a8a58", "#a63d8f", "#8a6d1a", "#b3303b", "#1a8a94", "#6a5acd"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "p"]
DASHES: list[Any] = [
    "-",
    *((0, dashes) for dashes in [(4, 1.5), (1.2, 1.2), (6, 1.5, 1.2, 1.5), (2, 1), (8, 2), (1, 2), (3, 3)]),
]
BARS: dict[str, Any] = {"fmt": "none", "elinewidth": 1.2, "capsize": 3}  # of one standard deviation
VARIABLES = {INK: "var(--ink)", SOFT: "var(--soft)", LINE: "var(--line)"} | {
    hue: f"var(--hue-{number})" for number, hue in enumerate(HUES, start=1)
}
COLOURS = {variable: colour for colour, variable in VARIABLES.items()}
FONTS = "Arial, Helvetica, 'Liberation Sans', 'DejaVu Sans', sans-serif"  # of SVG files; on a page, the page's
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # fonts that journals accept
    "svg.hashsalt": "genbench",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}


class Plot(Markup):
    """An SVG element of a page, and the figure that it was made from."""

    figure: Figure


@contextlib.contextmanager
def styled(**more: Any) -> Iterator[None]:
    """Matplotlib in STYLE, silent where its own font lacks a letter: the browser has others. more: of rcParams."""
    with matplotlib.rc_context(STYLE | more), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


def blank(size: tuple[Number, Number]) -> tuple[Figure, Axes]:
    """An empty figure, without the global state of pyplot."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)  # measures text
    return figure, figure.subplots()


def lay_out(figure: Figure) -> None:
    """Give axes, labels and legend their places, once: for all measurements, the page, the file and the PDF."""
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
        figure.set_layout_engine("none")


def scale_values(axes: Axes, values: Sequence[Number], bars: Sequence[Number] = (0,), log: bool = False) -> None:
    """A logarithmic axis for positive values that span more than a factor of twenty, or with `log`; short numbers.

    bars: how far each may reach to both sides. With `log` bars that reach below 0 are cut there.
    """
    found, reach = np.asarray(values, float), np.asarray(bars, float)
    low, high = float(np.min(found - (0 if log else reach))), float(np.max(found + reach))
    few = high < 10 * low  # too few for ticks at 1, 2 and 5
    if low > 0 and (log or high > 20 * low):
        axes.set_yscale("log")
        subs = (1, 2, 5) if high < 1000 * low else (1,)
        axes.yaxis.set_major_locator(MaxNLocator(5) if few else LogLocator(subs=subs))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value) if abs(value) >= 1000 else f"{value:g}"))


def around(styles: Sequence[Any], names: Sequence[str], shift: int = 0) -> dict[str, Any]:
    """A style for each name, from the start again when there are more names than styles.

    shift: so many styles further at each new start, so that two kinds of styles together repeat later.
    """
    each = len(styles)
    return {name: styles[(number + shift * (number // each)) % each] for number, name in enumerate(names)}


def legible(text: str, length: int = 48) -> str:
    """A text that a plot can take: one line, not too long; matplotlib leaves out what begins with an underscore."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    text = text if len(text) <= length else text[: length - 1] + "…"
    return f" {text}" if text.startswith("_") else text


def to_svg(figure: Figure, description: str, tooltips: Sequence[str] = ()) -> Plot:
    """The figure as an SVG element of an HTML page. `tooltips` are those of the artists with the gid "points"."""
    buffer = io.StringIO()
    lay_out(figure)
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})  # savefig would draw it twice, to lay it out
    root = ElementTree.fromstring(buffer.getvalue())
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        element.tail = None
        element.text = (element.text or "").strip() or None if element.tag not in ("text", "title") else element.text
        element.attrib = {key.partition("}")[2] or key: tidy(value) for key, value in element.attrib.items()}
        element.attrib.pop("clip-path", None)
    # A page has many plots, whose identifiers would clash: a shape is written out wherever it is used.
    shapes = {f"#{shape.get('id')}": shape for shape in root.iter("path")}
    for use in list(root.iter("use")):
        shape, position = shapes[use.attrib["href"]], f"translate({use.attrib['x']} {use.attrib['y']})"
        style = "; ".join(filter(None, (shape.get("style"), use.get("style"))))
        use.tag, use.attrib = "path", {"d": shape.attrib["d"], "transform": position, "style": style}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("metadata", "defs"):
                parent.remove(child)
    if tooltips:
        marks = [mark for group in root.iter("g") if group.get("id") == "points" for mark in group.iter("path")]
        for mark, tooltip in zip(marks, tooltips, strict=True):
            ElementTree.SubElement(mark, "title").text = legible(tooltip, 200)
    for element in root.iter():
        element.attrib.pop("id", None)
        if element.get("transform", "").startswith("rotate(-0 "):
            element.attrib.pop("transform")
    root.attrib = {"viewBox": root.attrib["viewBox"], "class": "plot", "role": "img"}
    root.set("aria-label", legible(description, 400))
    plot = Plot(ElementTree.tostring(root, encoding="unicode"))
    plot.figure = figure
    return plot


def svg_file(plot: Plot) -> str:
    """A plot as an SVG file, in the colours of the light theme."""
    svg = re.sub(r"var\(--[\w-]+\)", lambda match: COLOURS[match[0]], plot)
    width, height = svg.partition('viewBox="0 0 ')[2].partition('"')[0].split()
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}pt" height="{height}pt" font-family="{FONTS}" '
    return svg.replace("<svg ", head, 1)


def pdf_file(plot: Plot, characters: str = "") -> bytes:
    """A plot as a PDF file, the same whenever it is written.

    characters: `characters_of` all plots that are written, so that one small font serves them all.
    """
    buffer = io.BytesIO()
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it reports every font that it makes smaller
    fonts = [font_of(characters or characters_of([plot])), "DejaVu Sans"]
    with styled(**{"font.sans-serif": fonts}):
        FigureCanvasPdf(plot.figure).print_pdf(buffer, metadata={"CreationDate": None})
    return buffer.getvalue()


def characters_of(plots: Iterable[Plot]) -> str:
    """What is written in some plots, and the printable characters of ASCII."""
    return "".join(sorted(set(string.printable).union(*plots)))


@functools.cache
def font_of(characters: str) -> str:
    """The family of a font with these characters of DejaVu Sans only: to embed it takes a tenth of the time."""
    options = subset.Options(layout_features=[], glyph_names=True)
    options.drop_tables += ["FFTM"]  # the time of its making, which it would warn of
    family = f"genbench {hashlib.sha256(characters.encode(errors='surrogatepass')).hexdigest()[:12]}"
    path = folder_of_fonts() / f"{family}.ttf"
    with subset.load_font(findfont("DejaVu Sans"), options) as font:
        subsetter = subset.Subsetter(options)
        subsetter.populate(text=characters)
        subsetter.subset(font)
        for record in font["name"].names:
            if record.nameID in (1, 4, 6, 16):  # the family, without and with its style
                record.string = family.replace(" ", "") if record.nameID == 6 else family
        font.save(path)
    fontManager.addfont(path)
    return family


@functools.cache
def folder_of_fonts() -> Path:
    """Where they lie until the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="genbench-fonts"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def tidy(text: str) -> str:
    """Shorten the numbers of an attribute, and let the page choose colours and fonts."""
    text = re.sub(r"#[0-9a-f]{6}", lambda match: VARIABLES.get(match[0], match[0]), text)
    text = re.sub(r"font: [^;]*?([\d.]+px)[^;]*", r"font-size: \1", text)  # matplotlib 3.9
    text = re.sub(r"font-family: [^;]*;?", "", text)
    text = re.sub(r"-?\d+\.\d{3,}", lambda match: shortened(float(match[0])), text)
    return re.sub(r" *\b([MLCQz])\b *", r"\1", text).strip() if text.startswith("M ") else text  # a path


def shortened(value: float) -> str:
    """A number of a path in points: to a tenth, one below 1 to a hundredth."""
    return f"{value:.{1 if abs(value) >= 1 else 2}f}".rstrip("0").rstrip(".")
