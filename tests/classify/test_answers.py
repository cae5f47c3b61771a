import numpy as np
import torch
from torch import nn

from hzsynth.classify.answers import answers_of
from hzsynth.classify.models import Classifier
from hzsynth.core.image_set import ImageSet


class Redness(nn.Module):
    """Says zoster when red is the strongest anywhere."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        red = (x[:, 0] - x[:, 1]).amax((1, 2)) - 0.4
        return torch.stack([20 * red, -20 * red], dim=1)


def test_order_and_truth_are_those_of_the_photographs(photographs: ImageSet) -> None:
    labels = ("zoster", "eczema")
    classifier = Classifier("x", Redness(), labels, "zoster", 24, (0, 0, 0), (1, 1, 1))
    test = photographs.select("test")
    said = answers_of(classifier, test)
    assert said.images == tuple(record.sha256 for record in test)
    assert said.patients == tuple(record.group for record in test)
    assert (said.labels, said.label) == (labels, "zoster")
    assert [labels[place] for place in said.truth] == [record.label for record in test]
    assert said.right.all()
    np.testing.assert_allclose(said.probabilities.sum(axis=1), 1, atol=1e-6)
    assert len(answers_of(classifier, photographs.select("nothing"))) == 0
