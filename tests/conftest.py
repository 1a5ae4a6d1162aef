"""One BLAS thread for the whole suite: its matrices are small, and BLAS's idle threads spin, which
on a busy machine makes a test take many times as long."""

import threadpoolctl

threadpoolctl.threadpool_limits(1)
