"""What holds for the whole session: scripts that tests start as processes are no tests themselves."""

import gc

collect_ignore = ["killed_run.py"]


def pytest_collection_finish() -> None:
    """Keep what was imported and collected out of later garbage collections.

    Training collects after each run; millions of objects of torch, scikit-learn and pytest made that half a second.
    """
    gc.collect()
    gc.freeze()
