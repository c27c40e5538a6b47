"""Blocks that several papers share because their papers say so."""
