"""One study over many workers, by Dask distributed."""
