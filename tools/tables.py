"""Tables in documents: each is between `<!-- written by SCRIPT: NAME -->` and `<!-- end -->`."""

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from genbench.errors import InputError, place

END = "<!-- end -->"


def fill(page: Path, script: str, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write the tables at their names, and change nothing else. Raises InputError for a table without a place."""
    text = page.read_text(encoding="utf-8")
    for name, table in tables.items():
        begin = f"<!-- written by {script}: {name} -->"
        pattern = re.compile(re.escape(begin) + r".*?" + re.escape(END), flags=re.DOTALL)
        with place(page.name):
            if not pattern.search(text):
                raise InputError(f"found no line {begin!r}, expected one for the table")
        shown = table.to_markdown(index=False, disable_numparse=True)
        text = pattern.sub(lambda match, shown=shown, begin=begin: f"{begin}\n\n{shown}\n\n{END}", text)
    page.write_text(text, encoding="utf-8")
