"""How numbers are printed: three significant digits, k and M, h:mm:ss. Titles and the CSV have them in full."""

import math

Number = int | float  # as JSON has it
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def significant(value: Number) -> str:
    """Three significant digits, whole numbers from 1,000 on: 0.950, 12.3, 1,234; 1.23e-05 below 0.0001."""
    if not math.isfinite(value):
        return str(value)
    if 0 < abs(value) < 1e-4:
        return f"{value:.2e}"
    rounded = float(f"{abs(value):.2e}")  # 0.9996 is 1.00, not 1.000
    places = 2 - math.floor(math.log10(rounded)) if rounded else 2
    return f"{value:,.{max(0, places)}f}"


def proportion(value: Number) -> str:
    """Three decimals, for values roughly between 0 and 1."""
    return f"{value:.3f}"


def superscript(power: int) -> str:
    """An exponent in superscript digits: ³, ⁻²."""
    return str(power).translate(SUPERSCRIPTS)


def plus_minus(mean: str, std: Number) -> str:
    """A printed mean with its standard deviation, to the same digit: 12.3 ± 0.4."""
    if "e" in mean:
        return f"{mean} ± {std:.2e}"
    return f"{mean} ± {std:,.{len(mean.partition('.')[2])}f}"


def count(value: Number) -> str:
    """Short form of a large number: 999, 2k, 12.3k, 1.23M, 4G, 1.5T, 20P, 3E."""
    for unit in ("", "k", "M", "G", "T", "P"):
        if abs(float(f"{value:.3g}")) < 1000:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.3g}E"


def memory(value: Number) -> str:
    """Bytes in binary units: 512 B, 1.5 MiB, 12 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if float(f"{value:.3g}") < 1000:
            return f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.3g} TiB"


def duration(seconds: Number) -> str:
    """Below a minute three significant digits and a unit (8.21 s, 4.50 ms); from a minute on h:mm:ss."""
    if not math.isfinite(seconds):
        return str(seconds)
    if seconds < 1 and seconds > 0:
        return f"{significant(seconds * 1000)} ms"
    if seconds < 59.95:
        return f"{significant(seconds)} s"
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60:,}:{minutes % 60:02}:{second:02}"


def one_line(text: str) -> str:
    """A text with a space for every character that cannot be printed."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
