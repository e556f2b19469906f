"""A run that is refused leaves the disk as it was: no folder, and the run that it was to overwrite."""

import pytest

from nctransfer.errors import LockedError, UsageError
from nctransfer.runs import RunFolder

CONFIG = {"verb": "auto", "seed": 0}


def tree(folder):
    return {str(path.relative_to(folder)): path.read_text() if path.is_file() else None for path in folder.rglob("*")}


def finished(path, config=CONFIG):
    with RunFolder.create(path, config=config) as run:
        run.log(step=1, loss=0.5)
        (run.checkpoints / "best.json").write_text("{}")
        run.write_result({"kind": "auto"})
    return path


def refuse(path, config=CONFIG, **flags):
    def run():
        with RunFolder.create(path, config=config, **flags) as run:
            (run.path / "skipped.csv").write_text("")
            raise UsageError("misspelt")

    with pytest.raises(UsageError, match="misspelt"):
        run()


def test_a_refused_run_leaves_no_folder_behind(tmp_path):
    refuse(tmp_path / "runs" / "deep" / "run")
    assert tree(tmp_path) == {}


def test_an_empty_folder_that_stood_there_stays_and_can_be_used(tmp_path):
    refuse(tmp_path)
    finished(tmp_path)


def test_a_run_that_has_begun_is_kept(tmp_path):
    def begin():
        with RunFolder.create(tmp_path / "run", config=CONFIG) as run:
            run.log(step=1, loss=0.5)
            raise UsageError("later")

    with pytest.raises(UsageError, match="later"):
        begin()
    assert RunFolder(tmp_path / "run").metrics() == [{"step": 1, "loss": 0.5}]
    assert RunFolder(tmp_path / "run").config() == CONFIG


def test_a_refused_overwrite_puts_the_old_run_back(tmp_path):
    before = tree(finished(tmp_path / "run"))
    refuse(tmp_path / "run", {"verb": "auto", "seed": 1}, overwrite=True)
    assert before.items() <= tree(tmp_path / "run").items()


def test_an_overwrite_that_succeeds_leaves_nothing_of_the_old_run(tmp_path):
    finished(tmp_path / "run")
    with RunFolder.create(tmp_path / "run", config={"verb": "probe"}, overwrite=True) as run:
        run.write_result({"kind": "probe"})
    left = {path.name for path in (tmp_path / "run").iterdir()} - {".lock", ".holder"}
    assert left == {"config.json", "environment.json", "result.json", "checkpoints"}
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


@pytest.mark.parametrize("flags", [{}, {"resume": True}])
def test_a_run_of_another_verb_is_named(tmp_path, flags):
    before = tree(finished(tmp_path / "run", {"verb": "probe"}))
    with pytest.raises(UsageError, match=r"holds a run of `probe`, not of `auto`.*--overwrite"):
        RunFolder.create(tmp_path / "run", config=CONFIG, **flags)
    assert before.items() <= tree(tmp_path / "run").items()


def test_the_message_says_whether_the_run_has_ended(tmp_path):
    with pytest.raises(UsageError, match=r"holds a finished run.*--resume"):
        RunFolder.create(finished(tmp_path / "done"), config=CONFIG)
    with RunFolder.create(tmp_path / "begun", config=CONFIG) as run:
        run.log(step=1)
    with pytest.raises(UsageError, match=r"holds an unfinished run.*--resume"):
        RunFolder.create(tmp_path / "begun", config=CONFIG)


def test_a_locked_run_is_not_touched_by_an_overwrite(tmp_path):
    with RunFolder.create(tmp_path / "run", config=CONFIG) as run:
        run.log(step=1)
        with pytest.raises(LockedError):
            RunFolder.create(tmp_path / "run", config=CONFIG, overwrite=True)
    assert RunFolder(tmp_path / "run").metrics() == [{"step": 1}]
