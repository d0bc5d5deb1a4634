"""Which lesson is taught at which update?"""

from collections.abc import Sequence
from typing import Any, TypeVar

Lesson = TypeVar("Lesson")
Stages = Sequence[tuple[int, Lesson]]  # (until which update, what is taught until then)


def stages(lessons: Any, updates: int) -> list[tuple[int, Any]]:
    """`lessons` as stages that cover `updates`; a single lesson is one stage.

    A stage ends before update `until`, where the next begins; what ends after `updates` is cut.
    Raises ValueError when the ends do not increase or stop short of `updates`.
    """
    if not isinstance(lessons, list | tuple):
        return [(updates, lessons)]
    ends = [until for until, _ in lessons]
    if not ends or any(a >= b for a, b in zip([0, *ends], ends)):
        raise ValueError(
            f"The stages of the curriculum end at {ends}. Give pairs (until, task) whose ends "
            "are above 0 and increase."
        )
    if ends[-1] < updates:
        raise ValueError(
            f"The last stage ends at update {ends[-1]}, the training at {updates}. "
            f"End the last stage at {updates}, or type updates={ends[-1]}."
        )
    starts = [0, *ends]
    return [
        (min(until, updates), lesson)
        for start, (until, lesson) in zip(starts, lessons)
        if start < updates
    ]
