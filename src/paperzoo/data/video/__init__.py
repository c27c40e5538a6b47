"""Videos: moving pictures made of digits and sprites, and folders of the user's own."""
