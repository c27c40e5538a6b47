"""Series and logs of machines: values in time."""
