"""Those who filter pictures: OpenCV and SciPy, one kernel over every channel, zeros beyond the border.

Each gets the picture as its users have it: OpenCV height, width, channels; SciPy a plane for each channel.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.bench.contestants import Prepared, Task, Unable
from tilewright.bench.packages import imported
from tilewright.geometry import ConvDims
from tilewright.geometry.boxes import at

Array = npt.NDArray[Any]
# One plane, and the result of the same size.
Filter = Callable[[Array], Array]


class OpenCV:
    """``cv2.filter2D``, or ``cv2.sepFilter2D`` where the kernel is an outer product."""

    package = "OpenCV"
    # More channels than this, and filter2D wants them one by one.
    _most_channels = 4

    def __init__(self, function: str = "filter2D") -> None:
        self.function = function
        self.name = f"{self.package} {function}"

    def version(self) -> str:
        """OpenCV's version."""
        return str(imported("cv2", "opencv-python-headless").__version__)

    def prepare(self, task: Task) -> Prepared:
        """The pictures with their channels innermost."""
        dims, kernel = _picture_filter(task, self.package)
        if dims.rank != 2:
            raise Unable("OpenCV filters pictures, of two spatial axes")
        if dims.in_channels > self._most_channels:
            raise Unable("this benchmark gives OpenCV pictures of at most four channels")
        cv2 = imported("cv2", "opencv-python-headless")
        cv2.setNumThreads(task.threads)
        # The position in the kernel, across and then down, of the sample whose place an output takes.
        anchor = (dims.padding[1][0], dims.padding[0][0])
        if self.function == "filter2D":
            apply: Filter = lambda picture: cv2.filter2D(  # noqa: E731
                picture, -1, kernel, anchor=anchor, borderType=cv2.BORDER_CONSTANT
            )
        else:
            down, across = _vectors(task, kernel)
            apply = lambda picture: cv2.sepFilter2D(  # noqa: E731
                picture, -1, across, down, anchor=anchor, borderType=cv2.BORDER_CONSTANT
            )
        pictures = [np.ascontiguousarray(np.moveaxis(picture, 0, -1)) for picture in task.x]

        def answers(found: list[Array]) -> tuple[Array, ...]:
            shape = (*dims.spatial, dims.in_channels)
            first = [np.moveaxis(picture.reshape(shape), -1, 0) for picture in found]
            return (_cut(np.stack(first), dims),)

        return Prepared(lambda: [apply(picture) for picture in pictures], answers)


class SciPy:
    """``scipy.ndimage.correlate``, ``correlate1d`` for each axis, or ``scipy.signal.oaconvolve``."""

    package = "SciPy"

    def __init__(self, function: str = "correlate") -> None:
        self.function = function
        self.name = f"{self.package} {function}"

    def version(self) -> str:
        """SciPy's version."""
        return str(imported("scipy", "scipy").__version__)

    def prepare(self, task: Task) -> Prepared:
        """Planes, and the kernel as each function wants it."""
        dims, kernel = _picture_filter(task, self.package)
        imported("scipy", "scipy")
        befores = [before for before, _ in dims.padding]
        x = task.x.reshape(-1, *dims.spatial)
        if self.function == "oaconvolve":
            # In the whole convolution, output 0 stands where the kernel's last tap meets sample 0.
            first = [size - 1 - before for size, before in zip(dims.kernel, befores, strict=True)]
            kept = (slice(None), *(slice(f, f + o) for f, o in zip(first, dims.output, strict=True)))
            turned = np.ascontiguousarray(np.flip(kernel))[np.newaxis]
            convolve = imported("scipy.signal", "scipy").oaconvolve
            axes = list(range(1, 1 + dims.rank))

            def by_fourier() -> Array:
                with _fourier_workers(task.threads):
                    found: Array = convolve(x, turned, mode="full", axes=axes)
                return found[kept]

            return Prepared(by_fourier, lambda y: (np.ascontiguousarray(y).reshape(dims.output_shape),))
        ndimage = imported("scipy.ndimage", "scipy")
        origins = [before - size // 2 for before, size in zip(befores, dims.kernel, strict=True)]
        if self.function == "correlate":
            apply: Filter = lambda plane: ndimage.correlate(  # noqa: E731
                plane, kernel, mode="constant", origin=origins
            )
        else:
            vectors = _vectors(task, kernel)

            def apply(plane: Array) -> Array:
                for axis, (vector, origin) in enumerate(zip(vectors, origins, strict=True)):
                    plane = ndimage.correlate1d(plane, vector, axis, mode="constant", origin=origin)
                return plane

        def answers(found: list[Array]) -> tuple[Array, ...]:
            return (_cut(np.stack(found).reshape(dims.input_shape), dims),)

        return Prepared(lambda: [apply(plane) for plane in x], answers)


def _picture_filter(task: Task, who: str) -> tuple[ConvDims, Array]:
    """The geometry and the one kernel of a filter.

    Raises:
        Unable: it is something else.
    """
    if task.direction != "forward":
        raise Unable(f"{who} has no gradients")
    layer = task.layer
    if layer.operation != "conv":
        raise Unable(f"{who} is measured with filters only")
    dims = layer.conv
    if not layer.weights and not dims.in_channels == dims.out_channels == 1:
        raise Unable(f"{who} filters every channel with one kernel")
    if max(dims.stride + dims.dilation) > 1:
        raise Unable(f"{who}'s filters have no stride and no dilation")
    pairs = zip(dims.padding, dims.kernel, strict=True)
    if any(min(pair) < 0 or sum(pair) > size - 1 for pair, size in pairs):
        raise Unable(f"{who}'s filters give no more outputs than there are samples")
    return dims, np.ascontiguousarray(task.w[0, 0])


def _vectors(task: Task, kernel: Array) -> list[Array]:
    """A vector per axis whose outer product is the kernel.

    Raises:
        Unable: nobody said that there are any.
    """
    if task.layer.weights != "separable":
        raise Unable("the kernel isn't an outer product")
    # Through the largest number: there the quotients are the most exact.
    top = np.unravel_index(int(np.argmax(np.abs(kernel))), kernel.shape)
    vectors = []
    for axis in range(kernel.ndim):
        line = kernel[at(*top[:axis], slice(None), *top[axis + 1 :])]
        vectors.append(np.ascontiguousarray(line if axis == 0 else line / kernel[top]))
    return vectors


def _cut(whole: Array, dims: ConvDims) -> Array:
    """The outputs without those that would hang over the far borders."""
    return np.ascontiguousarray(whole[at(..., *(slice(size) for size in dims.output))])


@contextlib.contextmanager
def _fourier_workers(count: int) -> Iterator[None]:
    with imported("scipy.fft", "scipy").set_workers(count):
        yield
