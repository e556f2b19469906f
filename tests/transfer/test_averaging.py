"""Averages of weights: the arithmetic, the choice by held-out log-loss, the laws that it keeps."""

import pytest
import torch

from nctransfer.errors import UsageError
from nctransfer.transfer.averaging import choose_mixture, mix_states, tempered_log_loss


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    features = torch.nn.functional.one_hot(labels, 3).double() + 0.7 * torch.randn(60, 3, generator=generator)

    def judge(state):
        return features @ state["weight"]

    return labels, judge


def test_mixing_is_linear_and_keeps_whole_numbers():
    states = [
        {"a": torch.tensor([1.0, 3.0]), "steps": torch.tensor(3)},
        {"a": torch.tensor([5.0, 7.0]), "steps": torch.tensor(9)},
    ]
    mixed = mix_states(states, [0.5, 0.5])
    assert mixed["a"].tolist() == [3.0, 5.0]
    assert mixed["steps"] == 9
    assert torch.equal(mix_states(states, [1.0, 0.0])["a"], states[0]["a"])
    with pytest.raises(UsageError, match="2 states and 1 weights"):
        mix_states(states, [1.0])


def test_the_loss_does_not_depend_on_how_sure_the_logits_are(problem):
    labels, judge = problem
    logits = judge({"weight": torch.eye(3).double()})
    assert tempered_log_loss(5 * logits, labels) == pytest.approx(tempered_log_loss(logits, labels), rel=1e-6)


def test_a_good_end_is_kept_whole_and_an_end_gone_too_far_is_taken_back(problem):
    labels, judge = problem
    start = {"weight": 0.1 * torch.eye(3).double()}
    good = {"weight": torch.eye(3).double() * 1.1}
    state, chosen, tried = choose_mixture(start, [good], judge, labels)
    assert [mixture.share for mixture in tried] == [1.0, 0.5, 0.75, 0.9]
    assert chosen.log_loss == min(mixture.log_loss for mixture in tried)
    over = {"weight": torch.eye(3).double() + 4 * torch.roll(torch.eye(3).double(), 1, 0)}
    right = {"weight": 3 * torch.eye(3).double()}
    state, chosen, _ = choose_mixture(right, [over], judge, labels)
    assert chosen.share == 0.5
    torch.testing.assert_close(state["weight"], 0.5 * (right["weight"] + over["weight"]))


def test_the_mean_of_two_ends_wins_where_their_errors_cancel(problem):
    labels, judge = problem
    turn = torch.tensor([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]]).double()
    ends = [{"weight": torch.eye(3).double() + turn}, {"weight": torch.eye(3).double() - turn}]
    state, chosen, _ = choose_mixture({"weight": torch.zeros(3, 3).double()}, ends, judge, labels)
    assert len(set(chosen.weights)) == 1
    ratio = state["weight"] / state["weight"][0, 0]
    torch.testing.assert_close(ratio, torch.eye(3).double())
