"""Points of known distributions."""
