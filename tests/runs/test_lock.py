"""The folder lock: one process at a time, freed by a kill, named in the message, and without ``fcntl`` as well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from nctransfer.errors import LockedError
from nctransfer.runs import LOCK_FILES, FolderLock, RunFolder

HOLD = """
import sys, time
from pathlib import Path
from nctransfer.runs import FolderLock
lock = FolderLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
time.sleep(60)
"""

WITHOUT_FCNTL = """
import importlib, pkgutil, sys, warnings
sys.modules["fcntl"] = None  # every import of it fails from here on
warnings.simplefilter("ignore")  # filelock says that it falls back to files
from pathlib import Path
import nctransfer
from nctransfer.errors import LockedError
from nctransfer.runs import RunFolder

for found in pkgutil.walk_packages(nctransfer.__path__, "nctransfer."):
    if found.name not in ("nctransfer.__main__", "nctransfer.metrics._torchmetrics"):
        importlib.import_module(found.name)
folder = Path(sys.argv[1]) / "run"
with RunFolder.create(folder, config={"seed": 0}):
    try:
        RunFolder.create(folder, config={"seed": 0}, resume=True)
    except LockedError as error:
        print(error)
RunFolder.create(folder, config={"seed": 0}, resume=True).close()
"""


def start(folder):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_holds_it_and_a_kill_frees_it(tmp_path):
    process = start(tmp_path)
    try:
        with pytest.raises(LockedError, match=rf"in use by process {process.pid} on \S+ .*wait for that run") as error:
            FolderLock(tmp_path).acquire()
        assert error.value.exit_code == 75
        # Being refused leaves the holder's name in place for the next one.
        with pytest.raises(LockedError, match=rf"process {process.pid} on"):
            FolderLock(tmp_path).acquire()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with FolderLock(tmp_path), pytest.raises(LockedError, match=rf"process {os.getpid()} on"):
        FolderLock(tmp_path).acquire()


def test_a_folder_that_holds_only_a_lock_counts_as_empty(tmp_path):
    FolderLock(tmp_path).acquire().release()
    (tmp_path / ".holder").write_text("damaged")
    assert {path.name for path in tmp_path.iterdir()} <= {*LOCK_FILES}
    with RunFolder.create(tmp_path, config={}) as run:
        assert run.config() == {}


def test_the_package_imports_and_locks_without_fcntl(tmp_path):
    done = subprocess.run([sys.executable, "-c", WITHOUT_FCNTL, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "the run folder is in use by process" in done.stdout
