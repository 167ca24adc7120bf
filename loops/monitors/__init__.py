"""A monitor a file: a statistic of the rounds so far that says when a loop goes wrong. None takes part in a round.

Each fires by a rule of its own, at 95 % and for itself: with six monitors of several tasks, one false alarm in some
rounds is to be expected, and an alarm is no finding.
"""

from __future__ import annotations

from collections.abc import Mapping

from loops.monitors.amplification import amplification
from loops.monitors.collapse import collapse
from loops.monitors.confidence import confidence
from loops.monitors.forgetting import forgetting
from loops.monitors.format_drift import format_drift
from loops.monitors.plateau import plateau
from loops.monitors.seen import Read
from loops.monitors.settings import Monitor

MONITORS: Mapping[Monitor, Read] = {
    "collapse": collapse,
    "amplification": amplification,
    "plateau": plateau,
    "forgetting": forgetting,
    "format_drift": format_drift,
    "confidence": confidence,
}
