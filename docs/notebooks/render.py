"""Run the example's notebooks and write them, with what they show, as pages for the documentation.

python docs/notebooks/render.py --scale 1
"""

from __future__ import annotations

import base64
import io
import os
import re
from pathlib import Path
from typing import Any

import click
import nbclient
import nbformat
from PIL import Image

HERE = Path(__file__).resolve().parent
AGC = HERE.parents[1] / "examples" / "agc"
NOTEBOOKS = ("ttbar", "shared")
COLOURS = 64  # of a picture: nobody sees more in a diagram, and the file is a third of the size
WIDTH = 1500
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def written(name: str) -> Any:
    """A notebook as it is in the example's folder."""
    return nbformat.read(AGC / f"{name}.ipynb", as_version=4)


def executed(notebook: Any, scale: float) -> Any:
    """The notebook with its outputs, run in a kernel of its own."""
    os.environ["AGC_SCALE"] = str(scale)
    resources = {"metadata": {"path": str(AGC)}}
    nbclient.NotebookClient(notebook, timeout=1800, kernel_name="python3", resources=resources).execute()
    return notebook


def page(name: str, notebook: Any, folder: Path) -> Path:
    """Write a notebook as Markdown, its pictures beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{name}-*.png"):
        old.unlink()
    parts, pictures = [], 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.outputs:
            data = output.get("data", {})
            if "application/vnd.jupyter.widget-view+json" in data:
                continue  # a progress bar
            if "image/png" in data:
                pictures += 1
                picture = folder / f"{name}-{pictures}.png"
                picture.write_bytes(smaller(base64.b64decode(data["image/png"])))
                parts.append(f"![]({picture.name})")
            elif output.get("name") != "stderr" and (text := output.get("text") or data.get("text/plain")):
                parts.append(f"```text\n{ESCAPES.sub('', text).rstrip()}\n```")
    path = folder / f"{name}.md"
    path.write_text("\n\n".join(parts) + "\n")
    return path


def smaller(png: bytes) -> bytes:
    """The picture in fewer colours, and no wider than a page shows."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    if image.width > WIDTH:
        image = image.resize((WIDTH, image.height * WIDTH // image.width), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.quantize(COLOURS).save(out, format="png", optimize=True)
    return out.getvalue()


@click.command()
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), default=HERE)
def main(scale: float, folder: Path) -> None:
    """Run the notebooks and write their pages into FOLDER."""
    for name in NOTEBOOKS:
        click.echo(page(name, executed(written(name), scale), folder))


if __name__ == "__main__":
    main()
