"""Fourier transforms."""

_F = ("fft",)
_PACKED = ("OUT_CONTIGUOUS",)
_ANY = BOOL | INT | REAL | COMPLEX

op("_fft_c2c(Tensor self, SymInt[] dim, int normalization, bool forward) -> Tensor", py=("function",), flags=_PACKED, node="FftC2CBackward0",
   grad={"self": "_fft_c2c(grad, dim, normalization, not forward)"}, jvp="linear", doc="Transform of complex numbers along dimensions.")
op("_fft_r2c(Tensor self, int[] dim, int normalization, bool onesided) -> Tensor", py=("function",), flags=_PACKED, node="FftR2CBackward0",
   grad={"self": "_fft_r2c_backward(grad, dim, normalization, onesided, self.size(dim[len(dim) - 1]))"}, jvp="linear",
   doc="Transform of real numbers; one sided: the half that determines the rest.")
op("_fft_c2r(Tensor self, int[] dim, int normalization, SymInt last_dim_size) -> Tensor", py=("function",), flags=_PACKED, node="FftC2RBackward0",
   grad={"self": "_fft_c2r_backward(grad, dim, normalization)"}, jvp="linear", doc="Inverse transform to real numbers.")
composite("_fft_r2c_backward(Tensor grad, int[] dim, int normalization, bool onesided, int size) -> Tensor", hidden=True, body="""
g = grad
last = dim[len(dim) - 1]
if onesided:
    g = pad_end(grad, last, size)
real(_fft_c2c(g, dim, normalization, False))
""", doc="Gradient of _fft_r2c.")
composite("_fft_c2r_backward(Tensor grad, int[] dim, int normalization) -> Tensor", hidden=True, body="""
g = _fft_r2c(grad, dim, normalization, True)
last = dim[len(dim) - 1]
twice = grad.size(last) - g.size(last)
if twice > 0:
    g = cat([g.narrow(last, 0, 1), g.narrow(last, 1, twice) * 2, g.narrow(last, 1 + twice, g.size(last) - 1 - twice)], last)
g
""", doc="Gradient of _fft_c2r: what symmetry repeats counts twice.")
helper("pad_end(Tensor x, int dim, int size) -> Tensor")
for _name, _doc in (("fft", "Discrete Fourier transform"), ("ifft", "Inverse Fourier transform"), ("rfft", "Half of the transform of real numbers"),
                    ("irfft", "Inverse of rfft"), ("hfft", "Transform of a Hermitian signal"), ("ihfft", "Inverse of hfft")):
    composite(f"fft_{_name}(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> Tensor", out=True, py=_F, doc=f"{_doc} along a dimension.")
    composite(f"fft_{_name}2(Tensor self, SymInt[1]? s=None, int[1] dim=[-2,-1], str? norm=None) -> Tensor", out=True, py=_F, doc=f"{_doc} along two dimensions.")
    composite(f"fft_{_name}n(Tensor self, SymInt[1]? s=None, int[1]? dim=None, str? norm=None) -> Tensor", out=True, py=_F, doc=f"{_doc} along dimensions.")
composite("fft_fftshift(Tensor self, int[1]? dim=None) -> Tensor", py=_F, doc="The zero frequency moved to the middle.")
composite("fft_ifftshift(Tensor self, int[1]? dim=None) -> Tensor", py=_F, doc="The inverse of fftshift.")
_OPTIONS = "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"
for _name in ("fftfreq", "rfftfreq"):
    factory(f"fft_{_name}(int n, float d=1.0, *, {_OPTIONS}) -> Tensor", py=_F, doc="Frequencies of a transform.")
