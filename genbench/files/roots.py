"""Folders of results and resources on another disk, to which ./results and ./resources link."""

from pathlib import Path

from genbench.errors import InputError


def link(name: str, root: str | None) -> None:
    """Make `name` in the working folder a link to the folder `root`, which is created if it is missing.

    A root that was removed, for example when a scratch disk was cleared, is made again. Does nothing without a root.
    Raises InputError if `name` already exists and is something else.
    """
    if root is None:
        return
    path, target = Path(name), Path(root).expanduser().absolute()
    if (path.is_symlink() or path.exists()) and path.resolve() != target.resolve():
        raise InputError(
            f"config: {name}_root: found ./{name} here already, expected none, or a link to {target}: "
            f"mv {name} {target} moves it there"
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
        if not path.is_symlink() and not path.exists():
            path.symlink_to(target, target_is_directory=True)
    except OSError as error:
        raise InputError(f"config: {name}_root: {target}: {str(error.strerror).lower()}") from None
