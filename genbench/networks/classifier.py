"""A small convolutional classifier for images of at least 16x16 pixels: the evaluator of a data set's classes."""

import math

from torch import Tensor, nn

from genbench.errors import InputError
from genbench.ranges import SMALLEST_SIDE
from genbench.tensors import Images

FEATURES = 128


class Classifier(nn.Module):
    """Images (N, C, H, W) in [-1, 1] to logits (N, num_classes); `features` gives the activations before them (N, 128).

    Convolution, batch norm, ReLU and pooling until the shorter side has at most 4 pixels, then the mean over space.
    Images have any number of channels. Raises InputError for sides below 16 pixels or fewer than two classes.
    """

    def __init__(self, *, channels: int, height: int, width: int, num_classes: int) -> None:
        super().__init__()
        if min(height, width) < SMALLEST_SIDE or num_classes < 2:
            raise InputError(
                f"classifier: found images of {height} x {width} pixels in {num_classes} classes, "
                f"expected at least {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels and 2 classes"
            )
        self.spec = {"channels": channels, "height": height, "width": width, "num_classes": num_classes}
        halvings = math.ceil(math.log2(min(height, width) / 4))
        widths = [min(FEATURES, 32 * 2**i) for i in range(halvings)] + [FEATURES]
        layers: list[nn.Module] = []
        for i, (narrow, wide) in enumerate(zip([channels, *widths], widths, strict=False)):
            layers += [nn.MaxPool2d(2)] if i > 0 else []
            layers += [nn.Conv2d(narrow, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(FEATURES, num_classes)

    def features(self, images: Images) -> Tensor:
        """The mean over space of the last layer's activations, (N, 128), non-negative."""
        return self.body(images).mean(dim=(2, 3))

    def forward(self, images: Images) -> Tensor:
        return self.head(self.features(images))
