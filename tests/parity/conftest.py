"""Tests that compare with PyTorch. Where it is not installed (`make parity` does), none runs."""

import importlib.util

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["*"]
