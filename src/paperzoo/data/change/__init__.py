"""What is done to a data set: a part of it, few labels, corrupted labels or pixels."""
