"""Window functions, short-time Fourier transforms."""

_OPTIONS = "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"
for _name in ("hann", "bartlett", "blackman", "hamming", "kaiser"):
    factory(f"{_name}_window(int window_length, *, {_OPTIONS}) -> Tensor", doc=f"{_name.title()} window, periodic.")
    factory(f"{_name}_window.periodic(int window_length, bool periodic, *, {_OPTIONS}) -> Tensor", doc=f"{_name.title()} window.")
factory(f"hamming_window.periodic_alpha(int window_length, bool periodic, float alpha, *, {_OPTIONS}) -> Tensor", doc="Hamming window.")
factory(f"hamming_window.periodic_alpha_beta(int window_length, bool periodic, float alpha, float beta, *, {_OPTIONS}) -> Tensor", doc="Hamming window.")
factory(f"kaiser_window.beta(int window_length, bool periodic, float beta, *, {_OPTIONS}) -> Tensor", doc="Kaiser window.")

# ---- frames of a signal --------------------------------------------------------------------------
composite("stft(Tensor self, int n_fft, int? hop_length=None, int? win_length=None, Tensor? window=None, bool normalized=False, bool? onesided=None, "
          "bool? return_complex=None, bool? align_to_window=None) -> Tensor", py=("function",), doc="Transforms of windowed frames.")
composite("istft(Tensor self, int n_fft, int? hop_length=None, int? win_length=None, Tensor? window=None, bool center=True, bool normalized=False, "
          "bool? onesided=None, int? length=None, bool return_complex=False) -> Tensor", doc="The signal of frames that overlap.")
