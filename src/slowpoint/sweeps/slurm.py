"""How does a cluster share the runs, and what if it takes a node back?

Job arrays of SLURM, one group of runs a task, begun through submitit. Every task writes the
folders of its runs; the process that conducts the sweep looks into the queue and into the
folders, and alone writes the manifest.
"""

import dataclasses
import hashlib
import itertools
import pathlib
import shutil
import subprocess
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Literal

import pydantic

from slowpoint.core.processes import environment, ONE_THREAD
from slowpoint.core.settings import nearest, refusal
from slowpoint.sweeps.executors import each, Event
from slowpoint.sweeps.groups import Group
from slowpoint.sweeps.run import Run
from slowpoint.sweeps.run_folder import read_record, Work

LOOK = 2.0  # seconds between looks into the queue
LATE = 20.0  # seconds that a file may take to be seen on other machines
NOTICE = 30  # seconds before the end at which a task is told that its time is used up
ARRAY = 1000  # tasks of one array: SLURM's own default limit
HERE = "local"


@dataclasses.dataclass(frozen=True)
class Slurm:
    """One task a group of runs, one thread each, in a folder that all machines see.

    `at_once` is for each thousand tasks. A task that uses up its `minutes` (SLURM may say so up
    to 90 s early) is put into the queue again, `again` times, and begins its runs anew: a
    training that is kept in a folder (some experiments have a setting `folder`, `train` has
    `checkpoint`) goes on from there. `memory` is in GB; None: what the cluster gives. Tasks of
    the same folder that a killed process left in the queue are cancelled first.
    `cluster="local"` does all here, at once, to try.
    """

    at_once: int = 100
    minutes: int = 60
    memory: float | None = None
    partition: str | None = None
    again: int = 3
    cluster: Literal["slurm", "local"] = "slurm"

    def events(self, work: Work, groups: Sequence[Group]) -> Generator[Event | None]:
        """As `Executor` promises. Raises ValueError where SLURM or submitit is not there, and
        with SLURM's own words where it refuses the tasks.
        """
        if not groups:
            return
        work = dataclasses.replace(work, kept_output=True)
        executor = self._executor(work.out)
        jobs: dict[str, tuple[Any, Group]] = {}
        began: set[str] = set()
        gone: dict[str, float] = {}
        try:
            while self.cluster != HERE and _cancel(_title(work.out)):
                yield None
                time.sleep(LOOK)
            for first in range(0, len(groups), ARRAY):
                some = groups[first : first + ARRAY]
                jobs |= {job.job_id: (job, one) for job, one in _submit(executor, work, some)}
            while jobs:
                states = _queue(jobs) if self.cluster != HERE else _alive(jobs)
                for name in [name for name in jobs if name not in began]:
                    if states.get(name, "R") != "PD":
                        began.add(name)
                        yield from each("began", jobs[name][1])
                now = time.monotonic()
                gone = {name: gone.get(name, now) for name in jobs if name not in states}
                for name, since in gone.items():
                    if ended := _ended(work, *jobs[name], late=now - since > LATE):
                        del jobs[name]
                        yield from each("ended", ended)
                yield None
                time.sleep(LOOK)
        finally:
            if self.cluster != HERE:
                _cancel(_title(work.out))  # by name: also those whose number we do not know
            else:
                for job, _ in jobs.values():
                    job.cancel(check=False)

    def _executor(self, out: pathlib.Path) -> Any:
        try:
            import submitit
        except ImportError:
            raise ValueError(
                "SLURM is spoken to through submitit. Type: pip install 'slowpoint[slurm]', "
                "or run it on this machine: --executor local"
            ) from None
        absent = [name for name in ("sbatch", "srun") if not shutil.which(name)]
        if self.cluster != HERE and absent:
            raise ValueError(
                f"No SLURM here: there is no {absent[0]}. Type this on a machine that submits "
                "jobs (Debian: apt install slurm-client), or run it here: --executor local"
            )
        executor = submitit.AutoExecutor(
            out / "slurm", cluster=self.cluster, slurm_max_num_timeout=self.again
        )
        executor.update_parameters(name=_title(out), timeout_min=self.minutes, cpus_per_task=1)
        if self.memory is not None:
            executor.update_parameters(mem_gb=self.memory)
        if self.cluster != HERE:
            executor.update_parameters(
                slurm_array_parallelism=self.at_once, slurm_signal_delay_s=NOTICE
            )
            if self.partition:
                executor.update_parameters(slurm_partition=self.partition)
        return executor


def slurm_named(words: str, at_once: int | None = None) -> Slurm:
    """The executor that `words` ask for, e.g. "partition=short,minutes=30".

    Raises ValueError on what there is not; suggests what was meant.
    """
    known = [field.name for field in dataclasses.fields(Slurm)]
    asked: dict[str, Any] = {} if at_once is None else {"at_once": at_once}
    for word in filter(None, words.split(",")):
        name, _, value = word.partition("=")
        if name not in known:
            raise ValueError(f"--executor slurm has no {name!r}. {nearest(name, known)}")
        asked[name] = value
    try:
        return pydantic.TypeAdapter(Slurm).validate_python(asked)
    except pydantic.ValidationError as error:
        raise ValueError(f"--executor slurm: {refusal(error)}") from None


class _Task:
    """`work` on a group; when its time is used up, the same again from its beginning."""

    def __init__(self, work: Work):
        self.work, self.again = work, False

    def __call__(self, group: Group) -> None:
        for run in self.work(group):
            if self.again and run.says.startswith("SystemExit"):  # how submitit interrupts it
                shutil.rmtree(self.work.out / run.path, ignore_errors=True)

    def checkpoint(self, group: Group) -> Any:
        """What submitit puts into the queue, on the signal that the time is used up."""
        from submitit.helpers import DelayedSubmission

        self.again = True
        return DelayedSubmission(_Task(self.work), group)


def _submit(executor: Any, work: Work, groups: Sequence[Group]) -> Iterable[tuple[Any, Group]]:
    from submitit.core.utils import FailedJobError

    # what an earlier try left must not be taken for the new one
    for run in itertools.chain.from_iterable(groups):
        shutil.rmtree(work.out / run.path, ignore_errors=True)
    try:
        with environment(ONE_THREAD):
            jobs = executor.map_array(_Task(work), groups)
    except FailedJobError as error:
        words = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"SLURM takes no tasks: {words}. `sinfo` shows its partitions and their limits; "
            "name one: --executor slurm:partition=NAME,minutes=30"
        ) from None
    return zip(jobs, groups, strict=True)


def _title(out: pathlib.Path) -> str:
    """What the tasks of a sweep in `out` are called: no other sweep's are."""
    return f"slowpoint-{hashlib.sha256(str(out).encode()).hexdigest()[:12]}"


def _cancel(title: str) -> bool:
    """Cancel the tasks of that name; whether there are any yet, as far as SLURM answers."""
    subprocess.run(["scancel", f"--name={title}"], capture_output=True)
    words = ["squeue", "--noheader", "--format=%i", f"--name={title}"]
    told = subprocess.run(words, capture_output=True, text=True)
    return bool(told.returncode or told.stdout.strip())


def _queue(jobs: Mapping[str, Any]) -> dict[str, str]:
    """The state of each task of ours that SLURM still has, PD while it waits."""
    arrays = sorted({name.partition("_")[0] for name in jobs})
    words = ["squeue", "--noheader", "--array", "--format=%i %t", f"--jobs={','.join(arrays)}"]
    told = subprocess.run(words, capture_output=True, text=True)
    if told.returncode and "Invalid job id" not in told.stderr:  # that: all are gone
        return dict.fromkeys(jobs, "PD")  # no answer is no news
    return dict(line.split() for line in told.stdout.splitlines())


def _alive(jobs: Mapping[str, tuple[Any, Group]]) -> dict[str, str]:
    """The same, of processes of this machine."""
    return {name: "R" for name, (job, _) in jobs.items() if not job.done()}


def _ended(work: Work, job: Any, group: Group, late: bool) -> list[Run]:
    """What the folders of runs say whose task is gone; nothing yet, unless it is `late`."""
    records = [read_record(work.out / run.path) for run in group]
    if not all(records) and not late:
        return []
    says = f"its task {job.job_id} ended without a result, see {job.paths.stderr}"
    return [
        record[1] if record else dataclasses.replace(run, status="lost", says=says)
        for run, record in zip(group, records)
    ]
