"""SGDR against the source's own worked shape, and its laws."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nctransfer.engine import sgdr


def test_cosine_equals_torchs_scheduler():
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=1e-4)
    for epoch in range(50):
        assert sgdr(epoch, 50) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        theirs.step()


def test_restarts_equal_torchs_scheduler():
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=5, T_mult=2, eta_min=1e-4)
    for epoch in range(35):
        ours = sgdr(epoch, 35, restart_every=5, restart_factor=2)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9), epoch
        optimizer.step()
        theirs.step()


@given(st.floats(0, 200), st.sampled_from([None, 1, 7.5]), st.floats(1, 3))
def test_rates_stay_between_the_two_ends(epoch, every, factor):
    rate = sgdr(epoch, 200, restart_every=every, restart_factor=factor)
    assert 1e-4 - 1e-12 <= rate <= 0.1 + 1e-12
    assert math.isfinite(rate)
