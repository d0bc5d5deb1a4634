"""Do processes give what one loop gives, one thread each, and leave nothing behind?"""

import os

import pytest

from slowpoint.core.processes import in_processes, ONE_THREAD


def seen(name):
    """What the process that runs this finds in its environment, and which one it is."""
    return name, os.environ.get(name), os.getpid()


def test_processes_answer_in_order_with_one_thread_each():
    before = dict(os.environ)
    names = [*ONE_THREAD] * 2
    found = in_processes(seen, names, 2)
    assert [name for name, _, _ in found] == names
    joined = ONE_THREAD | {"XLA_FLAGS": f"{ONE_THREAD['XLA_FLAGS']} {before['XLA_FLAGS']}"}
    assert all(value == joined[name] for name, value, _ in found)
    assert os.getpid() not in {process for *_, process in found}
    assert dict(os.environ) == before


def test_one_at_once_is_a_loop_here():
    assert {process for *_, process in in_processes(seen, "ab", 1)} == {os.getpid()}
    assert in_processes(seen, [], 1) == []


def test_what_goes_wrong_there_is_raised_here():
    before = dict(os.environ)
    with pytest.raises(ValueError, match="invalid literal"):
        in_processes(int, ["1", "two"], 2)
    assert dict(os.environ) == before
    with pytest.raises(ValueError, match="1 or more"):
        in_processes(int, ["1"], 0)
