"""Pictures with captions: composed ones whose truth is known, published sets, and the user's own."""
