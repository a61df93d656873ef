"""Names that the shell completes."""

from genbench.machine.checkout import ROOT


def suite_names(incomplete: str) -> list[str]:
    """The suites of genbench that begin with `incomplete`; the shell completes files."""
    names = sorted(path.stem for path in (ROOT / "suites").glob("*.yaml"))
    return [name for name in names if name.startswith(incomplete)]
