"""Photos of every mode and shape made to fit, what is refused, and sets of images."""

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
import torch
from PIL import EpsImagePlugin, Image
from torchvision.transforms import functional as transforms

from resnet_viz.errors import InputError
from resnet_viz.networks.images import (
    FORMATS_TOLD,
    PICTURE_FORMATS,
    PIXEL_LIMIT,
    ImageSet,
    Preprocessing,
    open_photo,
)

COLOUR = Preprocessing(resize=40, crop=32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
GREY = Preprocessing(resize=28, crop=28, mean=(0.286,), std=(0.353,))
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def saved(tmp_path, picture: Image.Image, name: str = "picture.png", **options):
    path = tmp_path / name
    picture.save(path, **options)
    return path


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8))


# As the EXIF standard defines its tag: which side of the upright picture the first row and column of the file show.
STORED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright.transpose(1, 0, 2), 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_photo_is_turned_upright(tmp_path, orientation, suffix):
    upright = np.array([[RED, GREEN, BLUE], [YELLOW, RED, RED]], np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    photo = open_photo(saved(tmp_path, stored, f"turned.{suffix}", exif=exif))
    assert np.array_equal(np.asarray(photo), upright)


def with_palette() -> Image.Image:
    picture = Image.new("P", (2, 2), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    return picture


@pytest.mark.parametrize(
    ("picture", "name", "expected"),
    [
        (Image.new("RGB", (2, 2), (10, 20, 30)), "picture.png", (10, 20, 30)),
        (Image.new("L", (2, 2), 77), "picture.png", (77, 77, 77)),
        (Image.new("1", (2, 2), 1), "picture.png", (255, 255, 255)),
        (with_palette(), "picture.png", (10, 20, 30)),
        (Image.new("RGBA", (2, 2), (10, 20, 30, 255)), "picture.png", (10, 20, 30)),
        (Image.new("RGBA", (2, 2), (10, 20, 30, 0)), "picture.png", (255, 255, 255)),
        (Image.new("RGBA", (2, 2), (0, 100, 200, 128)), "picture.png", (127, 177, 227)),
        (Image.new("LA", (2, 2), (50, 255)), "picture.png", (50, 50, 50)),
        (Image.new("LA", (2, 2), (50, 0)), "picture.png", (255, 255, 255)),
        (Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "picture.tif", (255, 0, 0)),
        (Image.fromarray(np.full((2, 2), 91 * 257, np.uint16)), "picture.png", (91, 91, 91)),
        (Image.fromarray(np.full((2, 2), 91 * 257, np.uint16)), "picture.tif", (91, 91, 91)),
        (Image.fromarray(np.zeros((2, 2), np.uint16)), "picture.png", (0, 0, 0)),
        (Image.fromarray(np.full((2, 2), 90, np.int32)), "picture.tif", (90, 90, 90)),
        (Image.fromarray(np.full((2, 2), 90 * 257, np.int32)), "picture.tif", (90, 90, 90)),
        (Image.fromarray(np.full((2, 2), 90.4, np.float32)), "picture.tif", (90, 90, 90)),
        (Image.fromarray(np.full((2, 2), 0.4, np.float32)), "picture.tif", (102, 102, 102)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_every_mode_becomes_rgb(tmp_path, picture, name, expected):
    path = saved(tmp_path, picture, name)
    with Image.open(path) as file:
        assert file.mode == picture.mode, "the file does not test this mode"
    photo = open_photo(path)
    assert photo.mode == "RGB" and photo.size == (2, 2)
    assert photo.getpixel((0, 0)) == pytest.approx(expected, abs=1)


def test_a_transparent_palette_is_laid_on_white(tmp_path):
    path = saved(tmp_path, with_palette(), transparency=1)
    assert open_photo(path).getpixel((0, 0)) == (255, 255, 255)


def test_a_photo_may_come_from_memory(tmp_path):
    content = saved(tmp_path, noise(5, 4)).read_bytes()
    assert np.array_equal(np.asarray(open_photo(io.BytesIO(content))), np.asarray(noise(5, 4)))


def png_header(width: int, height: int) -> bytes:
    """A small PNG that says it is large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("width", "height", "told"),
    [
        (PIXEL_LIMIT // 100 + 1, 100, "500001 x 100 pixels; expected at most 50 million"),
        (10_000, 10_000, "10000 x 10000 pixels"),
        (100_000, 100_000, "far more than 50 million pixels"),
    ],
)
def test_too_many_pixels_are_refused_before_they_are_read(tmp_path, width, height, told):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(width, height))
    with pytest.raises(InputError, match=told) as refusal:
        open_photo(path)
    assert "bomb.png" in str(refusal.value)


def test_as_many_pixels_as_are_allowed_are_tried(tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(png_header(PIXEL_LIMIT // 100, 100))
    with pytest.raises(InputError, match="cannot be read"):  # since its data ends early, not for its size
        open_photo(path)


@pytest.mark.parametrize("name", ["text.png", "empty.jpg"])
def test_what_is_no_picture_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes({"text.png": b"Dear network,", "empty.jpg": b""}[name])
    with pytest.raises(InputError, match=rf"{name} is not a picture that can be read; give a"):
        open_photo(path)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize("name", ["picture.png", "picture.eps"])
def test_no_picture_starts_ghostscript(tmp_path, monkeypatch, name):
    script, called = tmp_path / "bin" / "gs", tmp_path / "called"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\ntouch {called}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # it is looked for once
    path = tmp_path / name
    path.write_bytes(EPS)
    for source in (path, io.BytesIO(EPS)):
        with pytest.raises(InputError, match="is an EPS or PostScript file, which is not read here; give a PNG, JPEG"):
            open_photo(source)
    assert not called.exists()
    with pytest.raises(OSError), Image.open(path) as file:
        file.load()
    assert called.exists(), "the trap was none"


@pytest.mark.parametrize("other", ["DDS", "DIB", "ICNS", "ICO", "JPEG2000", "MSP", "PCX", "QOI", "SGI", "TGA", "XBM"])
def test_formats_beside_the_table_are_not_decoded(tmp_path, other):
    path = tmp_path / "picture.png"
    mode = {"MSP": "1", "XBM": "1"}.get(other, "RGB")
    noise(64, 64).convert(mode).save(path, other)
    with Image.open(path) as file:
        assert file.format == other
    with pytest.raises(InputError, match=rf"picture\.png is .*; give a {FORMATS_TOLD} file\."):
        open_photo(path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xc5\xd0\xd3\xc6" + bytes(26) + EPS, "an EPS file"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"8BPS\x00\x01" + bytes(40), "a Photoshop file"),
        (b"\xef\xbb\xbf\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"<?xml version='1.0'?><svg/>", "an SVG drawing or other XML"),
        (b"\n<!DOCTYPE HTML><html>404</html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"PK\x03\x04" + bytes(60), "a ZIP archive"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41" + bytes(64), "a video"),
        (b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(64), "a JPEG XL picture"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_else_is_brought_is_told_by_its_kind(tmp_path, content, kind):
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    for source in (path, io.BytesIO(content)):
        with pytest.raises(InputError, match=rf" is {kind}, which is not read here; give a {FORMATS_TOLD} file\."):
            open_photo(source)


@pytest.mark.parametrize(
    "brands", [b"heic\x00\x00\x00\x00mif1heic", b"mif1\x00\x00\x00\x00mif1heic", b"hevc", b"heix", b"msf1"]
)
@pytest.mark.parametrize("name", ["photo.heic", "photo.HEIF", "photo.jpg"])
def test_a_heic_photo_is_told_under_any_name(tmp_path, name, brands):
    path = tmp_path / name
    path.write_bytes(b"\x00\x00\x00\x18ftyp" + brands + bytes(64))
    with pytest.raises(InputError, match=rf"{name} is a HEIC photo, which is not read here; export it as JPEG\.$"):
        open_photo(path)


def values(dtype: str, low: float, high: float) -> np.ndarray:
    """A picture whose values run from ``low`` to ``high``."""
    return np.linspace(low, high, 12).reshape(3, 4).astype(dtype)


# As microscopes, cameras and other programs write them.
@pytest.mark.parametrize(
    ("numbers", "white"),
    [
        (values("f4", 0, 1), 1),
        (values("f4", 0, 255), 255),
        (values("u2", 0, 65535), 65535),
        (values(">u2", 100, 40000), 65535),
        (values("i4", 0, 255), 255),
        (values("i2", 0, 200), 255),
        (values("i4", 0, 60000), 65535),
        (np.stack([values("u2", 0, 65535)] * 3, -1), 65535),
        (np.stack([values("u1", 0, 255)] * 3, -1), 255),
    ],
    ids=lambda value: f"{value.dtype} {value.ndim}" if isinstance(value, np.ndarray) else str(value),
)
def test_numbers_whose_range_is_sure_are_scaled(tmp_path, numbers, white):
    order, colours = ">" if numbers.dtype.byteorder == ">" else "<", "rgb" if numbers.ndim == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "picture.tif", numbers, byteorder=order, photometric=colours)
    grey = np.asarray(open_photo(tmp_path / "picture.tif"))[..., 0]
    assert np.abs(grey - (numbers[..., 0] if numbers.ndim == 3 else numbers) * (255 / white)).max() <= 1


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        (values("f4", -1, 1), "values from -1 to 1"),
        (values("f4", 0, 4095), "values from 0 to 4095"),
        (values("f4", 0, 20), "values from 0 to 20"),
        (values("f4", 0, 0.05), r"values from 0 to 0\.05"),
        (values("u2", 0, 4095), "values from 0 to 4095"),
        (values("u2", 0, 1023), "values from 0 to 1023"),
        (values("u2", 90, 16383), r"values from 90 to 1\.638e\+04"),
        (values("i2", -200, 3000), "values from -200 to 3000"),
        (values("i2", 0, 3000), "values from 0 to 3000"),
        (values("i2", 0, 32767), r"values from 0 to 3\.277e\+04"),
        (values("i4", 0, 100000), r"values from 0 to 1e\+05"),
        (np.stack([values("u2", 0, 4095)] * 3, -1), "values from 0 to 4095"),
    ],
    ids=lambda value: f"{value.dtype} {value.ndim}" if isinstance(value, np.ndarray) else value,
)
def test_numbers_whose_range_nobody_knows_are_refused_with_it(tmp_path, numbers, told):
    tifffile.imwrite(tmp_path / "picture.tif", numbers, photometric="rgb" if numbers.ndim == 3 else "minisblack")
    with pytest.raises(InputError, match=rf"picture\.tif has {told}, which do not say what is black") as refusal:
        open_photo(tmp_path / "picture.tif")
    cure = str(refusal.value).partition("8 bits: ")[2].partition(".save(")[0]
    cured = eval(cure, {"Image": Image, "values": numbers, "black": numbers.min(), "white": numbers.max()})
    assert np.asarray(cured).min() == 0 and np.asarray(cured).max() == 255


@pytest.mark.parametrize(
    ("numbers", "options"),
    [
        (values("f8", 0, 1), {}),
        (np.stack([values("f4", 0, 1)] * 3, -1), {"photometric": "rgb"}),
        (np.stack([values("u2", 0, 65535)] * 2, -1), {"photometric": "minisblack", "planarconfig": "contig"}),
        (
            np.stack([values("u2", 0, 65535)] * 3),
            {"photometric": "rgb", "planarconfig": "separate"},
        ),  # decoded as bytes
        (values("u2", 0, 65535), {"photometric": "miniswhite"}),  # decoded as its negative
    ],
    ids=["float64", "float RGB", "2 channels", "channels apart", "white is 0"],
)
def test_a_tiff_that_is_not_decoded_right_is_refused(tmp_path, numbers, options):
    tifffile.imwrite(tmp_path / "picture.tif", numbers, **options)
    with pytest.raises(
        InputError, match=r"picture\.tif is a TIFF of a kind that is not read here; give a TIFF of 8 bits"
    ):
        open_photo(tmp_path / "picture.tif")


def test_a_dark_picture_is_read_where_its_file_says_what_white_is():
    for white in (4095, 65535):
        content = f"P5 2 2 {white}\n".encode() + np.full(4, white // 20, ">u2").tobytes()
        assert open_photo(io.BytesIO(content)).getpixel((0, 0)) == pytest.approx((12, 12, 12), abs=1)


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_counted(tmp_path, hole):
    numbers = values("f4", 0, 1)
    numbers[0, :2] = hole
    Image.fromarray(numbers).save(tmp_path / "holes.tif")
    with pytest.raises(InputError, match=r"holes\.tif has NaN or infinity in 2 of 12 pixels; fill them"):
        open_photo(tmp_path / "holes.tif")


@pytest.mark.parametrize("kind", PICTURE_FORMATS)
def test_the_content_alone_says_which_format_of_the_table_a_file_is(tmp_path, kind):
    path = tmp_path / "picture.eps"
    noise(40, 30).save(path, kind)
    photo = open_photo(path)
    with Image.open(path) as file:
        assert file.format == kind.upper() and np.array_equal(np.asarray(photo), np.asarray(file.convert("RGB")))
    path.write_bytes(path.read_bytes() + EPS)  # a file that is two at once is what it begins as
    assert np.array_equal(np.asarray(open_photo(path)), np.asarray(photo))


@pytest.mark.parametrize("kind", ["GIF", "WebP", "PNG", "TIFF", "MPO"])  # a phone's MPO is a JPEG with more behind it
def test_of_several_pictures_in_a_file_the_first_is_read(tmp_path, kind):
    path = tmp_path / "several"
    pictures = [Image.new("RGB", (32, 24), colour) for colour in (RED, GREEN, BLUE)]
    pictures[0].save(path, kind, save_all=True, append_images=pictures[1:])
    assert np.abs(np.asarray(open_photo(path), int) - np.asarray(pictures[0], int)).max() <= 2


@pytest.mark.parametrize(
    "content",
    [b"P6 0 0 255\n", b"P6 -3 4 255\n", b"P6 2 2 0\n" + bytes(12), b"P3 2 2 255 1 2 x", b"GIF89a" + bytes(20)],
    ids=["no pixels", "negative", "greatest value 0", "no number", "empty GIF"],
)
def test_sizes_and_values_that_cannot_be_are_refused(content):
    with pytest.raises(InputError, match=f"; give a (whole )?{FORMATS_TOLD} file"):
        open_photo(io.BytesIO(content))


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    for path in (tmp_path / "nowhere.png", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            open_photo(path)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tif", "ppm", "avif"])
def test_a_truncated_file_is_refused(tmp_path, suffix):
    path = saved(tmp_path, noise(64, 48), f"whole.{suffix}")
    assert open_photo(path).size == (64, 48)
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"cut\.{suffix}"):
        open_photo(cut)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.filterwarnings(
    "ignore:Corrupt EXIF data", "ignore:Metadata Warning", "ignore:Tag data larger", "ignore:Truncated File Read"
)
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tif", "ppm", "avif"])
def test_a_damaged_file_is_refused_or_read(tmp_path, suffix):
    content = saved(tmp_path, noise(30, 20), f"whole.{suffix}").read_bytes()
    generator = np.random.default_rng(1)
    for _ in range(100):
        damaged = bytearray(content)
        for position in generator.integers(0, min(len(content), 160), 3):
            damaged[position] = generator.integers(256)
        try:
            assert open_photo(io.BytesIO(bytes(damaged))).mode == "RGB"
        except InputError as refusal:
            assert "give a" in str(refusal) or "make it smaller" in str(refusal)


# Making a photo fit.


@pytest.mark.parametrize("size", [(60, 45), (45, 60), (20, 33), (40, 40), (200, 30)])
def test_a_photo_is_resized_and_cropped_as_torchvision_does(size):
    photo = noise(*size)
    expected = transforms.pil_to_tensor(transforms.center_crop(transforms.resize(photo, 40, antialias=True), 32))
    fitted = COLOUR.fit(photo)
    assert fitted.dtype == torch.uint8
    assert torch.equal(fitted, expected)


@pytest.mark.parametrize("preprocessing", [COLOUR, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000), (2, 7)])
def test_odd_sizes_fit(preprocessing, size):
    fitted = preprocessing.fit(Image.new("RGB", size, RED))
    assert fitted.shape == (preprocessing.channels, preprocessing.crop, preprocessing.crop)
    if preprocessing is COLOUR:
        assert torch.equal(fitted, torch.tensor(RED, dtype=torch.uint8)[:, None, None].expand_as(fitted))


def test_the_middle_of_a_long_strip_is_kept_without_making_it_large():
    strip = Image.new("RGB", (2_000_000, 2), RED)  # resized as it is, it would have 1.6 thousand million pixels
    strip.paste(GREEN, (999_990, 0, 1_000_010, 2))
    fitted = COLOUR.fit(strip)
    assert torch.equal(fitted, torch.tensor(GREEN, dtype=torch.uint8)[:, None, None].expand_as(fitted))


def spot(background: tuple[int, int, int], middle: tuple[int, int, int]) -> Image.Image:
    picture = Image.new("RGB", (56, 56), background)
    picture.paste(middle, (14, 14, 42, 42))
    return picture


@pytest.mark.parametrize(
    ("background", "middle", "border", "centre"),
    [
        ((0, 0, 0), (200, 200, 200), 0, 200),
        ((255, 255, 255), (55, 55, 55), 0, 200),
        ((120, 120, 120), (0, 0, 0), 120, 0),
        ((0, 0, 0), RED, 0, 76),
        ((255, 255, 255), BLUE, 0, 226),
    ],
    ids=["light on dark", "dark on light", "dark on not quite light", "red on dark", "blue on light"],
)
def test_for_one_channel_a_photo_turns_grey_and_light_on_dark(background, middle, border, centre):
    fitted = GREY.fit(spot(background, middle))
    assert fitted.shape == (1, 28, 28)
    assert (fitted[0, 0, 0].item(), fitted[0, 14, 14].item()) == (border, centre)


def test_for_three_channels_nothing_is_inverted():
    fitted = COLOUR.fit(spot((255, 255, 255), BLUE))
    assert fitted[:, 0, 0].tolist() == [255, 255, 255] and fitted[:, 16, 16].tolist() == list(BLUE)


def test_normalise_is_the_papers_formula():
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1).repeat(2, 1, 4, 5)
    normalised = COLOUR.normalise(pixels)
    expected = torch.tensor([(0 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (1 - 0.406) / 0.225])
    assert normalised.dtype == torch.float32 and normalised.shape == (2, 3, 4, 5)
    assert torch.allclose(normalised, expected.view(1, 3, 1, 1).expand(2, 3, 4, 5))
    assert normalised.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("shape", "preprocessing", "cure"),
    [
        ((2, 32, 32, 3), COLOUR, "pixels.permute(0, 3, 1, 2)"),
        ((2, 28, 28, 1), GREY, "pixels.permute(0, 3, 1, 2)"),
        ((2, 1, 32, 32), COLOUR, "pixels.expand(-1, 3, -1, -1)"),
        ((2, 3, 28, 28), GREY, None),
        ((2, 4, 32, 32), COLOUR, "pixels[:, :3]"),
        ((2, 2, 28, 28), GREY, "pixels[:, :1]"),
        ((2, 2, 32, 32), COLOUR, None),
        ((3, 32, 32, 2), COLOUR, None),
    ],
)
def test_pixels_with_other_channels_than_the_networks_are_refused(shape, preprocessing, cure):
    pixels = torch.zeros(shape, dtype=torch.uint8)
    with pytest.raises(InputError) as refusal:
        preprocessing.normalise(pixels)
    told = str(refusal.value)
    assert f"(images, {preprocessing.channels}, height, width)" in told and f"got {shape}: " in told
    if cure is None:
        assert told.endswith("give images of the kind that the network was trained on.")
    else:
        assert told.endswith(f": write {cure}.")
        preprocessing.normalise(eval(cure, {"pixels": pixels}))


# Sets.


RANDOM = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        (RANDOM, "got float32 from "),
        (RANDOM.double(), "got float64 from "),
        (RANDOM.half(), "got float16 from "),
        (RANDOM.bfloat16(), "got bfloat16 from "),
        (RANDOM * 255, "got float32 from "),
        ((RANDOM * 255).long(), "got int64 from "),
        ((RANDOM * 255).to(torch.int16), "got int16 from "),
        ((RANDOM * 255).to(torch.uint16), "got uint16 from "),
        (RANDOM > 0.5, "got bool from 0 to 1"),
        ((RANDOM * 255).to(torch.uint8)[0], "got (3, 8, 8)"),
    ],
    ids=lambda value: f"{value.dtype} {value.ndim}" if isinstance(value, torch.Tensor) else "",
)
def test_pixels_of_another_kind_are_refused_with_a_cure_that_cures(pixels, told):
    for use in (COLOUR.normalise, lambda pixels: ImageSet("mine", pixels, None, tuple("abcd"[: len(pixels)]))):
        with pytest.raises(InputError, match=r"^Pixels must ") as refusal:
            use(pixels)
        assert told in str(refusal.value)
        cure = str(refusal.value).partition("write ")[2].partition(" for ")[0].removesuffix(".")
        cured = eval(cure, {"pixels": pixels, "torch": torch})
        use(cured)
        if pixels.ndim == 4 and pixels.dtype == torch.bool:
            assert torch.equal(cured, torch.where(pixels, 255, 0))
        elif pixels.ndim == 4:
            high = 255 if pixels.is_floating_point() and pixels.max() <= 1 else 1
            assert (cured.double() - pixels.double() * high).abs().max() <= 0.5


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        ((RANDOM - 0.5) / 0.25, r"got float32 from -1\.99\d* to 1\.99\d*: undo any normalisation"),
        ((RANDOM * 4095).to(torch.int16), r"got int16 from \d+ to 40\d\d: .*scale them to 0 \.\.\. 255"),
        ((RANDOM * 255).to(torch.int8), r"got int8 from -"),
        (RANDOM * torch.nan, r"got float32 from nan to nan"),
        (RANDOM.to(torch.uint8).to_sparse(), r"got a sparse one: write pixels\.to_dense\(\)"),
        (RANDOM.to(torch.uint8).to("meta"), r"got one on the meta device, which holds no numbers"),
        (RANDOM[0, 0].to(torch.uint8), r"got \(8, 8\): .*pixels\[None, None\] for a single one"),
        (RANDOM[:, 0].to(torch.uint8), r"got \(4, 8, 8\): .*pixels\[:, None\] for grey images"),
        (RANDOM[:0].to(torch.uint8), r"got \(0, 3, 8, 8\)"),
        (RANDOM[..., :0].to(torch.uint8), r"got \(4, 3, 8, 0\)"),
        (RANDOM[None].to(torch.uint8), r"got \(1, 4, 3, 8, 8\)"),
        (RANDOM.to(torch.uint8).numpy(), r"got ndarray: torch\.from_numpy"),
        ([[[[1]]]], r"got list"),
    ],
)
def test_pixels_that_no_conversion_makes_right_are_refused(pixels, told):
    for use in (COLOUR.normalise, lambda pixels: ImageSet("mine", pixels, None, tuple("abcd"))):
        with pytest.raises(InputError, match=rf"^Pixels must .*{told}"):
            use(pixels)


@pytest.mark.filterwarnings("ignore:torch.quantize")  # which torch is about to give up
def test_quantised_pixels_are_refused():
    pixels = torch.quantize_per_tensor(RANDOM, 1 / 255, 0, torch.quint8)
    with pytest.raises(InputError, match=r"plain tensor of uint8; got a quantised one: write pixels\.dequantize\(\)"):
        ImageSet("mine", pixels, None, tuple("abcd"))


@pytest.mark.parametrize(
    ("labels", "told", "cured"),
    [
        (torch.tensor([0.0, 1.0, 2.0]), "got float32", True),
        (torch.tensor([0, 1, 2], dtype=torch.int32), "got int32", True),
        (torch.tensor([0, 1, 2], dtype=torch.uint8), "got uint8", True),
        (torch.tensor([[0], [1], [2]]), r"of the shape \(3, 1\)", True),
        (torch.eye(3).long(), r"of the shape \(3, 3\)", True),
        (torch.eye(3), r"got float32 of the shape \(3, 3\)", True),
        (torch.tensor([0, 1]), r"of the shape \(2,\): give one for each image", False),
        (torch.tensor(0), r"of the shape \(\)", False),
        (torch.tensor([0, 1, -1]), "0 or more; got -1", False),
        (torch.tensor([0, 1, 2]).to_sparse(), r"got a sparse one: write labels\.to_dense\(\)", True),
        ([0, 1, 2], "got list", False),
        (np.array([0, 1, 2]), "got ndarray", False),
    ],
    ids=str,
)
def test_labels_that_are_no_class_indices_are_refused(labels, told, cured):
    pixels = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(InputError, match=rf"^Labels must be .*{told}") as refusal:
        ImageSet("mine", pixels, labels, tuple("abc"))
    if cured:
        cure = str(refusal.value).partition("write ")[2].removesuffix(".")
        images = ImageSet("mine", pixels, eval(cure, {"labels": labels}), tuple("abc"))
        assert images.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("names", [(), ("a",), ("a", "b", "c", "d")])
def test_names_must_be_one_for_each_image(names):
    with pytest.raises(InputError, match=rf"^Names must be one for each of 3 images; got {len(names)}\."):
        ImageSet("mine", torch.zeros(3, 1, 8, 8, dtype=torch.uint8), None, names)


def numbered(count: int = 10, *, labelled: bool = True) -> ImageSet:
    pixels = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(count, 1, 2, 2)
    labels = torch.arange(count) * 10 if labelled else None
    return ImageSet("numbers", pixels, labels, tuple(f"number {index}" for index in range(count)))


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [0]), (3, [0, 3, 6]), (4, [0, 2, 5, 7]), (10, range(10)), (99, range(10))]
)
def test_a_limit_spreads_evenly(count, expected):
    limited = numbered().limit(count)
    assert limited.pixels[:, 0, 0, 0].tolist() == list(expected)
    assert limited.labels.tolist() == [10 * index for index in expected]
    assert limited.names == tuple(f"number {index}" for index in expected)


def test_a_subset_keeps_pixels_labels_and_names_together():
    subset = numbered().subset([7, 2])
    assert len(subset) == 2 and subset.names == ("number 7", "number 2")
    assert subset.pixels[:, 0, 0, 0].tolist() == [7, 2] and subset.labels.tolist() == [70, 20]
    assert numbered(labelled=False).subset([7, 2]).labels is None


def test_parts_hold_every_image_once_and_in_order():
    parts = numbered().parts(4)
    assert [part.labels.tolist() for part in parts] == [[0, 10, 20, 30], [40, 50, 60, 70], [80, 90]]
    assert parts[2].names == ("number 8", "number 9")


def test_a_digest_knows_pixels_and_labels():
    images = numbered()
    assert images.digest == numbered().digest
    assert (
        images.digest == hashlib.sha256(images.pixels.numpy().tobytes() + images.labels.numpy().tobytes()).hexdigest()
    )
    relabelled = ImageSet(images.title, images.pixels, images.labels + 1, images.names)
    others = [images.subset([1, 0, *range(2, 10)]), relabelled, numbered(labelled=False)]
    assert len({images.digest, *(other.digest for other in others)}) == 4
