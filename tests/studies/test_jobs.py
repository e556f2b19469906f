"""The cells of a study shared by processes: two commands, --jobs, workers, and a cluster."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from commands import run as command
from nctransfer.studies import run_studies
from nctransfer.studies.catalogue import cells_of, get_studies
from nctransfer.studies.parallel import ClusterLauncher, LocalLauncher
from nctransfer.studies.scales import SMOKE
from nctransfer.studies.store import Store
from nctransfer.studies.worker import Job, work

SMOKE_FIGURE5 = cells_of(get_studies(["figure5"]), SMOKE, [0])


@pytest.mark.slow
def test_two_processes_share_the_cells(tmp_path):
    out = tmp_path / "out"
    code = "import sys; from nctransfer.cli import main; main(sys.argv[1:])"
    words = ["paper", "run", "figure5", "figure6", "--scale", "smoke", "--out", str(out)]
    both = [subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    cells = cells_of(get_studies(["figure5", "figure6"]), SMOKE, [0])
    lines = [line for text in said for line in text.splitlines() if line.endswith(" s") and "seed 0:" in line]
    assert len(lines) == len(cells), "each cell was computed by one of the two"


def _lines_of_workers(out):
    return [line for log in sorted((out / "jobs").glob("worker-*.log")) for line in log.read_text().splitlines()]


@pytest.mark.slow
def test_jobs_share_the_cells_and_one_page_is_made(tmp_path, capsys):
    out = tmp_path / "out"
    assert command(["paper", "run", "figure5", "figure6", "--scale", "smoke", "--jobs", "2", "--out", str(out)]) == 0
    cells = cells_of(get_studies(["figure5", "figure6"]), SMOKE, [0])
    said = [line for line in _lines_of_workers(out) if line.endswith(" s") and "seed 0:" in line]
    assert len(said) == len(cells), "each cell was computed by one of the two, none again by the parent"
    assert len(list((out / "jobs").glob("worker-*.log"))) == 2
    assert (out / "report.html").is_file()
    assert f"{len(cells)} cells in 2 processes" in capsys.readouterr().err


@pytest.mark.slow
def test_jobs_stop_when_told_and_go_on(tmp_path):
    out = tmp_path / "out"
    words = ["paper", "run", "table1", "--scale", "smoke", "--jobs", "2", "--out", str(out)]
    code = "import sys; from nctransfer.cli import main; main(sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.PIPE, text=True)
    while not any("cells" in line for line in _lines_of_workers(out)):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.terminate()
    said = process.communicate(timeout=180)[1]
    assert process.returncode == 75, said
    assert "run the same command again" in said
    assert command([*words]) == 0


def test_jobs_with_nothing_to_do_start_no_process(pair):
    assert run_studies(["figure5"], scale="smoke", out=pair, jobs=4)["failures"] == []
    assert not (pair / "jobs").exists()


def _job(root, **changes):
    return Job(("figure5",), "smoke", str(root), (0,), "cpu", **changes)


def test_worker_computes_what_is_missing(pair, capsys):
    cell = next(iter(SMOKE_FIGURE5))
    shutil.rmtree(pair / "cells" / cell.folder)
    assert work(_job(pair).text()) == 0
    assert Store(pair).read(cell) is not None
    assert cell.title() in capsys.readouterr().out


def test_worker_out_of_time_says_so_by_its_exit_code(tmp_path):
    assert work(_job(tmp_path, time_limit=1e-6).text()) == 75


def test_a_worker_alone_leaves_the_shares_of_others(pair):
    for cell in SMOKE_FIGURE5:
        shutil.rmtree(pair / "cells" / cell.folder)
    assert work(_job(pair, place=1, of=2, alone=True).text()) == 0
    assert not list(Store(pair).folder(SMOKE_FIGURE5[0]).glob("cell.json"))


@pytest.mark.slow
def test_cluster_local_is_jobs_of_this_machine(tmp_path, capsys):
    out = tmp_path / "out"
    assert command(["paper", "run", "figure5", "--scale", "smoke", "--out", str(out), "--cluster", "local"]) == 0
    assert "2 cells in 1 processes" in capsys.readouterr().err
    assert len(list((out / "cells").glob("*/cell.json"))) == 2
    assert [path.name for path in (out / "jobs").iterdir()] == ["worker-0.log"]


def test_cluster_jobs_do_the_same_work(tmp_path):
    """submitit's own local executor stands in for Slurm."""
    pytest.importorskip("submitit", reason="submitit (the extra `cluster`) is not installed")
    (tmp_path / "jobs").mkdir()
    worker = ClusterLauncher(tmp_path, "local").start(_job(tmp_path))
    began = time.monotonic()
    while (code := worker.poll()) is None:
        assert time.monotonic() - began < 120
        time.sleep(0.2)
    assert code == 0
    assert all(Store(tmp_path).read(cell) for cell in SMOKE_FIGURE5)


def test_a_job_that_its_time_limit_stops_is_started_again(tmp_path, capsys):
    """Rounds of a launcher: the first start is stopped at once, the second finishes."""
    from nctransfer.engine import StopRequest, Watch
    from nctransfer.studies.parallel import run_parallel

    class Impatient(LocalLauncher):
        rounds, started = 1, 0

        def start(self, job):
            self.started += 1
            return super().start(replace(job, time_limit=1e-6 if self.started == 1 else None))

    launcher = Impatient(tmp_path, 1)
    run_parallel(
        ["figure5"],
        scale="smoke",
        root=tmp_path,
        seeds=[0],
        jobs=1,
        device="cpu",
        accept_other_code=False,
        launcher=launcher,
        watch=Watch(),
        stop=StopRequest(),
    )
    assert launcher.started == 2
    assert all(Store(tmp_path).read(cell) for cell in SMOKE_FIGURE5)
