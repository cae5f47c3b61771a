"""One class of a set, by its name."""

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet


def known_label(
    images: ImageSet, label: str, others: tuple[str, ...] = (), name: str = "label"
) -> str:
    """Checks a class name against those that a set has.

    Args:
        images: the set.
        label: the name that was given.
        others: further allowed values, such as ``all``.
        name: of the setting, for messages.

    Returns:
        The label.

    Raises:
        InputError: the set has no such class.
    """
    if label not in (*images.labels, *others):
        allowed = ", ".join((*images.labels, *others))
        raise InputError(f"`{name}` '{label}' is not a class of '{images.root}': it has {allowed}")
    return label


def of_class(images: ImageSet, label: str | None, name: str = "label") -> ImageSet:
    """The images of one class, or all without a name.

    Args:
        images: the set.
        label: the class, or None.
        name: of the setting, for messages.

    Raises:
        InputError: the set has no such class.
    """
    return images if label is None else images.select(label=known_label(images, label, name=name))
