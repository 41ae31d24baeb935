"""Generator of everything that follows from the operator table (run as ``python -m csrc.gen``)."""
