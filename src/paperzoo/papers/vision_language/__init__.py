"""Papers that bring pictures and sentences together."""
