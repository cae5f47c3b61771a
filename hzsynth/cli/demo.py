"""hzsynth demo: the whole path on the built-in phantom photographs."""

from typing import Annotated

import typer

from hzsynth.cli.session import Session, command


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @command(app, "demo")
    def demo(
        session: Session,
        fast: Annotated[
            bool, typer.Option("--fast", help="Everything at its smallest, within two minutes.")
        ] = False,
    ) -> None:
        """Walks the whole path on phantom photographs and ends in report.html."""
        from hzsynth.demo.walk import DemoConfig, run_demo

        config = session.resolve(DemoConfig, fast=fast or None)
        with session.place.run("demo", config, {}) as run:
            result = run_demo(
                config, run, compute=session.compute, progress=session.progress, say=session.say
            )
        session.show(result, "hzsynth demo")
