"""PyTorch networks with the names and shapes that torchvision and the papers' authors publish.

Written from the publications, not from the library's own models, so that the two can be compared. Importing
this needs PyTorch.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


def conv3(i: int, o: int, stride: int = 1) -> Any:
    return nn.Conv2d(i, o, 3, stride, 1, bias=False)


class Basic(nn.Module):
    expansion = 1

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv3(i, o, stride), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv3(o, o), nn.BatchNorm2d(o)
        self.downsample = None
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottle(nn.Module):
    expansion = 4

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv3(o, o, stride), nn.BatchNorm2d(o)
        self.conv3, self.bn3 = nn.Conv2d(o, 4 * o, 1, bias=False), nn.BatchNorm2d(4 * o)
        self.downsample = None
        if stride != 1 or i != 4 * o:
            self.downsample = nn.Sequential(nn.Conv2d(i, 4 * o, 1, stride, bias=False), nn.BatchNorm2d(4 * o))

    def forward(self, x: Any) -> Any:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, block: Any, counts: list[int], channels: int = 3, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        i = 64
        for n, (o, count) in enumerate(zip((64, 128, 256, 512), counts, strict=True)):
            blocks = []
            for b in range(count):
                blocks.append(block(i, o, 2 if n and not b else 1))
                i = o * block.expansion
            setattr(self, f"layer{n + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(i, classes)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class PadBlock(nn.Module):
    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.widens = o != i
        self.conv1, self.bn1 = conv3(i, o, 2 if self.widens else 1), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv3(o, o), nn.BatchNorm2d(o)

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.widens:
            quarter = y.shape[1] // 4
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter), "constant", 0)
        return F.relu(y + x)


class ResNet20(nn.Module):
    def __init__(self, channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv3(channels, 16), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(PadBlock(16, 16) for _ in range(3)))
        self.layer2 = nn.Sequential(PadBlock(16, 32), PadBlock(32, 32), PadBlock(32, 32))
        self.layer3 = nn.Sequential(PadBlock(32, 64), PadBlock(64, 64), PadBlock(64, 64))
        self.linear = nn.Linear(64, classes)

    def forward(self, x: Any) -> Any:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(F.avg_pool2d(x, x.shape[-2:]).flatten(1))


class VGG(nn.Module):
    def __init__(self, plan: str, norm: bool, channels: int = 3, classes: int = 1000) -> None:
        super().__init__()
        layers: list[Any] = []
        for entry in plan.split():
            if entry == "M":
                layers.append(nn.MaxPool2d(2))
                continue
            layers.append(nn.Conv2d(channels, int(entry), 3, padding=1))
            channels = int(entry)
            layers += [nn.BatchNorm2d(channels), nn.ReLU()] if norm else [nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 49, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, classes),
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


VGG11 = "64 M 128 M 256 256 M 512 512 M 512 512 M"
VGG16 = "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M"


class DenseLayer(nn.Module):
    def __init__(self, i: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(i), nn.Conv2d(i, 4 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), conv3(4 * growth, growth)

    def forward(self, parts: list[Any]) -> Any:
        y = self.conv1(F.relu(self.norm1(torch.cat(parts, 1))))
        return self.conv2(F.relu(self.norm2(y)))


class DenseBlock(nn.ModuleDict):
    def forward(self, x: Any) -> Any:
        parts = [x]
        for layer in self.values():
            parts.append(layer(parts))
        return torch.cat(parts, 1)


class DenseNet(nn.Module):
    def __init__(
        self, growth: int, counts: tuple[int, ...], large: bool, channels: int = 3, classes: int = 1000
    ) -> None:
        super().__init__()
        i = 2 * growth
        parts: OrderedDict[str, Any] = OrderedDict()
        if large:
            parts["conv0"] = nn.Conv2d(channels, i, 7, 2, 3, bias=False)
            parts.update(norm0=nn.BatchNorm2d(i), relu0=nn.ReLU(), pool0=nn.MaxPool2d(3, 2, 1))
        else:
            parts["conv0"] = conv3(channels, i)
        for b, count in enumerate(counts, 1):
            layers = {f"denselayer{n + 1}": DenseLayer(i + n * growth, growth) for n in range(count)}
            parts[f"denseblock{b}"] = DenseBlock(layers)
            i += count * growth
            if b < len(counts):
                transition = OrderedDict(norm=nn.BatchNorm2d(i), relu=nn.ReLU())
                transition["conv"] = nn.Conv2d(i, i // 2, 1, bias=False)
                transition["pool"] = nn.AvgPool2d(2)
                parts[f"transition{b}"] = nn.Sequential(transition)
                i //= 2
        parts["norm5"] = nn.BatchNorm2d(i)
        self.features = nn.Sequential(parts)
        self.classifier = nn.Linear(i, classes)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.features(x))
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


def bn_relu6(i: int, o: int, kernel: int, stride: int = 1, groups: int = 1) -> Any:
    conv = nn.Conv2d(i, o, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(o), nn.ReLU6())


class Inverted(nn.Module):
    def __init__(self, i: int, o: int, stride: int, t: int) -> None:
        super().__init__()
        layers = [] if t == 1 else [bn_relu6(i, i * t, 1)]
        layers += [bn_relu6(i * t, i * t, 3, stride, i * t)]
        self.conv = nn.Sequential(*layers, nn.Conv2d(i * t, o, 1, bias=False), nn.BatchNorm2d(o))
        self.residual = stride == 1 and i == o

    def forward(self, x: Any) -> Any:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, channels: int = 3, classes: int = 1000) -> None:
        super().__init__()
        layers, i = [bn_relu6(channels, 32, 3, 2)], 32
        stages = "1 16 1 1, 6 24 2 2, 6 32 3 2, 6 64 4 2, 6 96 3 1, 6 160 3 2, 6 320 1 1"
        for t, o, n, s in [map(int, stage.split()) for stage in stages.split(", ")]:
            for b in range(n):
                layers.append(Inverted(i, o, s if b == 0 else 1, t))
                i = o
        self.features = nn.Sequential(*layers, bn_relu6(320, 1280, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x: Any) -> Any:
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


class UNet(nn.Module):
    def __init__(
        self, channels: int = 1, classes: int = 2, base: int = 64, levels: int = 4, norm: bool = False
    ) -> None:
        super().__init__()

        def double(i: int, o: int) -> Any:
            layers: list[Any] = []
            for source in (i, o):
                layers.append(nn.Conv2d(source, o, 3, padding=1, bias=not norm))
                layers += [nn.BatchNorm2d(o), nn.ReLU()] if norm else [nn.ReLU()]
            return nn.Sequential(*layers)

        self.down = nn.ModuleList([double(channels, base)])
        self.down.extend(double(base << n, base << (n + 1)) for n in range(levels))
        ends = [base << n for n in range(levels)][::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * o, o, 2, 2) for o in ends)
        self.join = nn.ModuleList(double(2 * o, o) for o in ends)
        self.head = nn.Conv2d(base, classes, 1)

    def forward(self, x: Any) -> Any:
        held = [self.down[0](x)]
        for layers in self.down[1:]:
            held.append(layers(F.max_pool2d(held[-1], 2)))
        y = held.pop()
        for up, join in zip(self.up, self.join, strict=True):
            beside = held.pop()
            y = join(torch.cat([beside, up(y, output_size=beside.shape[-2:])], 1))
        return self.head(y)


class Shift(nn.Conv2d):
    def __init__(self, sign: int) -> None:
        super().__init__(3, 3, kernel_size=1)
        self.weight.data = torch.eye(3).view(3, 3, 1, 1)
        self.bias.data = sign * torch.tensor((0.4488, 0.4371, 0.4040))
        for p in self.parameters():
            p.requires_grad = False


class ResBlock(nn.Module):
    def __init__(self, f: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(f, f, 3, padding=1), nn.ReLU(), nn.Conv2d(f, f, 3, padding=1))

    def forward(self, x: Any) -> Any:
        return x + self.body(x)


class EDSR(nn.Module):
    def __init__(self, scale: int = 2, f: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.sub_mean, self.add_mean = Shift(-1), Shift(1)
        self.head = nn.Sequential(nn.Conv2d(3, f, 3, padding=1))
        self.body = nn.Sequential(*(ResBlock(f) for _ in range(blocks)), nn.Conv2d(f, f, 3, padding=1))
        up: list[Any] = []
        for step in {2: [2], 3: [3], 4: [2, 2]}[scale]:
            up += [nn.Conv2d(f, step * step * f, 3, padding=1), nn.PixelShuffle(step)]
        self.tail = nn.Sequential(nn.Sequential(*up), nn.Conv2d(f, 3, 3, padding=1))

    def forward(self, x: Any) -> Any:
        x = self.head(self.sub_mean(x))
        return self.add_mean(self.tail(x + self.body(x)))


class Generator(nn.Module):
    def __init__(self, nz: int = 100, ngf: int = 64, nc: int = 3) -> None:
        super().__init__()
        layers: list[Any] = []
        for i, o, s, p in [
            (nz, 8 * ngf, 1, 0), (8 * ngf, 4 * ngf, 2, 1), (4 * ngf, 2 * ngf, 2, 1), (2 * ngf, ngf, 2, 1)
        ]:  # fmt: skip
            layers += [nn.ConvTranspose2d(i, o, 4, s, p, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, x: Any) -> Any:
        return self.main(x)


class Discriminator(nn.Module):
    def __init__(self, nc: int = 3, ndf: int = 64) -> None:
        super().__init__()
        layers: list[Any] = [nn.Conv2d(nc, ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for i, o in [(ndf, 2 * ndf), (2 * ndf, 4 * ndf), (4 * ndf, 8 * ndf)]:
            layers += [nn.Conv2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.LeakyReLU(0.2)]
        self.main = nn.Sequential(*layers, nn.Conv2d(8 * ndf, 1, 4, 1, 0, bias=False), nn.Sigmoid())

    def forward(self, x: Any) -> Any:
        return self.main(x).view(-1, 1).squeeze(1)


class Dilated(nn.Module):
    def __init__(self, i: int, o: int, kernel: int, dilation: int, causal: bool) -> None:
        super().__init__()
        reach = (kernel - 1) * dilation
        pads = (reach, 0) if causal else (reach // 2, reach - reach // 2)
        self.pads = pads
        # The numbers between belong to ReLU and dropout, which hold no weights.
        self.body = nn.ModuleDict(
            {"0": nn.Conv1d(i, o, kernel, dilation=dilation), "3": nn.Conv1d(o, o, kernel, dilation=dilation)}
        )
        self.downsample = nn.Conv1d(i, o, 1) if i != o else None

    def forward(self, x: Any) -> Any:
        y = x
        for conv in self.body.values():
            y = F.relu(conv(F.pad(y, self.pads)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class TCN(nn.Module):
    def __init__(
        self, channels: int = 1, classes: int = 10, width: int = 32, levels: int = 6, causal: bool = True
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(Dilated(channels if n == 0 else width, width, 3, 2**n, causal) for n in range(levels))
        )
        self.head = nn.Conv1d(width, classes, 1)
        self.causal = causal

    def forward(self, x: Any) -> Any:
        y = self.head(self.blocks(x))
        return y[..., -1] if self.causal else y.mean(-1)


class C3D(nn.Module):
    def __init__(self, channels: int = 3, classes: int = 10, base: int = 16) -> None:
        super().__init__()
        layers: list[Any] = []
        for o, pool in [(base, (1, 2, 2)), (2 * base, 2), (4 * base, 2), (4 * base, None)]:
            layers += [nn.Conv3d(channels, o, 3, padding=1), nn.ReLU()]
            layers += [nn.MaxPool3d(pool)] if pool else []
            channels = o
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x).mean((2, 3, 4)))


#: By the library's name of the model: its twin as published.
TWINS: dict[str, Any] = {
    "resnet20": ResNet20,
    "resnet18": lambda **k: ResNet(Basic, [2, 2, 2, 2], **k),
    "resnet34": lambda **k: ResNet(Basic, [3, 4, 6, 3], **k),
    "resnet50": lambda **k: ResNet(Bottle, [3, 4, 6, 3], **k),
    "vgg11": lambda **k: VGG(VGG11, False, **k),
    "vgg11_bn": lambda **k: VGG(VGG11, True, **k),
    "vgg16": lambda **k: VGG(VGG16, False, **k),
    "vgg16_bn": lambda **k: VGG(VGG16, True, **k),
    "densenet100": lambda **k: DenseNet(12, (16, 16, 16), False, **{"classes": 10, **k}),
    "densenet121": lambda **k: DenseNet(32, (6, 12, 24, 16), True, **k),
    "mobilenet_v2": MobileNetV2,
    "unet": UNet,
    "edsr": EDSR,
    "dcgan_generator": Generator,
    "dcgan_discriminator": Discriminator,
    "tcn": TCN,
    "c3d": C3D,
}
