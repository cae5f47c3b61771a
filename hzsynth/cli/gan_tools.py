"""hzsynth gan interpolate, mix, project, export: what a trained generator has learned, and taking it along."""

from pathlib import Path
from typing import Annotated

import typer

from hzsynth.cli.arguments import RunPath
from hzsynth.cli.commands import command
from hzsynth.cli.session import Session
from hzsynth.core.errors import InputError
from hzsynth.gan.config import ProjectionConfig

ClassName = Annotated[
    str | None, typer.Option("--label", help="Class, for a class-conditional generator.")
]
Truncation = Annotated[
    float | None,
    typer.Option("--truncation", help="Truncation psi in (0, 1]: more typical, less varied."),
]


def whole_numbers(text: str, name: str) -> tuple[int, ...]:
    """Comma-separated whole numbers from 0.

    Args:
        text: as given.
        name: of the parameter, for messages.

    Raises:
        InputError: something else.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(
            f"`{name}` is a comma-separated list of whole numbers from 0, not '{text}'"
        )
    return tuple(int(part) for part in parts)


@command("interpolate")
def interpolate(
    session: Session,
    run: RunPath,
    seeds: Annotated[
        str, typer.Option(help="Images to walk between: their seeds, as in metadata.csv.")
    ] = "0,1,2,3",
    frames: Annotated[int, typer.Option(min=1, help="Pictures from one seed to the next.")] = 8,
    loop: Annotated[bool, typer.Option("--loop", help="Walk back to the first.")] = False,
    label: ClassName = None,
    truncation: Truncation = None,
) -> None:
    """Walks between images: a strip (--out .png), an animation (.gif, .webp) or a video (.mp4)."""
    from hzsynth.core.run import RunDir
    from hzsynth.gan.generator_files import open_generator
    from hzsynth.gan.interpolation import LatentWalk, checked_format, write_walk

    checked_format(session.output)
    walk = LatentWalk(whole_numbers(seeds, "seeds"), frames, loop)
    trained = RunDir.load(run, "gan")
    generator, number = open_generator(trained, label, session.compute, truncation)
    write_walk(walk, generator, session.output, number, session.progress)
    session.show({"file": str(session.output), "pictures": walk.length}, "gan interpolate")


@command("mix")
def mix(
    session: Session,
    run: RunPath,
    seeds: Annotated[str, typer.Option(help="Coarse sources, a row each.")] = "0,1,2,3",
    columns: Annotated[
        str, typer.Option(help="Fine sources, a column each.")
    ] = "10,11,12,13,14,15",
    crossover: Annotated[
        int | None,
        typer.Option(help="First layer of the fine source; by default a third of all layers."),
    ] = None,
    label: ClassName = None,
    truncation: Truncation = None,
) -> None:
    """Style mixing: coarse layers of one image, fine layers of another, as a grid (PNG)."""
    from hzsynth.core.run import RunDir
    from hzsynth.gan.generator_files import open_generator
    from hzsynth.gan.style_mixing import chosen_crossover, mixing_grid, write_mixing

    if session.output.suffix.lower() != ".png":
        raise InputError(f"`out` ends in .png, not '{session.output.name}'")
    rows, fine = whole_numbers(seeds, "seeds"), whole_numbers(columns, "columns")
    trained = RunDir.load(run, "gan")
    generator, number = open_generator(trained, label, session.compute, truncation)
    layer = chosen_crossover(generator, crossover)
    grid = mixing_grid(generator, rows, fine, layer, number, session.progress)
    write_mixing(grid, rows, fine, session.output)
    session.show({"file": str(session.output), "crossover": layer}, "gan mix")


@command("project", ProjectionConfig, usual=("steps",))
def project_photographs(
    session: Session,
    run: RunPath,
    files: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photographs.")],
    label: ClassName = None,
) -> None:
    """Finds the code whose image comes nearest to a photograph, and tells how near."""
    from hzsynth.core.run import RunDir
    from hzsynth.gan.projection import project

    config = session.resolve(ProjectionConfig)
    found = project(
        RunDir.load(run, "gan"),
        files,
        session.output,
        config,
        label=label,
        compute=session.compute,
        progress=session.progress,
    )
    session.show(
        {
            "folder": str(session.output),
            "photographs": [p.to_json() for p in found]
            if session.json
            else {
                p.name: f"perceptual {p.perceptual:.3f} (best random image "
                f"{p.perceptual_before:.3f}), PSNR {p.psnr:.1f} dB"
                for p in found
            },
        },
        "gan project",
    )


@command("export")
def export(session: Session, run: RunPath, truncation: Truncation = None) -> None:
    """Writes the generator as one ONNX file with its model card."""
    from hzsynth.core.run import RunDir
    from hzsynth.gan.export import export_generator

    trained = RunDir.load(run, "gan")
    result = export_generator(trained, session.output, truncation=truncation, force=session.force)
    session.show({"folder": str(session.output), **result.to_json()}, "gan export")
