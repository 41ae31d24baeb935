"""Short-time Fourier transforms and window functions, against NumPy and SciPy."""

import numpy as np
import pytest

import mindtorch_v2 as torch
from mindtorch_v2.signal import windows

WARNED = pytest.mark.filterwarnings("ignore:A window was not provided")


def frames(x, n, hop, window):
    count = 1 + (len(x) - n) // hop
    return np.stack([x[t * hop : t * hop + n] * window for t in range(count)], -1)


@pytest.mark.parametrize("n, hop, win", [(8, 2, 8), (9, 3, 5), (16, 16, 16), (7, 1, 4)])
def test_frames_are_transformed(n, hop, win):
    x = torch.randn(60, dtype=torch.float64)
    w = torch.hann_window(win, dtype=torch.float64) + 0.1
    left = (n - win) // 2
    full = np.pad(w.numpy(), (left, n - win - left))
    got = torch.stft(x, n, hop, win, w, center=False, return_complex=True)
    np.testing.assert_allclose(got.numpy(), np.fft.rfft(frames(x.numpy(), n, hop, full), axis=0), atol=1e-12)
    padded = np.pad(x.numpy(), n // 2, mode="reflect")
    want = np.fft.rfft(frames(padded, n, hop, full), axis=0)
    got = torch.stft(x, n, hop, win, w, return_complex=True)
    np.testing.assert_allclose(got.numpy(), want, atol=1e-12)
    both = torch.stft(torch.stack([x, x]), n, hop, win, w, normalized=True, onesided=False, return_complex=True)
    assert both.shape == (2, n, got.shape[1])
    np.testing.assert_allclose(both[1, : n // 2 + 1].numpy() * n**0.5, want, atol=1e-12)


@pytest.mark.parametrize("n, hop", [(8, 2), (9, 3), (12, 5)])
@pytest.mark.parametrize("normalized", [False, True])
def test_inverse(n, hop, normalized):
    w = torch.hamming_window(n, dtype=torch.float64)
    for dtype in (torch.float64, torch.complex128):
        x = torch.randn(2, 5 * n, dtype=dtype)
        z = torch.stft(x, n, hop, window=w, normalized=normalized, return_complex=True)
        y = torch.istft(z, n, hop, window=w, normalized=normalized, return_complex=dtype.is_complex, length=x.shape[1])
        assert y.dtype is dtype and torch.allclose(y[:, : 4 * n], x[:, : 4 * n])
        one = torch.istft(z[0], n, hop, window=w, normalized=normalized, return_complex=dtype.is_complex)
        assert torch.allclose(one[: 4 * n], x[0, : 4 * n])


def test_gradients():
    x = torch.randn(24, dtype=torch.float64, requires_grad=True)
    w = torch.hann_window(6, periodic=False, dtype=torch.float64).add(0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: torch.stft(a, 6, 2, window=b, return_complex=True), (x, w))
    z = torch.stft(x, 6, 2, window=w, return_complex=True).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: torch.istft(a, 6, 2, window=b), (z, w))


@WARNED
def test_defaults_and_warnings():
    x = torch.randn(32)
    assert torch.stft(x, 8, return_complex=True).shape == (5, 17) == x.stft(8, return_complex=True).shape
    with pytest.warns(UserWarning, match="return_complex=False is deprecated"):
        assert torch.stft(x, 8, return_complex=False).shape == (5, 17, 2)
    assert torch.stft(x.to(torch.complex64), 8).shape == (8, 17)
    z = torch.stft(x, 8, return_complex=True)
    with pytest.warns(UserWarning, match="Result is being padded with zeros"):
        assert z.istft(8, length=50).shape == (50,)


@WARNED
@pytest.mark.parametrize("call, text", [
    (lambda x: torch.stft(x, 8), "stft requires the return_complex parameter be given for real inputs"),
    (lambda x: torch.stft(x, 0, center=False, return_complex=True), "expected 0 < n_fft < 32, but got n_fft=0"),
    (lambda x: torch.stft(x, 8, hop_length=0, return_complex=True), "expected hop_length > 0, but got hop_length=0"),
    (lambda x: torch.stft(x, 8, win_length=9, return_complex=True), "expected 0 < win_length <= n_fft, but got win_length=9"),
    (lambda x: torch.stft(x, 8, window=torch.ones(5), return_complex=True),
     r"stft\(torch.FloatTensor\[40\], n_fft=8, hop_length=2, win_length=8, window=torch.FloatTensor\{\[5\]\}, normalized=0, "
     r"onesided=None, return_complex=1, align_to_window=None\) : expected a 1D window tensor of size equal to win_length=8"),
    (lambda x: torch.stft(x.to(torch.complex64), 8, onesided=True), "Cannot have onesided output if window or input is complex"),
    (lambda x: torch.istft(x, 8), "istft requires a complex-valued input tensor"),
    (lambda x: torch.istft(torch.ones(4, 3, dtype=torch.complex64), 8, onesided=True), "input tensor to match n_fft / 2 . 1 when onesided=True, but got 4"),
    (lambda x: torch.istft(torch.ones(5, 3, dtype=torch.complex64), 8, window=torch.zeros(8)), "window overlap add min: 1"),
    (lambda x: torch.istft(torch.ones(5, 3, dtype=torch.complex64), 8, hop_length=9), "expected 0 < hop_length <= win_length"),
])
def test_errors(call, text):
    with pytest.raises(RuntimeError, match=text):
        call(torch.zeros(32))


@pytest.mark.parametrize("sym", [True, False])
@pytest.mark.parametrize("M", [0, 1, 2, 5, 12])
def test_windows(M, sym):
    scipy = pytest.importorskip("scipy.signal.windows")
    for name, ours, theirs in [
        ("bartlett", {}, {}), ("blackman", {}, {}), ("cosine", {}, {}), ("hamming", {}, {}), ("hann", {}, {}), ("nuttall", {}, {}),
        ("exponential", {"tau": 2.0}, {"tau": 2.0}), ("gaussian", {"std": 1.5}, {"std": 1.5}), ("kaiser", {"beta": 7.0}, {"beta": 7.0}),
        ("general_cosine", {"a": [0.6, 0.3, 0.1]}, {"a": [0.6, 0.3, 0.1]}), ("general_hamming", {"alpha": 0.7}, {"alpha": 0.7}),
    ]:
        got = getattr(windows, name)(M, sym=sym, dtype=torch.float64, **ours)
        np.testing.assert_allclose(got.numpy(), getattr(scipy, name)(M, sym=sym, **theirs), atol=1e-12, err_msg=name)


@pytest.mark.parametrize("call, error, text", [
    (lambda: windows.hann(-1), ValueError, "general_cosine requires non-negative window length, got M=-1"),
    (lambda: windows.kaiser(3, dtype=torch.int64), ValueError, "kaiser expects float32 or float64 dtypes, got: torch.int64"),
    (lambda: windows.kaiser(3, beta=-1), ValueError, "beta must be non-negative, got: -1 instead."),
    (lambda: windows.gaussian(3, std=0), ValueError, "Standard deviation must be positive, got: 0 instead."),
    (lambda: windows.exponential(3, tau=0), ValueError, "Tau must be positive, got: 0 instead."),
    (lambda: windows.exponential(3, center=1.0), ValueError, "Center must be None for symmetric windows"),
    (lambda: windows.general_cosine(3, a=[]), ValueError, "Coefficients cannot be empty"),
    (lambda: windows.general_cosine(3, a=1), TypeError, "Coefficients must be a list/tuple"),
])
def test_window_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()
