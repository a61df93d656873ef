"""What checks a suite of another kind than images, which its key `kind` names.

To add a kind: its keys in load.py, OTHER_KINDS; a module here, with `check_suite`; its downloads in prefetch.py; its
rules in a file of rules/ of their own, which the Snakefile includes.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any


def of_another_kind(suite: Mapping[str, Any]) -> ModuleType | None:
    """The module that checks a suite of another kind; None of images."""
    if suite.get("kind") == "language":
        from genbench.suites import language_check  # and with it what only this kind needs

        return language_check
    return None
