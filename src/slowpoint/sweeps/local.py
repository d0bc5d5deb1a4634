"""How do processes of this machine share the runs, and what if one of them is killed?

Each has a pipe of its own, so that its end costs the run in its hands and no other.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Generator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from tqdm import tqdm

from slowpoint.core.processes import environment, ONE_THREAD
from slowpoint.sweeps.executors import each, Event
from slowpoint.sweeps.groups import Group
from slowpoint.sweeps.run import Run
from slowpoint.sweeps.run_folder import Work

MOMENT = 0.5  # seconds without news after which the caller may look up
TRIES = 5  # times in a row that a process may be killed before it could begin
ADVICE = (
    "A process could not begin. Other processes must be able to import the function: define it "
    "at the top of a file, and let a script begin its sweep under "
    "`if __name__ == '__main__':`. Or run it here: executor=Inline()"
)


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclasses.dataclass(frozen=True)
class Local:
    """So many processes at once, begun afresh (spawn), one thread each."""

    at_once: int = dataclasses.field(default_factory=cores)

    def events(self, work: Work, groups: Sequence[Group]) -> Generator[Event | None]:
        """As `Executor` promises. Raises ValueError where no process can do the work."""
        if self.at_once < 1:
            raise ValueError(f"at_once={self.at_once}: give 1 or more.")
        work = dataclasses.replace(work, kept_output=True)
        _check(work)
        left, hands, stillborn = deque(groups), [], 0
        try:
            hands = [_Hand(work) for _ in range(min(self.at_once, len(left)))]
            while left or any(hand.group for hand in hands):
                ready = wait([hand.pipe for hand in hands], timeout=MOMENT)
                if not ready:
                    yield None
                for hand in [hand for hand in hands if hand.pipe in ready]:
                    ended = hand.listen()
                    stillborn = 0 if hand.begun else stillborn + 1
                    if stillborn > TRIES:
                        raise ValueError(ADVICE)
                    if not hand.lives:
                        hands.remove(hand)
                        if left:
                            hands.append(_Hand(work))
                    elif left:
                        hand.give(group := left.popleft())
                        yield from each("began", group)
                    yield from each("ended", ended)
        finally:
            for hand in hands:
                hand.stop()


def _check(work: Work) -> None:
    try:
        pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(f"{error}. {ADVICE}") from None


class _Hand:
    """A process that does one group at a time."""

    def __init__(self, work: Work):
        spawn = multiprocessing.get_context("spawn")  # a fork would copy locks, not threads
        self.pipe, other = spawn.Pipe()
        self.group: Group = ()
        self.lives, self.begun = True, False
        self.process: SpawnProcess = spawn.Process(target=_serve, args=(work, other))
        with environment(ONE_THREAD):
            self.process.start()
        other.close()  # so that the end of the process ends the pipe

    def give(self, group: Group) -> None:
        """Hand it a group; if it is no longer there, `listen` will tell."""
        self.group = group
        with contextlib.suppress(OSError):
            self.pipe.send(group)

    def listen(self) -> Sequence[Run]:
        """What came of the runs in hand; none when it only says that it is ready."""
        held, self.group = self.group, ()
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            return self._ended(held)
        self.begun = True
        if isinstance(answer, BaseException):
            raise answer
        return answer or ()

    def _ended(self, held: Group) -> list[Run]:
        self.lives = False
        self.stop()
        if not self.begun and self.process.exitcode == 1:  # an error of Python's, before work
            raise ValueError(ADVICE)
        code = self.process.exitcode or 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with {code}"
        says = f"its process ended {how}"
        return [dataclasses.replace(run, status="lost", says=says) for run in held]

    def stop(self) -> None:
        """End the process, at once."""
        if self.lives:
            self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(work: Work, pipe: Connection) -> None:
    """Do the groups that come through `pipe`, until it or the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tqdm.set_lock(threading.RLock())  # its own is one for all processes: killed, it would leak
    pipe.send(None)
    while True:
        try:
            group = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = work(group)
        except BaseException as error:
            answer = error
        pipe.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
