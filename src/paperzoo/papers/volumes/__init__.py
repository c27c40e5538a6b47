"""Generating shapes in space."""
