"""An enclave and a bundle of it, which several tests of the room share."""

import json
from pathlib import Path

import pytest

from tests.release.enclave import PATIENT, Enclave


@pytest.fixture(scope="module")
def enclave(tmp_path_factory: pytest.TempPathFactory) -> Enclave:
    return Enclave(tmp_path_factory.mktemp("enclave"))


@pytest.fixture(scope="module")
def bundle(enclave: Enclave) -> Path:
    score = enclave.root / "score.json"
    figure = {"metric": "kid", "value": 0.01, "floor": 0.0, "at_floor": 0.012}
    figure |= {"against_training": -0.002, "fake_digest": enclave.fake.digest}
    group = {"value": PATIENT, "scores": []}
    words = {"extractor": PATIENT, "better": "lower", "real_digest": enclave.train.digest}
    score.write_text(json.dumps({"scores": [{**figure, **words}], "groups": [group]}))
    enclave.release(enclave.root / "bundle", score_file=score, runs=[enclave.run])
    return enclave.root / "bundle"
