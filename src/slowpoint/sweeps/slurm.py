"""How does a cluster share the runs, and what if it takes a node back?

Job arrays of SLURM, one run a task, begun through submitit. Every task writes the folder of its
run; the process that conducts the sweep looks into the queue and into the folders, and alone
writes the manifest.
"""

import dataclasses
import pathlib
import shutil
import subprocess
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Literal

import pydantic

from slowpoint.core.processes import environment, ONE_THREAD
from slowpoint.core.settings import nearest, refusal
from slowpoint.sweeps.executors import Event
from slowpoint.sweeps.run import Run
from slowpoint.sweeps.run_folder import read_record, Work

LOOK = 2.0  # seconds between looks into the queue
LATE = 20.0  # seconds that a file may take to be seen on other machines
ARRAY = 1000  # tasks of one array: SLURM's own default limit
HERE = "local"


@dataclasses.dataclass(frozen=True)
class Slurm:
    """One task a run, one thread each, in a folder that all machines see.

    `at_once` is for each thousand runs. A task that uses up its `minutes` is put into the queue
    again, `again` times, and begins its run anew: a training that is kept in a folder (some
    experiments have a setting `folder`, `train` has `checkpoint`) goes on from there. `memory`
    is in GB; None: what the cluster gives. `cluster="local"` does all here, at once, to try.
    """

    at_once: int = 100
    minutes: int = 60
    memory: float | None = None
    partition: str | None = None
    again: int = 3
    cluster: Literal["slurm", "local"] = "slurm"

    def events(self, work: Work, runs: Sequence[Run]) -> Generator[Event | None]:
        """As `Executor` promises. Raises ValueError where there is no SLURM or no submitit."""
        work = dataclasses.replace(work, kept_output=True)
        jobs: dict[str, tuple[Any, Run]] = {}
        began: set[str] = set()
        try:
            for first in range(0, len(runs), ARRAY):
                some = runs[first : first + ARRAY]
                jobs |= {job.job_id: (job, run) for job, run in self._submit(work, some)}
            while jobs:
                states = _queue(jobs) if self.cluster != HERE else _alive(jobs)
                for name in [name for name in jobs if name not in began]:
                    if states.get(name, "R") != "PD":
                        began.add(name)
                        yield Event("began", jobs[name][1])
                for name in [name for name in jobs if name not in states]:
                    yield Event("ended", _ended(work, *jobs.pop(name)))
                yield None
                time.sleep(LOOK)
        finally:
            for job, _ in jobs.values():
                job.cancel(check=False)

    def _submit(self, work: Work, runs: Sequence[Run]) -> Iterable[tuple[Any, Run]]:
        executor = self._executor(work.out / "slurm")
        for run in runs:  # what an earlier try left must not be taken for the new one
            shutil.rmtree(work.out / run.path, ignore_errors=True)
        with environment(ONE_THREAD):
            jobs = executor.map_array(_Task(work), runs)
        return zip(jobs, runs, strict=True)

    def _executor(self, logs: pathlib.Path) -> Any:
        try:
            import submitit
        except ImportError:
            raise ValueError(
                "SLURM is spoken to through submitit. Type: pip install 'slowpoint[slurm]', "
                "or run it on this machine: --executor local"
            ) from None
        if self.cluster != HERE and not shutil.which("sbatch"):
            raise ValueError(
                "No SLURM here: there is no sbatch. Type this on a machine that submits jobs "
                "(Debian: apt install slurm-client), or run it here: --executor local"
            )
        executor = submitit.AutoExecutor(
            logs, cluster=self.cluster, slurm_max_num_timeout=self.again
        )
        executor.update_parameters(name="slowpoint", timeout_min=self.minutes, cpus_per_task=1)
        if self.memory is not None:
            executor.update_parameters(mem_gb=self.memory)
        if self.cluster != HERE:
            executor.update_parameters(slurm_array_parallelism=self.at_once)
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


@dataclasses.dataclass(frozen=True)
class _Task:
    """`work` on one run; when its time is used up, the same run again from its beginning."""

    work: Work

    def __call__(self, run: Run) -> None:
        self.work(run)

    def checkpoint(self, run: Run) -> Any:
        """What submitit puts into the queue, on the signal that the time is used up."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, run)


def _queue(jobs: Mapping[str, Any]) -> dict[str, str]:
    """The state of each task of ours that SLURM still has, PD while it waits."""
    arrays = sorted({name.partition("_")[0] for name in jobs})
    words = ["squeue", "--noheader", "--array", "--format=%i %t", f"--jobs={','.join(arrays)}"]
    told = subprocess.run(words, capture_output=True, text=True)
    if told.returncode and "Invalid job id" not in told.stderr:  # that: all are gone
        return dict.fromkeys(jobs, "PD")  # no answer is no news
    return dict(line.split() for line in told.stdout.splitlines())


def _alive(jobs: Mapping[str, tuple[Any, Run]]) -> dict[str, str]:
    """The same, of processes of this machine."""
    return {name: "R" for name, (job, _) in jobs.items() if not job.done()}


def _ended(work: Work, job: Any, run: Run) -> Run:
    """What the folder of a run says whose task is gone; lost, when it says nothing."""
    until = time.monotonic() + LATE
    while not (record := read_record(work.out / run.path)):
        if time.monotonic() > until:
            says = f"its task {job.job_id} ended without a result, see {job.paths.stderr}"
            return dataclasses.replace(run, status="lost", says=says)
        time.sleep(LOOK / 4)
    return record[1]
