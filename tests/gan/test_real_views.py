"""What the discriminator is shown of the reals: new views at the pace of the fakes', whatever fits in memory."""

import pytest
import torch

from hzsynth.core.devices import CPU_FP32
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT
from hzsynth.data.loading import load_pixels
from hzsynth.gan.adversarial_step import AdversarialStep
from hzsynth.gan.augmentation import DiscriminatorAugmentation
from hzsynth.gan.backends import backend_named
from hzsynth.gan.config import GanConfig
from hzsynth.gan.interfaces import BeforeAugmentation, ObservedImages
from hzsynth.gan.penalties import LazyR1
from hzsynth.gan.real_views import LearnedImages, RealViews
from hzsynth.gan.training import prepared_networks
from hzsynth.gan.view_bank import BANK_PART, TIMES_SHOWN, ViewBank, bank_size

from .conftest import tiny


def numbered(part: int) -> ObservedImages:
    """Views whose only value is their number."""
    numbers = torch.arange(part * BANK_PART, (part + 1) * BANK_PART)
    return ObservedImages((numbers.half()[:, None, None, None],), numbers % 3)


@pytest.mark.parametrize(("size", "batch"), [(32, 16), (64, 16), (128, 4), (256, 64)])
def test_a_view_gives_way_after_it_was_shown_some_times(size: int, batch: int) -> None:
    bank = ViewBank(numbered, size, batch)
    generator = torch.Generator().manual_seed(0)
    steps, shown = 8000 // batch, []
    for step in range(steps):
        bank.move_to(step, SILENT)
        found = bank.shown(torch.randint(size, (batch,), generator=generator))
        numbers = found.observation[0].flatten().long()
        assert found.classes is not None
        assert torch.equal(found.classes, numbers % 3)
        shown.append(numbers)
    times = torch.cat(shown).bincount()
    oldest = 8000 // (TIMES_SHOWN * BANK_PART) * BANK_PART  # earlier ones have left the bank
    assert times[size:oldest].float().mean().item() == pytest.approx(TIMES_SHOWN, rel=0.05)
    assert times.max() < 4 * TIMES_SHOWN


def test_the_bank_of_a_step_is_the_same_however_it_is_come_to() -> None:
    walked, jumped = ViewBank(numbered, 96, 16), ViewBank(numbered, 96, 16)
    for step in range(50):
        walked.move_to(step, SILENT)
    jumped.move_to(49, SILENT)
    rows = torch.arange(96)
    assert torch.equal(walked.shown(rows).observation[0], jumped.shown(rows).observation[0])


def test_where_few_views_fit_there_is_no_bank() -> None:
    assert bank_size(GanConfig(kimg=1000, bank_megabytes=1), 1000) == 512
    assert bank_size(GanConfig(kimg=1000, bank_megabytes=1), 1100) == 0
    assert bank_size(GanConfig(kimg=0.001), 1000) == BANK_PART  # a short run needs no more


def test_the_discriminator_does_not_know_the_banks_views_by_heart(pictures: ImageSet) -> None:
    # The smallest bank: views that never gave way had mean logits .9 above those of new views.
    config = tiny(kimg=100, batch=8, channel_multiplier=0.3)
    learned = LearnedImages(load_pixels(pictures, 16))
    generator, discriminator = prepared_networks(config, learned, torch.device("cpu"))
    augment = DiscriminatorAugmentation(config)
    objective = backend_named(config.backend).objective(config)
    step = AdversarialStep(generator, discriminator, objective, config, augment, CPU_FP32)
    views = RealViews(learned, config, discriminator, augment, CPU_FP32, SILENT)
    for number in range(100):
        step(number, views.observation(number))
    discriminator.eval()
    with torch.no_grad():
        assert views._bank is not None
        kept = discriminator(views._bank.shown(torch.arange(BANK_PART)).observation)
        new = [discriminator(views._part(10**6 + i).observation).mean() for i in range(4)]
    assert kept.mean() - torch.stack(new).mean() < 0.3


def test_r1_is_taken_before_the_augmentation() -> None:
    # Logits a . x of images whose augmentation multiplies by c: the gradient at the reals is c a.
    class Linear(torch.nn.Linear):
        def observe(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (images,)

        def forward(  # type: ignore[override]
            self, observation: tuple[torch.Tensor, ...], classes: torch.Tensor | None = None
        ) -> torch.Tensor:
            return super().forward(observation[0].flatten(1))

    judge = Linear(12, 1)
    images, factor = torch.randn(3, 3, 2, 2), torch.tensor([0.5, 1.0, 2.0])

    def augment(x: torch.Tensor) -> torch.Tensor:
        return x * factor[:, None, None, None]

    real = ObservedImages((augment(images),), None, BeforeAugmentation(images, augment))
    penalty = LazyR1(gamma=2.0)(judge, real, ())  # type: ignore[arg-type]
    expected = 16 * (factor**2).mean() * judge.weight.square().sum()
    torch.testing.assert_close(penalty, expected)


@pytest.mark.parametrize("augment", ["diffaugment", "ada", "none"])
def test_r1_teaches_through_every_augmentation(pictures: ImageSet, augment: str) -> None:
    config = tiny(discriminator="stylegan2", augment=augment, label="zoster")
    learned = LearnedImages(load_pixels(pictures, 16))
    _, discriminator = prepared_networks(config, learned, torch.device("cpu"))
    change = DiscriminatorAugmentation(config)
    if change.strength is not None:
        change.strength.load_state_dict({**change.strength.state_dict(), "p": 0.8})
    views = RealViews(learned, config, discriminator, change, CPU_FP32, SILENT)
    real = views.observation(0)
    assert real.before is not None
    torch.testing.assert_close(real.before.augment(real.before.images), real.observation[0])
    LazyR1(1.0)(discriminator, real, ()).backward()
    gradients = [p.grad for p in discriminator.parameters() if p.grad is not None]
    assert sum(float(g.abs().sum()) for g in gradients) > 0
