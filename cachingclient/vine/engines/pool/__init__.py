"""A pool of workers that is not dask's: its manager's process, its proxies at the scheduler, and what runs inside."""
