from __future__ import annotations

import math

import pytest

from headrace.loadtest.look import BLUE, GREY, ORANGE, PINK, RAMP, TEAL, VIOLET, logarithmic, shades

WHITE, DARK = "#ffffff", "#171b21"


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [part / 255 for part in bytes.fromhex(colour[1:])]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", [WHITE, DARK])
@pytest.mark.parametrize("colour", [BLUE, ORANGE, TEAL, PINK, VIOLET, GREY, *shades(7)])
def test_every_colour_is_seen_on_a_light_and_on_a_dark_page(colour: str, page: str) -> None:
    assert contrast(colour, page) >= 3


def test_shades_run_along_the_ramp_from_end_to_end() -> None:
    assert shades(1) == [RAMP[0]]
    assert shades(2) == [RAMP[0], RAMP[-1]]
    assert shades(4) == list(RAMP)
    assert len(set(shades(12))) == 12


def test_a_logarithmic_axis_holds_its_values_with_room_beside_them() -> None:
    axis = logarithmic(0.2, 2.0)
    begin, end = axis["range"]
    assert begin < math.log10(0.2) and math.log10(2.0) < end
    assert {"0.2", "0.5", "1", "2"} <= set(axis["ticktext"])


def test_many_decades_have_a_tick_each() -> None:
    assert not {"2", "5"} & set(logarithmic(0.001, 100.0)["ticktext"])
