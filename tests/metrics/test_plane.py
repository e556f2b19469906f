"""The plane of a few class means: what lies in it, its scale, and the classes that it is drawn for."""

import itertools

import pytest
import torch

from nctransfer.errors import DataError
from nctransfer.metrics import collapse_plane, hardest_classes, simplex_plane


def blobs(classes=5, dim=12, per_class=30, noise=0.4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(per_class)
    means = torch.randn(classes, dim, generator=generator, dtype=torch.float64)
    return means[labels] + noise * torch.randn(len(labels), dim, generator=generator, dtype=torch.float64), labels


@pytest.mark.parametrize("classes", [(0, 1, 2), (1, 3, 4), (0, 4)])
def test_distances_between_the_means_survive_the_projection(classes):
    features, labels = blobs()
    plane = simplex_plane(features, labels, classes)
    means = torch.stack([features[labels == number].mean(0) for number in classes])
    ratio = torch.pdist(plane.means) / torch.pdist(means)
    assert torch.allclose(ratio, ratio[0].expand_as(ratio))
    assert float(plane.means.square().sum(1).mean().sqrt()) == pytest.approx(1.0)
    projected = torch.stack([plane.project(features[labels == number]).mean(0) for number in classes])
    assert torch.allclose(projected, plane.means)


def test_rotation_shift_and_scale_change_nothing():
    features, labels = blobs()
    turn = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(3)))[0]
    moved = 7.0 * features @ turn + 2.0
    for classes in ((0, 2, 3), (1, 2)):
        one, other = simplex_plane(features, labels, classes), simplex_plane(moved, labels, classes)
        assert torch.allclose(one.means, other.means, atol=1e-9)
        places = one.project(features), other.project(moved)
        rows = torch.isin(labels, torch.tensor(classes))
        # Of two classes, the second direction's sign is open.
        assert torch.allclose(*(place[rows].abs() if len(classes) == 2 else place[rows] for place in places), atol=1e-8)


def test_at_full_collapse_every_sample_stands_on_a_corner():
    labels = torch.arange(40) % 4
    features = torch.eye(4, dtype=torch.float64)[labels] + 3.0
    plane = simplex_plane(features, labels, (0, 2, 3))
    for place, number in enumerate((0, 2, 3)):
        assert torch.allclose(plane.project(features[labels == number]), plane.corners[place], atol=1e-9)


def test_the_hardest_classes_by_the_textbook():
    features, labels = blobs(noise=1.0)
    means = [features[labels == number].mean(0) for number in range(5)]
    scatter = [(features[labels == number] - means[number]).square().sum(1).mean() for number in range(5)]

    def hard(i, j):
        return float((scatter[i] + scatter[j]) / (2 * (means[i] - means[j]).square().sum()))

    pair = max(itertools.combinations(range(5), 2), key=lambda two: hard(*two))
    third = max(set(range(5)) - set(pair), key=lambda k: hard(pair[0], k) + hard(pair[1], k))
    assert hardest_classes(features, labels) == tuple(sorted((*pair, third)))
    assert collapse_plane(features, labels).simplex.classes == tuple(sorted((*pair, third)))
    assert hardest_classes(features[labels < 2], labels[labels < 2]) == (0, 1)


def test_features_of_one_dimension_have_a_plane():
    features, labels = torch.tensor([[0.0], [0.1], [1.0], [1.1], [3.0], [3.1]]), torch.arange(6) // 2
    assert torch.isfinite(simplex_plane(features, labels, (0, 1, 2)).project(features)).all()
    assert torch.isfinite(simplex_plane(features, labels, (0, 1)).project(features)).all()


def test_refusals():
    features, labels = blobs()
    with pytest.raises(DataError, match=r"no sample of class 9 \(classes\); name two or three"):
        simplex_plane(features, labels, (0, 1, 9))
    with pytest.raises(DataError, match=r"classes \(0, 0\)"):
        simplex_plane(features, labels, (0, 0))
    with pytest.raises(DataError, match="the class means coincide"):
        simplex_plane(torch.ones(6, 3), torch.arange(6) % 3, (0, 1, 2))
    with pytest.raises(DataError, match="at least 2 classes with samples, got 1"):
        hardest_classes(torch.randn(4, 3), torch.zeros(4, dtype=torch.int64))
