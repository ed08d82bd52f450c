"""A dilated network for sequences."""

from __future__ import annotations

from typing import Any

from tilewright.errors import ShapeError, describe
from tilewright.geometry.axes import as_flag
from tilewright.nn.activation import ReLU
from tilewright.nn.arguments import as_number
from tilewright.nn.containers import Sequential
from tilewright.nn.conv import Conv1d
from tilewright.nn.dropout import Dropout
from tilewright.nn.models.build import Configured, at_most, channels_of, check_batch
from tilewright.nn.module import Module

# Sixteen doublings of a kernel of 3 see 262,141 samples: more than any sequence that fits a batch.
_MOST_LEVELS = 16


class DilatedBlock(Module):
    """Two dilated convolutions and a way around them.

    Args:
        in_channels, width: channels before and behind.
        kernel: taps of each convolution.
        dilation: their distance.
        causal: whether a value may depend on earlier samples only.
        dropout: probability of a value to be dropped in training.
    """

    def __init__(
        self, in_channels: int, width: int, kernel: int, dilation: int, causal: bool, dropout: float
    ) -> None:
        super().__init__()
        padding = "causal" if causal else "same"
        self.body = Sequential(
            Conv1d(in_channels, width, kernel, padding=padding, dilation=dilation, init="he"),
            ReLU(),
            Dropout(dropout),
            Conv1d(width, width, kernel, padding=padding, dilation=dilation, init="he"),
            ReLU(),
            Dropout(dropout),
        )
        self.downsample = Conv1d(in_channels, width, 1) if in_channels != width else None
        self.relu = ReLU()

    def forward(self, input: Any) -> Any:
        """(batch, in_channels, length) → (batch, width, length)."""
        around = input if self.downsample is None else self.downsample(input)
        return self.relu(self.body(input) + around)


class TCN(Configured, Module):
    """A temporal convolutional network: dilated blocks whose reach doubles from one to the next.

    Source: Bai, Kolter and Koltun, "An empirical evaluation of generic convolutional and recurrent networks
    for sequence modeling", 2018, without its weight normalisation; the dilations 1, 2, 4, … are those of van
    den Oord et al., "WaveNet", 2016. With w channels, c of the input, k taps, L levels and n classes it has
    (ck + 1)w + (c + 1)w + (2L − 1)(wk + 1)w + (w + 1)n parameters (the second term where c ≠ w): 34,666 for
    c = 1, w = 32, k = 3, L = 6, n = 10.

    Args:
        in_channels: channels of the sequences.
        classes: how many there are.
        width: channels inside.
        levels: blocks, at most 16; the last one's dilation is 2^(levels − 1).
        kernel: taps of a convolution.
        causal: whether an output may depend on earlier samples only; otherwise each sees both sides.
        dropout: probability of a value to be dropped in training.
        per_step: whether every sample gets logits of its own, or the sequence as a whole: those of its last
            sample if causal, the mean over all samples otherwise.

    Attributes:
        reach: how many samples a value of the last block depends on.

    Shapes: (batch, in_channels, length) → logits (batch, classes), or (batch, classes, length) per step.

    Raises:
        ArgumentError: an argument outside its rule.

    >>> model = TCN(levels=6)
    >>> model(tw.zeros(4, 1, 300)).shape, model.reach
    (Size([4, 10]), 253)
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 10,
        width: int = 32,
        levels: int = 6,
        kernel: int = 3,
        causal: bool = True,
        dropout: float = 0.0,
        per_step: bool = False,
    ) -> None:
        super().__init__()
        self.causal = as_flag(causal, "causal", "tcn")
        self.per_step = as_flag(per_step, "per_step", "tcn")
        in_channels = channels_of(in_channels, "in_channels", "tcn")
        classes = channels_of(classes, "classes", "tcn")
        width = channels_of(width, "width", "tcn")
        kernel = channels_of(kernel, "kernel", "tcn")
        levels = at_most(_MOST_LEVELS, levels, "levels", "tcn")
        dropout = as_number(dropout, "dropout", "tcn", most=1)
        self.blocks = Sequential()
        channels = in_channels
        for level in range(levels):
            self.blocks.append(DilatedBlock(channels, width, kernel, 2**level, self.causal, dropout))
            channels = width
        self.head = Conv1d(width, classes, 1)
        # Two convolutions a block, each reaching (kernel − 1) · dilation further.
        self.reach = 1 + 2 * (kernel - 1) * (2**levels - 1)
        self._configure(
            "tcn",
            {
                "in_channels": in_channels,
                "classes": classes,
                "width": width,
                "levels": levels,
                "kernel": kernel,
                "causal": self.causal,
                "dropout": dropout,
                "per_step": self.per_step,
            },
        )

    def forward(self, input: Any) -> Any:
        """Sequences → logits.

        Raises:
            DtypeError, ShapeError: no batch of sequences, or empty ones.
        """
        check_batch(input, "batch, channels, length", "tcn")
        if not input.shape[2]:
            raise ShapeError("tcn needs sequences of at least one sample.", describe(input=input))
        logits = self.head(self.blocks(input))
        if self.per_step:
            return logits
        return logits[:, :, -1] if self.causal else logits.mean(2)


def tcn(
    in_channels: int = 1,
    classes: int = 10,
    width: int = 32,
    levels: int = 6,
    kernel: int = 3,
    causal: bool = True,
    dropout: float = 0.0,
    per_step: bool = False,
) -> TCN:
    """Build a :class:`TCN`, whose arguments these are: 34,666 parameters by default."""
    return TCN(in_channels, classes, width, levels, kernel, causal, dropout, per_step)
