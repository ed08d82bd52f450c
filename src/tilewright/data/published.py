"""Public files with their checksums, and fetching them once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tilewright.errors import DownloadError, need_extra
from tilewright.settings import settings


@dataclass(frozen=True)
class PublishedFile:
    """One file as its authors published it.

    Attributes:
        name: its file name, the same on every mirror.
        md5: the checksum that the authors or the mirrors print, for comparison by eye and by the tests.
        sha256: the checksum that a download must have. MD5 alone would let a forged file through.
    """

    name: str
    md5: str
    sha256: str

    @property
    def plain_name(self) -> str:
        """The name once decompressed."""
        return self.name.removesuffix(".gz")


@dataclass(frozen=True)
class Published:
    """A data set's files, and the places that serve them, tried in order.

    Attributes:
        name: the data set's name, also its folder in the cache.
        mirrors: addresses that a file's name is appended to.
        files: train images, train labels, test images, test labels.
    """

    name: str
    mirrors: tuple[str, ...]
    files: tuple[PublishedFile, ...]


MNIST = Published(
    "mnist",
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    (
        PublishedFile(
            "train-images-idx3-ubyte.gz",
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        PublishedFile(
            "train-labels-idx1-ubyte.gz",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        PublishedFile(
            "t10k-images-idx3-ubyte.gz",
            "9fb629c4189551a2d022fa330f9573f3",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        PublishedFile(
            "t10k-labels-idx1-ubyte.gz",
            "ec29112dd5afa0611ce80d1b7f02629c",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
)

FASHION_MNIST = Published(
    "fashion_mnist",
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
    (
        PublishedFile(
            "train-images-idx3-ubyte.gz",
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        PublishedFile(
            "train-labels-idx1-ubyte.gz",
            "25c81989df183df01b3e8a0aad5dffbe",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        PublishedFile(
            "t10k-images-idx3-ubyte.gz",
            "bef4ecab320f06d8554ea6380940ec79",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        PublishedFile(
            "t10k-labels-idx1-ubyte.gz",
            "bb300cfdad3c16e7a12a480ee83cd310",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
)


def cache_folder() -> Path:
    """Where downloads are kept: ``$TILEWRIGHT_CACHE``, or else the platform's cache folder for users.

    Raises:
        MissingExtraError: the variable isn't set and pooch, which knows the platforms, isn't installed.
    """
    named = settings().cache
    if named:
        return Path(named).expanduser()
    try:
        import pooch
    except ImportError as error:
        raise need_extra("pooch", "data", "Finding the user's cache folder") from error
    return Path(pooch.os_cache("tilewright"))


def fetch(source: Published) -> list[Path]:
    """Paths of the data set's files in the cache, downloading those that aren't there intact.

    A file that is in the cache with its SHA-256 needs neither the network nor pooch. A download is
    checked before it takes its name; where a mirror fails or sends other bytes, the next one is asked.

    Raises:
        DownloadError: no mirror gave a file with the right checksum, or the cache can't be written.
        MissingExtraError: a download is needed and pooch isn't installed.
    """
    folder = cache_folder() / "data" / source.name
    return [_fetch_file(source, file, folder) for file in source.files]


def _fetch_file(source: Published, file: PublishedFile, folder: Path) -> Path:
    path = folder / file.name
    if _sha256(path) == file.sha256:
        return path
    try:
        import pooch
    except ImportError as error:
        raise need_extra("pooch", "data", f"Downloading {source.name}") from error
    failures = []
    cause: Exception | None = None
    for mirror in source.mirrors:
        address = mirror + file.name
        try:
            pooch.retrieve(address, known_hash=f"sha256:{file.sha256}", fname=file.name, path=folder)
            return path
        # OSError: the network (requests' errors are OSErrors) or the disk.
        # ValueError: pooch got other bytes than it was told to expect.
        except (OSError, ValueError) as error:
            failures.append(f"{address}: {_in_brief(error)}")
            cause = error
    raise DownloadError(
        f"{source.name} needs {file.name} with SHA-256 {file.sha256} from one of its mirrors.",
        "; ".join(failures),
        f"Fetch {', '.join(one.name for one in source.files)} by hand and name their folder instead.",
    ) from cause


def _sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal; nothing where there is no such file."""
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DownloadError(f"The cached file {str(path)!r} can't be read.", str(error)) from error


def _in_brief(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ValueError) and "does not match the known hash" in text:
        return "a file with another checksum"
    # Long enough for a sentence; what the network packages say can run to paragraphs.
    return text if len(text) <= 160 else f"{text[:157]}..."
