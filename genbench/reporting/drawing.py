"""Plots: SVG inside the page, and files for a paper.

Matplotlib draws in the colours of the light theme of style.css. `to_svg` replaces them by its CSS variables, which
change with the theme. Text stays text: it can be found, copied and read aloud.
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
    """An SVG element of a page, with the figure that it was made from."""

    figure: Figure


@contextlib.contextmanager
def styled(**more: Any) -> Iterator[None]:
    """Matplotlib in STYLE, without warnings of letters that its font lacks: browsers have others. more: rcParams."""
    with matplotlib.rc_context(STYLE | more), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


def blank(size: tuple[Number, Number]) -> tuple[Figure, Axes]:
    """An empty figure, without the global state of pyplot."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)  # measures text
    return figure, figure.subplots()


def lay_out(figure: Figure) -> None:
    """Lay out axes, labels and legend once, for all measurements and all files."""
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
        figure.set_layout_engine("none")


def scale_values(axes: Axes, values: Sequence[Number], bars: Sequence[Number] = (0,), log: bool = False) -> None:
    """A y axis with short numbers; logarithmic for positive values that span more than a factor of twenty, or if `log`.

    bars: how far the bar of each value reaches to both sides. If `log`, bars are cut at 0.
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
    """A style for each name; if there are more names than styles, the styles repeat.

    shift: each repetition starts so many styles further on, which makes combinations of two kinds of styles repeat
    later.
    """
    each = len(styles)
    return {name: styles[(number + shift * (number // each)) % each] for number, name in enumerate(names)}


def legible(text: str, length: int = 48) -> str:
    """A text for a plot: one line, not too long, no underscore first (matplotlib would leave such a text out)."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    text = text if len(text) <= length else text[: length - 1] + "…"
    return f" {text}" if text.startswith("_") else text


def to_svg(figure: Figure, description: str, tooltips: Sequence[str] = ()) -> Plot:
    """The figure as an SVG element of an HTML page. `tooltips` are those of the artists with the gid "points"."""
    buffer = io.StringIO()
    lay_out(figure)
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})  # savefig would draw it twice
    root = ElementTree.fromstring(buffer.getvalue())
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        element.tail = None
        element.text = (element.text or "").strip() or None if element.tag not in ("text", "title") else element.text
        element.attrib = {key.partition("}")[2] or key: tidy(value) for key, value in element.attrib.items()}
        element.attrib.pop("clip-path", None)
    # The identifiers of the plots on a page would clash: write each shape out wherever it is used.
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
    """A plot as a PDF file, with the same bytes each time.

    characters: `characters_of` all plots that are written, for which one small font then suffices.
    """
    buffer = io.BytesIO()
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it logs every font that it subsets
    fonts = [font_of(characters or characters_of([plot])), "DejaVu Sans"]
    with styled(**{"font.sans-serif": fonts}):
        FigureCanvasPdf(plot.figure).print_pdf(buffer, metadata={"CreationDate": None})
    return buffer.getvalue()


def characters_of(plots: Iterable[Plot]) -> str:
    """All characters in some plots, and the printable characters of ASCII."""
    return "".join(sorted(set(string.printable).union(*plots)))


@functools.cache
def font_of(characters: str) -> str:
    """The family of a font that has only these characters of DejaVu Sans: embedding it takes a tenth of the time."""
    options = subset.Options(layout_features=[], glyph_names=True)
    options.drop_tables += ["FFTM"]  # the time of its creation; fontTools would warn about it
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
    """The folder of these fonts, which is deleted when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="genbench-fonts"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def tidy(text: str) -> str:
    """Shorten the numbers of an attribute; leave colours and fonts to the page."""
    text = re.sub(r"#[0-9a-f]{6}", lambda match: VARIABLES.get(match[0], match[0]), text)
    text = re.sub(r"font: [^;]*?([\d.]+px)[^;]*", r"font-size: \1", text)  # matplotlib 3.9
    text = re.sub(r"font-family: [^;]*;?", "", text)
    text = re.sub(r"-?\d+\.\d{3,}", lambda match: shortened(float(match[0])), text)
    return re.sub(r" *\b([MLCQz])\b *", r"\1", text).strip() if text.startswith("M ") else text  # a path


def shortened(value: float) -> str:
    """A number of a path in points, rounded to a tenth, or below 1 to a hundredth."""
    return f"{value:.{1 if abs(value) >= 1 else 2}f}".rstrip("0").rstrip(".")
