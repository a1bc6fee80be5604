"""Filter responses of an image: Gaussian derivatives at several scales, standardised per image and locally.

Two grey streams are filtered: the image standardised by its own mean and spread, and the image
standardised within a wide window, in which slow shading is gone and noise is even. Colour images add
two opponent channels. Derivatives are scale-normalised (Lindeberg 1998, "Feature detection with
automatic scale selection"); rotation-invariant combinations stand beside axis-aligned ones because
machined surfaces have a grain.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F

OCTAVES = ((1.0, 2.0), (2.0,), (2.0,), (2.0,))
"""Scales in pixels of each octave of the pyramid: 1, 2, 4, 8 and 16 px of the working image."""
LOCAL_WINDOW = 30.0
_COLOUR_SCALES = (2.0, 6.0)


def responses(image: torch.Tensor, cells: int) -> torch.Tensor:
    """The strongest response of every filter in each cell of a grid laid over the image.

    Parameters
    ----------
    image : tensor of shape (3, H, W), float32
        RGB in 0-1, at least 32 pixels a side.
    cells : int
        Cells a side of the grid.

    Returns
    -------
    tensor of shape (C, cells, cells), float32
        Non-negative; C depends on nothing but this module.
    """
    grey = image.mean(0, keepdim=True)[None]
    spread = grey.std() + 1e-3
    whole = (grey - grey.mean()) / spread
    streams = torch.cat([whole, _locally_standardised(grey)], 1)
    found, current = [], streams
    for number, scales in enumerate(OCTAVES):
        if number:
            current = F.avg_pool2d(blur(current, 0.8), 2, ceil_mode=True)
        for scale in scales:
            found.append(_strongest(_derivatives(current, scale), cells))
    found.append(_strongest(_colour(image, spread), cells))
    return torch.cat(found, 1)[0]


def _locally_standardised(grey: torch.Tensor) -> torch.Tensor:
    """Deviation from the local mean over the local spread; the window's statistics come from a quarter-size image."""
    small = F.avg_pool2d(grey, 4, ceil_mode=True, count_include_pad=False)
    squared = F.avg_pool2d(grey * grey, 4, ceil_mode=True, count_include_pad=False)
    mean = blur(small, LOCAL_WINDOW / 4)
    variance = (blur(squared, LOCAL_WINDOW / 4) - mean * mean).clamp_min(0)
    variance = variance + 0.05 * variance.mean() + 1e-6
    size = grey.shape[2:]
    mean, variance = (F.interpolate(x, size, mode="bilinear", align_corners=False) for x in (mean, variance))
    standardised = (grey - mean) / variance.sqrt()
    return (standardised - standardised.mean()) / (standardised.std() + 1e-3)


def _derivatives(x: torch.Tensor, scale: float) -> torch.Tensor:
    """Eleven responses a stream: principal curvatures of either sign, curvature and slope along the axes."""
    g0, g1, g2 = (gaussian(scale, order).to(x.device) for order in (0, 1, 2))
    xx, yy, xy = separable(x, g2, g0), separable(x, g0, g2), separable(x, g1, g1)
    dx, dy = separable(x, g1, g0).abs(), separable(x, g0, g1).abs()
    middle, half = (xx + yy) / 2, torch.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    high, low = middle + half, middle - half
    return torch.cat([high, -low, low, -high, xx, -xx, yy, -yy, dx, dy, torch.hypot(dx, dy)], 1).clamp_min(0)


def _colour(image: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """Either sign of two opponent channels, smoothed, relative to the image's own tint; zero for grey images."""
    red, green, blue = image
    opponent = torch.stack([red - green, blue - (red + green) / 2])[None]
    opponent = (opponent - opponent.mean((2, 3), keepdim=True)) / spread.clamp_min(0.05)
    smooth = torch.cat([blur(opponent, scale) for scale in _COLOUR_SCALES], 1)
    return torch.cat([smooth, -smooth], 1).clamp_min(0)


def _strongest(x: torch.Tensor, cells: int) -> torch.Tensor:
    if min(x.shape[2:]) >= cells:
        return F.adaptive_max_pool2d(x, cells)
    return F.interpolate(x, (cells, cells), mode="bilinear", align_corners=False)


@cache
def gaussian(scale: float, order: int) -> torch.Tensor:
    """A sampled Gaussian (order 0) or its scale-normalised first or second derivative, shape (taps,)."""
    radius = max(1, round(3.5 * scale))
    x = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-x * x / (2 * scale * scale))
    kernel = kernel / kernel.sum()
    if order == 1:
        return -x / scale * kernel
    if order == 2:
        kernel = (x * x / (scale * scale) - 1) * kernel
        return kernel - kernel.mean()
    return kernel


def separable(x: torch.Tensor, along_x: torch.Tensor, along_y: torch.Tensor) -> torch.Tensor:
    """Filter every channel of ``x`` (N, C, H, W) with two 1-D kernels; borders are mirrored."""
    channels = x.shape[1]
    for kernel, dim in ((along_x, 3), (along_y, 2)):
        radius = len(kernel) // 2
        pad = (radius, radius, 0, 0) if dim == 3 else (0, 0, radius, radius)
        padded = F.pad(x, pad, mode="reflect" if radius < x.shape[dim] else "replicate")
        weight = kernel.view(1, 1, 1, -1) if dim == 3 else kernel.view(1, 1, -1, 1)
        x = F.conv2d(padded, weight.expand(channels, 1, *weight.shape[2:]), groups=channels)
    return x


def blur(x: torch.Tensor, scale: float) -> torch.Tensor:
    """Gaussian blur of ``x`` (N, C, H, W); ``scale`` in pixels."""
    kernel = gaussian(scale, 0).to(x.device)
    return separable(x, kernel, kernel)
