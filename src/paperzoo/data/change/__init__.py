"""Changes of a data set: a subset, few labels, corrupted labels or pixels."""
