"""Animations of pictures with moving lines: iterates and flows over time, as GIF, MP4 or single frames."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ..._support import style
from ..._support.errors import OdescentError, expected
from ..._support.files import write_whole
from ..._support.rendering.rendered import Rendered

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Paths = Float[np.ndarray, "... 2"]  # from one start or from several

_MOST = 600  # frames
_TAIL = 5  # frames that the end stays


class Moving(Rendered):
    """What has lines that move: iterates and flows in the plane of a picture, by name.

    Attributes:
        iterates: points after each step, shape (k, 2) or (n, k, 2).
        flows: points along curves, shape (k, 2) or (n, k, 2).
        times: of the points of flows, shape (k,) or (n, k); evenly spaced where not given.
    """

    iterates: Mapping[str, Paths]
    flows: Mapping[str, Paths]
    times: Mapping[str, Float[np.ndarray, "..."]]

    def animate(self, path: str | Path, **options: Any) -> tuple[Path, ...]:
        """Write a film of it; see `animation.animate`."""
        return animate(self, path, **options)

    def draw_still(self, ax: Axes) -> None:
        """Draw what a film begins with: every line, without marks at single points."""
        raise NotImplementedError


def single(paths: Paths) -> Iterator[tuple[int, Float[np.ndarray, "k 2"]]]:
    """The paths one by one, with their numbers."""
    yield from enumerate(paths.reshape(-1, *paths.shape[-2:]))


def mark(name: str, i: int) -> str:
    """The group id of a line that a film moves: what it shows, and from which start."""
    return f"moving {i} {name}"


def animate(
    portrait: Moving,
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
        portrait: a portrait or a landscape with iterates or flows; other parts are not animated.
        path: ending in .gif, .mp4, or .png for numbered frames (name_0000.png, ...). MP4 needs the program
            ffmpeg; where it is missing, frames are written instead, as the returned paths show.
        frames: largest number of frames; each shows the sequences up to an equal share of their length.
        fps: frames per second.
        width: of the picture in inches.
        dpi: dots per inch.
        progress: called with (frames drawn, frames).

    Returns:
        The paths written.

    Raises:
        OdescentError: no iterates or flows, another suffix, numbers out of range, or a file that cannot be written.
    """
    if not isinstance(path, str | Path):
        raise expected("the file of a film", "a path", path)
    place = Path(path)
    form = place.suffix.lower()
    if form not in (".gif", ".mp4", ".png"):
        raise OdescentError(f"a film must be a .gif, an .mp4 or .png frames, not {str(place)!r}.")
    if not 2 <= frames <= _MOST or not 1 <= fps <= 100 or not 30 <= dpi <= 600:
        raise OdescentError(
            f"a film must have 2 to {_MOST} frames, 1 to 100 a second, of 30 to 600 dots per inch; "
            f"got {frames}, {fps}, {dpi}."
        )
    longest = max(
        (z.shape[-2] for z in [*portrait.iterates.values(), *portrait.flows.values()]), default=0
    )
    if longest < 2:
        raise OdescentError(
            "this picture has no iterates and no flow, so there is nothing to animate."
        )
    drawn = _frames(portrait, frames, width, dpi, progress)
    if form == ".gif":
        return (_gif(drawn, place, fps),)
    if form == ".mp4" and shutil.which("ffmpeg"):
        return (_mp4(drawn, place, fps),)
    return _pngs(drawn, place)


def _frames(
    portrait: Moving, frames: int, width: float, dpi: int, progress: Callable[[int, int], None] | None
) -> list[np.ndarray]:  # fmt: skip
    """The pictures as arrays (height, width, 3) of bytes; only the moving lines are redrawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    shares = np.linspace(0.0, 1.0, frames)
    fig, (ax,) = style.figure(width, 0.85)
    fig.set_dpi(dpi)
    portrait.draw_still(ax)
    with style.context():
        style.legend_below(ax, ax.get_legend().legend_handles, grow=True)  # type: ignore[union-attr, arg-type]
        fig.draw_without_rendering()
    fig.set_layout_engine("none")
    moving = dict(_moving(portrait))
    lines = {gid: line for line in ax.get_lines() if (gid := str(line.get_gid())) in moving}
    canvas = FigureCanvasAgg(fig)
    heads: dict[str, Any] = {
        key: ax.plot([], [], "o", ms=6, color=line.get_color(), mec="white", zorder=7)[0]
        for key, line in lines.items()
    }
    pictures = []
    for k, share in enumerate(shares):
        for key, line in lines.items():
            z, clock = moving[key]
            upto = int(np.searchsorted(clock, share + 1e-9, side="right"))
            line.set_data(*z[:upto].T)
            heads[key].set_data(*z[upto - 1 : upto].T)
        canvas.draw()  # type: ignore[no-untyped-call]
        pictures.append(np.asarray(canvas.buffer_rgba())[:, :, :3].copy())  # type: ignore[no-untyped-call]
        if progress is not None:
            progress(k + 1, frames)
    return pictures


def _moving(portrait: Moving) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """By group id the points of a line and when each is reached, from 0 to 1."""
    for name, paths in portrait.iterates.items():
        for i, z in single(paths):
            yield mark(name, i), (z, np.arange(len(z)) / max(len(z) - 1, 1))
    for name, paths in portrait.flows.items():
        known = portrait.times.get(name)
        for i, z in single(paths):
            clock = np.linspace(0.0, 1.0, len(z))
            if known is not None:
                t = known.reshape(-1, len(z))
                clock = (t[i] - t[i, 0]) / max(t[:, -1].max() - t[i, 0], 1e-300)
            yield mark(name, i), (z, clock)


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
