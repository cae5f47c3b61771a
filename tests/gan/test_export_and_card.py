"""The exported generator makes the same images; the card tells what is known."""

import json
from pathlib import Path

import numpy as np
import pytest

from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.run import RunDir
from hzsynth.gan import export
from hzsynth.gan.export import export_generator, graph_inputs
from hzsynth.gan.generator_files import load_generator, open_generator, read_generator

from .conftest import saved, write_pictures

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
Runs = dict[str, RunDir]


def asked(folder: Path, fed: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        str(folder / "generator.onnx"), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(["images"], fed)[0])


@pytest.mark.parametrize(
    ("name", "truncation"), [("light", None), ("stylegan2", None), ("stylegan2", 0.7)]
)
def test_the_graph_makes_the_images_of_the_network(
    trained: Runs, tmp_path: Path, name: str, truncation: float | None
) -> None:
    run = trained[name]
    result = export_generator(run, tmp_path / "out", truncation=truncation)
    network, _, labels = read_generator(run)
    seeds = [100, 101, 102]
    classes = [0, 1, 1] if len(labels) > 1 else None
    fed = graph_inputs(seeds, network, classes)
    assert fed["z"].shape == (3, result.latent_width)
    assert fed["noise"].shape == (3, result.noise_width)
    wanted = load_generator(run, truncation=truncation).sample(seeds, classes).numpy()  # type: ignore[call-arg]
    made = asked(tmp_path / "out", fed)
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - wanted).max() <= 1
    facts = json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))
    assert facts["labels"] == list(labels)
    stored = onnx.load(tmp_path / "out" / "generator.onnx").metadata_props
    assert json.loads({p.key: p.value for p in stored}["hzsynth"]) == facts
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text("utf-8")
    assert "generator.onnx" in card
    assert ("Truncation 0.70" in card) == (truncation is not None)
    text = (tmp_path / "out" / "generator.onnx").read_bytes()
    assert str(Path.cwd()).encode() not in text


def test_a_graph_that_makes_other_images_is_not_written(
    trained: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = export._images_of
    monkeypatch.setattr(export, "_images_of", lambda *a: true(*a) ^ 2)
    with pytest.raises(RefusedError, match="other images"):
        export_generator(trained["light"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_taken_place_is_refused(trained: Runs, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no export"):
        export_generator(trained["light"], tmp_path)
    with pytest.raises(InputError, match="is a file"):
        export_generator(trained["light"], tmp_path / "notes.txt")
    with pytest.raises(InputError, match="truncation"):
        export_generator(trained["light"], tmp_path / "out", truncation=0.5)
    export_generator(trained["light"], tmp_path / "out")
    with pytest.raises(InputError, match="`force`"):
        export_generator(trained["light"], tmp_path / "out")
    export_generator(trained["light"], tmp_path / "out", force=True)


def test_a_card_lies_beside_every_run(trained: Runs, tmp_path: Path) -> None:
    card = (trained["light"].path / "MODEL_CARD.md").read_text("utf-8")
    run = trained["light"]
    assert run.id in card
    assert run.inputs["images"] in card
    assert f"{len(run.training_images())} of {len(run.training_images())} patients" in card
    assert "was not watched" in card
    assert "generator.onnx" not in card
    watched = saved(write_pictures(tmp_path / "pictures", 12), tmp_path / "run", watch=True)
    card = (watched.path / "MODEL_CARD.md").read_text("utf-8")
    assert f"{watched.result['best']['kid']:.4f} ±" in card
    assert "eczema, zoster" in card
    assert open_generator(watched, "zoster")[1] == 1
