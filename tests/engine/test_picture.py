"""The numbers of a picture, against the definition on the features themselves."""

import pytest
import torch

from nctransfer.engine import shown_rows, take_picture


def test_scatter_and_nearest_mean_by_the_definition():
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    means[:, 2] = 0.0  # the means' plane holds the features but for their third coordinate
    labels, tested = torch.arange(40) % 4, torch.arange(24) % 4
    train = means[labels] + 0.5 * torch.randn(40, 3, generator=generator, dtype=torch.float64)
    test = means[tested] + 0.5 * torch.randn(24, 3, generator=generator, dtype=torch.float64)
    train[:, 2] = test[:, 2] = 0.0
    picture = take_picture(train, labels, test, tested, (0, 2, 3), ["a", "b", "c", "d"])
    own = torch.stack([train[labels == number].mean(0) for number in (0, 2, 3)])
    unit = (own - own.mean(0)).square().sum(1).mean().sqrt()
    for features, numbers, scatter, nearest in (
        (train, labels, picture.train_scatter, picture.train_nearest),
        (test, tested, picture.test_scatter, picture.test_nearest),
    ):
        rows = numbers != 1
        place = torch.tensor([0, -1, 1, 2])[numbers[rows]]
        gaps = (features[rows][:, None] - own[None]).square().sum(2)
        assert scatter == pytest.approx(float(gaps.gather(1, place[:, None]).mean().sqrt() / unit))
        assert nearest == float((gaps.argmin(1) == place).double().mean())
    assert [item.name for item in picture.classes] == ["a", "c", "d"]
    assert [len(item.train_x) for item in picture.classes] == [10, 10, 10]
    assert [len(item.test_x) for item in picture.classes] == [6, 6, 6]


def test_means_that_coincide_have_no_picture():
    assert take_picture(torch.ones(4, 2), torch.arange(4) % 2, torch.ones(2, 2), torch.arange(2), (0, 1), "ab") is None


def test_at_most_sixty_images_of_a_class_are_shown():
    rows = shown_rows(torch.tensor([0] * 200 + [1] * 10), (0, 1))
    assert len(rows) == 70
    assert (rows[0], rows[59]) == (0, 199)
