"""Questions about pictures, with their answers."""
