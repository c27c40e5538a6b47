"""Volumes of occupied voxels: furniture, procedural objects, boxes and balls, and the user's own meshes and voxels."""
