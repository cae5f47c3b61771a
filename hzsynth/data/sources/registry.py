"""The data sets that can be imported: a new one is a file beside this one and an entry here."""

from hzsynth.core.errors import InputError
from hzsynth.data.sources import aihub_disease, aihub_skin, dermnet, folder, scin, sd198, sd260
from hzsynth.data.sources.base import Source

SOURCES: tuple[Source, ...] = (
    folder.SOURCE,
    sd198.SOURCE,
    sd260.SOURCE,
    aihub_skin.SOURCE,
    aihub_disease.SOURCE,
    scin.SOURCE,
    dermnet.SOURCE,
)
PHANTOM = "phantom"
"""The KIND that is made and not found (see `sources.phantom`)."""
KINDS = (*(source.kind for source in SOURCES), PHANTOM)


def source_of(kind: str) -> Source:
    """The source with a name.

    Raises:
        InputError: there is none.
    """
    for source in SOURCES:
        if source.kind == kind:
            return source
    raise InputError(f"KIND is one of {', '.join(KINDS)}, not '{kind}'")
