"""A pre-training run that ends itself with a real signal at a chosen moment; started by the tests as a process.

Arguments: the moment, then those of ``nctransfer``. Moments: ``step:N:SIGNAL`` after the work of step N,
``save:N:KILL`` while the N-th file of a checkpoint is being put in place, ``none``.
"""

import os
import signal
import sys

from torch.optim.optimizer import register_optimizer_step_post_hook

from nctransfer.cli import main
from nctransfer.runs import atomic

moment, *words = sys.argv[1:]
kind, number, name = moment.split(":") if moment != "none" else ("none", "0", "")

replace = os.replace
steps = replaced = 0


def count_and_signal(optimizer, arguments, options):
    global steps
    if steps == int(number):
        os.kill(os.getpid(), getattr(signal, f"SIG{name}"))
    steps += 1


def replace_or_die(source, target):
    global replaced
    if "step-" in str(target):
        replaced += 1
        if replaced == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)


if kind == "step":
    register_optimizer_step_post_hook(count_and_signal)
elif kind == "save":
    atomic.os.replace = replace_or_die
main(words)
