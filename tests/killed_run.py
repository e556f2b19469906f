"""A run that ends itself with a real signal at a chosen moment; started by the tests as a process.

Arguments: the moment, the file that gets a line for each step of an optimiser (or ``-``), then those of ``nctransfer``.
Moments: ``step:N:SIGNAL`` after the work of step N (counted from 0 over all optimisers of the process), ``save:N:KILL``
while the N-th file of a checkpoint is being put in place, ``none``.
"""

import os
import signal
import sys

from torch.optim.optimizer import register_optimizer_step_post_hook

from nctransfer.cli import main
from nctransfer.runs import atomic

moment, counted, *words = sys.argv[1:]
kind, number, name = moment.split(":") if moment != "none" else ("none", "0", "")

replace = os.replace
steps = replaced = 0


def count_and_signal(optimizer, arguments, options):
    global steps
    if counted != "-":
        with open(counted, "a") as file:
            file.write("step\n")
    if kind == "step" and steps == int(number):
        os.kill(os.getpid(), getattr(signal, f"SIG{name}"))
    steps += 1


def replace_or_die(source, target):
    global replaced
    if "step-" in str(target):
        replaced += 1
        if replaced == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)


register_optimizer_step_post_hook(count_and_signal)
if kind == "save":
    atomic.os.replace = replace_or_die
main(words)
