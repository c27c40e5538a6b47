"""Published weights and encoders: fetched, checked by hash, loaded only into a network of the same shape."""
