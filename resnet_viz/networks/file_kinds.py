"""What a file is, as its first bytes say: for whoever was brought something else than asked for."""

from pathlib import Path
from typing import BinaryIO

__all__ = ["HEIC", "kind_of", "start_of"]

HEIC = "a HEIC photo"
START = 512  # bytes, in which all of these show themselves
BEGINNINGS = {
    b"%!PS": "an EPS or PostScript file",
    b"\xc5\xd0\xd3\xc6": "an EPS file",
    b"%PDF": "a PDF",
    b"8BPS": "a Photoshop file",
    b"<svg": "an SVG drawing",
    b"<?xml": "an SVG drawing or other XML",
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"<head": "a web page",
    b"<!--": "a web page",
    b"\x00\x00\x00\x0cjP": "a JPEG 2000 picture",
    b"\x00\x00\x00\x0cJXL": "a JPEG XL picture",
    b"\xff\x0a": "a JPEG XL picture",
    b"\x00\x00\x01\x00": "an icon (ICO)",
    b"icns": "an icon (ICNS)",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "an array of NumPy",
    b"GGUF": "a GGUF file",
    b"version https://git-lfs": "a Git LFS pointer",
}


def start_of(source: Path | BinaryIO) -> bytes:
    """The first bytes of a file. Raises OSError or ValueError where there is none, or it was closed."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return file.read(START)
    source.seek(0)
    return source.read(START)


def kind_of(start: bytes) -> str | None:
    """What a file is that begins so, with its article; None where that does not say it."""
    if start[4:8] == b"ftyp" and b"avi" not in start[:64]:  # a container with the list of its brands
        return HEIC if any(brand in start[:64] for brand in (b"hei", b"hev", b"mif1", b"msf1")) else "a video"
    if start[257:262] == b"ustar":
        return "a tar archive"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((kind for begins, kind in BEGINNINGS.items() if text.startswith(begins.lower())), None)
