"""From what networks answer to what is found."""
