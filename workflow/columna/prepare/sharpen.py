"""Sharpening of an image's histogram, the step of N4 that finds what a smooth field has blurred.

Sled, Zijdenbos & Evans (1998): the histogram of log intensities is that of the true image blurred
by the bias, taken as Gaussian; Wiener deconvolution gives the true one, and with it the true
intensity to expect for each one seen.
"""

import numpy as np

N_BINS = 200
FWHM = 0.15
"""Full width at half maximum of the blur, in log intensity."""
NOISE = 0.01
"""Added to the power of the blur in the Wiener filter."""
N_PADDED = 512
"""Length of the Fourier transforms: the second power of two above `N_BINS`, as in ITK."""


def sharpen(values: np.ndarray) -> np.ndarray:
    """Replace every log intensity by the true one to expect.

    Parameters
    ----------
    values
        Log intensities, any shape.

    Returns
    -------
    ndarray
        float64, the same shape; `values` itself if they are all equal.
    """
    low, high = values.min(), values.max()
    width = (high - low) / (N_BINS - 1)
    if not width > 0:
        return values
    position = (values - low) / width
    index = np.minimum(position.astype(np.intp), N_BINS - 2)
    offset = position - index
    # every value is shared by the two bins beside it
    histogram = np.bincount(index.ravel(), (1 - offset).ravel(), N_BINS)
    histogram += np.bincount(index.ravel() + 1, offset.ravel(), N_BINS)
    expected = low + width * expected_bins(histogram, FWHM / width)
    return expected[index] + offset * np.diff(expected)[index]


def expected_bins(histogram: np.ndarray, fwhm: float) -> np.ndarray:
    """True bin to expect for each bin of a blurred histogram.

    Parameters
    ----------
    histogram
        Counts, shape (`N_BINS`,).
    fwhm
        Width of the blur in bins.

    Returns
    -------
    ndarray
        float64, shape (`N_BINS`,); a bin that nothing can have been blurred into stays itself.
    """
    start = (N_PADDED - N_BINS) // 2
    blur = _transformed_gaussian(fwhm)
    deconvolution = blur / (blur**2 + NOISE)
    seen = np.zeros(N_PADDED)
    seen[start : start + N_BINS] = histogram
    true = np.maximum(np.fft.irfft(np.fft.rfft(seen) * deconvolution), 0)

    bins: np.ndarray = np.arange(-start, N_PADDED - start, dtype=float)
    sums = np.fft.irfft(np.fft.rfft([bins * true, true]) * blur)
    weighted, total = sums[:, start : start + N_BINS]
    bins = bins[start : start + N_BINS]
    rounding = total.max() * 1e-12
    return np.divide(weighted, total, out=bins, where=total > rounding)


def _transformed_gaussian(fwhm: float) -> np.ndarray:
    """Fourier transform (real) of a Gaussian around bin 0 that sums to one."""
    distance = np.minimum(np.arange(N_PADDED), N_PADDED - np.arange(N_PADDED))
    gaussian = np.exp(-4 * np.log(2) * (distance / fwhm) ** 2)
    return np.fft.rfft(gaussian * 2 * np.sqrt(np.log(2) / np.pi) / fwhm).real
