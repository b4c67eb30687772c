"""Colours stand out from white, and from each other for every kind of colour vision."""

import itertools
import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from autograder import ROOT
from course import style

# Machado, Oliveira and Fernandes (2009), "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# severity 1.0, for linear RGB.
VISION = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# sRGB's primaries and its white, D65: linear RGB to CIE XYZ.
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(color):
    channels = np.array(to_rgb(color))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(color, other="white"):
    """WCAG 2.1's contrast ratio, 1 to 21."""
    light, dark = sorted((float(XYZ[1] @ linear(c)) for c in (color, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(color, vision):
    """CIELAB coordinates of the colour as an eye of that kind sees it."""
    x, y, z = XYZ @ np.clip(np.array(VISION[vision]) @ linear(color), 0, 1) / XYZ.sum(1)
    fx, fy, fz = (t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


@pytest.mark.parametrize("color", [*style.CYCLE, style.MUTED])
def test_what_draws_stands_out_from_white_by_three_to_one(color):
    assert contrast(color) >= 3


@pytest.mark.parametrize("color", [style.MUTED, style.MESSAGE])
def test_what_is_written_stands_out_from_white_by_four_and_a_half_to_one(color):
    assert contrast(color) >= 4.5


def test_an_area_in_a_light_shade_has_an_outline_that_stands_out():
    assert contrast(style.filled(style.BEFORE)["edgecolor"]) >= 3


# 2.3 is just noticeable (Mahy et al. 1994) between large patches side by side; thin lines apart get six of those.
@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(("one", "other"), [*itertools.combinations(style.CYCLE, 2)])
def test_any_two_colours_differ_for_every_eye(one, other, vision):
    assert np.linalg.norm(lab(one, vision) - lab(other, vision)) >= 15


def test_figures_take_their_colours_from_the_style():
    for path in [*ROOT.glob("course/figures/*.py"), *ROOT.glob("course/*.py")]:
        if path.name != "style.py":
            assert re.findall(r"#[0-9A-Fa-f]{6}\b|\"C\d\"|\"tab:\w+\"", path.read_text("utf-8")) == [], path.name


def test_the_text_of_checks_keeps_the_pages_own_colours():
    """The notebook's theme, dark or light, sees to its contrast."""
    assert "color:" not in (ROOT / "course/check.py").read_text("utf-8")
