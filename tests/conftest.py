"""Scripts that tests start as processes are no tests themselves."""

collect_ignore = ["killed_run.py"]
