"""Tests that compare with PyTorch; `make parity` puts it beside us. Without it none is collected."""

import importlib.util

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["*"]
