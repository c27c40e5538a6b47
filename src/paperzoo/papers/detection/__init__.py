"""Papers that find things in pictures."""
