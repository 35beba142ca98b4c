"""Which models are taken: of each kind the smallest that its package's own settings allow, with initial weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

__all__ = ["MODELS", "Model"]

PHOTO = (3, 64, 64)


@dataclass(frozen=True)
class Model:
    """One model of a package.

    ``package``: as pip calls it; ``module``: what is imported of it, and handed to ``make``; ``shape``: of one image.
    ``branches``: a pattern of the names of the model's own modules whose outputs, call after call, are the branches;
    empty where no module's is. ``refused``: what ``adapt`` says of a model that it must not take.
    """

    package: str
    name: str
    module: str
    make: Callable[[Any], nn.Module]
    branches: str = ""
    shape: tuple[int, ...] = PHOTO
    refused: str = ""


class Logits(nn.Module):
    """A model whose class scores are a part of what it returns."""

    def __init__(self, model: nn.Module, part: Callable[[Any], Tensor] = lambda output: output.logits) -> None:
        super().__init__()
        self.model, self.part = model, part

    def forward(self, images: Tensor) -> Tensor:
        return self.part(self.model(images))


class Classifier(nn.Module):
    """An encoder of segmentation-models-pytorch with a linear head on its last maps."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(encoder.out_channels[-1], 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.encoder(images)[-1].mean((2, 3)))


def torchvision(name: str, make: Callable[[Any], nn.Module], branches: str = "", **facts: Any) -> Model:
    return Model("torchvision", name, "torchvision.models", make, branches, **facts)


def timm(name: str, branches: str = "", *, refused: str = "", **settings: Any) -> Model:
    side = settings.get("img_size", 64)
    return Model(
        "timm",
        name,
        "timm",
        lambda timm: timm.create_model(name, num_classes=10, **settings),
        branches,
        (3, side, side),
        refused,
    )


def transformers(
    name: str, branches: str, shape: tuple[int, ...] = PHOTO, kind: str = "Image", **settings: Any
) -> Model:
    """``name``: that of the configuration; ``kind``: of what is classified."""

    def make(transformers: Any) -> nn.Module:
        configuration = getattr(transformers, f"{name}Config")(num_labels=10, **settings)
        return Logits(getattr(transformers, f"{name}For{kind}Classification")(configuration))

    return Model("transformers", name, "transformers", make, branches, shape)


def pytorchcv(name: str, branches: str = "", shape: tuple[int, ...] = (3, 32, 32), refused: str = "") -> Model:
    module = "pytorchcv.model_provider"
    return Model("pytorchcv", name, module, lambda pytorchcv: pytorchcv.get_model(name), branches, shape, refused)


def monai(
    name: str, make: Callable[[Any], nn.Module], branches: str, shape: tuple[int, ...], refused: str = ""
) -> Model:
    return Model("monai", name, "monai.networks.nets", make, branches, shape, refused)


def vit_pytorch(
    name: str, branches: str, kind: str = "ViT", shape: tuple[int, ...] = PHOTO, module: str = "", **settings: Any
) -> Model:
    def make(module: Any) -> nn.Module:
        return getattr(module, kind)(num_classes=10, **settings)

    return Model("vit-pytorch", name, f"vit_pytorch.{module or name}", make, branches, shape)


def open_clip(name: str, branches: str, **vision: Any) -> Model:
    """The half of CLIP that sees images: its embedding counts as logits."""

    def make(open_clip: Any) -> nn.Module:
        text = open_clip.CLIPTextCfg(context_length=4, vocab_size=16, width=16, heads=1, layers=1)
        return open_clip.CLIP(16, open_clip.CLIPVisionCfg(image_size=64, width=32, **vision), text).visual

    return Model("open-clip-torch", name, "open_clip", make, branches)


def encoder(name: str, branches: str) -> Model:
    def make(smp: Any) -> nn.Module:
        return Classifier(smp.encoders.get_encoder(name, weights=None))

    return Model("segmentation-models-pytorch", f"{name} encoder", "segmentation_models_pytorch", make, branches)


JOINS, NEVER = "it joins its ways", "its stream never passes the sum of two ways"
ONE_EACH = (1, 1, 1, 1)
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SMALL_VIT = SMALL | {"image_size": 64, "patch_size": 16}
PYRAMID = {"hidden_sizes": [16, 32, 32, 64], "depths": [1, 2, 1, 1]}
WINDOWS = {"image_size": 64, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
TOKENS = {"dim": 32, "depth": 2, "heads": 2, "mlp_dim": 64}
VIT = TOKENS | {"image_size": 64, "patch_size": 16}
LAYERS = r"transformer\.layers\.\d\.[01]"

MODELS = (
    torchvision("resnet18", lambda models: models.resnet18(), r"layer\d\.\d\.bn2"),
    torchvision("resnext50_32x4d", lambda models: models.resnext50_32x4d(), r"layer\d\.\d\.bn3"),
    torchvision("regnet_y_400mf", lambda models: models.regnet_y_400mf(), r"trunk_output\.block\d\.block\d-\d\.f"),
    torchvision("mobilenet_v2", lambda models: models.mobilenet_v2(), r"features\.(3|5|6|8|9|10|12|13|15|16)\.conv"),
    torchvision("efficientnet_b0", lambda models: models.efficientnet_b0(), r"features\.\d\.\d\.stochastic_depth"),
    torchvision(
        "ConvNeXt",
        lambda models: models.ConvNeXt(
            [models.convnext.CNBlockConfig(16, 32, 2), models.convnext.CNBlockConfig(32, None, 2)]
        ),
        r"features\.\d\.\d\.stochastic_depth",
    ),
    torchvision(
        "VisionTransformer",
        lambda models: models.VisionTransformer(64, 16, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64),
        r"encoder\.layers\.encoder_layer_\d\.(dropout|mlp)",
    ),
    torchvision(
        "SwinTransformer",
        lambda models: models.SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4]),
        r"features\.\d\.\d\.stochastic_depth",
    ),
    torchvision("r3d_18 (video)", lambda models: models.video.r3d_18(), r"layer\d\.\d\.conv2", shape=(3, 4, 32, 32)),
    torchvision("vgg11", lambda models: models.vgg11(), refused=NEVER),
    torchvision("densenet121", lambda models: models.densenet121(), refused=JOINS),
    torchvision("googlenet", lambda models: models.googlenet(aux_logits=False, init_weights=False), refused=JOINS),
    timm("seresnet18", r"layer\d\.\d\.se", layers=ONE_EACH),
    timm("resnest14d", r"layer\d\.\d\.bn3", layers=ONE_EACH),
    timm("res2net50_26w_4s", r"layer\d\.\d\.bn3", layers=ONE_EACH),
    timm("resnetv2_50", r"stages\.\d\.blocks\.\d\.conv3", layers=ONE_EACH),
    timm("nf_resnet26"),  # in which a function scales the branch
    timm("repvgg_a0"),
    timm("mobilenetv3_small_050", r"blocks\.\d\.\d\.drop_path"),
    timm("vit_tiny_patch16_224", r"blocks\.\d\.(attn|mlp)", img_size=64, depth=2),
    timm("swinv2_tiny_window8_256", r"layers\.\d\.blocks\.\d\.norm[12]", img_size=128, depths=(2, 2), num_heads=(3, 6)),
    timm("convnext_atto", r"stages\.\d\.blocks\.\d\.drop_path", depths=ONE_EACH),
    timm("poolformer_s12", r"stages\.\d\.blocks\.\d\.layer_scale[12]"),
    timm("mixer_s32_224", r"blocks\.\d\.drop_path", img_size=64),
    timm("dpn68", refused=JOINS),
    transformers("ResNet", r".*\.layers\.\d\.layer", embedding_size=16, hidden_sizes=[16, 32], depths=[2, 2]),
    transformers(
        "Bit",
        r".*\.layers\.\d\.conv3",
        embedding_size=16,
        num_groups=4,
        hidden_sizes=[32, 64, 64, 64],
        depths=[1, 2, 1, 1],
    ),
    transformers("ConvNextV2", r".*\.layers\.\d\.drop_path", **PYRAMID),
    transformers("ViT", r".*\.layers\.\d\.dropout", **SMALL_VIT),
    transformers("Beit", r".*\.layers\.\d\.drop_path", **SMALL_VIT),
    transformers("Dinov2", r".*\.layer\.\d\.layer_scale[12]", **SMALL_VIT),
    transformers("CLIP", r".*\.layers\.\d\.(self_attn\.out_proj|mlp)", vision_config=SMALL_VIT),
    transformers("Swinv2", r".*\.blocks\.\d\.layernorm_(before|after)", **WINDOWS),
    transformers("Segformer", r".*\.blocks\.\d\.drop_path", num_attention_heads=[1, 2, 2, 2], **PYRAMID),
    transformers("FocalNet", r".*\.layers\.\d\.drop_path", image_size=64, embed_dim=16, depths=[1, 1, 2, 1]),
    transformers("Levit", r".*\.layers\.\d+\.module", image_size=64),
    transformers("MobileViT", r".*\.layer\.1\.layer\.[12]\.reduce_1x1"),
    transformers(
        "VideoMAE",
        r".*\.layer\.\d\.(attention|output)",
        (4, 3, 32, 32),
        "Video",
        **SMALL,
        image_size=32,
        num_frames=4,
    ),
    transformers(
        "Wav2Vec2",
        r".*\.(pos_conv_embed|layers\.\d\.(attention\.out_proj|feed_forward))",
        (4000,),
        "Sequence",
        **SMALL,
        conv_dim=[32] * 7,
    ),
    pytorchcv("resnet20_cifar10", r"features\.stage\d\.unit\d\.body"),
    pytorchcv("preresnet20_cifar10", r"features\.stage\d\.unit\d\.body\.conv2"),
    pytorchcv("sepreresnet20_cifar10", r"features\.stage\d\.unit\d\.se"),
    pytorchcv("cbam_resnet18", r"features\.stage\d\.unit\d\.cbam", (3, 224, 224)),
    pytorchcv("shakeshakeresnet20_2x16d_cifar10"),
    pytorchcv("diaresnet20_cifar10"),
    pytorchcv("ror3_56_cifar10", r"features\.body\.stages"),
    pytorchcv("rir_cifar10", refused=NEVER),
    pytorchcv("densenet40_k12_cifar10", refused=JOINS),
    monai(
        "ResNet, 3D",
        lambda nets: nets.ResNet("basic", ONE_EACH, [8, 16, 32, 64], 3, n_input_channels=1, num_classes=3),
        r"layer\d\.\d\.bn2",
        (1, 32, 32, 32),
    ),
    monai(
        "ResNet, 1D",
        lambda nets: nets.ResNet("basic", ONE_EACH, [8, 16, 32, 64], 1, n_input_channels=2, num_classes=3),
        r"layer\d\.\d\.bn2",
        (2, 128),
    ),
    monai(
        "EfficientNetBN, 3D",
        lambda nets: nets.EfficientNetBN("efficientnet-b0", spatial_dims=3, in_channels=1, num_classes=3),
        r"_blocks\.\d\.(2|4|6|7|9|10|12|13|14)\._bn2",
        (1, 32, 32, 32),
    ),
    monai(
        "ViT, 3D",
        lambda nets: Logits(
            nets.ViT(1, (32,) * 3, 16, 48, 96, 2, 4, classification=True, num_classes=3, post_activation="none"),
            lambda output: output[0],
        ),
        r".*blocks\.\d\.(attn|mlp)",
        (1, 32, 32, 32),
    ),
    monai("DenseNet121", lambda nets: nets.DenseNet121(2, 1, 3), "", (1, 64, 64), JOINS),
    encoder("se_resnet50", r"encoder\.layer\d\.\d\.se_module"),
    encoder("mit_b0", r"encoder\.block\d\.\d\.drop_path"),
    Model(
        "segmentation-models-pytorch",
        "Unet with a class head",
        "segmentation_models_pytorch",
        lambda smp: Logits(
            smp.Unet("resnet18", encoder_weights=None, aux_params={"classes": 10}), lambda output: output[1]
        ),
        r"model\.encoder\.layer\d\.\d\.bn2",
    ),
    open_clip("VisionTransformer", r"transformer\.resblocks\.\d\.ls_[12]", layers=2, head_width=16, patch_size=16),
    open_clip("ModifiedResNet", r"layer\d\.\d\.bn3", layers=[1, 2, 1, 1]),
    vit_pytorch("vit", LAYERS, **VIT),
    vit_pytorch("vit_1d", LAYERS, shape=(3, 64), **TOKENS, seq_len=64, patch_size=8),
    vit_pytorch(
        "cait", r"(patch_transformer\.layers\.\d|cls_transformer\.layers\.1)\.[01]", "CaiT", cls_depth=2, **VIT
    ),
    vit_pytorch("parallel_vit", LAYERS, num_parallel_branches=2, **VIT),
    vit_pytorch("t2t", rf"(to_patch_embedding\.\d\.layers\.\d\.[01]|{LAYERS})", "T2TViT", image_size=64, **TOKENS),
    vit_pytorch(
        "cvt", r"layers\.\d\.2\.layers\.\d\.[01]", "CvT", s1_emb_dim=16, s2_emb_dim=32, s3_emb_dim=32, s3_depth=2
    ),
    vit_pytorch(
        "max_vit",
        r"layers\.\d\.[2367]\.fn",
        "MaxViT",
        dim_conv_stem=16,
        dim=16,
        dim_head=8,
        depth=(1, 1),
        window_size=4,
    ),
    Model(
        "torchxrayvision",
        "DenseNet",
        "torchxrayvision.models",
        lambda models: models.DenseNet(),
        "",
        (1, 64, 64),
        JOINS,
    ),
    Model(
        "efficientnet-pytorch",
        "efficientnet-b0",
        "efficientnet_pytorch",
        lambda package: package.EfficientNet.from_name("efficientnet-b0", image_size=64),
        r"_blocks\.(2|4|6|7|9|10|12|13|14)\._bn2",
    ),
    Model("resnest", "resnest50", "resnest.torch", lambda models: models.resnest50(), r"layer\d\.\d\.bn3"),
)
