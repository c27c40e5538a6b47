"""Sounds: drums, spoken digits, sums of sines, published sets, and the user's own."""
