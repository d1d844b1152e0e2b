"""What a source holds (`runnerd resolve`) and how it gets into the cache (`runnerd pull`).

`cli` reads the work from the environment and writes the outcome; `resolve` and `pull` do the
work; a `source` is read by ranges; `store` is the layout of the cache on the volume.
"""
