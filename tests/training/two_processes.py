"""One process of a run that is shared by several; started by the tests through ``torch.distributed.run``.

Arguments: the run folder, and the settings as JSON.
"""

import json
import sys

import torch

from nctransfer.training import pretrain

torch.set_num_threads(1)
folder, settings = sys.argv[1], json.loads(sys.argv[2])
pretrain("digits", folder, **settings)
