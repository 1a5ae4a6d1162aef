"""One BLAS thread for the whole suite: its matrices are small, and BLAS's idle threads spin, which
on a busy machine makes a test take many times as long."""

import numpy  # noqa: F401  (a BLAS that is not loaded yet cannot be limited)
import threadpoolctl

threadpoolctl.threadpool_limits(1)
