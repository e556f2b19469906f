"""Where the channels lie: told by sizes, by weights, by norms, or not told at all."""

import pytest
import torch
from torch import nn

from nctransfer.errors import UsageError
from nctransfer.layouts import Layout, Undecided, batch_axes, channel_axis, choose_path, layout_from_call
from nctransfer.layouts.evidence import block_axis


class ChannelsLast(nn.Module):
    """A residual block on (B, H, W, C)."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(torch.relu(self.up(self.norm(x))))


class Mixer(nn.Module):
    """Mixes tokens, then channels: it has biases of both kinds."""

    def __init__(self, tokens, width):
        super().__init__()
        self.norm, self.tokens = nn.LayerNorm(width), nn.Linear(tokens, tokens)
        self.channels = nn.Linear(width, width)

    def forward(self, x):
        x = x + self.tokens(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(torch.relu(x))


class Scaled(nn.Module):
    """Ends in a scale that starts at zero, as zero-initialised residual branches do."""

    def __init__(self, width):
        super().__init__()
        self.conv, self.scale = nn.Conv2d(width, width, 3, padding=1), nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x):
        return x + self.scale * self.conv(x)


# Every axis but the images' is 6 long: sizes say nothing, weights must.
@pytest.mark.parametrize(
    ("block", "shape", "axis"),
    [
        (ChannelsLast(6), (6, 6, 6, 6), 3),
        (nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()), (6, 6, 6, 6), 1),
        (nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.ReLU()), (6, 6, 6, 6), 1),
        (nn.Sequential(nn.Conv1d(6, 6, 3, padding=1), nn.GELU()), (6, 6, 6), 1),
        (nn.TransformerEncoderLayer(6, 2, 12, batch_first=True), (6, 6, 6), 2),
        (nn.TransformerEncoderLayer(6, 2, 12, batch_first=True, norm_first=True), (6, 6, 6), 2),
        (Mixer(6, 6), (6, 6, 6), 2),
        (Scaled(6), (6, 6, 6, 6), 1),
        (nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 6, bias=False)), (6, 6, 6, 6), 3),
        (nn.Conv2d(6, 6, 1, groups=6, bias=False), (6, 6, 6, 6), 1),
    ],
)
def test_weights_tell_the_channels_where_all_axes_are_equally_long(block, shape, axis):
    torch.manual_seed(0)
    before = {name: value.clone() for name, value in block.state_dict().items()}
    block.train()
    assert block_axis(block, (torch.randn(shape),), {}, Layout(0, 0)) == axis
    assert block.training
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())


def test_a_sequence_first_encoder_has_its_images_on_the_second_axis():
    layer = nn.TransformerEncoderLayer(10, 2, 20, batch_first=False)
    x = torch.randn(7, 7, 10)  # as many positions as images
    assert layout_from_call(layer, (x,), {}, layer(x), 7) == Layout(1, 2)


def test_attention_without_a_flag_shows_which_axis_it_mixes():
    class Attention(nn.Module):
        def __init__(self, axis):
            super().__init__()
            self.axis, self.norm, self.out = axis, nn.LayerNorm(8), nn.Linear(8, 8)

        def forward(self, x):
            y = self.norm(x).movedim(self.axis, 1)
            return x + self.out(torch.softmax(y @ y.transpose(1, 2), -1) @ y).movedim(1, self.axis)

    x = torch.randn(5, 5, 8)
    for mixed, images in ((0, 1), (1, 0)):
        block = Attention(mixed)
        assert layout_from_call(block, (x,), {}, block(x), 5) == Layout(images, 2)


def test_what_cannot_be_told_is_not_guessed():
    x = torch.randn(4, 6, 6, 6)
    with pytest.raises(Undecided, match=r"\(4, 6, 6, 6\) holds the channels cannot be told"):
        layout_from_call(nn.ReLU(), (x,), {}, x, 4)
    with pytest.raises(Undecided, match="2 tensors that could be meant"):
        choose_path({(0,): (4, 3), (1,): (4, 3)}, {(0,): 0, (1,): 0}, [(4, 3)])
    with pytest.raises(Undecided, match="no tensor"):
        choose_path({}, {})


def test_a_block_hands_its_inputs_shape_on():
    shapes = {("maps",): (2, 9, 9), (1,): (2, 5, 8)}
    assert choose_path(shapes, dict.fromkeys(shapes, 0), [(2, 5, 8)]) == (1,)


def test_folded_windows_are_no_images():
    assert batch_axes({(): (8, 49, 32)}, {(): (12, 49, 32)}, (2, 3)) == {}


def test_sizes_tell_positions_that_follow_the_image():
    assert channel_axis((2, 14, 14, 14), 0, (2, 7, 7, 14)) == 3
    assert channel_axis((2, 14, 14, 14), 0, (2, 14, 7, 7)) == 1
    assert channel_axis((2, 14, 14), 0, (2, 14, 28)) == 1
    assert channel_axis((2, 14, 14, 14), 0, (2, 14, 14, 14)) is None


def test_letters_make_a_layout():
    x = torch.randn(5, 3, 4)
    torch.testing.assert_close(Layout.parse("TBC").vector(x), x.mean(0))
    torch.testing.assert_close(Layout.parse("BCT").vector(x), x.mean(2))
    torch.testing.assert_close(Layout.parse("CTB").vector(x), x.mean(1).T)
    assert Layout.parse("BTC").vector(x.half()).dtype == torch.float32
    for letters in ("BHW", "BBC", "C", ""):
        with pytest.raises(UsageError, match="no layout"):
            Layout.parse(letters)
    with pytest.raises(UsageError, match="in which there is no tensor"):
        Layout(0, 1, ("maps",)).vector({"other": x})


def test_weights_that_are_not_finite_tell_the_channels_all_the_same():
    block = nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 6))
    block[1].weight.data[0] = torch.nan
    x = torch.randn(2, 6, 6)
    x[0, 0] = torch.inf
    assert block_axis(block, (x,), {}, Layout(0, 0)) == 2
    assert bool(block[1].weight[0].isnan().all())


def test_a_block_of_several_maps_may_hand_on_any_of_them():
    maps = [torch.zeros(4, 8, 5, 5), torch.zeros(4, 8, 5, 5)]

    class Fused(nn.Module):
        def forward(self, given):
            return [given[0] + given[1], given[1]]

    with pytest.raises(Undecided, match="2 tensors that could be meant"):
        layout_from_call(Fused(), (maps,), {}, Fused()(maps), 4)
