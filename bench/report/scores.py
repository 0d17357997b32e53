"""Names of what is scored."""

from __future__ import annotations

MAJORITY, TEACHER = "majority class", "teacher"
CONTROLS = (MAJORITY, TEACHER)
"""What is scored beside the methods."""

OFF, ON = "off", "on"
"""A method without retrieval, and with it."""
