"""Self-contained pages from Jinja2 templates: they request nothing from the network.

This module renders them. Their content comes from report.py, their look from the templates and style.css.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from genbench.errors import InputError
from genbench.reporting.numerals import count
from genbench.reporting.overview import joint_table, overviews_of
from genbench.reporting.report import Report


def render_report(report: Report, template_dir: Path) -> str:
    """The page of a suite."""
    return environment(template_dir).get_template("suite.html.j2").render(report=report, suite=report.preflight)


def render_index(summaries: Sequence[Mapping[str, Any]], template_dir: Path) -> str:
    """The page over several suites."""
    suites = overviews_of([summary for summary in summaries if "kind" not in summary])
    others = [summary for summary in summaries if "kind" in summary]  # their rows are not comparable with image models
    table = joint_table(suites) if suites else None
    return environment(template_dir).get_template("index.html.j2").render(suites=suites, others=others, table=table)


def environment(template_dir: Path) -> jinja2.Environment:
    """An environment that escapes everything, with the style sheet and the script for the page as globals."""
    try:
        style = (template_dir / "style.css").read_text(encoding="utf-8")
        script = (template_dir / "page.js").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: no such file; expected the report's templates there") from None
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_dir / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.globals |= {
        "style": Markup(style),
        "script": Markup(script),
        "script_sha256": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    filters = (sentence, inside, stopped, cite, count)
    jinja.filters |= {function.__name__: function for function in filters}
    return jinja


def sentence(text: str) -> str:
    """The text with a capital at its beginning and a full stop at its end."""
    return stopped(text[:1].upper() + text[1:]) if text else ""


def stopped(text: str) -> str:
    """The text with a full stop at its end."""
    return text + ("" if text.endswith((".", "!", "?", "…")) else ".")


def inside(text: str) -> str:
    """A name for use within a sentence: in lower case unless it is an abbreviation."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def cite(source: Any) -> Markup:
    """A source as HTML: text in which arXiv numbers are links, or {"title", "url"}. Only web addresses become links."""
    if isinstance(source, Mapping):
        title, url = str(source.get("title") or source.get("url") or ""), str(source.get("url") or "")
        if not re.match(r"https?://", url):
            return escape(title)
        return Markup('<a href="{}" rel="noreferrer">{}</a>').format(url, title)
    link = r'<a href="https://arxiv.org/abs/\1" rel="noreferrer">arXiv \1</a>'
    return Markup(re.sub(r"\barXiv[ :](\d{4}\.\d{4,5})\b", link, str(escape(source))))
