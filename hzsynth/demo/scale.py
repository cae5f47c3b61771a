"""How large the demo is: everything that --fast makes smaller."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes of one walk along the whole path.

    Attributes:
        photograph: side of a phantom photograph, pixels.
        patients: patients a class in the Western cohort, which holds all classes.
        korean_patients: patients with normal skin in the Korean cohort, the target of translation.
        duplicates: disguised copies that dedup has to find.
        split: shares of train, val and test: a verdict needs patients that no training met.
        gan_resolution: side of generated images, pixels.
        gan_kimg: thousands of images shown to the discriminator.
        generated: images drawn from it.
        translation_resolution: side at which CycleGAN is trained, pixels.
        translation_steps: optimiser steps of CycleGAN.
        classifier_size: side of the classifiers' input, pixels.
        ratios: ratios of the mixtures and of the ablation.
        teachers: members of the ensemble.
        student: the distilled network.
        teacher_steps: optimiser steps of each teacher.
        stage_steps: optimiser steps of each stage of the curriculum.
        ablation_steps: optimiser steps of each classifier of the ablation.
        seeds: classifier seeds an arm.
    """

    photograph: int
    patients: dict[str, int]
    korean_patients: int
    duplicates: int
    split: tuple[float, float, float]
    gan_resolution: int
    gan_kimg: float
    generated: int
    translation_resolution: int
    translation_steps: int
    classifier_size: int
    ratios: tuple[float, ...]
    teachers: tuple[str, ...]
    student: str
    teacher_steps: int
    stage_steps: int
    ablation_steps: int
    seeds: int


FULL = Scale(
    photograph=128,
    patients={
        "cellulitis": 24,
        "contact_dermatitis": 26,
        "eczema": 26,
        "herpes_zoster": 30,
        "insect_bite": 24,
        "normal": 20,
    },
    korean_patients=24,
    duplicates=12,
    split=(50, 20, 30),
    gan_resolution=64,
    gan_kimg=4.32,
    generated=200,
    translation_resolution=64,
    translation_steps=390,
    classifier_size=96,
    ratios=(0.0, 1.0, 4.0),
    teachers=("efficientnet-lite0", "efficientnet-lite1"),
    student="efficientnet-lite0",
    teacher_steps=90,
    stage_steps=50,
    ablation_steps=45,
    seeds=3,
)

FAST = Scale(
    photograph=64,
    patients={"eczema": 9, "herpes_zoster": 14, "insect_bite": 9, "normal": 6},
    korean_patients=6,
    duplicates=4,
    split=(50, 20, 30),
    gan_resolution=32,
    gan_kimg=0.96,
    generated=110,
    translation_resolution=32,
    translation_steps=60,
    classifier_size=64,
    ratios=(0.0, 1.0),
    teachers=("efficientnet-lite0",),
    student="efficientnet-lite0",
    teacher_steps=12,
    stage_steps=8,
    ablation_steps=8,
    seeds=2,
)
