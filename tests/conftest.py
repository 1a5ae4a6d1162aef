"""One BLAS thread for the whole suite: its matrices are small, and BLAS's idle threads spin, which
on a busy machine makes a test take many times as long."""

import numpy  # noqa: F401  (a BLAS that is not loaded yet cannot be limited)
import pytest
import threadpoolctl

from minigan.kernels import parallel

threadpoolctl.threadpool_limits(1)


@pytest.fixture(autouse=True)
def _threads_as_before():
    """A test may set the number of threads, and a trainer does: that ends with the test."""
    before = parallel._num_threads
    yield
    if parallel._num_threads != before:
        parallel._num_threads = before
        threadpoolctl.threadpool_limits(1)
