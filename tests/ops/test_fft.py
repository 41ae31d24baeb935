"""Fourier transforms against NumPy's, for powers of two, smooth lengths and primes; symmetry, shifts,
gradients, bits with any number of threads, errors."""

import numpy as np
import pytest

import mindtorch_v2 as torch

LENGTHS = [1, 2, 3, 4, 5, 7, 8, 12, 16, 30, 31, 32, 37, 64, 97, 100, 128, 211, 720, 1009, 1024, 1310]


def numbers(*shape, dtype=torch.complex128):
    return torch.randn(*shape, dtype=dtype)


def near(ours, theirs, tol=1e-12):
    theirs = np.asarray(theirs)
    assert tuple(ours.shape) == theirs.shape
    scale = max(1.0, np.abs(theirs).max(initial=0))
    assert np.abs(ours.resolve_conj().numpy() - theirs).max(initial=0) <= tol * scale


@pytest.mark.parametrize("n", LENGTHS)
def test_lengths(n):
    z, x = numbers(3, n), numbers(3, n, dtype=torch.float64)
    for name in ("fft", "ifft"):
        near(getattr(torch.fft, name)(z), getattr(np.fft, name)(z.numpy()))
        near(getattr(torch.fft, name)(x), getattr(np.fft, name)(x.numpy()))
    near(torch.fft.rfft(x), np.fft.rfft(x.numpy()))
    near(torch.fft.ihfft(x), np.fft.ihfft(x.numpy()))
    near(torch.fft.irfft(z, n), np.fft.irfft(z.numpy(), n))
    near(torch.fft.hfft(z, n), np.fft.hfft(z.numpy(), n), 1e-11)
    near(torch.fft.irfft(torch.fft.rfft(x), n), x.numpy())
    z32 = z.to(torch.complex64)
    assert torch.fft.fft(z32).dtype is torch.complex64
    near(torch.fft.fft(z32), np.fft.fft(z32.numpy().astype(np.complex128)), 2e-6)


@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
@pytest.mark.parametrize("n", [None, 4, 9])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_sizes_dims_and_norms(norm, n, dim):
    z, x = numbers(5, 6, 7), numbers(5, 6, 7, dtype=torch.float64)
    for name in ("fft", "ifft", "irfft", "hfft"):
        near(getattr(torch.fft, name)(z, n, dim, norm), getattr(np.fft, name)(z.numpy(), n, dim, norm))
    for name in ("rfft", "ihfft"):
        near(getattr(torch.fft, name)(x, n, dim, norm), getattr(np.fft, name)(x.numpy(), n, dim, norm))


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize("s, dim", [(None, None), ((4, 9), None), ((4, 9), (0, 2)), (None, (2, 0)), (None, (1,)), ((3,), (-1,))])
def test_several_dims(norm, s, dim):
    z, x = numbers(4, 5, 6), numbers(4, 5, 6, dtype=torch.float64)
    axes = dim if dim is not None or s is None else tuple(range(-len(s), 0))
    for name in ("fftn", "ifftn", "irfftn"):
        near(getattr(torch.fft, name)(z, s, dim, norm), getattr(np.fft, name)(z.numpy(), s, axes, norm))
    near(torch.fft.rfftn(x, s, dim, norm), np.fft.rfftn(x.numpy(), s, axes, norm))
    near(torch.fft.fft2(z), np.fft.fft2(z.numpy()))
    near(torch.fft.irfft2(torch.fft.rfft2(x)), x.numpy())
    # a Hermitian transform is the inverse real one, conjugated and scaled
    other = {None: "forward", "forward": "backward", "ortho": "ortho"}[norm]
    near(torch.fft.hfftn(z, s, dim, norm), np.fft.irfftn(z.numpy().conj(), s, axes, other))
    near(torch.fft.ihfftn(x, s, dim, norm), np.fft.rfftn(x.numpy(), s, axes, other).conj())


def test_layouts_and_integers():
    z = numbers(6, 8)
    near(torch.fft.fft(z.T, dim=0), np.fft.fft(z.numpy().T, axis=0))
    near(torch.fft.fft(z[:, ::2]), np.fft.fft(z.numpy()[:, ::2]))
    near(torch.fft.fft(z.conj()), np.fft.fft(z.numpy().conj()))
    k = torch.arange(8)
    assert torch.fft.fft(k).dtype is torch.complex64 and torch.fft.rfft(k > 3).dtype is torch.complex64
    near(torch.fft.fft(k), np.fft.fft(k.numpy()), 1e-6)
    assert torch.fft.fft(torch.zeros(0, 3)).shape == (0, 3)
    out = torch.empty(0, dtype=torch.complex128)
    assert torch.fft.fft(z, out=out) is out
    near(out, np.fft.fft(z.numpy()))


@pytest.mark.parametrize("n", [1, 2, 7, 8])
def test_shifts_and_frequencies(n):
    x = numbers(n, 5)
    near(torch.fft.fftshift(x), np.fft.fftshift(x.numpy()))
    near(torch.fft.ifftshift(x, dim=0), np.fft.ifftshift(x.numpy(), axes=0))
    near(torch.fft.fftfreq(n, 0.25, dtype=torch.float64), np.fft.fftfreq(n, 0.25))
    near(torch.fft.rfftfreq(n, 0.25, dtype=torch.float64), np.fft.rfftfreq(n, 0.25))


@pytest.mark.parametrize("n", [4, 5, 37])
def test_gradients(n):
    x = numbers(2, n, dtype=torch.float64).requires_grad_()
    z = numbers(2, n).requires_grad_()
    for f, t in [(torch.fft.fft, z), (torch.fft.ifft, x), (torch.fft.rfft, x), (torch.fft.ihfft, x), (torch.fft.irfft, z),
                 (lambda v: torch.fft.irfft(v, n), z), (torch.fft.hfft, z), (torch.fft.rfftn, x), (torch.fft.irfftn, z)]:
        assert torch.autograd.gradcheck(f, (t,))
        assert torch.autograd.gradgradcheck(f, (t,))
    assert torch.fft.rfft(x).grad_fn.name() == "FftR2CBackward0"


def test_bits_do_not_depend_on_threads():
    z = numbers(64, 600, dtype=torch.complex64)
    before = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append((torch.fft.fftn(z), torch.fft.fft(z, n=521), torch.fft.irfft(z, dim=0)))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


@pytest.mark.parametrize("call, error, text", [
    (lambda x: torch.fft.fft(x, 0), RuntimeError, r"Invalid number of data points \(0\) specified"),
    (lambda x: torch.fft.fft(x, norm="odd"), RuntimeError, 'Invalid normalization mode: "odd"'),
    (lambda x: torch.fft.fft(x, dim=3), IndexError, r"Dimension out of range"),
    (lambda x: torch.fft.rfft(x + 1j), RuntimeError, "rfft expects a real input tensor, but got ComplexFloat"),
    (lambda x: torch.fft.fftn(x, dim=(0, 0)), RuntimeError, "FFT dims must be unique"),
    (lambda x: torch.fft.fftn(x, s=(1, 2), dim=(0,)), RuntimeError, "must have the same length"),
    (lambda x: torch.fft.fftn(x, s=(1, 2, 3)), RuntimeError, "Got shape with 3 values but input tensor only has 2 dimensions"),
    (lambda x: torch.fft.fft(x.to(torch.bfloat16)), RuntimeError, "Unsupported dtype BFloat16"),
])
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call(torch.zeros(3, 4))
