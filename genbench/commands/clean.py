"""`genbench clean`: lists files that take space and can be made again, and removes them on request."""

from typing import Annotated

import typer


def command(
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it, they are only listed.")] = False,
) -> None:
    """List files in ./results and ./resources that can be made again, with their sizes; with --yes, remove them.

    These are features of samples whose metrics exist, features of the real images, compiled networks, and results of
    checks. Samples, weights, metrics and pages stay, and so does every file that genbench did not write.
    """
    from genbench.commands.table import show_rows
    from genbench.files.cleaning import removable, remove
    from genbench.machine.memory import in_words

    found = list(removable())
    kinds: dict[str, list[int]] = {}
    for one in found:
        kinds.setdefault(one.what, []).append(one.size)
        if yes:
            remove(one)
        else:
            typer.echo(f"{one.path}  {in_words(one.size)}")
    show_rows(
        [{"what": what, "files": len(sizes), "size": in_words(sum(sizes))} for what, sizes in kinds.items()],
        title="removed"
        if yes
        else "can be made again: genbench clean --yes removes it"
        if found
        else "nothing to remove",
    )
