"""The switches of precision beside PyTorch: what they say after every pair of settings."""

import mindtorch_v2
import torch
from tests.parity.side_by_side import Outcome, compare


def settings(lib):
    b = lib.backends

    def state():
        yield Outcome(lib.get_float32_matmul_precision)
        yield Outcome(lambda: b.cuda.matmul.allow_tf32)
        yield Outcome(lambda: b.cudnn.allow_tf32)
        for place in (b, b.cuda.matmul, b.cudnn, b.cudnn.conv, b.cudnn.rnn, b.mkldnn, b.mkldnn.matmul, b.mkldnn.conv):
            yield place.fp32_precision

    def put(place, name, value):
        return Outcome(lambda: setattr(place, name, value))

    for word in ("highest", "high", "medium"):
        for cuda in ("none", "ieee", "tf32", "bf16"):
            for cpu in ("none", "ieee", "tf32", "bf16", "other"):
                for general in ("none", "tf32", "bf16"):
                    lib.set_float32_matmul_precision(word)
                    yield put(b, "fp32_precision", general), put(b.cuda.matmul, "fp32_precision", cuda)
                    yield put(b.mkldnn.matmul, "fp32_precision", cpu)
                    yield list(state())
    for allow in (True, False):
        for conv in ("none", "ieee", "tf32"):
            for rnn in ("none", "tf32"):
                yield put(b.cudnn, "allow_tf32", allow), put(b.cudnn.conv, "fp32_precision", conv)
                yield put(b.cudnn.rnn, "fp32_precision", rnn)
                yield list(state())
    # no way back to the start: what was set stays set, so leave harmless values
    b.fp32_precision = "none"
    b.cudnn.allow_tf32 = True
    lib.set_float32_matmul_precision("highest")


def test_precision():
    compare(settings, mindtorch_v2, torch)


def named(lib):
    for make in (lambda: lib.ones(2, 2).max(0), lambda: lib.sort(lib.ones(2)), lambda: lib.linalg.qr(lib.ones(2, 2))):
        result = make()
        kind = type(result)
        yield repr(result), kind.__name__, kind.__match_args__, kind.n_fields, result, hasattr(lib.return_types, kind.__name__)
        yield Outcome(lambda: kind((1,))), kind((1, 2)) == (1, 2), result.__reduce__()[1][0]
    out = lib.empty(2), lib.empty(2, dtype=lib.long)
    yield type(lib.max(lib.ones(2, 2), 0, out=out)).__name__


def test_named_results():
    compare(named, mindtorch_v2, torch)


def test_names_of_named_results():
    import pickle

    for kind in mindtorch_v2.return_types.all_return_types:
        theirs = getattr(torch.return_types, kind.__name__)
        assert kind.__match_args__ == theirs.__match_args__, kind
        again = pickle.loads(pickle.dumps(kind(range(kind.n_fields))))
        assert type(again) is kind and tuple(again) == tuple(range(kind.n_fields))
