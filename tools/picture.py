"""Take the README's picture of the report: a page in headless Chromium, as WebP. Needs Chromium on the PATH."""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from genbench.errors import InputError
from genbench.machine.command_line import run

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def photograph(page: Path, out: Path, size: tuple[int, int]) -> None:
    """Save a browser's view of a page or SVG file, in a window of `size` (width and height in pixels), as WebP.

    Raises InputError without a browser, or without the page.
    """
    browser = next((name for name in BROWSERS if shutil.which(name)), None)
    if browser is None:
        raise InputError(f"found no browser, expected one of {', '.join(BROWSERS)} on the PATH")
    if not page.exists():
        raise InputError(f"{page}: no such file; expected a page of a report")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        width, height = size
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--window-size={width},{height}", f"--screenshot={shot}", page.resolve().as_uri()]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=300)
        out.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(shot) as picture:
            picture.convert("RGB").save(out, quality=80, method=6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, default=Path("results/report/demo.html"), metavar="FILE.html")
    parser.add_argument("--out", type=Path, default=Path("docs/images/report.webp"), metavar="FILE.webp")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(1280, 1400), metavar=("WIDTH", "HEIGHT"), help="in pixels"
    )
    args = parser.parse_args()
    photograph(args.page, args.out, tuple(args.size))


if __name__ == "__main__":
    run(main)
