"""hzsynth demo: the whole path on the built-in phantom photographs."""

from hzsynth.cli.commands import command
from hzsynth.cli.session import Session
from hzsynth.demo.config import DemoConfig


@command("demo", DemoConfig, usual=("fast",))
def demo(session: Session) -> None:
    """Walks the whole path on phantom photographs and ends in report.html."""
    from hzsynth.demo.walk import run_demo

    config = session.resolve(DemoConfig)
    with session.place.run("demo", config, {}) as run:
        result = run_demo(
            config, run, compute=session.compute, progress=session.progress, say=session.say
        )
    session.show(result, "hzsynth demo")
