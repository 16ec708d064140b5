"""The converted ImageNet weights prove themselves by what they see in real pictures."""

import tarfile
from pathlib import Path

import mxnet as mx
import numpy as np

from detector import efficientnet
from detector.batches import normalised
from detector.layers import Map
from detector.pictures import read_picture
from detector.pretrained import load_weights

CATS = set(range(281, 288))  # ImageNet's tabby … lynx
DOGS = set(range(151, 269))
SIDE = 225


def test_cats_are_seen_as_cats_and_dogs_as_dogs(shared_datasets: Path) -> None:
    pictures, kinds = [], []
    with tarfile.open(shared_datasets / "oxford-pets-sample" / "images.tar.gz") as archive:
        members = [member for member in archive if member.name.endswith(".jpg")]
        cats = [member for member in members if Path(member.name).name[0].isupper()]  # as the data set names them
        dogs = [member for member in members if Path(member.name).name[0].islower()]
        for kind, chosen in ((CATS, cats[::12][:8]), (DOGS, dogs[::6][:8])):
            for member in chosen:
                stream = archive.extractfile(member)
                assert stream is not None
                picture = read_picture(stream.read())
                side = min(picture.size)
                left, top = (picture.width - side) // 2, (picture.height - side) // 2
                middle = picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))
                pictures.append(normalised(middle, efficientnet.MEAN, efficientnet.DEVIATION))
                kinds.append(kind)
    symbol = efficientnet.classifier(Map(mx.sym.Variable("data"), SIDE, 3))
    weights = load_weights()
    arguments = {name: mx.nd.array(weights[name]) for name in symbol.list_arguments() if name != "data"}
    executor = symbol.bind(mx.cpu(), args=arguments | {"data": mx.nd.array(np.stack(pictures))}, grad_req="null")
    seen = executor.forward(is_train=False)[0].asnumpy().argmax(axis=1)
    right = sum(int(answer) in kind for answer, kind in zip(seen, kinds, strict=True))
    assert len(pictures) >= 12
    assert right >= 0.75 * len(pictures)  # scrambled weights get a thousandth right
