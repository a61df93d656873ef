"""ResNet-18 with one output per object: the evaluator of conditional models (K. He et al., arXiv 1512.03385)."""

from torch import Tensor
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, ResNet

from genbench.tensors import Images

COURSE_SIZE = 64  # side of the images that the course's weights were trained on


class ObjectClassifier(ResNet):
    """torchvision's ResNet-18: images (N, 3, H, W) in [-1, 1], of any size, to logits (N, num_classes).

    Images with sides below 64 pixels are enlarged to 64 (bilinear), since the first layers reduce them by four.
    """

    def __init__(self, num_classes: int) -> None:
        # Residual branches that start at zero learn faster. Loaded weights overwrite this.
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=num_classes, zero_init_residual=True)

    def features(self, images: Images) -> Tensor:
        """The mean over space of the last layer's activations, (N, 512), non-negative."""
        if images.shape[-1] < COURSE_SIZE:
            images = F.interpolate(images, size=COURSE_SIZE, mode="bilinear", align_corners=False)
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.avgpool(x).flatten(1)

    def forward(self, images: Images) -> Tensor:
        return self.fc(self.features(images))
