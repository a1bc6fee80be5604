"""What a wheel holds beside the engine: the app and the assets, which lie outside ``mad_core`` in a checkout."""

from pathlib import Path
from shutil import copytree, ignore_patterns

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = {
    "assets": "_assets",
    "app.py": "_app/app.py",
    "pages": "_app/pages",
    ".streamlit/config.toml": "_app/.streamlit/config.toml",
}
"""From the checkout into the package; ``mad_core/assets.py`` finds them in either place."""


class BuildWithApp(build_py):
    """Copies what is shipped, unless the package stays where it is (``pip install -e``)."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source, target in SHIPPED.items():
            place = Path(self.build_lib, "mad_core", target)
            place.parent.mkdir(parents=True, exist_ok=True)
            if Path(source).is_dir():
                copytree(source, place, ignore=ignore_patterns("__pycache__", "screenshots"), dirs_exist_ok=True)
            else:
                self.copy_file(source, str(place))


setup(cmdclass={"build_py": BuildWithApp})
