"""Colours: both themes have enough contrast, and plots for papers have the colours of the light theme."""

import re

import pytest
from made_up import ROOT

from genbench.reporting.drawing import VARIABLES

TEXT, GRAPHIC = 4.5, 3.0  # minimum ratios of WCAG 2.2, level AA: criteria 1.4.3 and 1.4.11


def themes() -> dict[str, dict[str, str]]:
    """Return the variables of style.css by theme; the dark theme inherits those that it does not set."""
    style = (ROOT / "report/style.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in re.findall(r":root \{(.*?)\}", style, re.S)
    )
    return {"light": light, "dark": light | dark}


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb as WCAG defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # a well-known grey that just fails AA


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_marks_can_be_told_from_what_is_behind_them(theme):
    colours = themes()[theme]
    pairs = [(text, ground, TEXT) for text in ("ink", "soft", "accent") for ground in ("paper", "tint")]
    pairs += [("ink", "best", TEXT), ("accent", "best", TEXT), ("warn", "paper", TEXT), ("warn", "tint", TEXT)]
    pairs += [("paper", "accent", TEXT), ("edge", "paper", GRAPHIC)]
    pairs += [(f"hue-{number}", "paper", GRAPHIC) for number in range(1, 9)]
    poor = {
        f"{text} on {ground}": round(ratio, 2)
        for text, ground, least in pairs
        if (ratio := contrast(colours[text], colours[ground])) < least
    }
    assert poor == {}


def test_plots_are_drawn_in_the_colours_of_the_light_theme():
    assert {variable: colour for colour, variable in VARIABLES.items()} == {
        f"var(--{name})": themes()["light"][name]
        for name in ("ink", "soft", "line", *(f"hue-{number}" for number in range(1, 9)))
    }
