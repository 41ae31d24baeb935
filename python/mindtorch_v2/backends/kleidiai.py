"""Arm's KleidiAI is not part of this build."""


def is_available():
    """False."""
    return False
