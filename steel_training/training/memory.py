"""Memory that a step of training frees is kept for the next step.

The C library returns a freed block of more than 32 MB to the operating system at once, and smaller ones once the end of the heap is
free. Each step of a network then asks for the same hundreds of MB again, page by page, and the kernel clears each page. Measured on 2
cores, that was up to half of the time of fine-tuning (`docs/speed.md`).
"""

from __future__ import annotations

import ctypes

# The parameters of mallopt(3), and their values in glibc's malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_MAX = -4
_ARENA_MAX = -8


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, up to 2 GiB at the end of its heap.

    Call it where a network is about to be run many times, in a process that ends with its job. It changes no value that is computed.

    Returns:
        Whether the C library does so; not every one has these parameters (musl has none).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # One arena: those of further threads cannot hold a block of more than 64 MB, and are returned piece by piece.
    parameters = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _ARENA_MAX: 1}
    return all(mallopt(parameter, value) == 1 for parameter, value in parameters.items())
