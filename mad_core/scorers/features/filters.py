"""Filter responses of an image: Gaussian derivatives at several scales, standardised per image and locally.

Two grey streams are filtered: the image standardised by its own mean and spread, and the image
standardised within a wide window, in which slow shading is gone and noise is even. Colour images add
two opponent channels. Derivatives are scale-normalised (Lindeberg 1998, "Feature detection with
automatic scale selection"); rotation-invariant combinations stand beside axis-aligned ones because
machined surfaces have a grain.
"""

from collections.abc import Callable
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
    parts, current = [], streams
    for number, scales in enumerate(OCTAVES):
        if number:
            current = F.avg_pool2d(blur(current, 0.8), 2, ceil_mode=True)
        for scale in scales:
            parts.append(_shapes(current, scale, cells))
    parts.append(_either_sign(_colour(image, spread), cells))
    return torch.cat(parts, 1)[0]


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


def _shapes(x: torch.Tensor, scale: float, cells: int) -> torch.Tensor:
    """Eleven responses a stream: principal curvatures of either sign, curvature and slope along the axes."""
    xx, yy, xy, dx, dy = _derivatives(x, scale)
    middle, half = (xx + yy) / 2, torch.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    of_either_sign = _either_sign(torch.cat([middle + half, middle - half, xx, yy], 1), cells)
    high, low, xx, yy, no_high, no_low, no_xx, no_yy = of_either_sign.chunk(8, 1)
    slopes = _strongest(torch.cat([dx.abs(), dy.abs(), (dx * dx + dy * dy).sqrt()], 1), cells)
    return torch.cat([high, no_low, low, no_high, xx, no_xx, yy, no_yy, slopes], 1)


def _derivatives(x: torch.Tensor, scale: float) -> torch.Tensor:
    """Derivatives xx, yy, xy, x and y of ``x`` (1, C, H, W), scale-normalised: (5, 1, C, H, W)."""
    across, down = (kernels.to(x.device) for kernels in _kernels(scale))
    radius = across.shape[3] // 2
    filtered = F.conv2d(_mirrored(x.transpose(0, 1), radius, 3), across)
    padded = _mirrored(filtered, radius, 2).contiguous(memory_format=torch.channels_last)  # much the fastest on a CPU
    return F.conv2d(padded, down).permute(1, 0, 2, 3).contiguous()[:, None]


@cache
def _kernels(scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Three kernels along x, (3, 1, 1, taps), and what they take along y to become xx, yy, xy, x and y."""
    g0, g1, g2 = (gaussian(scale, order) for order in (0, 1, 2))
    down = torch.zeros(5, 3, len(g0))
    for number, (of_x, along_y) in enumerate(((2, g0), (0, g2), (1, g1), (1, g0), (0, g1))):
        down[number, of_x] = along_y
    return torch.stack([g0, g1, g2])[:, None, None, :], down[..., None]


def _colour(image: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """Two opponent channels, smoothed, relative to the image's own tint; zero for grey images."""
    red, green, blue = image
    opponent = torch.stack([red - green, blue - (red + green) / 2])[None]
    opponent = (opponent - opponent.mean((2, 3), keepdim=True)) / spread.clamp_min(0.05)
    return torch.cat([blur(opponent, scale) for scale in _COLOUR_SCALES], 1)


def _either_sign(x: torch.Tensor, cells: int) -> torch.Tensor:
    """The strongest positive part in each cell, then the strongest negative part."""
    if min(x.shape[2:]) < cells:
        return _strongest(torch.cat([x, -x], 1), cells)
    return torch.cat([_in_cells(x, cells, torch.amax), -_in_cells(x, cells, torch.amin)], 1).clamp_min(0)


def strongest_in_cells(x: torch.Tensor, cells: int) -> torch.Tensor:
    """:func:`torch.nn.functional.adaptive_max_pool2d` of ``x`` (N, C, H, W), in steps that exporters know."""
    return _in_cells(x, cells, torch.amax)


def _strongest(x: torch.Tensor, cells: int) -> torch.Tensor:
    """The strongest positive part of ``x`` (N, C, H, W) in each cell; in between where there are fewer pixels."""
    if min(x.shape[2:]) < cells:
        return F.interpolate(x.clamp_min(0), (cells, cells), mode="bilinear", align_corners=False)
    return _in_cells(x, cells, torch.amax).clamp_min(0)


def _in_cells(x: torch.Tensor, cells: int, extreme: Callable[..., torch.Tensor]) -> torch.Tensor:
    """An extreme over the cells of :func:`torch.nn.functional.adaptive_max_pool2d`, along y, then along x."""
    for dim in (2, 3):
        if x.shape[dim] % cells:
            x = x.index_select(dim, _windows(x.shape[dim], cells).to(x.device))
        x = extreme(x.unflatten(dim, (cells, -1)), dim + 1)
    return x


@cache
def _windows(length: int, cells: int) -> torch.Tensor:
    """Indices of the pixels of each cell, as many for all of them: some twice; shape (cells x most,)."""
    cell = torch.arange(cells)
    first, last = cell * length // cells, -(-(cell + 1) * length // cells) - 1
    steps = torch.arange(int((last - first).max()) + 1)
    return torch.minimum(first[:, None] + steps, last[:, None]).flatten()


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
        padded = _mirrored(x, len(kernel) // 2, dim)
        weight = kernel.view(1, 1, 1, -1) if dim == 3 else kernel.view(1, 1, -1, 1)
        x = F.conv2d(padded, weight.expand(channels, 1, *weight.shape[2:]), groups=channels)
    return x


def _mirrored(x: torch.Tensor, radius: int, dim: int) -> torch.Tensor:
    """``x`` (N, C, H, W) with ``radius`` more pixels on both sides along ``dim``."""
    pad = (radius, radius, 0, 0) if dim == 3 else (0, 0, radius, radius)
    return F.pad(x, pad, mode="reflect" if radius < x.shape[dim] else "replicate")


def blur(x: torch.Tensor, scale: float) -> torch.Tensor:
    """Gaussian blur of ``x`` (N, C, H, W); ``scale`` in pixels."""
    kernel = gaussian(scale, 0).to(x.device)
    return separable(x, kernel, kernel)
