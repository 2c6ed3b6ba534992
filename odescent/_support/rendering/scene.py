"""Scenes that are turned, moved and asked in a browser: one page without other files, for notebooks and for disk."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import OdescentError
from ..files import write_whole
from .brief import quantity
from .rendered import Rendered

_DIGITS = 6


@dataclass(frozen=True)
class SceneLine(Rendered):
    """A polyline, or its points alone.

    Attributes:
        points: shape (k, 3); a row that is not finite parts it.
        color: of CSS.
        width: in pixels.
        label: for the legend; empty for none.
        dots: whether the points are drawn instead of the line between them.
    """

    points: Float[np.ndarray, "k 3"]
    color: str
    width: float = 1.0
    label: str = ""
    dots: bool = False


@dataclass(frozen=True)
class SceneMark(Rendered):
    """A point that says something when the pointer is over it.

    Attributes:
        point: shape (3,).
        text: what it says, lines parted by newlines.
        filled: whether it is drawn filled.
        label: for the legend.
    """

    point: Float[np.ndarray, "3"]
    text: str
    filled: bool
    label: str = ""


@dataclass(frozen=True)
class Scene(Rendered):
    """A picture that a browser can turn (in space), move and zoom, with texts at its marks.

    Attributes:
        lines, marks: what is in it.
        labels: of the axes, plain text; two in the plane, three in space.
        window: low and high ends of each axis, shape (axes, 2).
        title: one line.
    """

    lines: tuple[SceneLine, ...]
    marks: tuple[SceneMark, ...]
    labels: tuple[str, ...]
    window: Float[np.ndarray, "n 2"]
    title: str

    def __str__(self) -> str:
        where = "in space" if len(self.labels) == 3 else "in the plane"
        lines, marks = quantity(len(self.lines), "line"), quantity(len(self.marks), "mark")
        return f"{self.title}: an interactive picture {where} of {lines} and {marks}"

    def html(self) -> str:
        """The whole page."""
        data = {
            "labels": self.labels,
            "window": _plain(self.window),
            "title": self.title,
            "lines": [
                {
                    "p": _plain(line.points),
                    "c": line.color,
                    "w": line.width,
                    "n": line.label,
                    "d": line.dots,
                }
                for line in self.lines
            ],
            "marks": [
                {"p": _plain(mark.point), "t": mark.text, "f": mark.filled, "n": mark.label}
                for mark in self.marks
            ],
        }
        # a text in the data cannot end the script
        packed = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
        title = html.escape(self.title)
        return _PAGE.replace("%TITLE%", title).replace("%DATA%", packed)

    def save(self, path: str | Path) -> Path:
        """Write the page.

        Args:
            path: with the suffix .html.

        Raises:
            OdescentError: another suffix, or a file that cannot be written.
        """
        to = Path(path)
        if to.suffix != ".html":
            raise OdescentError(
                f"an interactive picture is a page: give a name that ends in .html, not {to.name!r}."
            )
        write_whole(to, self.html().encode())
        return to

    def framed(self) -> str:
        """The page in a frame of its own, for another page."""
        inside = html.escape(self.html(), quote=True)
        return (
            f'<iframe title="{html.escape(self.title, quote=True)}" srcdoc="{inside}" sandbox="allow-scripts" '
            'style="width: 100%; max-width: 640px; height: 520px; border: 0"></iframe>'
        )

    def _page(self) -> str:
        return self.framed()  # as notebooks show it


def _plain(values: Any) -> Any:
    """Nested lists of few digits; what is not finite is null."""
    array = np.asarray(values, float)
    if array.ndim > 1:
        return [_plain(row) for row in array]
    return [None if not np.isfinite(v) else float(f"{v:.{_DIGITS}g}") for v in array.tolist()]


def in_space(points: Any, height: Any = 0.0) -> Float[np.ndarray, "k 3"]:
    """Points of the plane, shape (k, 2), at heights."""
    z = np.asarray(points, float)
    return np.column_stack([z, np.broadcast_to(np.asarray(height, float), len(z))])


def box_around(
    parts: Sequence[Float[np.ndarray, "k n"]], margin: float = 0.04
) -> Float[np.ndarray, "n 2"]:
    """The window of all finite points, with a margin."""
    rows = np.concatenate([p[np.isfinite(p).all(1)] for p in parts])
    low, high = rows.min(0), rows.max(0)
    room = margin * np.where(high > low, high - low, 1.0)
    return np.stack([low - room, high + room], axis=1)


_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>%TITLE%</title>
<style>
html,body{margin:0;height:100%;font:13px serif;background:#fff;color:#000}
#c{width:100%;height:calc(100% - 3.6em);display:block;touch-action:none;cursor:grab}
#b{height:3.6em;padding:0 .6em;overflow:auto;line-height:1.35}
#b span{margin-right:1.1em;white-space:nowrap}
#b i{display:inline-block;width:1.4em;height:0;border-top:2px solid;vertical-align:middle;margin-right:.3em}
#t{position:absolute;display:none;background:#fffffff0;border:1px solid #888;padding:.2em .5em;white-space:pre;
pointer-events:none;font:12px monospace}
</style></head><body><canvas id="c" tabindex="0" role="img" aria-label="%TITLE%"></canvas><div id="b"></div>
<div id="t" role="status"></div><script>
"use strict";
const D=%DATA%,n=D.labels.length,c=document.getElementById("c"),g=c.getContext("2d"),t=document.getElementById("t");
const mid=D.window.map(w=>(w[0]+w[1])/2),half=D.window.map(w=>(w[1]-w[0])/2||1);
let az=-0.9,el=0.45,zoom=1,dx=0,dy=0,W=0,H=0,s=1;
function unit(p){return p.map((v,i)=>i<n?(v-mid[i])/half[i]:0)}
function place(p){const u=unit(p);
 if(n==2)return[W/2+dx+u[0]*zoom*(W/2-46),H/2+dy-u[1]*zoom*(H/2-30),0];
 const a=Math.cos(az),b=Math.sin(az),x=u[0]*a-u[1]*b,y=u[0]*b+u[1]*a,e=Math.cos(el),f=Math.sin(el);
 return[W/2+dx+x*s*zoom,H/2+dy-(u[2]*e+y*f)*s*zoom,y*e-u[2]*f]}
function path(q){let on=false;g.beginPath();for(const p of q){if(p.includes(null)){on=false;continue}
 const z=place(p);on?g.lineTo(z[0],z[1]):g.moveTo(z[0],z[1]);on=true}g.stroke()}
function ticks(w){const r=w[1]-w[0],e=Math.pow(10,Math.floor(Math.log10(r/4))),k=[1,2,5,10].find(k=>r/(k*e)<=5)*e,o=[];
 for(let v=Math.ceil(w[0]/k)*k;v<=w[1]+1e-9*r;v+=k)o.push(Math.abs(v)<1e-9*r?0:v);return o}
function say(v){return String(+v.toPrecision(4))}
function axes(){g.strokeStyle="#999";g.fillStyle="#000";g.lineWidth=.8;g.font="12px serif";g.textAlign="center";
 const w=D.window;
 if(n==2){const r=[0,1].map(i=>{const m=i?H/2-30:W/2-46,o=i?dy:-dx;
   return[mid[i]+half[i]*(o/m-1)/zoom,mid[i]+half[i]*(o/m+1)/zoom]});
  g.strokeRect(46,30,W-92,H-60);
  for(const v of ticks(r[0])){const x=place([v,mid[1],0])[0];if(x>=45&&x<=W-45){g.fillText(say(v),x,H-14)}}
  g.fillText(D.labels[0],W-24,H-14);g.textAlign="right";
  for(const v of ticks(r[1])){const y=place([mid[0],v,0])[1];if(y>=29&&y<=H-29)g.fillText(say(v),42,y+4)}
  g.textAlign="left";g.fillText(D.labels[1],46,20);g.save();g.beginPath();g.rect(46,30,W-92,H-60);g.clip();return}
 const lo=w.map(v=>v[0]),hi=w.map(v=>v[1]);
 for(let i=0;i<3;i++)for(let k=0;k<4;k++){const p=lo.slice(),q=[0,1,2].filter(j=>j!=i);
  if(k&1)p[q[0]]=hi[q[0]];if(k&2)p[q[1]]=hi[q[1]];const e=p.slice();e[i]=hi[i];path([p,e])}
 for(let i=0;i<3;i++){const p=lo.slice();if(i<2)p[1-i]=hi[1-i];
  for(const v of ticks(w[i])){p[i]=v;const z=place(p);g.fillText(say(v),z[0],z[1]+14)}
  p[i]=mid[i];const z=place(p);g.fillText(D.labels[i],z[0],z[1]+30)}}
let seen=[];
function draw(){const r=window.devicePixelRatio||1;W=c.clientWidth;H=c.clientHeight;s=Math.min(W,H)/3.6;
 c.width=W*r;c.height=H*r;g.setTransform(r,0,0,r,0,0);g.clearRect(0,0,W,H);axes();
 for(const l of D.lines){g.strokeStyle=g.fillStyle=l.c;g.lineWidth=l.w;
  if(!l.d){path(l.p);continue}
  for(const p of l.p)if(!p.includes(null)){const z=place(p);g.beginPath();g.arc(z[0],z[1],l.w,0,7);g.fill()}}
 seen=D.marks.map(m=>[place(m.p),m]).sort((a,b)=>b[0][2]-a[0][2]);
 for(const[z,m]of seen){g.beginPath();g.arc(z[0],z[1],5,0,7);g.fillStyle=m.f?"#000":"#fff";g.strokeStyle="#000";
  g.lineWidth=1.2;g.fill();g.stroke()}
 if(n==2)g.restore()}
let down=null;
c.onpointerdown=e=>{down=[e.clientX,e.clientY,e.shiftKey];c.setPointerCapture(e.pointerId)};
c.onpointerup=()=>{down=null};
c.onpointermove=e=>{const q=c.getBoundingClientRect(),x=e.clientX-q.left,y=e.clientY-q.top;
 if(down){const a=e.clientX-down[0],b=e.clientY-down[1];
  if(n==3&&!down[2]){az-=a/150;el=Math.max(-1.57,Math.min(1.57,el+b/150))}else{dx+=a;dy+=b}
  down[0]=e.clientX;down[1]=e.clientY;draw()}
 const hit=seen.slice().reverse().find(([z])=>Math.hypot(z[0]-x,z[1]-y)<10);
 t.style.display=hit?"block":"none";
 if(hit){t.textContent=hit[1].t;t.style.left=Math.min(x+14,W-t.offsetWidth-4)+"px";
  t.style.top=Math.max(4,Math.min(y+14,H-t.offsetHeight))+"px"}};
c.onwheel=e=>{e.preventDefault();zoom*=Math.exp(-e.deltaY/600);draw()};
c.ondblclick=()=>{az=-0.9;el=0.45;zoom=1;dx=dy=0;draw()};
c.onkeydown=e=>{const k={ArrowLeft:[-.1,0],ArrowRight:[.1,0],ArrowUp:[0,.1],ArrowDown:[0,-.1]}[e.key];
 if(k){if(n==3){az+=k[0];el+=k[1]}else{dx-=200*k[0];dy+=200*k[1]}}
 else if(e.key=="+")zoom*=1.15;else if(e.key=="-")zoom/=1.15;else return;e.preventDefault();draw()};
const b=document.getElementById("b"),named={};
for(const l of D.lines)if(l.n&&!named[l.n]){named[l.n]=1;
 const e=document.createElement("span"),i=document.createElement("i");
 i.style.borderColor=l.c;e.append(i,l.n);b.append(e)}
for(const m of D.marks)if(m.n&&!named[m.n]){named[m.n]=1;const e=document.createElement("span");
 e.textContent=(m.f?"\\u25cf ":"\\u25cb ")+m.n;b.append(e)}
const how=document.createElement("span");how.style.color="#555";
how.textContent=(n==3?"drag turns, shift moves":"drag moves")+
 ", wheel zooms, double click resets; hover over a mark";b.append(how);
new ResizeObserver(draw).observe(c);draw();
</script></body></html>
"""

__all__ = ["Scene", "SceneLine", "SceneMark", "box_around", "in_space"]
