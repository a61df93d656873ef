"""Checks of suites of other kinds than images, which have the key `kind`.

To add a kind: its keys in load.py, OTHER_KINDS; a module here, with `check_suite`; its downloads in prefetch.py; its
rules in a new file in rules/, which the Snakefile includes.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any


def of_another_kind(suite: Mapping[str, Any]) -> ModuleType | None:
    """The module that checks a suite of another kind; None for a suite of images."""
    if suite.get("kind") == "language":
        from genbench.suites import language_check  # imports packages that only this kind needs

        return language_check
    return None
