"""Prepare an annotated set of pictures for training: `python -m prep`.

The road, one module per step: `sources` (what is there) -> `readers` (what the annotations say) -> `matching` (which
annotation describes which picture) -> `decoding` and `boxes` (what is usable) -> `split` -> `writers` -> `report`.
Whatever is left out on the way is named in the `quarantine`.
"""
