"""Functions of the top level that prepare the arguments of an operator: cdist and stft."""

from . import _C

__all__ = ["cdist", "stft"]

_MODES = {
    "use_mm_for_euclid_dist_if_necessary": None,
    "use_mm_for_euclid_dist": 1,
    "donot_use_mm_for_euclid_dist": 2,
}


def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """p-norm distances of all pairs of rows: shapes (..., P, M) and (..., R, M) give (..., P, R).

    compute_mode: whether Euclidean distances may come from a product of matrices, which is faster
    and less exact ("..._if_necessary": with more than 25 rows). Raises ValueError for another mode,
    RuntimeError for shapes that do not fit, negative p, or dtypes that are no floats. Reference:
    torch.cdist.
    """
    if _C._has_torch_function_variadic(x1, x2):
        return _C._handle_torch_function(cdist, (x1, x2), (x1, x2), dict(p=p, compute_mode=compute_mode))
    if compute_mode not in _MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    return _C._VariableFunctions.cdist(x1, x2, p, _MODES[compute_mode])


def stft(
    input, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode="reflect",
    normalized=False, onesided=None, return_complex=None, align_to_window=None,
):  # fmt: skip
    """Short-time Fourier transform of signals of shape (L,) or (B, L): complex of shape (.., N, T).

    T frames of n_fft samples, hop_length (n_fft // 4) apart, times a window of win_length (n_fft)
    samples; N = n_fft // 2 + 1 frequencies (onesided, the default for real signals) or n_fft. center:
    pad by n_fft // 2 on both sides, as pad_mode says, so that frame t is centred at sample
    t * hop_length. return_complex must be given for real signals; False appends a dimension of size
    2. Raises RuntimeError for sizes that do not fit. Reference: torch.stft.
    """
    if _C._has_torch_function_unary(input):
        return _C._handle_torch_function(
            stft, (input,), (input, n_fft),
            dict(hop_length=hop_length, win_length=win_length, window=window, center=center, pad_mode=pad_mode,
                 normalized=normalized, onesided=onesided, return_complex=return_complex, align_to_window=align_to_window),
        )  # fmt: skip
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    if center:
        dim = input.dim()
        wide = [1] * (3 - dim) + list(input.shape)
        pad = int(n_fft // 2)
        input = _C._nn.pad(input.view(wide), [pad, pad], pad_mode)
        input = input.view(input.shape[-dim:])
    return _C._VariableFunctions.stft(
        input, n_fft, hop_length, win_length, window, normalized, onesided, return_complex, align_to_window
    )
