"""The usual way to do each thing, written plainly, as `benchmarks` compares with it.

A ratio to a baseline is only as good as the baseline: each is written to the recipe that the reference
figures were measured with, and `benchmarks.measuring` says how near it comes to that figure on the machine at
hand. Nobody tunes these, and nobody slows them down.
"""
