"""Animations of a portrait: iterates and flows over time, as GIF, MP4 or single frames."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._support import style
from ..._support.errors import OdescentError
from ..._support.files import write_whole

if TYPE_CHECKING:
    from .portrait import Portrait

_MOST = 600  # frames
_TAIL = 5  # frames that the end stays


def animate(
    portrait: Portrait,
    path: str | Path,
    *,
    frames: int = 60,
    fps: int = 15,
    width: float = style.COLUMN_WIDTH,
    dpi: int = 150,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Path, ...]:
    """Write an animation of the iterates and flows of a portrait, atomically.

    Args:
        portrait: with iterates or flows; the rest of it is not animated.
        path: ending in .gif, .mp4, or .png for numbered frames (name_0000.png, ...). MP4 needs the program
            ffmpeg; where it is missing, frames are written instead, as the returned paths show.
        frames: how many at most; each shows the sequences up to an equal share of their length.
        fps: frames per second.
        width: of the picture in inches.
        dpi: dots per inch.
        progress: called with (frames drawn, frames).

    Returns:
        The paths written.

    Raises:
        OdescentError: nothing that moves, another suffix, numbers out of range, or a file that cannot be written.
    """
    place = Path(path)
    form = place.suffix.lower()
    if form not in (".gif", ".mp4", ".png"):
        raise OdescentError(f"a film is written as .gif, .mp4 or .png frames; got {str(place)!r}.")
    if not 2 <= frames <= _MOST or not 1 <= fps <= 100 or not 30 <= dpi <= 600:
        raise OdescentError(
            f"a film has 2 to {_MOST} frames, 1 to 100 a second, of 30 to 600 dots per inch; "
            f"got {frames}, {fps}, {dpi}."
        )
    longest = max(
        (len(z) for z in [*portrait.iterates.values(), *portrait.flows.values()]), default=0
    )
    if longest < 2:
        raise OdescentError(
            "this portrait has no iterates and no flow, so there is nothing to animate."
        )
    drawn = _frames(portrait, frames, width, dpi, progress)
    if form == ".gif":
        return (_gif(drawn, place, fps),)
    if form == ".mp4" and shutil.which("ffmpeg"):
        return (_mp4(drawn, place, fps),)
    return _pngs(drawn, place)


def _frames(
    portrait: Portrait, frames: int, width: float, dpi: int, progress: Callable[[int, int], None] | None
) -> list[np.ndarray]:  # fmt: skip
    """The pictures as arrays (height, width, 3) of bytes; only the moving lines are redrawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    shares = np.linspace(0.0, 1.0, frames)
    fig, (ax,) = style.figure(width, 0.85)
    fig.set_dpi(dpi)
    portrait.plot(ax, numbered=0)
    with style.context():
        style.legend_below(ax, ax.get_legend().legend_handles, grow=True)  # type: ignore[union-attr, arg-type]
        fig.draw_without_rendering()
    fig.set_layout_engine("none")
    moving = {**portrait.flows, **portrait.iterates}
    lines = {}
    for line in ax.get_lines():
        name = str(line.get_label())
        for key, z in moving.items():
            said = style.titled(key)
            same = name == said or name.startswith(f"{said} (")
            if same and len(line.get_xdata()) == len(z):  # type: ignore[arg-type]
                lines[key] = line
    canvas = FigureCanvasAgg(fig)
    heads: dict[str, Any] = {
        key: ax.plot([], [], "o", ms=6, color=line.get_color(), mec="white", zorder=7)[0]
        for key, line in lines.items()
    }
    pictures = []
    for k, share in enumerate(shares):
        for key, line in lines.items():
            z = moving[key]
            upto = max(1, round(share * (len(z) - 1)) + 1)
            line.set_data(*z[:upto].T)
            heads[key].set_data(*z[upto - 1 : upto].T)
        canvas.draw()  # type: ignore[no-untyped-call]
        pictures.append(np.asarray(canvas.buffer_rgba())[:, :, :3].copy())  # type: ignore[no-untyped-call]
        if progress is not None:
            progress(k + 1, frames)
    return pictures


def _gif(pictures: list[np.ndarray], place: Path, fps: int) -> Path:
    from PIL import Image

    palette = Image.fromarray(pictures[-1]).quantize(128)
    images = [
        Image.fromarray(p).quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures
    ]
    buffer = io.BytesIO()
    pause = [1000 // fps] * (len(images) - 1) + [1000 // fps * _TAIL]
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=pause, loop=0)
    write_whole(place, buffer.getvalue())
    return place


def _mp4(pictures: list[np.ndarray], place: Path, fps: int) -> Path:
    """Through ffmpeg, raw frames on its standard input, into a file that is moved when it is whole."""
    height, width = (n - n % 2 for n in pictures[0].shape[:2])  # what the encoder asks for
    data = b"".join(np.ascontiguousarray(p[:height, :width]).tobytes() for p in pictures)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "film.mp4"
        command = [
            "ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}",
            "-r", str(fps), "-i", "-", "-pix_fmt", "yuv420p", str(made),
        ]  # fmt: skip
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        if done.returncode != 0 or not made.exists():
            why = done.stderr.decode(errors="replace").strip().splitlines()
            raise OdescentError(
                f"ffmpeg could not write the film: {why[-1] if why else 'it gave no reason'}."
            )
        write_whole(place, made.read_bytes())
    return place


def _pngs(pictures: list[np.ndarray], place: Path) -> tuple[Path, ...]:
    from PIL import Image

    paths = []
    for k, picture in enumerate(pictures):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        paths.append(place.with_name(f"{place.stem}_{k:04d}.png"))
        write_whole(paths[-1], buffer.getvalue())
    return tuple(paths)
