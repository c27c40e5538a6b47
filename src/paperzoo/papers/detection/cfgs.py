"""The networks of ``yolov2`` and ``yolov3`` as darknet's cfg files say them."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from paperzoo.errors import PaperzooError
from paperzoo.papers.detection import yolov2, yolov3
from paperzoo.pretrained.darknet import Section


def cfg(model: yolov2.Model | yolov3.Model) -> list[Section]:
    """The sections of a model's cfg, in the order of the released one; ``darknet.cfg_text`` writes them.

    Raises:
        PaperzooError: the model has the passthrough layer of the paper, whose stacking no layer of darknet does.
    """
    size = {"batch": "1", "subdivisions": "1", "width": str(model.image_size), "height": str(model.image_size)}
    head = Section("net", {**size, "channels": str(model.channels)})
    return [head, *(_yolov2(model) if isinstance(model, yolov2.Model) else _yolov3(model))]


def _convolution(layer: nn.Module) -> Section:
    """A ``Conv``, or a plain convolution, which is linear."""
    normed = isinstance(layer, yolov2.Conv)
    inner = layer[0] if isinstance(layer, yolov2.Conv) else layer
    assert isinstance(inner, nn.Conv2d)
    options = {"batch_normalize": "1"} if normed else {}
    options |= {"filters": str(inner.out_channels), "size": str(inner.kernel_size[0]), "stride": str(inner.stride[0]), "pad": "1"}
    return Section("convolutional", {**options, "activation": "leaky" if normed else "linear"})


def _each(layers: Iterable[nn.Module]) -> list[Section]:
    return [_convolution(x) if isinstance(x, yolov2.Conv) else Section("maxpool", {"size": "2", "stride": "2"}) for x in layers]


def _yolov2(model: yolov2.Model) -> list[Section]:
    network = model.network
    if network.squeeze is None:
        raise PaperzooError("the passthrough of the paper stacks neighbours, which no layer of darknet does: set model.passthrough=cfg")
    fine = sum(1 for _ in network.fine)
    sections = [*_each(network.fine), *_each(network.coarse), *_each(network.more)]
    back = fine - 1 - len(sections)  # the last layer of the finer grid, counted from the route
    sections += [Section("route", {"layers": str(back)}), _convolution(network.squeeze), Section("reorg", {"stride": "2"})]
    sections += [Section("route", {"layers": "-1,-4"}), _convolution(network.last), _convolution(network.predict)]
    anchors = ", ".join(f"{value / model.stride:g}" for shape in _numbers(model) for value in shape)
    scales = {"object_scale": "5", "noobject_scale": "1", "class_scale": "1", "coord_scale": f"{model.coord:g}"}
    told = {"anchors": anchors, "bias_match": "1", "classes": str(model.classes), "coords": "4", "num": "5", "softmax": "1", "rescore": "1"}
    return [*sections, Section("region", {**told, **scales, "thresh": f"{model.ignore:g}"})]


def _yolov3(model: yolov3.Model) -> list[Section]:
    network, sections, ends = model.network, list[Section](), list[int]()
    sections.append(_convolution(network.trunk.first))
    for stage in network.trunk.stages:
        for part in stage:  # type: ignore[attr-defined]
            if isinstance(part, yolov3.Residual):
                sections += [_convolution(part.squeeze), _convolution(part.spread)]
                sections.append(Section("shortcut", {"from": "-3", "activation": "linear"}))
            else:
                sections.append(_convolution(part))
        ends.append(len(sections) - 1)
    anchors = ", ".join(f"{wide:g},{tall:g}" for wide, tall in _numbers(model))
    heads = ((network.coarse, network.to_middle, ends[-2]), (network.middle, network.to_fine, ends[-3]), (network.fine, None, 0))
    for number, (head, onward, beside) in enumerate(heads):
        sections += [*_each(head.five), _convolution(head.spread), _convolution(head.predict)]
        mask = ",".join(str(3 * (2 - number) + i) for i in range(3))
        told = {"mask": mask, "anchors": anchors, "classes": str(model.classes), "num": "9", "ignore_thresh": f"{model.ignore:g}"}
        sections.append(Section("yolo", {**told, "truth_thresh": "1"}))
        if onward is not None:
            sections += [Section("route", {"layers": "-4"}), _convolution(onward), Section("upsample", {"stride": "2"})]
            sections.append(Section("route", {"layers": f"-1,{beside}"}))
    return sections


def _numbers(model: yolov2.Model | yolov3.Model) -> list[list[float]]:
    """The anchors, widths and heights in pixels; of a model without numbers, as on the meta device, none."""
    return [] if model.anchors.is_meta else [[float(v) for v in shape] for shape in model.anchors.view(-1, 2).tolist()]
