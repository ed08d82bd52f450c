"""On a cluster: the same bits, and a worker's cores shared among its tasks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw

da = pytest.importorskip("dask.array", reason="the bridge is to Dask")
distributed = pytest.importorskip("distributed", reason="clusters are another package")
pytest.importorskip("llvmlite", reason="without compiled families the BLAS decides the last bits")

from tilewright.bridge.dask import cores  # noqa: E402


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A cluster of two workers of two threads each, within this process."""
    with warnings.catch_warnings():
        # What other packages say while sockets open and close is not what is tested.
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=2, processes=False, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster) as found,
        ):
            yield found


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_the_bits_of_the_whole_array(client: Any) -> None:
    x = np.random.default_rng(0).standard_normal((1, 2, 40, 50)).astype(np.float32)
    w = np.random.default_rng(1).standard_normal((3, 2, 5, 3)).astype(np.float32)
    y = tw.bridge.dask.conv(da.from_array(x, chunks=(1, 1, 9, 17)), w, padding="same")
    assert_same(client.compute(y).result(), tw.conv(x, w, padding="same"), rtol=0, atol=0, reason="same bits")
    image = da.from_array(x[0, 0], chunks=11)
    smooth = tw.bridge.dask.filter(image, tw.image.gaussian(2.0), border="mirror")
    whole = tw.image.filter(x[0, 0], tw.image.gaussian(2.0), border="mirror")
    assert_same(client.compute(smooth).result(), whole, rtol=0, atol=0, reason="same bits")


def _threads() -> int:
    with cores.shared_cores():
        return tw.get_num_threads()


@pytest.mark.filterwarnings("ignore")
def test_a_task_computes_with_no_more_threads_than_its_worker_has(client: Any) -> None:
    before = tw.get_num_threads()
    tw.set_num_threads(8)
    try:
        assert client.submit(_threads, pure=False).result() == 2
        assert _threads() == 8
        with cores.shared_cores():
            # Two of them: half for each.
            assert _threads() == 4
        assert tw.get_num_threads() == 8
    finally:
        tw.set_num_threads(before)
