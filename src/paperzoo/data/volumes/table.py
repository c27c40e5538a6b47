"""Volumes: which sets there are, what builds each, and where its bytes come from."""

from __future__ import annotations

from paperzoo.data.entry import Entry, Own
from paperzoo.data.fetch.sources import Source

SWEETHOME = Source(
    name="sweethome3d-furniture_1.8-1_all.deb",
    transport="deb",
    package="sweethome3d-furniture",
    version="1.8-1",
    sha256="3ccb90c63f9525e887a767b9cd5c8b6933b8b6b2973a615a5359ee68a2118668",
    size=119_782_356,
    licence="by library: CC BY 3.0 (Scopia; Kator & Legaz; Reallusion; contributors of Blend Swap) or CC0 (contributors of Blend Swap)",
    how="Every mirror of Debian has it in pool/main/s/sweethome3d-furniture/",
)

#: the source distribution, which is the same for every processor; wheels are not
PYBULLET = Source(
    name="pybullet-3.2.7.tar.gz",
    transport="wheel",
    package="pybullet",
    version="3.2.7",
    sdist=True,
    sha256="042879db8d101ac7590dee475fc6aded508b85fe1273fdbbfde1d88bd200e14f",
    size=80_508_379,
    licence="Zlib (Bullet, its contributors)",
)

SHAPENET = Source(
    name="shapenet",
    transport="folder",
    licence="ShapeNet: non-commercial research only (Chang et al. 2015)",
    how="Put ShapeNetCore's folders there, a number for each class and in it one for each model, with their model_normalized.solid.binvox",
)

MODELNET40 = Source(
    name="modelnet40",
    transport="folder",
    licence="ModelNet: academic use only (Wu et al. 2015)",
    how="Put ModelNet40's class folders there, each with train/ and test/ of .off files",
)

DATASETS = {
    "furniture": Entry(
        "820 things of a home, with ten classes by name, as voxels", "volumes.furniture.furniture", (SWEETHOME,), sized=True
    ),
    "chairs": Entry("its chairs, stools and sofas", "volumes.furniture.chairs", (SWEETHOME,), sized=True),
    "chairs-aligned": Entry(
        "the same, all facing one way", "volumes.furniture.chairs", (SWEETHOME,), {"poses": 1}, sized=True
    ),
    "random-objects": Entry("999 procedural objects, as voxels", "volumes.objects.random_objects", (PYBULLET,), sized=True),
    "boxes-spheres": Entry(
        "boxes and balls of any size at any place, as voxels", "volumes.synthetic.boxes_spheres", sized=True
    ),
    "shapenet": Entry(
        "51,300 models of 55 classes, as voxels",
        "volumes.folder.published",
        (SHAPENET,),
        {"kind": "shapenet", "licence": SHAPENET.licence},
        True,
    ),
    "modelnet40": Entry(
        "12,311 models of 40 classes, as voxels",
        "volumes.folder.published",
        (MODELNET40,),
        {"kind": "modelnet40", "licence": MODELNET40.licence},
        True,
    ),
}

#: the user's own data: prefix -> what follows the colon, and what builds it
OWN = {
    "meshes": Own(
        "meshes in class folders or none: .off, .obj, .stl, .ply, .glb",
        "volumes.folder.mesh_folder",
        options=True,
        sized=True,
        strict=True,
    ),
    "volumes": Own(
        "voxels in class folders or none: .binvox", "volumes.folder.volume_folder", options=True, sized=True, strict=True
    ),
}
