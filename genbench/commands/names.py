"""Names that the shell completes."""

from genbench.machine.checkout import ROOT


def suite_names(incomplete: str) -> list[str]:
    """The suites that come with genbench and begin so; files are completed by the shell."""
    names = sorted(path.stem for path in (ROOT / "suites").glob("*.yaml"))
    return [name for name in names if name.startswith(incomplete)]
