"""Images: the sets, and folders of the user's own."""
